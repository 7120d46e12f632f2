import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorChain } from "../../src/errors/coded_error.ts";
import { formatLsn } from "../../src/wire/lsn.ts";
import {
  encodeBind,
  encodeCancelRequest,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeGssEncRequest,
  encodeParse,
  encodeQuery,
  encodeSslRequest,
  encodeStartupMessage,
  encodeSync,
} from "../../src/wire/postgres_protocol.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { PushClient, targetOf, walAt } from "./push_client.ts";
import { RawClient } from "./raw_client.ts";
import { OTHER, RunningStore, TENANT, TIMELINE, tokenIssuer } from "./running_store.ts";

let store: RunningStore;
let lsn: bigint;
beforeAll(async () => {
  store = await RunningStore.start({ waitLsnTimeoutMs: 300 });
  lsn = await store.createTimeline(17);
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

/** A query by Parse, Describe, Sync, then Bind, Execute, Sync. */
async function extended(client: RawClient, query: string) {
  const prepared = await client.send(encodeParse("", query), encodeDescribe("statement", ""), encodeSync());
  return { prepared, run: await client.send(encodeBind("", ""), encodeExecute(""), encodeSync()) };
}

const BACKUP = `basebackup ${TENANT} ${TIMELINE}`;

describe("start-up", () => {
  test("SSL and GSS encryption are refused with N, then the client goes on", async () => {
    const { host, port } = store.server.addresses.pageserver;
    const socket = connect({ host, port });
    for (const request of [encodeSslRequest(), encodeGssEncRequest()]) {
      socket.write(request);
      const [answer] = (await once(socket, "data")) as [Buffer];
      expect(answer.toString()).toBe("N");
    }
    await using client = new RawClient(socket);
    const { messages } = await client.send(encodeStartupMessage({ user: "x" }));
    expect(messages).toEqual([
      { type: "authenticationOk" },
      { type: "parameterStatus", name: "client_encoding", value: "UTF8" },
      { type: "parameterStatus", name: "neon_store_version", value: "1" },
      { type: "parameterStatus", name: "integer_datetimes", value: "on" },
      { type: "parameterStatus", name: "server_version", value: "14.1" },
      { type: "readyForQuery", status: "I" },
    ]);
  });

  test("a cancel request ends the connection", async () => {
    const client = await RawClient.open(store.server.addresses.pageserver);
    client.socket.write(encodeCancelRequest(1, Buffer.alloc(4)));
    await client.hungUp();
  });

  test("what is no protocol gets an error and is cut off; the server lives on", async () => {
    const client = await RawClient.open(store.server.addresses.pageserver);
    client.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const { error } = await client.reply();
    expect(error?.code).toBe("08P01");
    await client.hungUp();
    expect((await store.query("set x")).tag).toBe("SELECT 1");
  });
});

describe("storage-protocols.md case 8: one backup through both protocols", () => {
  test("simple query", async () => {
    const { types, copied } = await store.query(BACKUP);
    expect(types).toEqual(["copyOutResponse", "copyData", "copyDone", "commandComplete", "readyForQuery"]);
    expect(copied.length % 512).toBe(0);
    expect(copied.subarray(-1024).equals(Buffer.alloc(1024))).toBe(true);
  });

  test("extended query", async () => {
    await using client = await store.connect("pageserver");
    const { prepared, run } = await extended(client, BACKUP);
    expect(prepared.types).toEqual(["parseComplete", "parameterDescription", "noData", "readyForQuery"]);
    expect(run.types).toEqual([
      "bindComplete",
      "copyOutResponse",
      "copyData",
      "copyDone",
      "commandComplete",
      "readyForQuery",
    ]);
    const simple = await store.query(BACKUP);
    expect(run.copied.length).toBe(simple.copied.length);
    const closed = await client.send(encodeClose("statement", ""), encodeSync());
    expect(closed.types).toEqual(["closeComplete", "readyForQuery"]);
  });

  test("fullbackup answers the same archive and checks the previous record", async () => {
    const { copied, tag } = await store.query(`fullbackup ${TENANT} ${TIMELINE}`);
    expect(tag).toBe("SELECT 1");
    expect(copied.length).toBe((await store.query(BACKUP)).copied.length);
    const { lastRecordStart = 0n } = await store.server.store.tenants.timeline(TENANT, TIMELINE).walEnd();
    const query = `fullbackup ${TENANT} ${TIMELINE} ${formatLsn(lsn)}`;
    expect((await store.query(`${query} ${formatLsn(lastRecordStart)}`)).tag).toBe("SELECT 1");
    const { error, types } = await store.query(`${query} 0/8`);
    expect(types).toEqual(["errorResponse", "readyForQuery"]);
    expect(error?.message).toBe(`backup_prev ${formatLsn(lastRecordStart)} != provided_prev_lsn 0/8`);
  });
});

describe("failures", () => {
  test("storage-protocols.md case 7: a refused command leaves the connection usable", async () => {
    await using client = await store.connect("pageserver");
    for (const [query, message] of [
      [`${BACKUP} --gzip --gzip`, "duplicate parameter for basebackup command: --gzip"],
      [`${BACKUP} --gzip 0/1`, "invalid parameter for basebackup command: 0/1"],
      [`${BACKUP} --foo`, "invalid parameter for basebackup command: --foo"],
      ["basebackup", "cannot parse query: basebackup"],
      ["pagestream_v3 a b", "unsupported command pagestream_v3 in pagestream_v3 a b"],
    ] as const) {
      const reply = await client.query(query);
      expect(reply.types).toEqual(["errorResponse", "readyForQuery"]);
      expect(reply.error).toMatchObject({ severity: "ERROR", code: "XX000", message });
    }
    const run = await client.send(
      encodeParse("", "nonsense"),
      encodeBind("", ""),
      encodeExecute(""),
      encodeExecute(""),
      encodeSync(),
    );
    // The second Execute is skipped up to Sync.
    expect(run.types).toEqual(["parseComplete", "bindComplete", "errorResponse", "readyForQuery"]);
    expect((await client.query(`BASEBACKUP ${TENANT} ${TIMELINE} latest --replica --gzip`)).tag).toBe("SELECT 1");
  });

  test("unknown timelines and tenants, in each protocol's words", async () => {
    await using client = await store.connect("pageserver");
    for (const query of [`basebackup ${TENANT} ${OTHER}`, `basebackup ${OTHER} ${TIMELINE}`]) {
      expect((await client.query(query)).error).toMatchObject({ code: "XX000", message: "not found" });
      const { run } = await extended(client, query);
      expect(run.error?.message).toMatch(/^Not found: (timeline|tenant) .* was not found$/);
      expect(run.types).toEqual(["bindComplete", "errorResponse", "readyForQuery"]);
    }
  });

  test("storage-protocols.md case 9: an LSN that does not come, without CopyOutResponse", async () => {
    await using client = await store.connect("pageserver");
    const { types, error } = await client.query(`${BACKUP} ${formatLsn(lsn + 8n)}`);
    expect(types).toEqual(["errorResponse", "readyForQuery"]);
    expect(error?.code).toBe("XX000");
    expect(error?.message).toContain(
      `Timed out while waiting for WAL record at LSN ${formatLsn(lsn + 8n)} to arrive, last_record_lsn ${formatLsn(lsn)}`,
    );
    expect((await client.query("set x")).tag).toBe("SELECT 1");
  });

  test.each(["0/0", "0/8"])("LSN %s lies below the cutoff and is never waited for", async (below) => {
    await using client = await store.connect("pageserver");
    const simple = await client.query(`${BACKUP} ${below}`);
    expect(simple.types).toEqual(["errorResponse", "readyForQuery"]);
    expect(simple.error?.message).toMatch(
      new RegExp(`^invalid basebackup lsn: LSN ${below} is earlier than latest GC cutoff`),
    );
    expect((await extended(client, `${BACKUP} ${below}`)).run.error?.message).toBe("invalid basebackup lsn");
  });

  test("a connection touches one tenant only", async () => {
    await store.attachTenant(OTHER);
    await using client = await store.connect("pageserver");
    await client.query(BACKUP);
    const { error } = await client.query(`basebackup ${OTHER} ${TIMELINE}`);
    expect(error?.message).toContain(`this connection belongs to tenant ${TENANT}`);
    expect((await client.query("set x")).tag).toBe("SELECT 1");
  });
});

describe("waiting", () => {
  test("storage-protocols.md case 9: WAL that arrives ends the wait", async () => {
    await using own = await RunningStore.start();
    const start = await own.createTimeline(17);
    const timeline = own.server.store.tenants.timeline(TENANT, TIMELINE);
    const target = targetOf(timeline, own.server.addresses.safekeeper);
    await using push = await PushClient.elected(target);
    const wal = walAt(target, start, (await timeline.walEnd()).lastRecordStart);
    const [first, second] = [wal.record(Buffer.alloc(8)).take(), wal.record(Buffer.alloc(8)).take()];
    await using client = await own.connect("pageserver");
    const reply = client.query(`${BACKUP} ${formatLsn(wal.position)}`);
    expect(await Promise.race([reply, delay(50, "waiting")])).toBe("waiting");
    await push.append(first);
    expect(await Promise.race([reply, delay(50, "waiting")])).toBe("waiting");
    await push.append(second);
    expect((await reply).tag).toBe("SELECT 1");
  });

  test("a stopping server ends it with 57P01", async () => {
    await using own = await RunningStore.start();
    const start = await own.createTimeline(17);
    await using client = await own.connect("pageserver");
    client.socket.write(encodeQuery(`${BACKUP} ${formatLsn(start + 16n)}`));
    await using other = await own.connect("pageserver");
    await other.query("set x");
    const stopped = own.server.stop(60_000);
    const reply = await client.reply();
    expect(reply.error).toMatchObject({ code: "57P01", message: "shutdown" });
    expect(reply.types).not.toContain("readyForQuery");
    await stopped;
    expect(other.closed).toBe(true);
  });

  test("a client that leaves is not waited for, a deleted timeline is not found", async () => {
    await using own = await RunningStore.start();
    const start = await own.createTimeline(17);
    const leaver = await own.connect("pageserver");
    leaver.socket.write(encodeQuery(`${BACKUP} ${formatLsn(start + 16n)}`));
    await using stayer = await own.connect("pageserver");
    const reply = stayer.query(`${BACKUP} ${formatLsn(start + 16n)}`);
    leaver.socket.destroy();
    expect((await own.http("DELETE", `/v1/tenant/${TENANT}/timeline/${TIMELINE}`)).status).toBe(202);
    expect((await reply).error?.message).toBe("not found");
    await own.server.store.tenants.settled();
  });
});

describe("leases", () => {
  test("storage-protocols.md case 14: the answer is a time in milliseconds, NULL below the cutoff", async () => {
    await using client = await store.connect("pageserver");
    // compute_ctl's command ends in a blank.
    const { types, messages, rows, tag } = await client.query(`lease lsn ${TENANT} ${TIMELINE} ${formatLsn(lsn)} `);
    expect(types).toEqual(["rowDescription", "dataRow", "commandComplete", "readyForQuery"]);
    expect(messages[0]).toMatchObject({ columns: [{ name: "valid_until", typeOid: 25 }] });
    expect(tag).toBe("SELECT 1");
    expect(Math.abs(Number(rows[0]?.[0]) - Date.now() - 600_000)).toBeLessThan(5000);
    expect((await client.query(`lease lsn ${TENANT} ${TIMELINE} 0/8`)).rows).toEqual([[null]]);
  });

  test("failures are worded alike in both protocols", async () => {
    await using client = await store.connect("pageserver");
    const query = `lease lsn ${TENANT} ${OTHER} 0/8`;
    const expected = `Not found: timeline ${TENANT}/${OTHER} was not found`;
    expect((await client.query(query)).error?.message).toBe(expected);
    expect((await extended(client, query)).run.error?.message).toBe(expected);
    expect((await client.query(`lease lsn ${TENANT}-0102 ${TIMELINE} 0/8`)).error?.message).toContain("has no shards");
  });
});

describe("storage-protocols.md case 21: tokens at the pageserver", () => {
  test("who may come in and what they may have", async () => {
    await using directory = await temporaryDirectory();
    const issuer = await tokenIssuer(directory.path);
    const stranger = await tokenIssuer(directory.path, "other.pem");
    await using own = await RunningStore.start({ authPublicKeyPath: issuer.path });
    await own.createTimeline(17);
    const login = async (claims: Record<string, unknown>, from = issuer): Promise<RawClient> =>
      await own.connect("pageserver", { password: await from.sign(claims) });
    const now = Math.floor(Date.now() / 1000);

    for (const claims of [
      { scope: "tenant", tenant_id: TENANT },
      { scope: "tenant", tenant_id: TENANT.toUpperCase(), exp: now + 100, more: 1 },
      { scope: "tenant", tenant_id: TENANT, exp: now - 30 },
      { scope: "pageserverapi" },
    ]) {
      await using client = await login(claims);
      expect(client.startup?.messages).toEqual([
        { type: "authenticationCleartextPassword" },
        { type: "authenticationOk" },
        { type: "parameterStatus", name: "client_encoding", value: "UTF8" },
        { type: "parameterStatus", name: "neon_store_version", value: "1" },
        { type: "readyForQuery", status: "I" },
      ]);
      expect((await client.query(`${BACKUP} --gzip`)).tag).toBe("SELECT 1");
    }

    for (const claims of [{ scope: "tenant", tenant_id: OTHER }, { scope: "safekeeperdata" }, { scope: "admin" }]) {
      await using client = await login(claims);
      expect((await client.query(BACKUP)).error).toMatchObject({ code: "XX000", message: "JWT authentication error" });
      expect((await extended(client, BACKUP)).run.error?.message).toMatch(/^Unauthorized: /);
      expect((await client.query("set x")).tag).toBe("SELECT 1");
    }

    const refused = [
      login({ scope: "tenant" }),
      login({ tenant_id: TENANT }),
      login({ scope: "pageserverapi", exp: now - 100 }),
      login({ scope: "pageserverapi", aud: "compute" }),
      login({ scope: "pageserverapi" }, stranger),
      own.connect("pageserver", { password: "not a token" }),
    ];
    for (const connecting of refused) {
      const client = await connecting;
      expect(client.startup?.types).toEqual(["authenticationCleartextPassword", "errorResponse"]);
      expect(client.startup?.error).toMatchObject({ code: "XX000", message: "JWT authentication error" });
      await client.hungUp();
    }
    expect(own.log.join("")).not.toContain("not a token");
  });

  test("a directory of keys, each of which may have signed", async () => {
    await using directory = await temporaryDirectory();
    const issuers = [await tokenIssuer(directory.path, "a.pem"), await tokenIssuer(directory.path, "b.pem")];
    await using own = await RunningStore.start({ authPublicKeyPath: directory.path });
    for (const issuer of issuers) {
      await using client = await own.connect("pageserver", { password: await issuer.sign({ scope: "pageserverapi" }) });
      expect(client.startup?.types.at(-1)).toBe("readyForQuery");
    }
    const bad = await RunningStore.start({ authPublicKeyPath: "/nowhere" }).catch(errorChain);
    expect(bad).toContain("/nowhere");
  });
});
