/**
 * Builds, runs and stops the images and the systemd units: `npm run test:packaging [-- --install] [-- FILTER...]`.
 * Needs root on Debian and the tools below; `--install` installs them. With `--where-possible`, what cannot be had here is no
 * failure: the reason is printed, exit code 0.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { searchPath } from "../src/postgres/installation.ts";

/** Debian's packages, each with a program that tells whether it is there. */
const PACKAGES: Readonly<Record<string, string>> = {
  podman: "podman",
  buildah: "buildah",
  runc: "runc",
  "podman-compose": "podman-compose",
  debootstrap: "debootstrap",
  shellcheck: "shellcheck",
  "systemd-container": "systemd-nspawn",
  "dnsmasq-base": "dnsmasq",
  "golang-github-containernetworking-plugin-dnsname": "dnsname",
};
const INSTALL_LIMIT_MS = 5 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { install: { type: "boolean" }, "where-possible": { type: "boolean" } },
});
const env: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: [process.env.PATH, "/usr/sbin", "/sbin", "/usr/lib/cni"].join(delimiter),
};
const obstacle = await findObstacle();
if (obstacle === undefined) process.exitCode = runTests();
else {
  console.log(`the images and units are not tested: ${obstacle}`);
  process.exitCode = values["where-possible"] ? 0 : 1;
}

async function findObstacle(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return "building and booting them needs root";
  if (!(await searchPath("apt-get", env))) return "the tools come from Debian's packages, and there is no apt-get";
  const missing = await missingPackages();
  if (missing.length === 0) return undefined;
  const command = `apt-get install ${missing.join(" ")}`;
  if (!values.install) return `run \`${command}\` first, or give --install`;
  // Lists of packages may be old or absent; where they cannot be renewed, the installation says what is wrong.
  apt(["update"]);
  if (apt(["install", "--yes", "--no-install-recommends", ...missing]) !== 0) return `\`${command}\` failed`;
  const still = await missingPackages();
  return still.length === 0 ? undefined : `still missing after installation: ${still.join(", ")}`;
}

async function missingPackages(): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, program] of Object.entries(PACKAGES)) if (!(await searchPath(program, env))) missing.push(name);
  return missing;
}

function apt(words: string[]): number | null {
  const options = { stdio: "inherit", timeout: INSTALL_LIMIT_MS } as const;
  return spawnSync("apt-get", ["--quiet", "--quiet", ...words], {
    ...options,
    env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
  }).status;
}

/** Everything that was made on the way goes afterwards, unless the developer keeps it in a place of their own. */
function runTests(): number {
  const kept = env.PACKAGING_CACHE;
  const cache = kept ?? mkdtempSync(join(tmpdir(), "neon-local-packaging-"));
  try {
    const { status } = spawnSync("node_modules/.bin/vitest", ["run", "--project", "packaging", ...positionals], {
      stdio: "inherit",
      env: { ...env, PACKAGING_CACHE: cache },
    });
    return status ?? 1;
  } finally {
    // What lies there may still be mounted when a run was broken off; then it says so and stays.
    if (kept === undefined) rmSync(cache, { recursive: true, force: true });
  }
}
