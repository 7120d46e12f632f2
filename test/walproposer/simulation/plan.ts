import { Random } from "./random.ts";

/**
 * One thing that happens to the world, at a point of virtual time (milliseconds). Computes are counted back from the newest
 * one that lives (0 = newest), so that a plan still means something after others were removed from it.
 */
export type Fault = { readonly at: number } & (
  | {
      readonly kind: "crash";
      readonly acceptor: number;
      /** Steps of this kind the acceptor still finishes; all kinds when undefined. The crash comes before the next one. */
      readonly afterSteps: number;
      readonly stepKind: CrashStep | undefined;
      readonly downFor: number;
      /** Loses what was not flushed; else only the process dies. */
      readonly powerLoss: boolean;
      /** Its peers hear nothing instead of a reset. */
      readonly silent: boolean;
    }
  | { readonly kind: "break"; readonly compute: number; readonly acceptor: number }
  | {
      readonly kind: "block";
      readonly compute: number;
      /** Undefined: all of them. */
      readonly acceptor: number | undefined;
      readonly direction: "both" | "to_acceptor" | "to_compute";
      readonly lasts: number;
    }
  /** Messages get lost, doubled and overtake each other. */
  | { readonly kind: "scramble"; readonly acceptor: number; readonly lasts: number }
  | { readonly kind: "slow"; readonly acceptor: number; readonly lasts: number }
  | { readonly kind: "start_compute" }
  | { readonly kind: "kill_compute"; readonly compute: number }
  | { readonly kind: "write"; readonly compute: number; readonly records: number; readonly switches: boolean }
);

/** Steps that crashes aim at, for what stands between them matters most. */
export type CrashStep = "persist" | "truncate" | "send";

/** A whole run: everything that is not in here follows from the seed alone. */
export interface Plan {
  readonly seed: number;
  readonly acceptors: number;
  readonly faults: readonly Fault[];
  /** When the faults end and progress is demanded. */
  readonly calmAt: number;
  /** Acceptors that stay down to the end: always a minority. */
  readonly lost: readonly number[];
  /** Whether a living leader may stay, or a new compute has to take over. */
  readonly ending: "keep" | "fresh";
  /** Every message goes through encoding and decoding. */
  readonly codec: boolean;
}

export function makePlan(seed: number): Plan {
  const random = new Random(seed, 1);
  const acceptors = random.pick([1, 3, 3, 3, 5]);
  const calmAt = random.int(2_000, 18_000);
  const faults: Fault[] = [{ at: 0, kind: "start_compute" }];
  // A seed concentrates on few kinds of trouble, so that these meet often enough.
  const weights = WEIGHTS.map(([kind, weight]) => [kind, random.chance(0.3) ? 0 : weight] as const);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  for (let left = random.int(3, 36); left > 0; left--) {
    const kind = pickWeighted(weights, random.unit() * total);
    faults.push(makeFault(kind, random.int(20, calmAt), acceptors, random));
  }
  for (let left = random.pick([0, 0, 1, 2, 4]); left > 0; left--) faults.push(...divergence(calmAt, acceptors, random));
  faults.sort((a, b) => a.at - b.at);
  const minority = Math.floor((acceptors - 1) / 2);
  const lost = random.chance(0.3) && minority > 0 ? [random.int(0, acceptors - 1)] : [];
  return { seed, acceptors, faults, calmAt, lost, ending: random.pick(["keep", "fresh"]), codec: seed % 8 === 0 };
}

const WEIGHTS: readonly (readonly [Fault["kind"], number])[] = [
  ["write", 8],
  ["crash", 4],
  ["start_compute", 3],
  ["break", 3],
  ["block", 3],
  ["scramble", 2],
  ["slow", 1],
  ["kill_compute", 1],
];

function pickWeighted(weights: readonly (readonly [Fault["kind"], number])[], at: number): Fault["kind"] {
  let passed = 0;
  for (const [kind, weight] of weights) {
    passed += weight;
    if (at < passed) return kind;
  }
  return "write";
}

/**
 * The leader writes to one acceptor only, a new compute wins with the others, and then that acceptor, whose tail has to go,
 * joins it. Chance alone brings this about too seldom.
 */
function divergence(calmAt: number, acceptors: number, random: Random): Fault[] {
  const at = random.int(100, calmAt);
  const alone = random.int(0, acceptors - 1);
  const lasts = random.int(100, 900);
  const block = { kind: "block", compute: 0, direction: "both", lasts } as const;
  const faults: Fault[] = [];
  for (let acceptor = 0; acceptor < acceptors; acceptor++)
    if (acceptor !== alone) faults.push({ at, ...block, acceptor });
  faults.push({ at: at + 10, kind: "write", compute: 0, records: random.int(1, 8), switches: random.chance(0.2) });
  faults.push({ at: at + 60, kind: "start_compute" }, { at: at + 60, ...block, acceptor: alone });
  if (random.chance(0.5)) faults.push({ ...makeFault("crash", at + 100, acceptors, random), acceptor: alone } as Fault);
  return faults;
}

function makeFault(kind: Fault["kind"], at: number, acceptors: number, random: Random): Fault {
  const acceptor = random.int(0, acceptors - 1);
  const compute = random.chance(0.7) ? 0 : random.int(1, 2);
  const lasts = random.chance(0.1) ? random.int(9_000, 14_000) : random.int(5, 2_500);
  switch (kind) {
    case "crash":
      return {
        at,
        kind,
        acceptor,
        afterSteps: random.chance(0.5) ? 0 : random.int(0, 6),
        stepKind: random.pick([undefined, undefined, "persist", "truncate", "send"] as const),
        downFor: random.int(1, 1_500),
        powerLoss: random.chance(0.7),
        silent: random.chance(0.3),
      };
    case "break":
      return { at, kind, compute, acceptor };
    case "block": {
      const direction = random.pick(["both", "both", "to_acceptor", "to_compute"] as const);
      return { at, kind, compute, acceptor: random.chance(0.25) ? undefined : acceptor, direction, lasts };
    }
    case "scramble":
    case "slow":
      return { at, kind, acceptor, lasts };
    case "start_compute":
      return { at, kind };
    case "kill_compute":
      return { at, kind, compute };
    case "write":
      return { at, kind, compute, records: random.int(1, 12), switches: random.chance(0.3) };
  }
}
