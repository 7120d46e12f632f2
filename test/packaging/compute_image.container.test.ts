/** The image that takes a Neon compute image's place: ours in it, everything else as it was. */
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { computeSpec } from "../support/compute_spec.ts";
import { freePort } from "../support/free_port.ts";
import { type Storage, useStore } from "../support/store.ts";
import { until } from "../support/until.ts";
import { COMPUTE_IMAGE } from "./support/base_images.ts";
import { buildImage, Container, IMAGES, podman } from "./support/containers.ts";
import { missingTool } from "./support/missing_tool.ts";
import { buildNeonImage, buildStockImage, NEON_IMAGE, STOCK_IMAGE } from "./support/our_images.ts";
import { CACHE } from "./support/rootfs.ts";

const IMAGE = NEON_IMAGE;
/** Uid of `postgres` in the image. */
const POSTGRES = 1000;
const store = useStore();

let directory: string;

const obstacle = await missingTool(["podman", "buildah", "runc", "debootstrap", "dnsmasq"]);
if (obstacle !== undefined) console.log(`the image of a Neon compute is not tested: ${obstacle}`);

describe.skipIf(obstacle !== undefined)("the image of a Neon compute", () => {
  beforeAll(async () => {
    await buildNeonImage();
    directory = await mkdtemp(join(CACHE, "compute-image-"));
    await chmod(directory, 0o755);
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  /** Every file of an image with its rights, but those of which every container gets its own. */
  async function filesOf(image: string): Promise<string[]> {
    const skipped = ["/proc", "/sys", "/dev", "/run", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"];
    const prune = ["(", ...skipped.flatMap((path) => ["-path", path, "-o"]), "-path", "/opt/neon-local", ")", "-prune"];
    const find = ["/", ...prune, "-o", "!", "-type", "d", "-printf", "%p %M %u %g %s %T@\n"];
    return (await podman("run", "--rm", "--user", "root", "--entrypoint", "/usr/bin/find", image, ...find))
      .split("\n")
      .sort();
  }

  test("nothing but compute_ctl differs from the image below", async () => {
    const [before, after] = await Promise.all([filesOf(COMPUTE_IMAGE), filesOf(IMAGE)]);
    expect(before.length).toBeGreaterThan(1000);
    const added = after.filter((file) => !before.includes(file));
    const removed = before.filter((file) => !after.includes(file));
    for (const changed of [added, removed])
      expect(changed.map((line) => line.split(" ", 1)[0])).toEqual(["/usr/local/bin/compute_ctl"]);
    const format =
      "{{json .Config.User}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.WorkingDir}}";
    const [old, now] = await Promise.all(
      [COMPUTE_IMAGE, IMAGE].map((image) => podman("image", "inspect", "--format", format, image)),
    );
    expect(now).toBe(old);
  });

  async function select1(connectionString: string): Promise<unknown> {
    const client = new pg.Client({ connectionString });
    await client.connect();
    try {
      return (await client.query({ text: "SELECT 1", rowMode: "array" })).rows[0]?.[0];
    } finally {
      await client.end();
    }
  }

  /** A config for a compute in a container of this machine's network. */
  function configFor(storage: Storage, port: number): string {
    const spec = computeSpec({ storage, port, socketDirectory: "/tmp" });
    return JSON.stringify({ spec, compute_ctl_config: { jwks: { keys: [] } } });
  }

  async function runAndStop(options: {
    flags: string[];
    words: string[];
    port: number;
    env?: Record<string, string>;
  }): Promise<void> {
    const { flags, words, port, env = {} } = options;
    await using container = await Container.run({ image: IMAGE, flags: ["--network", "host", ...flags], words, env });
    await container.says("compute start finished");
    expect(await select1(`postgresql://cloud_admin@127.0.0.1:${port}/postgres`)).toBe(1);
    // Ours as the first process: an init is above it.
    expect((await container.exec("cat", "/proc/1/comm")).stdout).toBe("tini");
    expect(await container.stop(10)).toBe(1);
    expect(await container.logs()).toContain("database system is shut down");
  }

  describe("the usual invocations, word by word", () => {
    test("that of neon_local (neon-local.md C2)", async () => {
      const [port, external, internal] = [await freePort(), await freePort(), await freePort()];
      const endpoint = join(directory, "endpoints/ep-main");
      await mkdir(endpoint, { recursive: true });
      await chown(endpoint, POSTGRES, POSTGRES);
      await writeFile(join(endpoint, "config.json"), configFor(await store().timeline(), port));
      const words = [
        ...["--external-http-port", String(external), "--internal-http-port", String(internal)],
        ...[
          "--pgdata",
          "/repo/endpoints/ep-main/pgdata",
          "--connstr",
          `postgresql://cloud_admin@127.0.0.1:${port}/postgres`,
        ],
        ...["--config", "/repo/endpoints/ep-main/config.json", "--pgbin", "/usr/local/bin/postgres"],
        ...["--compute-id", "ep-main", "--dev"],
      ];
      await runAndStop({ flags: ["--volume", `${directory}:/repo`], words, port });
    });

    test("as an arbitrary uid, with a read-only root file system and without capabilities", async () => {
      const port = await freePort();
      const place = await mkdtemp(join(directory, "any-uid-"));
      await chmod(place, 0o777);
      await writeFile(join(place, "config.json"), configFor(await store().timeline(), port));
      const words = [
        ...["-D", "/place/pgdata", "-C", `postgresql://cloud_admin@127.0.0.1:${port}/postgres`],
        ...["-b", "/usr/local/bin/postgres", "-i", "compute-x", "-c", "/place/config.json"],
        ...["--external-http-port", String(await freePort()), "--internal-http-port", String(await freePort())],
      ];
      const flags = ["--user", "12345:54321", "--read-only", "--cap-drop", "ALL", "--volume", `${place}:/place`];
      await runAndStop({ flags, words, port });
    });

    test("that of operators with a control plane (lifecycle.md 1)", async () => {
      const port = await freePort();
      const config = JSON.parse(configFor(await store().timeline(), port)) as object;
      const asked: (string | undefined)[] = [];
      const controlPlane = createServer((request, response) => {
        asked.push(request.url, request.headers.authorization);
        response.setHeader("content-type", "application/json").end(JSON.stringify({ status: "attached", ...config }));
      }).listen(0, "127.0.0.1");
      onTestFinished(() => void controlPlane.close());
      await until(() => controlPlane.listening);
      const words = [
        ...["-D", "/var/db/postgres/compute/pgdata", "-C", `postgresql://cloud_admin@127.0.0.1:${port}/postgres`],
        ...["-b", "/usr/local/bin/postgres", "-i", "compute-x"],
        ...["-p", `http://127.0.0.1:${(controlPlane.address() as AddressInfo).port}`, "-r", "http://pg-ext-s3-gateway"],
        // Its default may be taken on this machine.
        ...["--external-http-port", String(await freePort()), "--internal-http-port", String(await freePort())],
      ];
      await runAndStop({ flags: [], words, port, env: { NEON_CONTROL_PLANE_TOKEN: "token" } });
      expect(asked).toEqual(["/compute/api/v2/computes/compute-x/spec", "Bearer token"]);
    });
  });

  /** What Neon's docker-compose runs in its compute container, as the contract describes it (neon-local.md D). */
  const WRAPPER = `#!/usr/bin/env bash
set -eu
[ "$(ldconfig -v 2>/dev/null | grep -m 1 '^/' | cut -d : -f 1)" = /usr/local/lib ]
until nc -z pageserver 6400; do sleep 0.2; done
api=http://pageserver:9898/v1/tenant
tenant=$(curl -sf $api | jq -r '.[0].id // empty')
if [ -z "$tenant" ]; then
  tenant=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')
  curl -sf -X PUT -H 'Content-Type: application/json' $api/$tenant/location_config \\
    -d '{"mode":"AttachedSingle","generation":1,"tenant_conf":{}}' > /dev/null
fi
timeline=$(curl -sf $api/$tenant/timeline | jq -r '.[0].timeline_id // empty')
if [ -z "$timeline" ]; then
  timeline=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')
  curl -sf -X POST -H 'Content-Type: application/json' $api/$tenant/timeline/ \\
    -d "{\\"new_timeline_id\\":\\"$timeline\\",\\"pg_version\\":17}" > /dev/null
fi
sed -e s/TENANT_ID/$tenant/ -e s/TIMELINE_ID/$timeline/ /var/db/postgres/configs/config.json > /tmp/config.json
/usr/local/bin/compute_ctl --pgdata /var/db/postgres/compute -C postgresql://cloud_admin@localhost:55433/postgres \\
  -b /usr/local/bin/postgres --compute-id "compute-$RANDOM" --config /tmp/config.json
`;

  /** The shape of that wrapper's config: everything in settings, unknown keys, a hash without prefix, a key that is none. */
  const setting = (name: string, value: string, vartype = "string") => ({ name, value, vartype });
  const WRAPPER_CONFIG = {
    spec: {
      format_version: 1.0,
      timestamp: "2022-10-12T18:00:00.000Z",
      operation_uuid: "0f657b36-4b0f-4a2d-9c2e-1dcd615e7d8c",
      suspend_timeout_seconds: -1,
      cluster: {
        cluster_id: "docker_compose",
        name: "docker_compose_test",
        state: "restarted",
        roles: [{ name: "cloud_admin", encrypted_password: "b093c0d3b281ba6da1eacc608620abd8", options: null }],
        databases: [],
        settings: [
          setting("listen_addresses", "0.0.0.0"),
          setting("port", "55433", "integer"),
          setting("shared_preload_libraries", "neon,pg_stat_statements"),
          setting("max_replication_write_lag", "500MB"),
          setting("neon.safekeepers", "safekeeper1:5454"),
          setting("neon.timeline_id", "TIMELINE_ID"),
          setting("neon.tenant_id", "TENANT_ID"),
          setting("neon.pageserver_connstring", "host=pageserver port=6400"),
          setting("max_replication_write_lag", "500MB"),
          setting("cron.database", "postgres"),
        ],
      },
      delta_operations: [],
    },
    compute_ctl_config: {
      jwks: {
        keys: [
          {
            use: "sig",
            key_ops: ["verify"],
            alg: "EdDSA",
            kid: `${Buffer.from("ab".repeat(32)).toString("base64")}Cg==`,
            kty: "OKP",
            crv: "Ed25519",
            x: Buffer.from(`${"cd".repeat(32)}\n`).toString("base64"),
          },
        ],
      },
    },
  };

  test("neon-local.md case 62, lifecycle.md case 62: the wrapper of Neon's docker-compose, over the network, with an invalid key", async () => {
    const context = join(directory, "wrapper");
    await mkdir(context);
    await writeFile(join(context, "compute.sh"), WRAPPER, { mode: 0o755 });
    await writeFile(join(context, "config.json"), JSON.stringify(WRAPPER_CONFIG));
    await writeFile(
      join(context, "Dockerfile"),
      `FROM ${IMAGE}
COPY compute.sh /shell/compute.sh
COPY config.json /var/db/postgres/configs/config.json
ENTRYPOINT ["/shell/compute.sh"]
`,
    );
    await buildImage({ tag: `${IMAGES}/wrapper`, context });
    await buildStockImage();
    const network = `neon-local-test-${await freePort()}`;
    await podman("network", "create", network);
    onTestFinished(async () => void (await podman("network", "rm", network)));
    await using storage = await Container.run({
      image: STOCK_IMAGE,
      flags: ["--network", network, "--network-alias", "pageserver", "--network-alias", "safekeeper1"],
      words: ["neon-store", "--dir", "/var/lib/neon-local/store"].concat(
        ["pageserver-addr=0.0.0.0:6400", "safekeeper-addr=0.0.0.0:5454", "http-addr=0.0.0.0:9898"].map(
          (flag) => `--${flag}`,
        ),
      ),
    });
    await storage.says("ready");
    const [port, http] = [await freePort(), await freePort()];
    const ports = ["--publish", `127.0.0.1:${port}:55433`, "--publish", `127.0.0.1:${http}:3080`];
    await using compute = await Container.run({ image: `${IMAGES}/wrapper`, flags: ["--network", network, ...ports] });
    await compute.says("compute start finished");
    expect(await select1(`postgresql://cloud_admin:cloud_admin@127.0.0.1:${port}/postgres`)).toBe(1);
    const answer = await fetch(`http://127.0.0.1:${http}/status`, { headers: { authorization: "Bearer a.b.c" } });
    expect(answer.status).toBe(401);
    expect(await compute.logs()).toContain("ignoring a key of the JWKS that cannot be used");
    // A test of Neon's writes this file into the running container.
    expect((await compute.exec("touch", "/var/db/postgres/compute/compute_ctl_temp_override.conf")).exitCode).toBe(0);
    // Its shell is the first process and hands no signal on, so this is a kill; what was committed is in the storage.
    await compute.kill();
    await compute.start();
    await compute.says("compute start finished", 2);
    expect(await select1(`postgresql://cloud_admin:cloud_admin@127.0.0.1:${port}/postgres`)).toBe(1);
  });

  test("the specs that ship with the programs are in the image", async () => {
    await using container = await Container.run({
      image: IMAGE,
      words: ["validate", "/opt/neon-local/specs/quickstart.json"],
    });
    expect(await container.exitCode()).toBe(0);
    expect(await container.logs()).toContain("primary");
  });
});
