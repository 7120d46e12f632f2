import { describe, expect, test } from "vitest";
import { NO_CONFIGURATION } from "../../../src/wire/safekeeper/configuration.ts";
import { NO_HOT_STANDBY } from "../../../src/wire/safekeeper/messages.ts";
import { protocol2 } from "../../../src/wire/safekeeper/protocol2.ts";
import { protocol3 } from "../../../src/wire/safekeeper/protocol3.ts";

const hex = (...parts: string[]) => parts.join("").replaceAll(" ", "");
const TENANT = "0123456789abcdef0123456789abcdef";
const TIMELINE = "fedcba9876543210fedcba9876543210";

const greeting = {
  type: "greeting" as const,
  tenantId: TENANT,
  timelineId: TIMELINE,
  conf: NO_CONFIGURATION,
  pgVersion: 170_005,
  systemId: 0x1122334455667788n,
  walSegSize: 0x1000000,
};
const history = [
  { term: 1n, lsn: 0x10n },
  { term: 3n, lsn: 0x20n },
];
const answer = { generation: 0, term: 3n, flushLsn: 0x30n, commitLsn: 0x20n };

describe("protocol 3 byte for byte", () => {
  const conf = {
    generation: 5,
    members: [{ nodeId: 7n, host: "sk", pgPort: 5454 }],
    newMembers: undefined,
  };

  test("compute to safekeeper", () => {
    const greetingBytes = protocol3.encodeProposerMessage({ ...greeting, tenantId: TENANT.toUpperCase() });
    expect(greetingBytes.toString("latin1", 0, 67)).toBe(`g${TENANT}\0${TIMELINE}\0`);
    expect(greetingBytes.toString("hex", 67)).toBe(
      hex("00000000 00000000 00000000", "00029815", "1122334455667788", "01000000"),
    );
    expect(protocol3.encodeProposerMessage({ type: "vote_request", generation: 5, term: 3n }).toString("hex")).toBe(
      hex("76 00000005 0000000000000003"),
    );
    expect(
      protocol3
        .encodeProposerMessage({ type: "elected", generation: 5, term: 3n, startStreamingAt: 0x20n, history })
        .toString("hex"),
    ).toBe(
      hex(
        "65 00000005 0000000000000003 0000000000000020 00000002",
        "0000000000000001 0000000000000010 0000000000000003 0000000000000020",
      ),
    );
    expect(
      protocol3
        .encodeProposerMessage({
          type: "append",
          generation: 5,
          term: 3n,
          beginLsn: 0x20n,
          endLsn: 0x22n,
          commitLsn: 0x1fn,
          truncateLsn: 0x1en,
          wal: Uint8Array.from([0xaa, 0xbb]),
        })
        .toString("hex"),
    ).toBe(
      hex("61 00000005 0000000000000003 0000000000000020 0000000000000022 000000000000001f 000000000000001e", "aabb"),
    );
  });

  test("safekeeper to compute", () => {
    expect(protocol3.encodeAcceptorMessage({ type: "greeting", nodeId: 7n, conf, term: 3n }).toString("hex")).toBe(
      hex("67 0000000000000007", "00000005 00000001 0000000000000007 736b00 154e 00000000", "0000000000000003"),
    );
    expect(
      protocol3
        .encodeAcceptorMessage({
          type: "vote",
          generation: 5,
          term: 3n,
          given: true,
          flushLsn: 0x30n,
          truncateLsn: 0x10n,
          history,
        })
        .toString("hex"),
    ).toBe(
      hex(
        "76 00000005 0000000000000003 01 0000000000000030 0000000000000010 00000002",
        "0000000000000001 0000000000000010 0000000000000003 0000000000000020",
      ),
    );
    const hotStandby = { time: -1n, xmin: 0x100000002n, catalogXmin: 3n };
    const head = hex(
      "61 00000005 0000000000000003 0000000000000030 0000000000000020",
      "ffffffffffffffff 0000000100000002 0000000000000003",
    );
    const response = { type: "append_response" as const, ...answer, generation: 5, hotStandby };
    expect(protocol3.encodeAcceptorMessage(response).toString("hex")).toBe(head);
    expect(protocol3.encodeAcceptorMessage({ ...response, feedback: { diskConsistentLsn: 9n } }).toString("hex")).toBe(
      head + hex("01", Buffer.from("ps_flushlsn\0").toString("hex"), "00000008 0000000000000009"),
    );
  });

  test("a configuration's generation and members go together", () => {
    const read = (confBytes: string) => () =>
      protocol3.decodeAcceptorMessage(Buffer.from(hex("67 0000000000000007", confBytes, "0000000000000003"), "hex"));
    const member = "0000000000000007 736b00 154e";
    expect(read("00000000 00000000 00000000")).not.toThrow();
    expect(read(`00000001 00000001 ${member} 00000001 ${member}`)).not.toThrow();
    expect(read(`00000000 00000001 ${member} 00000000`)).toThrow("generation 0");
    expect(read("00000001 00000000 00000000")).toThrow("has no members");
    expect(read(`00000001 00000002 ${member} ${member} 00000000`)).toThrow("twice");
    expect(read("00000001 7fffffff 00000000")).toThrow("announces");
    expect(read("00000001 00000001 0000000000000007 ff00 154e 00000000")).toThrow("UTF-8");
  });
});

