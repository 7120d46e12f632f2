import type { Lsn } from "../../wire/lsn.ts";
import type { AttachOptions, ProposerDriverOptions, ProposerReport } from "./proposer_driver.ts";

/** What the owner asks of the worker thread; each is answered by `done` or `refused` with its id. */
export interface WorkerCommand {
  readonly id: number;
  readonly command:
    | { readonly do: "start"; readonly options: ProposerDriverOptions }
    /** The base backup is unpacked, the server not yet started. */
    | { readonly do: "open_backup"; readonly pgdata: string }
    | { readonly do: "attach"; readonly startLsn: Lsn; readonly source: Omit<AttachOptions, "previousRecord"> }
    | { readonly do: "when_committed"; readonly lsn: Lsn }
    | { readonly do: "finish" }
    | { readonly do: "stop" };
}

export type WorkerMessage =
  | Exclude<ProposerReport, { type: "failed" }>
  | { readonly type: "failed"; readonly code: string; readonly reason: string }
  | { readonly type: "done"; readonly id: number; readonly lsn: Lsn | undefined }
  | { readonly type: "refused"; readonly id: number; readonly code: string; readonly reason: string };
