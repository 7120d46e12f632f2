import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import type { GetBaseBackupRequest, GetBaseBackupResponseChunk } from "../../src/wire/page_api/base_backup.ts";
import type { LeaseLsnRequest, LeaseLsnResponse } from "../../src/wire/page_api/lease_lsn.ts";
import { pageServiceDefinition } from "../../src/wire/page_api/page_service.ts";

export interface ScriptedPageService extends AsyncDisposable {
  readonly url: string;
  /** Requests in order of arrival, with the metadata that a compute must send. */
  readonly calls: readonly { readonly request: unknown; readonly metadata: Readonly<Record<string, unknown>> }[];
}

export interface ScriptedPageServiceOptions {
  /** Sends chunks and ends the call, or not. */
  readonly baseBackup?: (
    call: grpc.ServerWritableStream<GetBaseBackupRequest, GetBaseBackupResponseChunk>,
  ) => void | Promise<void>;
  readonly leaseLsn?: (lsn: bigint) => LeaseLsnResponse;
}

/** An error that a handler throws to end its call with a status. */
export function grpcStatus(code: number, details: string): Partial<grpc.StatusObject> & Error {
  return Object.assign(new Error(details), { code, details });
}

/** A pageserver's gRPC service on loopback that says what a test tells it to. */
export async function startPageService(options: ScriptedPageServiceOptions): Promise<ScriptedPageService> {
  const calls: ScriptedPageService["calls"][number][] = [];
  const server = new grpc.Server();
  server.addService(pageServiceDefinition as unknown as grpc.ServiceDefinition, {
    GetBaseBackup: (call: grpc.ServerWritableStream<GetBaseBackupRequest, GetBaseBackupResponseChunk>) => {
      calls.push({ request: call.request, metadata: call.metadata.getMap() });
      call.on("error", () => undefined);
      void (async () => {
        try {
          await options.baseBackup?.(call);
        } catch (error) {
          call.emit("error", error);
        }
      })();
    },
    LeaseLsn: (
      call: grpc.ServerUnaryCall<LeaseLsnRequest, LeaseLsnResponse>,
      answer: grpc.sendUnaryData<LeaseLsnResponse>,
    ) => {
      calls.push({ request: call.request, metadata: call.metadata.getMap() });
      try {
        answer(null, options.leaseLsn?.(call.request.lsn) ?? { expires: undefined });
      } catch (error) {
        answer(error as grpc.ServiceError);
      }
    },
  });
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
  return {
    url: `grpc://127.0.0.1:${port}`,
    calls,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
