/**
 * PostgreSQL's frontend/backend protocol 3.0, both directions, without any I/O. Clients use the `frontend` encoders and
 * {@link BackendMessageParser}; servers the `backend` encoders and {@link FrontendMessageParser}.
 */
export * from "./postgres_protocol/backend_encoder.ts";
export type * from "./postgres_protocol/backend_message.ts";
export { BackendMessageParser, type BackendParserOptions } from "./postgres_protocol/backend_parser.ts";
export * from "./postgres_protocol/copy_encoder.ts";
export * from "./postgres_protocol/frontend_encoder.ts";
export type * from "./postgres_protocol/frontend_message.ts";
export { FrontendMessageParser, type FrontendParserOptions } from "./postgres_protocol/frontend_parser.ts";
export { ProtocolError } from "./postgres_protocol/protocol_error.ts";
export { TYPE_OID } from "./postgres_protocol/type_oid.ts";
