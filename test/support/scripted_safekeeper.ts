import {
  encodeCommandComplete,
  encodeDataRow,
  encodeReadyForQuery,
  encodeRowDescription,
  TYPE_OID,
} from "../../src/wire/postgres_protocol.ts";
import { type ScriptedLibpqServer, startLibpqServer } from "./scripted_libpq_server.ts";

/** The LSNs that a safekeeper reports; `unknown`: it does not know the timeline; `silent`: it never answers. */
export type SafekeeperState = { readonly flush: string; readonly commit: string } | "unknown" | "silent";

/** A safekeeper that knows `TIMELINE_STATUS` only; with `jwt` it asks for a token. */
export function startSafekeeper(state: SafekeeperState, auth: "trust" | "jwt" = "trust"): Promise<ScriptedLibpqServer> {
  const rows = typeof state === "string" ? [] : [encodeDataRow([state.flush, state.commit])];
  const answer = Buffer.concat([
    encodeRowDescription([
      { name: "flush_lsn", typeOid: TYPE_OID.text },
      { name: "commit_lsn", typeOid: TYPE_OID.text },
    ]),
    ...rows,
    encodeCommandComplete("TIMELINE_STATUS"),
    encodeReadyForQuery(),
  ]);
  return startLibpqServer({ auth, answer: () => (state === "silent" ? undefined : answer) });
}
