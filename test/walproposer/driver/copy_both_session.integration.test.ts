import { expect, test } from "vitest";
import { CopyBothSession } from "../../../src/walproposer/driver/copy_both_session.ts";
import { WalSource } from "../../../src/walproposer/driver/wal_source.ts";
import {
  encodeCommandComplete,
  encodeCopyBothResponse,
  encodeCopyData,
  encodeCopyDone,
  encodeDataRow,
  encodeErrorResponse,
  encodeReadyForQuery,
  encodeRowDescription,
  TYPE_OID,
} from "../../../src/wire/postgres_protocol.ts";
import { startCopyBothServer } from "./copy_both_server.ts";

const error = (code: string, message: string): Buffer => encodeErrorResponse({ severity: "ERROR", code, message });

const dial = (port: number): Promise<CopyBothSession> =>
  CopyBothSession.connect({
    target: { host: "127.0.0.1", port },
    parameters: { user: "u", database: "replication" },
    connectTimeoutMs: 5_000,
  });

test("rows, an error with its SQLSTATE, and then the session goes on", async () => {
  const row = Buffer.concat([
    encodeRowDescription([{ name: "a", typeOid: TYPE_OID.text }]),
    encodeDataRow(["1"]),
    encodeCommandComplete("SELECT 1"),
    encodeReadyForQuery(),
  ]);
  const server = await startCopyBothServer({
    query: (query) => (query === "good" ? row : Buffer.concat([error("42704", "no such slot"), encodeReadyForQuery()])),
  });
  const session = await dial(server.port);
  expect(await session.query("good")).toEqual([["1"]]);
  await expect(session.query("bad")).rejects.toMatchObject({ code: "42704", message: "ERROR: no such slot" });
  expect(await session.query("good")).toEqual([["1"]]);
  session.close();
  await expect(session.query("good")).rejects.toMatchObject({ code: "session_closed" });
});

test("the beginning of a COPY is told before its data and its end, also when all come at once", async () => {
  const server = await startCopyBothServer({
    query: () =>
      Buffer.concat([encodeCopyBothResponse(), encodeCopyData(Buffer.from("x")), error("58P01", "segment removed")]),
  });
  const session = await dial(server.port);
  const seen: string[] = [];
  const ended = Promise.withResolvers<void>();
  await session.startCopy("START", {
    onStart: () => seen.push("start"),
    onData: (payload) => seen.push(payload.toString()),
    onEnd: (reason) => {
      seen.push(`end ${reason}`);
      ended.resolve();
    },
  });
  await ended.promise;
  expect(seen).toEqual(["start", "x", "end segment removed"]);
});

test("an orderly end has no reason, and closing it oneself is not told", async () => {
  const server = await startCopyBothServer({
    query: () => Buffer.concat([encodeCopyBothResponse(), encodeCopyDone()]),
  });
  const reason = await new Promise((resolve, reject) => {
    dial(server.port).then(
      (session) => session.startCopy("START", { onData: () => undefined, onEnd: resolve }).catch(reject),
      reject,
    );
  });
  expect(reason).toBe(undefined);
});

test("whenDrained calls back however little was waiting when the peer stopped reading", async () => {
  const server = await startCopyBothServer({ query: () => encodeCopyBothResponse() });
  const session = await dial(server.port);
  await session.startCopy("START", { onData: () => undefined, onEnd: () => undefined });
  server.sockets[0]?.pause();
  // Fill what the system buffers, and then a little more: too little for the stream to call itself full.
  while (session.backlog === 0) session.send(Buffer.alloc(8_000));
  const drained = new Promise<void>((resolve) => session.whenDrained(resolve));
  server.sockets[0]?.resume();
  await drained;
  expect(session.backlog).toBe(0);
  session.close();
});

test("a server of another system is refused before anything is read from it", async () => {
  const identity = Buffer.concat([
    encodeRowDescription(
      ["systemid", "timeline", "xlogpos", "dbname"].map((name) => ({ name, typeOid: TYPE_OID.text })),
    ),
    encodeDataRow(["7000000000000000001", "1", "0/1500028", null]),
    encodeCommandComplete("IDENTIFY_SYSTEM"),
    encodeReadyForQuery(),
  ]);
  const server = await startCopyBothServer({ query: () => identity });
  const attach = (systemIdentifier: bigint) =>
    WalSource.attach(
      {
        target: { host: "127.0.0.1", port: server.port },
        user: "u",
        password: undefined,
        name: "n",
        start: 0x1500000n,
        systemIdentifier,
      },
      { onOpen: () => undefined, onWal: () => undefined, onEnd: () => undefined },
    );
  await expect(attach(7_000_000_000_000_000_002n)).rejects.toMatchObject({
    code: "attach_failed",
    message: expect.stringContaining("cannot attach"),
    cause: expect.objectContaining({ code: "base_mismatch" }),
  });
  expect(server.received.filter(({ type }) => type === "query")).toHaveLength(1);
});
