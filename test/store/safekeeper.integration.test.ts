import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatLsn } from "../../src/wire/lsn.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { OTHER, RunningStore, TENANT, TIMELINE, tokenIssuer } from "./running_store.ts";

let store: RunningStore;
let lsn: bigint;
beforeAll(async () => {
  store = await RunningStore.start();
  lsn = await store.createTimeline(17);
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
});

const OPTIONS = `-c timeline_id=${TIMELINE} tenant_id=${TENANT}`;

describe("storage-protocols.md case 15: asking about a timeline", () => {
  test.each([OPTIONS, `ztimelineid=${TIMELINE} ztenantid=${TENANT}`])(
    "TIMELINE_STATUS with options %s",
    async (options) => {
      await using client = await store.connect("safekeeper", { options });
      const { types, rows, tag, messages } = await client.query("TIMELINE_STATUS");
      expect(types).toEqual(["rowDescription", "dataRow", "commandComplete", "readyForQuery"]);
      expect(messages[0]).toMatchObject({ columns: [{ name: "flush_lsn" }, { name: "commit_lsn" }] });
      expect(rows).toEqual([[formatLsn(lsn), formatLsn(lsn)]]);
      expect(tag).toBe("TIMELINE_STATUS");
    },
  );

  test("TIMELINE_STATUS of an unknown timeline: no row, no error", async () => {
    await using client = await store.connect("safekeeper", { options: `timeline_id=${OTHER} tenant_id=${TENANT}` });
    const { types } = await client.query("TIMELINE_STATUS;");
    expect(types).toEqual(["rowDescription", "commandComplete", "readyForQuery"]);
  });
});

test("IDENTIFY_SYSTEM", async () => {
  await using client = await store.connect("safekeeper", { options: OPTIONS });
  const { rows, tag, messages } = await client.query("IDENTIFY_SYSTEM");
  const { system_identifier } = store.server.store.tenants.timeline(TENANT, TIMELINE).record;
  expect(rows).toEqual([[system_identifier, "1", formatLsn(lsn), null]]);
  expect(tag).toBe("IDENTIFY_SYSTEM");
  expect(messages[0]).toMatchObject({
    columns: [{ name: "systemid" }, { name: "timeline", typeOid: 23 }, { name: "xlogpos" }, { name: "dbname" }],
  });
  await using unknown = await store.connect("safekeeper", { options: `timeline_id=${OTHER} tenant_id=${TENANT}` });
  expect((await unknown.query("IDENTIFY_SYSTEM")).error).toMatchObject({ code: "XX000" });
});

test("what is missing, what is unknown, what is harmless", async () => {
  await using nameless = await store.connect("safekeeper");
  expect((await nameless.query("SET datestyle TO 'ISO'")).tag).toBe("SELECT 1");
  expect((await nameless.query("TIMELINE_STATUS")).error?.message).toBe("tenantid is required");
  await using half = await store.connect("safekeeper", { options: `tenant_id=${TENANT}` });
  expect((await half.query("IDENTIFY_SYSTEM")).error?.message).toBe("timelineid is required");
  for (const query of ["identify_system", "SELECT 1", ""])
    expect((await half.query(query)).error).toMatchObject({ code: "XX000", message: `unsupported command ${query}` });
  const refused = await store.connect("safekeeper", { options: "tenant_id=zzz" });
  expect(refused.startup?.error?.message).toBe("Failed to parse tenant_id from zzz");
  await refused.hungUp();
});

test("storage-protocols.md case 21: tokens at the safekeeper", async () => {
  await using directory = await temporaryDirectory();
  const issuer = await tokenIssuer(directory.path);
  await using own = await RunningStore.start({ authPublicKeyPath: issuer.path });
  await own.createTimeline(17);
  const ask = async (claims: Record<string, unknown>) => {
    await using client = await own.connect("safekeeper", { options: OPTIONS, password: await issuer.sign(claims) });
    return await client.query("TIMELINE_STATUS");
  };
  for (const claims of [{ scope: "tenant", tenant_id: TENANT }, { scope: "safekeeperdata" }])
    expect((await ask(claims)).rows).toHaveLength(1);
  for (const claims of [{ scope: "tenant", tenant_id: OTHER }, { scope: "pageserverapi" }, { scope: "infra" }])
    expect((await ask(claims)).error?.message).toBe("JWT authentication error");
});
