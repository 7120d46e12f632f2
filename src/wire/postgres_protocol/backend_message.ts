/** What a server sends. Buffers are views on what was pushed into the parser. */
export type BackendMessage =
  | AuthenticationMessage
  | { readonly type: "parameterStatus"; readonly name: string; readonly value: string }
  | { readonly type: "backendKeyData"; readonly processId: number; readonly secretKey: Buffer }
  | {
      readonly type: "negotiateProtocolVersion";
      readonly minorVersion: number;
      readonly unknownOptions: readonly string[];
    }
  | { readonly type: "readyForQuery"; readonly status: TransactionStatus }
  | { readonly type: "rowDescription"; readonly columns: readonly ColumnDescription[] }
  | { readonly type: "dataRow"; readonly values: readonly (Buffer | null)[] }
  | { readonly type: "commandComplete"; readonly tag: string }
  | {
      readonly type: "copyInResponse" | "copyOutResponse" | "copyBothResponse";
      readonly format: number;
      readonly columnFormats: readonly number[];
    }
  | { readonly type: "copyData"; readonly data: Buffer }
  | { readonly type: "errorResponse" | "noticeResponse"; readonly fields: ErrorFields }
  | { readonly type: "parameterDescription"; readonly typeOids: readonly number[] }
  | {
      readonly type: "notificationResponse";
      readonly processId: number;
      readonly channel: string;
      readonly payload: string;
    }
  | {
      readonly type:
        | "copyDone"
        | "parseComplete"
        | "bindComplete"
        | "closeComplete"
        | "noData"
        | "portalSuspended"
        | "emptyQueryResponse";
    };

export type AuthenticationMessage =
  | { readonly type: "authenticationOk" | "authenticationCleartextPassword" }
  | { readonly type: "authenticationMd5Password"; readonly salt: Buffer }
  | { readonly type: "authenticationSasl"; readonly mechanisms: readonly string[] }
  | { readonly type: "authenticationSaslContinue" | "authenticationSaslFinal"; readonly data: Buffer }
  /** Kerberos, GSSAPI, SSPI and whatever comes: nothing here can answer them. */
  | { readonly type: "authenticationOther"; readonly method: number };

/** Idle, in a transaction, in a failed transaction. */
export type TransactionStatus = "I" | "T" | "E";

interface ColumnDescription {
  readonly name: string;
  readonly tableOid: number;
  readonly attribute: number;
  readonly typeOid: number;
  readonly typeSize: number;
  readonly typeModifier: number;
  readonly format: number;
}

/** The fields of an ErrorResponse or NoticeResponse; absent ones are undefined, unknown ones are dropped. */
export interface ErrorFields {
  /** Of the session's language; `V`, where it was sent, is {@link ErrorFields.severityPlain}. */
  readonly severity: string;
  readonly severityPlain?: string;
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly position?: string;
  readonly internalPosition?: string;
  readonly internalQuery?: string;
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly dataType?: string;
  readonly constraint?: string;
  readonly file?: string;
  readonly line?: string;
  readonly routine?: string;
}
