import type { MethodDefinition } from "@grpc/grpc-js";
import {
  decodeGetBaseBackupRequest,
  decodeGetBaseBackupResponseChunk,
  encodeGetBaseBackupRequest,
  encodeGetBaseBackupResponseChunk,
  type GetBaseBackupRequest,
  type GetBaseBackupResponseChunk,
} from "./base_backup.ts";
import {
  decodeLeaseLsnRequest,
  decodeLeaseLsnResponse,
  encodeLeaseLsnRequest,
  encodeLeaseLsnResponse,
  type LeaseLsnRequest,
  type LeaseLsnResponse,
} from "./lease_lsn.ts";

/**
 * The service for both ends of @grpc/grpc-js: `server.addService(pageServiceDefinition, …)`, and on the client
 * `client.makeServerStreamRequest(pageServiceDefinition.GetBaseBackup.path, …)` (contract: storage-protocols.md 3.2).
 * Importing this does not load grpc-js.
 */
export const pageServiceDefinition = {
  GetBaseBackup: {
    path: "/page_api.PageService/GetBaseBackup",
    requestStream: false,
    responseStream: true,
    requestSerialize: encodeGetBaseBackupRequest,
    requestDeserialize: decodeGetBaseBackupRequest,
    responseSerialize: encodeGetBaseBackupResponseChunk,
    responseDeserialize: decodeGetBaseBackupResponseChunk,
  } satisfies MethodDefinition<GetBaseBackupRequest, GetBaseBackupResponseChunk>,
  LeaseLsn: {
    path: "/page_api.PageService/LeaseLsn",
    requestStream: false,
    responseStream: false,
    requestSerialize: encodeLeaseLsnRequest,
    requestDeserialize: decodeLeaseLsnRequest,
    responseSerialize: encodeLeaseLsnResponse,
    responseDeserialize: decodeLeaseLsnResponse,
  } satisfies MethodDefinition<LeaseLsnRequest, LeaseLsnResponse>,
} as const;
