import type { AcceptorProcess } from "./acceptor_process.ts";
import type { Network } from "./network.ts";
import type { Oracle } from "./oracle.ts";
import type { Plan } from "./plan.ts";
import type { Plant } from "./plants.ts";
import type { Timeline } from "./timeline.ts";

/** What the processes of one run share. */
export interface World {
  readonly plan: Plan;
  readonly plant: Plant;
  readonly timeline: Timeline;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly acceptors: readonly AcceptorProcess[];
  /** A connection number that was never used. */
  readonly nextKey: () => number;
  /** Costs nothing unless a trace was asked for. */
  readonly trace: (line: () => string) => void;
}
