/** The image that people run without any Neon: built from our Dockerfile, run by podman. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../support/free_port.ts";
import { until } from "../support/until.ts";
import { DEBIAN_IMAGE } from "./support/base_images.ts";
import { Container, type ContainerOptions, IMAGES, podman, podmanEnvironment } from "./support/containers.ts";
import { missingTool } from "./support/missing_tool.ts";
import { buildStockImage, STOCK_IMAGE } from "./support/our_images.ts";
import { CACHE } from "./support/rootfs.ts";

const IMAGE = STOCK_IMAGE;
const PASSWORD = "not loopback";

const obstacle = await missingTool(["podman", "buildah", "runc", "debootstrap", "podman-compose", "dnsmasq"]);
if (obstacle !== undefined) console.log(`the stock image is not tested: ${obstacle}`);

describe.skipIf(obstacle !== undefined)("the stock image", () => {
  beforeAll(async () => {
    await buildStockImage();
    const [size, base] = await Promise.all([IMAGE, DEBIAN_IMAGE].map(sizeOf));
    console.log(`the stock image has ${size} MB, ${(size ?? 0) - (base ?? 0)} MB more than its base`);
  });

  async function sizeOf(image: string): Promise<number> {
    return Math.round(Number(await podman("image", "inspect", "--format", "{{.Size}}", image)) / 1e6);
  }

  async function query(port: number, text: string, password = PASSWORD): Promise<unknown> {
    const client = new pg.Client({ host: "127.0.0.1", port, user: "cloud_admin", database: "postgres", password });
    await client.connect();
    try {
      return (await client.query({ text, rowMode: "array" })).rows[0]?.[0];
    } finally {
      await client.end();
    }
  }

  /** `neon-local serve` with its Postgres on a port of this machine. */
  async function serve(options: Partial<ContainerOptions> = {}): Promise<{ container: Container; port: number }> {
    const port = await freePort();
    const container = await Container.run({
      image: IMAGE,
      ...options,
      flags: ["--publish", `127.0.0.1:${port}:55432`, ...(options.flags ?? [])],
      env: { NEON_LOCAL_PASSWORD: PASSWORD, ...options.env },
    });
    await container.says("  stop ");
    return { container, port };
  }

  describe("the image without any argument", () => {
    test("neon-local.md case 63: answers over the published port, stops in order with exit code 0, and keeps its data, killed or stopped", async () => {
      const { container, port } = await serve();
      await using _container = container;
      expect(await query(port, "SELECT 1")).toBe(1);
      await query(port, "CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
      expect((await container.exec("neon-local", "healthcheck")).exitCode).toBe(0);
      expect(await container.stop()).toBe(0);
      expect(await container.logs()).not.toContain("second signal");
      await container.start();
      await container.says("  stop ", 2);
      expect(await query(port, "SELECT count(*)::int FROM kept")).toBe(1000);
      await query(port, "INSERT INTO kept VALUES (1001)");
      await container.kill();
      await container.start();
      await container.says("  stop ", 3);
      expect(await query(port, "SELECT count(*)::int FROM kept")).toBe(1001);
    });

    test("without a password makes one, which is in no log", async () => {
      const { container, port } = await serve({ env: { NEON_LOCAL_PASSWORD: "" } });
      await using _container = container;
      const password = (await container.exec("cat", "/var/lib/neon-local/superuser_password")).stdout;
      expect(await query(port, "SELECT 1", password)).toBe(1);
      await expect(query(port, "SELECT 1", "guessed")).rejects.toThrow(/password authentication failed/);
      expect(await container.logs()).not.toContain(password);
    });

    test.each(["12345:0", "12345:54321"])(
      "runs as the arbitrary uid %s, with a root file system that is read only",
      async (user) => {
        const volume = `neon-local-test-${user.replace(":", "-")}`;
        await podman("volume", "create", volume);
        try {
          const flags = [
            "--user",
            user,
            "--read-only",
            "--volume",
            `${volume}:/var/lib/neon-local`,
            "--cap-drop",
            "ALL",
          ];
          const { container, port } = await serve({ flags });
          await using _container = container;
          expect(await query(port, "SELECT 1")).toBe(1);
          expect(await container.stop()).toBe(0);
        } finally {
          await podman("volume", "rm", "--force", volume);
        }
      },
    );
  });

  describe("PID 1", () => {
    test.each([
      ["by the entry point", [], []],
      ["by the program itself", ["--entrypoint", "/usr/local/bin/neon-local"], ["serve"]],
    ])("reaps orphans, and hands signals on: %s", async (_how, flags, words) => {
      const { container } = await serve({ flags, words });
      await using _container = container;
      expect((await container.exec("cat", "/proc/1/comm")).stdout).toBe("tini");
      // Each of them loses its parent at once, and ends a moment later.
      const { stdout } = await container.exec("sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.2 & echo $!) ; done");
      const pids = stdout.split("\n");
      expect(pids).toHaveLength(5);
      // A zombie would stay there for ever.
      const look = pids.map((pid) => `cat /proc/${pid}/comm`).join("; ");
      await until(async () => (await container.exec("sh", "-c", `{ ${look}; } 2>/dev/null`)).stdout === "");
      expect(await container.stop()).toBe(0);
    });

    test("needs no shell", async () => {
      // What /bin/sh is becomes a file that cannot be executed.
      const flags = ["--volume", "/dev/null:/usr/bin/dash:ro", "--entrypoint", "/usr/local/bin/neon-local"];
      const { container, port } = await serve({ flags, words: ["serve"] });
      await using _container = container;
      expect((await container.exec("sh", "-c", "true")).exitCode).not.toBe(0);
      expect(await query(port, "SELECT 1")).toBe(1);
      expect(await container.stop()).toBe(0);
    });
  });

  describe("compute_ctl in the image", () => {
    let directory: string;

    beforeAll(async () => {
      directory = await mkdtemp(join(CACHE, "compute-"));
    });
    afterAll(async () => {
      await rm(directory, { recursive: true, force: true });
    });

    test("is configured by variables; SIGTERM ends it with 1, a control plane with 0; the spec stays out of Postgres' environment", async () => {
      const [postgres, external] = [await freePort(), await freePort()];
      const { spec, compute_ctl_config } = JSON.parse(await readFile("specs/quickstart.json", "utf8")) as {
        spec: { tenant_id: string; timeline_id: string; cluster: { settings: { name: string; value: string }[] } };
        compute_ctl_config: object;
      };
      for (const setting of spec.cluster.settings) if (setting.name === "port") setting.value = String(postgres);
      const store = await Container.run({
        image: IMAGE,
        flags: ["--network", "host"],
        words: [
          "neon-store",
          "--dir",
          "/var/lib/neon-local/store",
          "--ensure-timeline",
          `${spec.tenant_id}/${spec.timeline_id}:17`,
        ],
      });
      await using _store = store;
      await store.says("ready");
      const health = await store.exec("neon-local", "healthcheck", "--url", "http://127.0.0.1:9898/v1/status");
      expect(health.exitCode, health.stderr).toBe(0);
      const compute = await Container.run({
        image: IMAGE,
        flags: ["--network", "host"],
        env: {
          COMPUTE_ID: "by-variables",
          CONNSTR: `postgresql://cloud_admin@127.0.0.1:${postgres}/postgres`,
          SPEC_JSON: JSON.stringify({ spec, compute_ctl_config }),
          EXTERNAL_HTTP_PORT: String(external),
          INTERNAL_HTTP_PORT: String(await freePort()),
        },
      });
      await using _compute = compute;
      await compute.says("compute start finished");
      expect(await query(postgres, "SELECT 1")).toBe(1);
      await query(postgres, "CREATE TABLE kept AS SELECT 1 n");
      const environment = await compute.exec(
        "sh",
        "-c",
        "cat /proc/$(head -n 1 /var/db/postgres/compute/postmaster.pid)/environ",
      );
      expect(environment.stdout).toContain("COMPUTE_ID=by-variables");
      expect(environment.stdout).not.toContain("SPEC_JSON");
      expect(await compute.stop()).toBe(1);
      expect(await compute.logs()).toContain("database system is shut down");
      await compute.start();
      await compute.says("compute start finished", 2);
      expect(await query(postgres, "SELECT count(*)::int FROM kept")).toBe(1);
      // As a virtual machine's hook does it.
      await compute.exec("pg_ctl", "stop", "-D", "/var/db/postgres/compute", "-m", "fast");
      expect(await compute.exitCode()).toBe(0);
      expect(await store.stop()).toBe(0);
    });

    test("says what is wrong in one line, exit code 2", async () => {
      await using container = await Container.run({ image: IMAGE, env: { COMPUTE_ID: "x" } });
      expect(await container.exitCode()).toBe(2);
      expect(await container.logs()).toMatch(/^entrypoint: CONNSTR is not set[^\n]*\n?$/);
    });
  });

  test("the image says who and what it is", async () => {
    const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
    const config = JSON.parse(await podman("image", "inspect", "--format", "{{json .Config}}", IMAGE)) as {
      User: string;
      StopSignal: string;
      Labels: Record<string, string>;
      Volumes: Record<string, unknown>;
      ExposedPorts: Record<string, unknown>;
    };
    expect(config.User).toBe("postgres");
    expect(config.StopSignal).toBe("SIGTERM");
    expect(Object.keys(config.Volumes)).toEqual(["/var/lib/neon-local"]);
    expect(Object.keys(config.ExposedPorts).sort()).toEqual(["3080/tcp", "55432/tcp", "55433/tcp"]);
    expect(config.Labels).toMatchObject({
      "org.opencontainers.image.title": "neon-local",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": expect.stringContaining("Apache-2.0") as string,
    });
    const health = await podman("image", "inspect", "--format", "{{json .HealthCheck}}", IMAGE);
    expect(health).toContain('["CMD","neon-local","healthcheck"]');
  });

  test("PostgreSQL may come from the distribution instead", async () => {
    const tag = `${IMAGES}/stock-debian`;
    await buildStockImage({ tag, args: { POSTGRES_FROM: "debian" } });
    const { container, port } = await serve({ image: tag, flags: ["--user", "12345:0"] });
    await using _container = container;
    expect(await query(port, "SHOW server_version")).toMatch(/^15\..*Debian/);
    expect(await container.stop()).toBe(0);
  });

  describe("compose.yaml", () => {
    /** compose.yaml with our image's name, and ports that are free here. */
    async function prepare(): Promise<{ directory: string; postgres: number }> {
      const directory = await mkdtemp(join(CACHE, "compose-"));
      const [postgres, http] = [await freePort(), await freePort()];
      const text = await readFile("deploy/compose/compose.yaml", "utf8");
      await writeFile(
        join(directory, "compose.yaml"),
        text
          .replaceAll("image: neon-local:0.1.0", `image: ${IMAGE}`)
          .replace("127.0.0.1:55433:55433", `127.0.0.1:${postgres}:55433`)
          .replace("127.0.0.1:3080:3080", `127.0.0.1:${http}:3080`)
          .replace(/^ {4}build:\n {6}.*\n {6}.*\n/m, ""),
      );
      await cp("deploy/compose/config", join(directory, "config"), { recursive: true });
      return { directory, postgres };
    }

    test("a storage and a compute come up, keep what was committed when both are killed, and go down", async () => {
      const { directory, postgres } = await prepare();
      const env = { ...process.env, ...(await podmanEnvironment()) };
      const project = `neon-local-test-${postgres}`;
      const compose = async (...words: string[]) =>
        await promisify(execFile)("podman-compose", ["--project-name", project, ...words], { cwd: directory, env });
      try {
        await compose("up", "--detach", "pageserver", "compute1");
        const connect = async (text: string): Promise<unknown> => {
          for (;;) {
            try {
              return await query(postgres, text, "cloud_admin");
            } catch (error) {
              // Not there yet, or not ready yet (57P03).
              const { code } = error as { code?: string };
              if (code !== "57P03" && !/ECONNREFUSED|ECONNRESET|terminated/.test(String(error))) throw error;
            }
          }
        };
        await connect("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
        for (const service of ["compute1", "pageserver"])
          await podman("kill", "--signal", "KILL", `${project}_${service}_1`);
        for (const service of ["pageserver", "compute1"]) await podman("start", `${project}_${service}_1`);
        expect(await connect("SELECT count(*)::int FROM kept")).toBe(1000);
      } finally {
        await compose("down", "--volumes").catch(() => undefined);
        await rm(directory, { recursive: true, force: true });
      }
    });
  });
});
