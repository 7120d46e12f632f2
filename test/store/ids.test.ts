import { expect, test } from "vitest";
import { parseId, parseShardIndex, parseTenantShardId } from "../../src/store/ids.ts";
import { formatListenAddress, parseListenAddress } from "../../src/store/listen_address.ts";

const ID = "0123456789abcdef0123456789abcdef";

test("ids are 32 hex digits of any case", () => {
  expect(parseId(ID.toUpperCase())).toBe(ID);
  for (const text of ["", ID.slice(1), `${ID}0`, ` ${ID}`, ID.replace("a", "g"), "../".repeat(10)])
    expect(parseId(text)).toBeUndefined();
});

test("tenant shard ids", () => {
  expect(parseTenantShardId(ID)).toEqual({ tenantId: ID, shardNumber: 0, shardCount: 0 });
  expect(parseTenantShardId(`${ID}-0000`)).toEqual({ tenantId: ID, shardNumber: 0, shardCount: 0 });
  expect(parseTenantShardId(`${ID}-0B10`)).toEqual({ tenantId: ID, shardNumber: 11, shardCount: 16 });
  expect(parseTenantShardId(`${ID}-0100`)).toBeUndefined();
  expect(parseTenantShardId(`${ID}-`)).toBeUndefined();
  expect(parseShardIndex("0108")).toEqual({ shardNumber: 1, shardCount: 8 });
  expect(parseShardIndex("108")).toBeUndefined();
});

test.each([
  ["127.0.0.1:6400", { host: "127.0.0.1", port: 6400 }],
  ["[::1]:0", { host: "::1", port: 0 }],
  ["pageserver:6400", { host: "pageserver", port: 6400 }],
])("address %s", (text, expected) => {
  expect(parseListenAddress(text)).toEqual(expected);
  expect(formatListenAddress(expected)).toBe(text);
});

test.each(["6400", ":6400", "127.0.0.1:", "127.0.0.1:65536", "::1:6400", "host:64x"])("no address: %s", (text) => {
  expect(parseListenAddress(text)).toBeUndefined();
});
