import { expect, test } from "vitest";
import { stockPrimaryArguments } from "../../src/node/stock_arguments.ts";

function settings(conf: string, major: 14 | 17 | 18 = 17): Record<string, string> {
  const words = stockPrimaryArguments(conf, "standby_1", major).filter((word) => word !== "-c");
  return Object.fromEntries(words.map((word) => word.split("=", 2) as [string, string]));
}

test("a commit waits for us alone, and a data directory that is thrown away is not synced", () => {
  expect(settings("")).toMatchObject({
    fsync: "off",
    full_page_writes: "off",
    wal_recycle: "off",
    restart_after_crash: "off",
    synchronous_standby_names: "standby_1",
    max_slot_wal_keep_size: "-1",
    max_wal_size: "256MB",
  });
});

test("what the spec asks for beyond our needs is kept", () => {
  const conf = "wal_level = logical\nmax_wal_senders = 20\nMAX_REPLICATION_SLOTS='12'\nmax_wal_size = 64MB\n";
  expect(settings(conf)).toMatchObject({ max_wal_senders: "20", max_replication_slots: "12" });
  expect(settings(conf)).not.toHaveProperty("wal_level");
  expect(settings(conf)).not.toHaveProperty("max_wal_size");
});

test("what would keep us out is raised", () => {
  expect(settings("wal_level=minimal\nmax_wal_senders=0\nmax_replication_slots=0")).toMatchObject({
    wal_level: "replica",
    max_wal_senders: "1",
    max_replication_slots: "1",
  });
});

test("a slot that times out exists from 18 on", () => {
  expect(settings("", 18)).toHaveProperty("idle_replication_slot_timeout", "0");
  expect(settings("", 14)).not.toHaveProperty("idle_replication_slot_timeout");
});

test.each([
  ["1GB", true],
  ["1024", true],
  ["256MB", false],
  ["200000kB", false],
  ["nonsense", true],
])("max_wal_size %s", (value, capped) => {
  expect("max_wal_size" in settings(`max_wal_size = '${value}'`)).toBe(capped);
});

test("in asynchronous mode nobody is waited for, and the local disk keeps what storage has not got yet", () => {
  const words = stockPrimaryArguments("", "standby_1", 17, "async");
  for (const setting of ["fsync=on", "full_page_writes=on", "synchronous_standby_names=", "restart_after_crash=off"])
    expect(words).toContain(setting);
});
