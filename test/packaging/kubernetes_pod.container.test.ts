/** The pod of store-and-compute.yaml as a kubelet runs it, as far as podman can: its flags, volumes, rights and probes. */
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IContainer } from "kubernetes-models/v1/Container";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { scramVerifier } from "../../src/wire/scram_verifier.ts";
import { freePort } from "../support/free_port.ts";
import { until } from "../support/until.ts";
import { Container } from "./support/containers.ts";
import { Manifest } from "./support/manifests.ts";
import { missingTool } from "./support/missing_tool.ts";
import { buildStockImage, STOCK_IMAGE } from "./support/our_images.ts";
import { CACHE } from "./support/rootfs.ts";

const obstacle = await missingTool(["podman", "buildah", "runc", "debootstrap", "dnsmasq"]);
if (obstacle !== undefined) console.log(`the pod for Kubernetes is not run: ${obstacle}`);

const manifest = Manifest.read("store-and-compute.yaml");
const [store, compute] = [manifest.pod.initContainers?.[0], manifest.pod.containers[0]];

/** The host's side of the pod's volumes; podman's own `/dev/shm` is one already. */
class Volumes {
  readonly #directory: string;
  readonly #user: number;

  constructor(directory: string, user: number) {
    this.#directory = directory;
    this.#user = user;
  }

  async path(name: string): Promise<string> {
    const path = join(this.#directory, name);
    await mkdir(path, { recursive: true });
    await chown(path, this.#user, this.#user);
    await chmod(path, 0o770);
    return path;
  }

  async flags({ volumeMounts = [] }: IContainer): Promise<string[]> {
    const mounts = volumeMounts.filter(({ mountPath }) => mountPath !== "/dev/shm");
    const flags = mounts.map(async ({ name, mountPath, readOnly }) => [
      "--volume",
      `${await this.path(name)}:${mountPath}${readOnly ? ":ro" : ""}`,
    ]);
    return (await Promise.all(flags)).flat();
  }
}

describe.skipIf(obstacle !== undefined)("the pod of store-and-compute.yaml", () => {
  test("becomes ready, is opened by its Secret's passwords, comes back with its data, stops in order", async () => {
    await buildStockImage();
    const { runAsUser = 0, runAsGroup = 0 } = manifest.pod.securityContext ?? {};
    const directory = await mkdtemp(join(CACHE, "pod-"));
    await chmod(directory, 0o755);
    onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
    const volumes = new Volumes(directory, Number(runAsUser));
    // What an operator puts in for the verifiers that fit no password.
    const verifier = scramVerifier("chosen", randomBytes(16));
    const config = manifest.config.replaceAll(/SCRAM-SHA-256\$[^"]+/g, verifier);
    expect(config).toContain(verifier);
    await writeFile(join(await volumes.path("config"), "config.json"), config, { mode: 0o644 });

    const run = async (container: IContainer | undefined, ...flags: string[]): Promise<Container> => {
      if (container?.command?.length !== 1)
        throw new Error("expected a container with a program's name as its command");
      const [name = ""] = container.envFrom?.map(({ configMapRef }) => configMapRef?.name ?? "") ?? [];
      return await Container.run({
        image: STOCK_IMAGE,
        flags: [
          ...["--user", `${runAsUser}:${runAsGroup}`, "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL"],
          ...["--security-opt", "no-new-privileges", "--entrypoint", container.command[0] ?? ""],
          ...(await volumes.flags(container)),
          ...flags,
        ],
        env: manifest.configMaps.find(({ metadata }) => metadata?.name === name)?.data ?? {},
        words: container.args ?? [],
      });
    };
    const [port, http] = [await freePort(), await freePort()];
    const probe = async (path: string | undefined): Promise<number> =>
      await fetch(`http://127.0.0.1:${http}${path}`).then(
        ({ status }) => status,
        () => 0,
      );
    const query = async (text: string): Promise<unknown> => {
      const client = new pg.Client({
        host: "127.0.0.1",
        port,
        user: "cloud_admin",
        database: "postgres",
        password: "chosen",
      });
      await client.connect();
      try {
        return (await client.query({ text, rowMode: "array" })).rows[0]?.[0];
      } finally {
        await client.end();
      }
    };

    // Its network is the pod's.
    const published = ["--publish", `127.0.0.1:${port}:5432`, "--publish", `127.0.0.1:${http}:3080`];
    await using sidecar = await run(store, ...published);
    const alive = store?.startupProbe?.exec?.command ?? [];
    await until(async () => (await sidecar.exec(...alive)).exitCode === 0);
    {
      await using first = await run(compute, "--network", `container:${sidecar.name}`);
      await until(async () => (await probe(compute?.startupProbe?.httpGet?.path)) === 200);
      await until(async () => (await probe(compute?.readinessProbe?.httpGet?.path)) === 200);
      await query("CREATE TABLE kept AS SELECT generate_series(1, 1000) n");
      await first.kill();
    }
    // A kubelet makes a new container over the same volumes.
    await using second = await run(compute, "--network", `container:${sidecar.name}`);
    await until(async () => (await probe(compute?.readinessProbe?.httpGet?.path)) === 200);
    expect(await query("SELECT count(*)::int FROM kept")).toBe(1000);
    expect(await second.stop()).toBe(1);
    expect(await second.logs()).toContain("database system is shut down");
    expect(await sidecar.stop()).toBe(0);
  });
});
