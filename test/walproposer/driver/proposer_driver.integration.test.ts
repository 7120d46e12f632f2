import { expect, onTestFinished, test } from "vitest";
import { ProposerDriver, type ProposerReport } from "../../../src/walproposer/driver/proposer_driver.ts";
import { formatLsn, type Lsn } from "../../../src/wire/lsn.ts";
import {
  encodeCommandComplete,
  encodeCopyBothResponse,
  encodeCopyData,
  encodeDataRow,
  encodeErrorResponse,
  encodeReadyForQuery,
  encodeRowDescription,
  TYPE_OID,
} from "../../../src/wire/postgres_protocol.ts";
import { NO_CONFIGURATION } from "../../../src/wire/safekeeper/configuration.ts";
import { type AcceptorMessage, type AppendRequest, NO_HOT_STANDBY } from "../../../src/wire/safekeeper/messages.ts";
import { protocol3 } from "../../../src/wire/safekeeper/protocol3.ts";
import { WAL_SEGMENT_SIZE } from "../../../src/wire/wal/segment.ts";
import { until } from "../../support/until.ts";
import { WalBuilder } from "../../wire/wal/wal_builder.ts";
import { startCopyBothServer } from "./copy_both_server.ts";

const START = 0x1500028n;
const PREVIOUS = 0x14f0000n;
const SEGMENT_END = BigInt(2 * WAL_SEGMENT_SIZE);

/** A safekeeper with WAL up to START that acknowledges what `flushed` makes of each append. */
async function startSafekeeper(flushed: (append: AppendRequest) => Lsn = ({ endLsn }) => endLsn) {
  const appends: AppendRequest[] = [];
  const voted = new Set<bigint>();
  const state = { term: 3n, flushLsn: START };
  const answer = (payload: Buffer): AcceptorMessage | undefined => {
    const message = protocol3.decodeProposerMessage(Buffer.from(payload));
    switch (message.type) {
      case "greeting":
        return { type: "greeting", nodeId: 1n, conf: NO_CONFIGURATION, term: state.term };
      case "vote_request": {
        const given = message.term > state.term;
        if (given) state.term = message.term;
        voted.add(message.term);
        const history = [{ term: 3n, lsn: START }];
        return {
          type: "vote",
          generation: 0,
          term: state.term,
          given,
          flushLsn: state.flushLsn,
          truncateLsn: START,
          history,
        };
      }
      case "elected":
        return undefined;
      case "append": {
        appends.push(message);
        const flushLsn = flushed(message);
        if (flushLsn > state.flushLsn) state.flushLsn = flushLsn;
        const { term } = state;
        const own = { generation: 0, term, flushLsn: state.flushLsn, commitLsn: START, hotStandby: NO_HOT_STANDBY };
        return { type: "append_response", ...own };
      }
    }
  };
  const server = await startCopyBothServer({
    query: () => encodeCopyBothResponse(),
    data: (payload) => {
      const message = answer(payload);
      return message && encodeCopyData(protocol3.encodeAcceptorMessage(message));
    },
  });
  return { ...server, appends, state };
}

/** A walsender whose server has flushed up to `flushed`; `send` streams. */
async function startWalSender(flushed: Lsn, refusal?: Buffer) {
  const text = (names: string[]) => encodeRowDescription(names.map((name) => ({ name, typeOid: TYPE_OID.text })));
  const done = Buffer.concat([encodeCommandComplete("SELECT"), encodeReadyForQuery()]);
  const server = await startCopyBothServer({
    query: (query) => {
      if (query === "IDENTIFY_SYSTEM")
        return Buffer.concat([
          text(["systemid", "timeline", "xlogpos", "dbname"]),
          encodeDataRow(["1", "1", formatLsn(flushed), null]),
          done,
        ]);
      if (query.startsWith("CREATE")) return done;
      return Buffer.concat([encodeCopyBothResponse(), ...(refusal ? [refusal] : [])]);
    },
  });
  const acknowledged = (): Lsn[] =>
    server.received.flatMap((message) =>
      message.type === "copyData" && message.data[0] === 0x72 ? [message.data.readBigUInt64BE(9)] : [],
    );
  const send = (start: Lsn, bytes: Buffer): void => {
    const header = Buffer.alloc(25);
    header[0] = 0x77;
    header.writeBigUInt64BE(start, 1);
    server.sockets.at(-1)?.write(encodeCopyData(Buffer.concat([header, bytes])));
  };
  return { ...server, acknowledged, send };
}

async function elect(port: number) {
  const reports: ProposerReport[] = [];
  const ids = { tenantId: "1".repeat(32), timelineId: "2".repeat(32) };
  const options = { ...ids, pgVersion: 170_005, safekeepers: [`127.0.0.1:${port}`], token: undefined };
  const driver = new ProposerDriver(options, (report) => reports.push(report));
  onTestFinished(() => driver.stop());
  driver.start();
  await until(() => reports.some(({ type }) => type === "synced"));
  const attach = (server: { port: number }): Promise<Lsn> =>
    driver.attach({
      target: { host: "127.0.0.1", port: server.port },
      user: "u",
      password: undefined,
      name: "standby",
      previousRecord: PREVIOUS,
      systemIdentifier: 1n,
    });
  const failure = (): string | undefined =>
    reports.flatMap((each) => (each.type === "failed" ? [each.error.code] : []))[0];
  return { driver, reports, attach, failure };
}

