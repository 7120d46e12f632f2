import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Compute, runToEnd } from "../support/compute_ctl.ts";
import { scriptedPostgres } from "../support/scripted_postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { until } from "../support/until.ts";

/** A complete command line but for where the config comes from; nothing of it exists. */
const COMPLETE = {
  "-D": "/nonexistent/pgdata",
  "-C": "postgresql://cloud_admin@127.0.0.1:5/postgres",
  "-i": "c1",
  "-c": "/nonexistent/config.json",
};

function commandLine(changes: Readonly<Record<string, string | undefined>> = {}): string[] {
  return Object.entries({ ...COMPLETE, ...changes }).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, value],
  );
}

describe.concurrent("lifecycle.md 1.1: bad command lines", () => {
  test.each(["-D", "-C", "-i"])("lifecycle.md case 1: without %s: exit 2, usage on stderr", async (flag) => {
    const { code, stderr, stdout } = await runToEnd(commandLine({ [flag]: undefined }));
    expect(code).toBe(2);
    expect(stderr).toMatch(/required|missing/i);
    expect(stdout).toBe("");
  });

  test("lifecycle.md case 2: no source: exit 2, both flags are named", async () => {
    const { code, stderr } = await runToEnd(commandLine({ "-c": undefined }));
    expect(code).toBe(2);
    expect(stderr).toContain("--config");
    expect(stderr).toContain("--control-plane-uri");
  });

  test.each(["NeonSuperuser", "role1", "$'x", ""])("lifecycle.md case 3: role name %j: exit 2", async (name) => {
    const { code, stderr } = await runToEnd(commandLine({ "--privileged-role-name": name }));
    expect(code).toBe(2);
    expect(stderr).toContain("--privileged-role-name can only contain lowercase letters and underscores");
  });

  test("lifecycle.md case 4: parameters in the extension URL: exit 2", async () => {
    const { code, stderr } = await runToEnd(commandLine({ "-r": "https://h?x=1" }));
    expect(code).toBe(2);
    expect(stderr).toContain("parameters detected in remote extensions base URL");
  });

  test.each([
    ["--external-http-port", "65536"],
    ["--internal-http-port", "x"],
    ["--lakebase-mode", "perhaps"],
    ["--installed-extensions-collection-interval", "-1"],
    ["--pg-init-timeout", "soon"],
    ["-r", "no url"],
  ])("a bad value, %s %s: exit 2", async (flag, value) => {
    const { code, stderr } = await runToEnd(commandLine({ [flag]: value }));
    expect(code).toBe(2);
    expect(stderr).toMatch(/error/i);
  });

  // The config is missing: what gets that far was accepted.
  test.each([
    ["lifecycle.md case 3: a good role name", ["--privileged-role-name", "my_superuser"]],
    ["lifecycle.md case 4: a path in the extension URL", ["-r", "https://e/sub//"]],
    ["every flag in its other form", ["--dev", "--lakebase-mode=true", "--cgroup=x", "--resize-swap-on-bind"]],
  ])("%s is accepted", async (_name, flags) => {
    const { code, stderr } = await runToEnd([...commandLine(), ...flags]);
    expect(code).toBe(1);
    expect(stderr).toContain("/nonexistent/config.json");
  });
});

describe.concurrent("lifecycle.md case 5: the server program", () => {
  test.each([
    ["-b", true],
    ["POSTGRES_PATH", false],
  ])("%s names it", async (_name, flag) => {
    await using named = await scriptedPostgres({});
    await using other = await scriptedPostgres({});
    // Only the chosen one is looked at.
    await chmod((flag ? other : named).pgbin, flag ? 0o000 : 0o755);
    await using compute = await Compute.start({
      config: {},
      env: { POSTGRES_PATH: (flag ? other : named).pgbin },
      ...(flag ? { pgbin: named.pgbin } : {}),
    });
    await compute.reach("empty");
    expect(compute.output).toContain(named.pgbin);
  });
});

