import type { Lsn } from "../wire/lsn.ts";
import { type Configuration, NO_CONFIGURATION } from "../wire/safekeeper/configuration.ts";
import type { TermHistory } from "../wire/safekeeper/history.ts";
import { type HotStandbyFeedback, NO_HOT_STANDBY } from "../wire/safekeeper/messages.ts";
import { newPeer, type Peer } from "./peer.ts";
import type { ProposerEffect } from "./proposer_events.ts";

export interface ProposerConfig {
  readonly tenantId: string;
  readonly timelineId: string;
  /** server_version_num. */
  readonly pgVersion: number;
  /** 0 in sync mode. */
  readonly systemId: bigint;
  /** Bytes. */
  readonly walSegSize: number;
  /** How many acceptors there are; they are known by their index. */
  readonly acceptors: number;
  /** `sync` ends when the acceptors agree; `stream` holds the term and goes on. */
  readonly mode: "sync" | "stream";
  /** Addresses came with a generation (`g#`): no campaign before a greeting brought a configuration. */
  readonly requireConfiguration?: boolean;
  /** Where the server's first record will be, for a timeline on which no acceptor has WAL (stream mode). */
  readonly initialLsn?: Lsn;
  /** Set when the proposer is started again under a running server: where that server began … */
  readonly serverBegan?: Lsn;
  /** … and the term under which its WAL was pushed so far. */
  readonly lastElectedTerm?: bigint;
}

/** `resting`: stepped down, begins again soon. `over`: fenced, failed or finished. */
type ProposerPhase = "collect" | "campaign" | "elected" | "resting" | "over";

/** Everything a proposer knows. Changed in place by the rules, one event at a time. */
export interface ProposerState {
  readonly config: ProposerConfig;
  readonly peers: readonly Peer[];
  /** What the event being handled has led to so far. */
  effects: ProposerEffect[];
  /** Of the event being handled, milliseconds. */
  now: number;
  phase: ProposerPhase;
  /** When `resting` ends. */
  resumeAt: number;
  conf: Configuration;
  term: bigint;
  history: TermHistory;
  startLsn: Lsn;
  donor: number;
  /** End of the WAL that may be sent. */
  available: Lsn;
  commitLsn: Lsn;
  truncateLsn: Lsn;
  synced: boolean;
  /** When an acknowledged position last rose, or the election was won. */
  progressAt: number;
  /** When this phase `collect` began. */
  collectingSince: number;
  /** A higher term ended our own; cleared by winning again. */
  overtaken: boolean;
  /** Terms we asked votes for, newest last. */
  requestedTerms: bigint[];
  /** Terms we won, newest last: WAL of these terms is this server's. */
  electedTerms: bigint[];
  /** The following survive stepping down: they are about the server, not about the term. */
  serverBegan: Lsn | undefined;
  localFlushLsn: Lsn;
  localFromLsn: Lsn;
  reportedCommitLsn: Lsn;
  reportedHotStandby: HotStandbyFeedback;
}

export function newProposerState(config: ProposerConfig): ProposerState {
  return {
    config,
    peers: Array.from({ length: config.acceptors }, (_, index) => newPeer(index)),
    effects: [],
    now: 0,
    phase: "collect",
    resumeAt: 0,
    conf: NO_CONFIGURATION,
    term: 0n,
    history: [],
    startLsn: 0n,
    donor: 0,
    available: 0n,
    commitLsn: 0n,
    truncateLsn: 0n,
    synced: false,
    progressAt: 0,
    collectingSince: 0,
    overtaken: false,
    requestedTerms: [],
    electedTerms: config.lastElectedTerm ? [config.lastElectedTerm] : [],
    serverBegan: config.serverBegan,
    localFlushLsn: 0n,
    localFromLsn: 0n,
    reportedCommitLsn: 0n,
    reportedHotStandby: NO_HOT_STANDBY,
  };
}
