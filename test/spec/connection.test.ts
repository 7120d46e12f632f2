import { describe, expect, test } from "vitest";
import {
  allPageservers,
  baseBackupEndpoint,
  pageserverConnstringGuc,
  safekeepersGuc,
  stripeSizeGuc,
} from "../../src/spec/connection.ts";
import { minimalSpec, oldestSpec, resolved } from "./examples.ts";

const libpq = { libpq_url: "postgresql://ps-1" };
const grpc = { grpc_url: "grpc://ps-1" };

const unsharded = (pageservers: object[], protocol = "libpq") =>
  resolved(
    minimalSpec({
      pageserver_connection_info: {
        shard_count: 0,
        shards: { "0000": { pageservers } },
        prefer_protocol: protocol,
      },
    }),
  );

const twoShards = (first: object[], second: object[]) =>
  resolved(
    minimalSpec({
      pageserver_connection_info: {
        shard_count: 2,
        stripe_size: 8,
        shards: { "0102": { pageservers: second }, "0002": { pageservers: first } },
      },
      pageserver_connstring: "stale",
      shard_stripe_size: 9,
    }),
  );

describe("baseBackupEndpoint", () => {
  test("takes the preferred protocol of shard 0's first pageserver", () => {
    const both = { ...libpq, ...grpc };
    expect(baseBackupEndpoint(unsharded([both]))).toEqual({
      shardIndex: "0000",
      protocol: "libpq",
      url: "postgresql://ps-1",
      fellBack: false,
    });
    expect(baseBackupEndpoint(unsharded([both], "grpc"))).toMatchObject({ protocol: "grpc", fellBack: false });
    expect(baseBackupEndpoint(twoShards([{ libpq_url: "first" }], [libpq]))).toMatchObject({
      shardIndex: "0002",
      url: "first",
    });
  });

  test("spec.md case 24: falls back to the other protocol and says so", () => {
    expect(baseBackupEndpoint(unsharded([libpq], "grpc"))).toEqual({
      shardIndex: "0000",
      protocol: "libpq",
      url: "postgresql://ps-1",
      fellBack: true,
    });
    expect(baseBackupEndpoint(unsharded([grpc]))).toMatchObject({ protocol: "grpc", fellBack: true });
  });

  test("spec.md case 24: names what is missing when there is neither", () => {
    const pageservers = { ...unsharded([libpq]).pageservers, shards: [] };
    expect(() => baseBackupEndpoint({ pageservers })).toThrow("no libpq_url for shard 0000");
    expect(() => baseBackupEndpoint({ pageservers: { ...pageservers, preferProtocol: "grpc" } })).toThrow(
      "no grpc_url for shard 0000",
    );
  });
});

describe("allPageservers", () => {
  test("has every pageserver of every shard", () => {
    const spec = twoShards([{ libpq_url: "a" }, { libpq_url: "b" }], [{ grpc_url: "c" }]);
    expect(allPageservers(spec).map(({ shardIndex, url, fellBack }) => [shardIndex, url, fellBack])).toEqual([
      ["0002", "a", false],
      ["0002", "b", false],
      ["0102", "c", true],
    ]);
  });

  test("one without a URL is an error, not left out", () => {
    expect(() => allPageservers(unsharded([libpq, { id: 7 }]))).toThrow("no libpq_url for shard 0000");
  });
});

describe("settings of Postgres", () => {
  test("neon.pageserver_connstring is made of the first pageservers, in shard order", () => {
    const spec = twoShards([{ libpq_url: "a" }, { libpq_url: "x" }], [{ libpq_url: "b" }]);
    expect(pageserverConnstringGuc(spec)).toBe("a,b");
    expect(stripeSizeGuc(spec.spec)).toBe(8);
    expect(pageserverConnstringGuc(twoShards([libpq], [grpc]))).toBeNull();
  });

  test("spec.md case 16: of the older form it is the field as it stands, with its stripe size", () => {
    const spec = resolved(
      minimalSpec({ pageserver_connection_info: null, pageserver_connstring: "a", shard_stripe_size: 7 }),
    );
    expect(pageserverConnstringGuc(spec)).toBe("a");
    expect(stripeSizeGuc(spec.spec)).toBe(7);
  });

  test("what comes through settings is not derived again", () => {
    const spec = resolved(oldestSpec());
    expect(pageserverConnstringGuc(spec)).toBeNull();
    expect(stripeSizeGuc(spec.spec)).toBeNull();
    expect(safekeepersGuc(spec.spec)).toBeNull();
  });

  test("neon.safekeepers has the generation in front", () => {
    expect(safekeepersGuc({ safekeeper_connstrings: ["a:1", "b:1"], safekeepers_generation: null })).toBe("a:1,b:1");
    expect(safekeepersGuc({ safekeeper_connstrings: ["a:1", "b:1"], safekeepers_generation: 7 })).toBe("g#7:a:1,b:1");
    expect(safekeepersGuc({ safekeeper_connstrings: [], safekeepers_generation: 7 })).toBeNull();
  });
});