describe.concurrent("spec.md 1.5: bad configs at the start", () => {
  test.each([
    ["unreadable: a directory", "/"],
    ["missing", "/nonexistent/config.json"],
  ])("spec.md case 25: the file is %s: exit 1, and it is named", async (_name, file) => {
    const { code, stderr } = await runToEnd(commandLine({ "-c": file }));
    expect(code).toBe(1);
    expect(stderr).toContain(file);
  });

  const spec = {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: { roles: [], databases: [] },
    tenant_id: "1".repeat(32),
    timeline_id: "2".repeat(32),
    pageserver_connstring: "postgresql://127.0.0.1:1",
    safekeeper_connstrings: ["127.0.0.1:1"],
  };
  const compute_ctl_config = { jwks: { keys: [] } };

  test.each<[string, unknown, string]>([
    ["a list", [], ""],
    ["without compute_ctl_config", { spec }, "compute_ctl_config"],
    ["with keys that are none", { spec, compute_ctl_config: { jwks: { keys: null } } }, "keys"],
    ["format_version missing", { spec: { ...spec, format_version: undefined }, compute_ctl_config }, "format_version"],
    ["cluster.roles missing", { spec: { ...spec, cluster: { databases: [] } }, compute_ctl_config }, "roles"],
    ["features null", { spec: { ...spec, features: null }, compute_ctl_config }, "features"],
    ["a mode in small letters", { spec: { ...spec, mode: "primary" }, compute_ctl_config }, "mode"],
    ["a tenant id too short", { spec: { ...spec, tenant_id: "1".repeat(31) }, compute_ctl_config }, "tenant_id"],
    ["no tenant", { spec: { ...spec, tenant_id: null }, compute_ctl_config }, "tenant id should be provided"],
    ["no timeline", { spec: { ...spec, timeline_id: null }, compute_ctl_config }, "timeline id should be provided"],
    [
      "no pageserver",
      { spec: { ...spec, pageserver_connstring: null }, compute_ctl_config },
      "pageserver connection information should be provided",
    ],
    [
      "spec.md case 15: two shards and no stripe size",
      { spec: { ...spec, pageserver_connstring: "a,b" }, compute_ctl_config },
      "2 shards but no stripe_size",
    ],
    [
      "spec.md case 23: a shard that is missing",
      {
        spec: {
          ...spec,
          pageserver_connection_info: {
            shard_count: 2,
            stripe_size: 2048,
            shards: { "0002": { pageservers: [{ libpq_url: "postgresql://a" }] } },
          },
        },
        compute_ctl_config,
      },
      "0102",
    ],
  ])("%s: exit 1 with the place", async (_name, config, text) => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "config.json");
    await writeFile(file, JSON.stringify(config));
    const { code, stderr } = await runToEnd(commandLine({ "-c": file }));
    expect(code).toBe(1);
    expect(stderr).toContain(text);
    expect(stderr).not.toContain("server listening");
  });
});

/** A control plane that answers always the same, and counts. */
async function controlPlane(status: number, body: string) {
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    uri,
    authorizations,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe.concurrent("spec.md 1.4: answers of the control plane", () => {
  const compute_ctl_config = { jwks: { keys: [] } };
  const empty = JSON.stringify({ status: "empty", spec: null, compute_ctl_config });

  test.each<[string, number, string, number]>([
    ["200 with a body that is no JSON", 200, "{", 3],
    ["200 with a status that is none", 200, empty.replace("empty", "detached"), 3],
    ["200 without compute_ctl_config", 200, '{"status":"empty"}', 3],
    ["502", 502, "", 3],
    ["500", 500, "", 1],
    ["401", 401, "", 1],
  ])("%s: exit 1 after %i %s %i requests", async (_name, status, body, requests) => {
    using plane = await controlPlane(status, body);
    const { code, stderr } = await runToEnd(commandLine({ "-c": undefined, "-p": plane.uri }));
    expect(code).toBe(1);
    expect(plane.authorizations).toHaveLength(requests);
    expect(stderr).toContain(
      requests === 1 ? "unexpected control plane response status code:" : "Exhausted all attempts",
    );
  });

  test("nobody listens there: exit 1 after three tries", async () => {
    const { code, stderr } = await runToEnd(commandLine({ "-c": undefined, "-p": "http://127.0.0.1:9" }));
    expect(code).toBe(1);
    for (const attempt of [1, 2, 3]) expect(stderr).toContain(`attempt ${attempt} to get config failed with: `);
  });

  test.each([
    ["t", "Bearer t"],
    [undefined, "Bearer "],
  ])(
    "spec.md case 28, spec.md case 29: the token %s is sent as %j, and an empty answer leads to an empty compute",
    async (token, sent) => {
      using plane = await controlPlane(200, empty);
      await using compute = await Compute.start({
        config: null,
        flags: ["-p", plane.uri],
        env: { NEON_CONTROL_PLANE_TOKEN: token },
      });
      const listens = async (port: number): Promise<boolean> => {
        const socket = connect(port, "127.0.0.1");
        return await once(socket, "connect")
          .then(
            () => true,
            () => false,
          )
          .finally(() => socket.destroy());
      };
      await until(async () => (await listens(compute.externalPort)) && (await listens(compute.internalPort)));
      expect(plane.authorizations.map((value) => value?.trimEnd())).toEqual([sent.trimEnd()]);
      expect(await (await fetch(`http://127.0.0.1:${compute.externalPort}/metrics`)).text()).toContain(
        'status="empty"} 1',
      );
    },
  );
});
