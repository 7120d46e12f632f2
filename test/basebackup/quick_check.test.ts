import { describe, expect, test } from "vitest";
import { decideSynced } from "../../src/basebackup/quick_check.ts";
import type { TimelineStatus } from "../../src/basebackup/safekeeper_status.ts";

const at = (flush: number, commit = flush): TimelineStatus => ({ flushLsn: BigInt(flush), commitLsn: BigInt(commit) });

describe("decideSynced", () => {
  test.each<[string, readonly (TimelineStatus | null)[], number, number, object]>([
    ["a quorum at one LSN", [at(5), at(5)], 0, 3, { kind: "synced", lsn: 5n }],
    ["0/0 counts", [at(0), at(0)], 1, 3, { kind: "synced", lsn: 0n }],
    ["one of one", [at(7)], 0, 1, { kind: "synced", lsn: 7n }],
    ["different LSNs", [at(5), at(6)], 0, 3, { kind: "differ" }],
    ["flush ahead of commit everywhere", [at(6, 5), at(6, 5)], 0, 3, { kind: "differ" }],
    ["flush ahead of commit on one", [at(5), at(6, 5)], 0, 3, { kind: "differ" }],
    ["unknown on one", [at(5), null], 0, 3, { kind: "differ" }],
    ["unknown on the first", [null, at(5)], 0, 3, { kind: "differ" }],
    ["unknown everywhere", [null, null], 0, 3, { kind: "differ" }],
    ["one answer of three", [at(5)], 1, 3, { kind: "undecided" }],
    ["two failures of three", [at(5)], 2, 3, { kind: "no_quorum" }],
    ["two of two are needed", [at(5)], 0, 2, { kind: "undecided" }],
    ["one of two failed", [at(5)], 1, 2, { kind: "no_quorum" }],
    ["one of four failed", [at(5)], 1, 4, { kind: "undecided" }],
    ["three of five", [at(5), at(5), at(5)], 2, 5, { kind: "synced", lsn: 5n }],
    ["nobody", [], 0, 0, { kind: "no_quorum" }],
  ])("%s", (_, answers, failures, n, expected) => expect(decideSynced(answers, failures, n)).toEqual(expected));
});