test("what the server hears before its first record was seen to be the right one is 0/0", async () => {
  const safekeeper = await startSafekeeper();
  const { driver, attach } = await elect(safekeeper.port);
  const wal = new WalBuilder(START, PREVIOUS).record(Buffer.alloc(100)).record(Buffer.alloc(60));
  const server = await startWalSender(wal.position);
  const attached = attach(server);
  await until(() => server.acknowledged().length > 0);
  expect(new Set(server.acknowledged())).toEqual(new Set([0n]));
  expect(safekeeper.appends.filter(({ wal: bytes }) => bytes.length > 0)).toEqual([]);
  server.send(START, wal.bytes);
  expect(await attached).toBe(wal.position);
  await driver.whenCommitted(wal.position);
  await until(() => server.acknowledged().at(-1) === wal.position);
  expect(Buffer.concat(safekeeper.appends.map(({ wal: bytes }) => bytes)).equals(wal.bytes)).toBe(true);
});

test("a server whose WAL ends before the start LSN is refused, and no commit of it ever returns", async () => {
  const safekeeper = await startSafekeeper();
  const { attach, failure } = await elect(safekeeper.port);
  const ahead = encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "ahead of the WAL flush position" });
  const server = await startWalSender(START - 8n, ahead);
  await expect(attach(server)).rejects.toMatchObject({ code: "base_mismatch" });
  expect(failure()).toBe("base_mismatch");
  expect(server.acknowledged().filter((lsn) => lsn > 0n)).toEqual([]);
});

test("a server that goes on with other WAL is refused, and nothing of it reaches storage", async () => {
  const safekeeper = await startSafekeeper();
  const { attach, failure } = await elect(safekeeper.port);
  const wal = new WalBuilder(START, PREVIOUS - 8n).record(Buffer.alloc(100));
  const server = await startWalSender(wal.position);
  attach(server).catch(() => undefined);
  await until(() => server.sockets.length > 0 && server.received.filter(({ type }) => type === "query").length === 3);
  server.send(START, wal.bytes);
  await until(() => failure() === "base_mismatch");
  expect(safekeeper.appends.filter(({ wal: bytes }) => bytes.length > 0)).toEqual([]);
  expect(server.acknowledged().filter((lsn) => lsn > 0n)).toEqual([]);
});

test("the padding behind a switch record is sent although its end is acknowledged before it came", async () => {
  const wal = new WalBuilder(START, PREVIOUS).record(Buffer.alloc(0), { rmgr: 0, info: 0x40 });
  expect(wal.position).toBe(SEGMENT_END);
  wal.record(Buffer.alloc(300, 1));
  // As a safekeeper does: whole records count, and the switch record is whole with its first bytes.
  const safekeeper = await startSafekeeper(({ endLsn }) =>
    endLsn <= START ? START : endLsn < SEGMENT_END ? SEGMENT_END : endLsn,
  );
  const { driver, attach } = await elect(safekeeper.port);
  const server = await startWalSender(wal.position);
  const attached = attach(server);
  await until(() => server.received.filter(({ type }) => type === "query").length === 3);
  const { bytes } = wal;
  for (let at = 0; at < bytes.length; at += 131_072) server.send(START + BigInt(at), bytes.subarray(at, at + 131_072));
  await attached;
  await driver.whenCommitted(wal.position);
  expect(Buffer.concat(safekeeper.appends.map((append) => append.wal)).equals(bytes)).toBe(true);
});

test("a stream that breaks is taken up where it ended, also when it breaks at once", async () => {
  const safekeeper = await startSafekeeper();
  const { driver, attach } = await elect(safekeeper.port);
  const wal = new WalBuilder(START, PREVIOUS).record(Buffer.alloc(100)).record(Buffer.alloc(60));
  const server = await startWalSender(wal.position);
  const attached = attach(server);
  await until(() => server.received.filter(({ type }) => type === "query").length === 3);
  server.send(START, wal.bytes.subarray(0, 130));
  await attached;
  const queries = (): string[] => server.received.flatMap((each) => (each.type === "query" ? [each.text] : []));
  for (const round of [2, 3]) {
    server.sockets.at(-1)?.destroy();
    await until(() => queries().filter((text) => text.startsWith("START")).length === round);
  }
  expect(queries().at(-1)).toBe(`START_REPLICATION SLOT standby PHYSICAL ${formatLsn(START + 130n)} TIMELINE 1`);
  server.send(START + 130n, wal.bytes.subarray(130));
  await driver.whenCommitted(wal.position);
});

test("a kept tail is pushed without a server", async () => {
  const safekeeper = await startSafekeeper();
  const { driver } = await elect(safekeeper.port);
  const wal = new WalBuilder(START, PREVIOUS);
  for (let n = 0; n < 20; n++) wal.record(Buffer.alloc(10_000, n));
  const { bytes } = wal;
  const pieces = [bytes.subarray(0, 100_000), bytes.subarray(100_000)];
  await driver.pushLocal(pieces, wal.position);
  expect(Buffer.concat(safekeeper.appends.map((append) => append.wal)).equals(bytes)).toBe(true);
});
