import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { until } from "../../support/until.ts";
import { CACHE } from "./rootfs.ts";

/** All of ours are below this name, so that they can be removed together. */
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

let settings: Promise<string> | undefined;

/** The environment in which podman works here. */
export async function podmanEnvironment(): Promise<NodeJS.ProcessEnv> {
  settings ??= (async () => {
    await mkdir(CACHE, { recursive: true });
    const file = join(CACHE, "containers.conf");
    await writeFile(file, SETTINGS);
    return file;
  })();
  return { CONTAINERS_CONF: await settings };
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
  await execa("buildah", [
    "bud",
    "--isolation",
    "chroot",
    "--format",
    "docker",
    "--layers",
    ...words,
    "-t",
    tag,
    context,
  ]);
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
