import type { Lsn } from "../../wire/lsn.ts";
import type { LocalTail } from "./local_tail.ts";
import type { ProposerDriverOptions, ProposerReport, ServerSource } from "./proposer_driver.ts";

/** What the owner asks of the worker thread; each is answered by `done` or `refused` with its id. */
export interface WorkerCommand {
  readonly id: number;
  readonly command:
    | { readonly do: "start"; readonly options: ProposerDriverOptions }
    /** No server runs on the data directory. Answered with the tail's end. */
    | { readonly do: "find_tail"; readonly pgdata: string; readonly start: Lsn; readonly began: Lsn }
    | { readonly do: "push_tail"; readonly pgdata: string; readonly tail: LocalTail }
    /** The base backup is unpacked, the server not yet started. */
    | { readonly do: "open_backup"; readonly pgdata: string }
    | { readonly do: "attach"; readonly startLsn: Lsn; readonly source: ServerSource }
    | { readonly do: "when_committed"; readonly lsn: Lsn }
    | { readonly do: "finish" }
    | { readonly do: "stop" };
}

export type WorkerMessage =
  | Exclude<ProposerReport, { type: "failed" }>
  | { readonly type: "failed"; readonly code: string; readonly reason: string }
  | { readonly type: "done"; readonly id: number; readonly lsn: Lsn | undefined }
  | { readonly type: "refused"; readonly id: number; readonly code: string; readonly reason: string };