describe("protocol 2 byte for byte", () => {
  test("storage-protocols.md case 18: greetings of both versions mean the same; version 2 answers term before node id", () => {
    const bytes = protocol2.encodeProposerMessage(greeting);
    expect(bytes.toString("hex")).toBe(
      hex(
        "6700000000000000 02000000 15980200",
        "00".repeat(16),
        "8877665544332211",
        TIMELINE,
        TENANT,
        "01000000 00000001",
      ),
    );
    expect(bytes).toHaveLength(80);
    expect(protocol2.decodeProposerMessage(bytes)).toEqual(
      protocol3.decodeProposerMessage(protocol3.encodeProposerMessage(greeting)),
    );
    const reply = protocol2.encodeAcceptorMessage({ type: "greeting", nodeId: 7n, conf: NO_CONFIGURATION, term: 3n });
    expect(reply.toString("hex")).toBe(hex("6700000000000000 0300000000000000 0700000000000000"));
  });

  test("sizes with the tag", () => {
    expect(protocol2.encodeProposerMessage({ type: "vote_request", generation: 0, term: 3n })).toHaveLength(32);
    const append = {
      type: "append" as const,
      generation: 0,
      term: 3n,
      beginLsn: 1n,
      endLsn: 1n,
      commitLsn: 0n,
      truncateLsn: 0n,
      wal: new Uint8Array(0),
    };
    expect(protocol2.encodeProposerMessage(append)).toHaveLength(72);
    const response = { type: "append_response" as const, ...answer, hotStandby: NO_HOT_STANDBY };
    expect(protocol2.encodeAcceptorMessage(response)).toHaveLength(56);
    const withFeedback = protocol2.encodeAcceptorMessage({ ...response, feedback: { lastReceivedLsn: 9n } });
    expect(withFeedback.toString("hex", 56)).toBe(
      hex("01", Buffer.from("ps_writelsn\0").toString("hex"), "00000008 0000000000000009"),
    );
  });

  test("elected ends with the first history entry's LSN, a vote with a zero", () => {
    const elected = protocol2.encodeProposerMessage({
      type: "elected",
      generation: 0,
      term: 3n,
      startStreamingAt: 0x20n,
      history,
    });
    expect(elected.toString("hex", 24)).toBe(
      hex("02000000 0100000000000000 1000000000000000 0300000000000000 2000000000000000", "1000000000000000"),
    );
    const vote = protocol2.encodeAcceptorMessage({
      type: "vote",
      generation: 0,
      term: 3n,
      given: false,
      flushLsn: 0n,
      truncateLsn: 0n,
      history: [],
    });
    expect(vote.toString("hex", 40)).toBe(hex("00000000 0000000000000000"));
  });

  test("another generation cannot be written", () => {
    expect(() => protocol2.encodeProposerMessage({ type: "vote_request", generation: 1, term: 3n })).toThrow(
      "protocol 2 cannot carry configuration 1",
    );
  });
});
