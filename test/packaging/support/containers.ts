import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { until } from "../../support/until.ts";
import { CACHE } from "./rootfs.ts";

/** What the names of all our images begin with. */
export const IMAGES = "localhost/neon-local-test";

/**
 * Settings for every podman below: a runtime that works on hybrid control groups, and limits that a container without
 * rights may keep.
 */
const SETTINGS = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** Images and containers of our own: nobody else's are seen, and removing the directory removes all. */
const STORAGE = `[storage]
driver = "overlay"
graphroot = ${JSON.stringify(join(CACHE, "containers"))}
runroot = ${JSON.stringify(join(CACHE, "containers.run"))}
`;

let environment: Promise<NodeJS.ProcessEnv> | undefined;

/** The environment in which podman and buildah work here. */
export async function podmanEnvironment(): Promise<NodeJS.ProcessEnv> {
  environment ??= (async () => {
    await mkdir(CACHE, { recursive: true });
    const [conf, storage] = [join(CACHE, "containers.conf"), join(CACHE, "storage.conf")];
    await Promise.all([writeFile(conf, SETTINGS), writeFile(storage, STORAGE)]);
    return { CONTAINERS_CONF: conf, CONTAINERS_STORAGE_CONF: storage };
  })();
  return await environment;
}

/** Runs podman; fails with what it said. */
export async function podman(...words: string[]): Promise<string> {
  const { stdout } = await execa("podman", words, { env: await podmanEnvironment() });
  return stdout;
}

/** Builds an image of our own Dockerfile, or of another. */
export async function buildImage(options: {
  readonly tag: string;
  readonly target?: string;
  readonly context?: string;
  readonly args?: Readonly<Record<string, string>>;
}): Promise<void> {
  const { tag, target, context = ".", args = {} } = options;
  const words = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  if (target !== undefined) words.push("--target", target);
  // The docker format alone knows health checks.
  const flags = ["--isolation", "chroot", "--format", "docker", "--layers", ...words];
  await execa("buildah", ["bud", ...flags, "-t", tag, context], { env: await podmanEnvironment() });
}

export interface ContainerOptions {
  readonly image: string;
  /** Of `podman run`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What stands behind the image. */
  readonly words?: readonly string[];
}

/** A container that is removed with its anonymous volumes. */
export class Container implements AsyncDisposable {
  readonly name = `neon-local-test-${randomBytes(4).toString("hex")}`;

  static async run(options: ContainerOptions): Promise<Container> {
    const { image, flags = [], env = {}, words = [] } = options;
    const container = new Container();
    const variables = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    await podman("run", "--detach", "--name", container.name, ...flags, ...variables, image, ...words);
    return container;
  }

  /** stdout and stderr together, from the container's beginning. */
  async logs(): Promise<string> {
    const { all } = await execa("podman", ["logs", this.name], { all: true, env: await podmanEnvironment() });
    return all;
  }

  /** Waits for a text in the logs; fails with them when the container ends before. */
  async says(text: string, times = 1): Promise<void> {
    await until(async () => {
      const running = await this.isRunning();
      const logs = await this.logs();
      if (logs.split(text).length > times) return true;
      if (!running) throw new Error(`the container ended without ${JSON.stringify(text)}:\n${logs}`);
      return false;
    });
  }

  /** Runs a program in the container. */
  async exec(...words: string[]): Promise<{ exitCode?: number | undefined; stdout: string; stderr: string }> {
    return await execa("podman", ["exec", this.name, ...words], { reject: false, env: await podmanEnvironment() });
  }

  async isRunning(): Promise<boolean> {
    return (await this.inspect("{{.State.Running}}")) === "true";
  }

  async inspect(format: string): Promise<string> {
    return await podman("inspect", "--format", format, this.name);
  }

  /** `podman stop`: STOPSIGNAL, and SIGKILL after so many seconds. Resolves to the exit code. */
  async stop(seconds = 30): Promise<number> {
    await podman("stop", "--time", String(seconds), this.name);
    return await this.exitCode();
  }

  async exitCode(): Promise<number> {
    return Number(await podman("wait", this.name));
  }

  async kill(): Promise<void> {
    await podman("kill", "--signal", "KILL", this.name);
    await this.exitCode();
  }

  async start(): Promise<void> {
    await podman("start", this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await podman("rm", "--force", "--time", "0", "--volumes", this.name);
  }
}
