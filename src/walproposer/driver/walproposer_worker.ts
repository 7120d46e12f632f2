import { parentPort } from "node:worker_threads";
import { errorChain, errorCode } from "../../errors/coded_error.ts";
import { findLocalTail, readLocalTail } from "./local_tail.ts";
import { type BackupWal, openBackupWal } from "./local_wal.ts";
import { ProposerDriver } from "./proposer_driver.ts";
import type { WorkerCommand, WorkerMessage } from "./worker_messages.ts";

/**
 * The thread that owns the sockets to the server and to the safekeepers: reading WAL and acknowledging it must not wait for
 * anything else that the process does (design.md 4).
 */
const port = parentPort;
if (port === null) throw new Error("this file is the entry of a worker thread");
const post = (message: WorkerMessage): void => port.postMessage(message);

let driver: ProposerDriver | undefined;
let backup: BackupWal | undefined;

async function run(command: WorkerCommand["command"]): Promise<bigint | undefined> {
  switch (command.do) {
    case "start":
      driver = new ProposerDriver(command.options, (report) => {
        if (report.type === "failed")
          post({ type: "failed", code: report.error.code, reason: errorChain(report.error) });
        else post(report);
      });
      driver.start();
      return undefined;
    case "find_tail":
      return findLocalTail(command.pgdata, command.start, command.began).end;
    case "push_tail":
      await driver?.pushLocal(readLocalTail(command.pgdata, command.tail), command.tail.end);
      return undefined;
    case "open_backup":
      backup = openBackupWal(command.pgdata);
      return undefined;
    case "attach": {
      const previousRecord = backup?.lastRecordBefore(command.startLsn);
      const systemIdentifier = backup?.systemIdentifier;
      backup?.close();
      return await driver?.attach({ ...command.source, previousRecord, systemIdentifier });
    }
    case "when_committed":
      await driver?.whenCommitted(command.lsn);
      return undefined;
    case "finish":
      return await driver?.finish();
    case "stop":
      driver?.stop();
      backup?.close();
      port?.close();
      return undefined;
  }
}

port.on("message", ({ id, command }: WorkerCommand) => {
  run(command).then(
    (lsn) => post({ type: "done", id, lsn }),
    (error: unknown) =>
      post({ type: "refused", id, code: errorCode(error) ?? "proposer_failed", reason: errorChain(error) }),
  );
});
