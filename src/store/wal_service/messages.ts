import type { ListenAddress } from "../listen_address.ts";
import type { AcceptorStatus, WalTimeline } from "./wal_timeline.ts";

/** What the worker is asked; each is answered by a {@link WorkerReply} with its id. */
export type WorkerRequest = { readonly id: number } & WorkerCommand;

export type WorkerCommand =
  | { readonly kind: "register"; readonly timeline: WalTimeline; readonly progress: SharedArrayBuffer }
  /** Opens the acceptor, if that is not done yet, and tells what it is. */
  | { readonly kind: "status"; readonly key: string }
  /** Ends its connections and closes its files; it is not known any more. */
  | { readonly kind: "forget"; readonly key: string }
  /** A tenant that is detached is not served, but not forgotten. */
  | { readonly kind: "serve"; readonly tenantId: string; readonly served: boolean }
  | {
      readonly kind: "listen";
      readonly address: ListenAddress;
      /** Without one everyone is trusted. */
      readonly authPublicKeyPath: string | undefined;
    }
  | { readonly kind: "stop" };

/** What each command is answered with. */
export interface WorkerResults {
  readonly register: undefined;
  readonly status: AcceptorStatus;
  readonly forget: undefined;
  readonly serve: undefined;
  readonly listen: ListenAddress;
  readonly stop: undefined;
}

/** An error on its way between threads. */
interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly status: number;
  readonly exitCode: number;
}

/** A field of a log line; texts that are printed as they are come as `display`. */
export type PlainField = { readonly display: string } | { readonly value: unknown };

export type WorkerReply =
  | { readonly kind: "done"; readonly id: number; readonly result: WorkerResults[keyof WorkerResults] }
  | { readonly kind: "failed"; readonly id: number; readonly error: PlainError }
  /** Somebody waits for an LSN of this timeline, and it was reached. */
  | { readonly kind: "reached"; readonly key: string }
  | {
      readonly kind: "log";
      readonly level: "error" | "warn" | "info" | "debug" | "trace";
      readonly message: string;
      readonly fields: Readonly<Record<string, PlainField>>;
    };
