import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { computeConfig, socketDirectories } from "../../src/local/compute_config.ts";
import { computeFlags } from "../../src/local/pg.ts";
import { stateLayout } from "../../src/local/state_layout.ts";
import { storeFlags } from "../../src/local/storage.ts";
import { decodeComputeConfig } from "../../src/spec/decode.ts";
import { formatComputeConfig } from "../../src/spec/encode.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";

const values = {
  endpointId: "main",
  tenantId: "a".repeat(32),
  timelineId: "b".repeat(32),
  postgresPort: 55999,
  listenAddresses: "127.0.0.1",
  socketDir: "/s/pgs/main/socket",
  pageserver: "127.0.0.1:1",
  pageserverGrpc: "127.0.0.1:2",
  safekeeper: "127.0.0.1:3",
  jwk: { kty: "OKP", crv: "Ed25519", x: "AA", alg: "EdDSA" },
};

test("the quickstart's spec is filled in with ids, ports and addresses, and resolves", async () => {
  const template = decodeComputeConfig(await readFile("specs/quickstart.json", "utf8"));
  const config = decodeComputeConfig(formatComputeConfig(computeConfig(template, values)));
  expect(config.compute_ctl_config.jwks.keys).toEqual([values.jwk]);
  const { spec } = config;
  if (spec === null) return expect.fail("no spec");
  const ports = spec.cluster.settings?.filter(({ name }) => name === "port");
  expect(ports).toEqual([{ name: "port", value: "55999", vartype: "integer" }]);
  expect(spec.cluster.settings?.find(({ name }) => name === "listen_addresses")?.value).toBe("127.0.0.1");
  expect(resolveSpec(spec)).toMatchObject({ tenantId: values.tenantId, timelineId: values.timelineId });
  expect(JSON.stringify(spec)).not.toContain("6400");
  expect(spec.safekeeper_connstrings).toEqual(["127.0.0.1:3"]);
  expect(spec.pageserver_connection_info?.shards["0000"]?.pageservers[0]).toMatchObject({
    libpq_url: "postgresql://no_user@127.0.0.1:1",
    grpc_url: "grpc://no_user@127.0.0.1:2",
  });
});

test("a socket directory is quoted where the list needs it, and left out where its path is too long", () => {
  expect(socketDirectories("/a/b")).toBe("/a/b");
  expect(socketDirectories('/a b/c,"d"')).toBe('"/a b/c,""d"""');
  expect(socketDirectories(`/${"x".repeat(100)}`)).toBe("");
});

test("compute_ctl is started with the words of neon_local, in its order", () => {
  const ports = { postgres: 1, externalHttp: 2, internalHttp: 3 };
  expect(
    computeFlags({ name: "main", layout: stateLayout("/s").pg("main"), ports, pgbin: "/p/postgres" }).join(" "),
  ).toBe(
    "--external-http-port 2 --internal-http-port 3 --pgdata /s/pgs/main/pgdata" +
      " --connstr postgresql://cloud_admin@127.0.0.1:1/postgres --config /s/pgs/main/config.json" +
      " --pgbin /p/postgres --compute-id main",
  );
});

test("neon-store is told where to listen and whose programs to run", () => {
  const addresses = { pageserver: "h:1", grpc: "h:2", safekeeper: "h:3", http: "h:4" };
  expect(storeFlags({ dir: "/d", pgBin: "/b", user: "u" }, addresses).join(" ")).toBe(
    "--dir /d --pageserver-addr h:1 --grpc-addr h:2 --safekeeper-addr h:3 --http-addr h:4 --pg-bin /b --user u",
  );
  expect(storeFlags({ dir: "/d", pgBin: "/b", user: undefined }, addresses)).not.toContain("--user");
});
