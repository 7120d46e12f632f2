import * as module from "node:module";
import { parentPort } from "node:worker_threads";
import type { WorkerReply, WorkerRequest } from "./messages.ts";

module.enableCompileCache();
const { WalWorker } = await import("./wal_worker.ts");
const port = parentPort;
if (!port) throw new Error("this is a worker thread's program, it is started by neon-store");
const worker = new WalWorker((reply: WorkerReply) => port.postMessage(reply));
port.on("message", (request: WorkerRequest) => void worker.handle(request));
