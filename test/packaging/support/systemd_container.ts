import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";

export const CONTAINER_TOOLS = ["debootstrap", "systemd-nspawn", "nsenter"];

/** Long enough for the services to stop in order. */
const POWEROFF_MS = 60_000;

/** A booted systemd with a network of its own over a root directory that it does not change. */
export class SystemdContainer implements AsyncDisposable {
  readonly #nspawn: ChildProcess;
  readonly #init: number;

  private constructor(nspawn: ChildProcess, init: number) {
    this.#nspawn = nspawn;
    this.#init = init;
  }

  /**
   * @param binds what is seen inside, read-only: path here, path there
   */
  static async boot(rootfs: string, binds: Readonly<Record<string, string>>): Promise<SystemdContainer> {
    // Without systemd here nobody gives the container a unit of its own.
    const unmanaged = existsSync("/run/systemd/system") ? [] : ["--register=no", "--keep-unit"];
    const argv = [
      ...["--quiet", "--boot", "--directory", rootfs, "--machine", `neon-local-test-${process.pid}`],
      ...["--volatile=overlay", "--private-network", "--link-journal=no", "--console=pipe", ...unmanaged],
      ...Object.entries(binds).map(([here, there]) => `--bind-ro=${resolve(here)}:${there}`),
    ];
    const nspawn = spawn("systemd-nspawn", argv, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [nspawn.stdout, nspawn.stderr]) stream?.on("data", (text) => (output += String(text)));
    const failed = (why: string): Error => new Error(`systemd-nspawn ${why}: ${output}`);
    nspawn.on("error", (error) => (output += String(error)));
    for (;;) {
      if (nspawn.pid === undefined || nspawn.exitCode !== null) throw failed(`ended with ${nspawn.exitCode}`);
      const container = new SystemdContainer(nspawn, await initOf(nspawn.pid));
      // Its manager answers a moment after its first process is there.
      const { stdout } = await container.run(["systemctl", "is-system-running", "--wait"], { reject: false });
      if (stdout === "running") return container;
      if (stdout === "degraded") {
        const units = await container.run(["systemctl", "--failed", "--no-pager"]);
        await container[Symbol.asyncDispose]();
        throw failed(`has failed units: ${units.stdout}`);
      }
      await delay(100);
    }
  }

  /** Runs a program inside. */
  async run(
    argv: readonly string[],
    options: { reject?: boolean; input?: string } = {},
  ): Promise<{ stdout: string; stderr: string }> {
    const target = ["--target", String(this.#init), "--all", "--root", "--wdns=/"];
    const { stdout, stderr } = await execa("nsenter", [...target, "--", ...argv], { ...options, timeout: 300_000 });
    return { stdout: stdout ?? "", stderr: stderr ?? "" };
  }

  /** Runs a Node.js module of ours, with our packages, in its network. */
  async script(code: string): Promise<string> {
    const node = [process.execPath, "--input-type=module", "--eval", code];
    const { stdout } = await execa("nsenter", ["--target", String(this.#init), "--net", "--", ...node]);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid, exitCode } = this.#nspawn;
    if (pid === undefined || exitCode !== null) return;
    const ended = once(this.#nspawn, "exit");
    this.#nspawn.kill("SIGTERM");
    // Asked again it ends the container at once.
    const timer = setTimeout(() => this.#nspawn.kill("SIGTERM"), POWEROFF_MS);
    await ended;
    clearTimeout(timer);
  }
}

/** The container's first process: nspawn's child that is 1 in its own namespace. 0 while there is none. */
async function initOf(nspawn: number): Promise<number> {
  const children = await readFile(`/proc/${nspawn}/task/${nspawn}/children`, "utf8").catch(() => "");
  for (const pid of children.trim().split(" ")) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (/^NSpid:.*\t1$/m.test(status)) return Number(pid);
  }
  return 0;
}
