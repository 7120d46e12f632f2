import type { Lsn } from "../../wire/lsn.ts";
import type { WalSpans } from "../wal_span.ts";

/** A timeline as the thread that writes WAL has to know it. */
export interface WalTimeline {
  readonly tenantId: string;
  readonly timelineId: string;
  /** Where `acceptor.json` lies. */
  readonly acceptorFile: string;
  /** Its own segments; also the last of `spans`. */
  readonly walDir: string;
  readonly spans: WalSpans;
  /** PostgreSQL major. */
  readonly pgVersion: number;
  readonly systemIdentifier: bigint;
}

/** What an acceptor says about itself (contract: storage-protocols.md 6). LSNs are those in memory. */
export interface AcceptorStatus {
  readonly term: bigint;
  /** Last log term. */
  readonly epoch: bigint;
  readonly history: readonly { readonly term: bigint; readonly lsn: Lsn }[];
  readonly pgVersion: number;
  readonly flushLsn: Lsn;
  readonly commitLsn: Lsn;
  readonly timelineStartLsn: Lsn;
  readonly localStartLsn: Lsn;
  readonly peerHorizonLsn: Lsn;
  readonly receivers: readonly { readonly connection: number; readonly status: "Voting" | "Streaming" }[];
  readonly senders: readonly { readonly application: string; readonly sentLsn: Lsn }[];
}

export function timelineKey(tenantId: string, timelineId: string): string {
  return `${tenantId}/${timelineId}`;
}
