/** What a client sends. Buffers are views on what was pushed into the parser. */
export type FrontendMessage =
  | StartupPhaseMessage
  | { readonly type: "query"; readonly text: string }
  | {
      readonly type: "parse";
      readonly statement: string;
      readonly query: string;
      readonly parameterTypes: readonly number[];
    }
  | {
      readonly type: "bind";
      readonly portal: string;
      readonly statement: string;
      readonly parameterFormats: readonly number[];
      readonly values: readonly (Buffer | null)[];
      readonly resultFormats: readonly number[];
    }
  | { readonly type: "describe" | "close"; readonly target: "statement" | "portal"; readonly name: string }
  | { readonly type: "execute"; readonly portal: string; readonly maxRows: number }
  | { readonly type: "password"; readonly password: string }
  | { readonly type: "copyData"; readonly data: Buffer }
  | { readonly type: "copyFail"; readonly message: string }
  | { readonly type: "sync" | "flush" | "copyDone" | "terminate" };

/** What may come before and as the start-up packet. */
export type StartupPhaseMessage =
  | { readonly type: "sslRequest" | "gssEncRequest" }
  | { readonly type: "cancelRequest"; readonly processId: number; readonly secretKey: Buffer }
  | {
      readonly type: "startup";
      readonly majorVersion: number;
      readonly minorVersion: number;
      /** `user`, `database`, `options`, `application_name`, ...; the last of equal names wins. */
      readonly parameters: ReadonlyMap<string, string>;
    };
