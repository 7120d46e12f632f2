import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** Where what takes long to make is kept between test files; `npm run test:packaging` makes and removes it. */
export const CACHE = process.env.PACKAGING_CACHE ?? join(tmpdir(), "neon-local-packaging");

/**
 * A directory with a fresh Debian of this machine's release and its packages' origin, made by debootstrap once a list of
 * packages. To be copied, never changed.
 */
export async function debianRootfs(packages: readonly string[] = []): Promise<string> {
  const key = createHash("sha256").update(packages.join()).digest("hex").slice(0, 12);
  const directory = join(CACHE, `rootfs-${key}`);
  if (existsSync(directory)) return directory;
  const unfinished = `${directory}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(CACHE, { recursive: true });
  const { mirror, release } = await origin();
  const include = ["ca-certificates", ...packages].join();
  await execa("debootstrap", ["--variant=minbase", `--include=${include}`, release, unfinished, mirror]);
  // A registry's certificate may be one that only this machine knows.
  await execa("cp", ["-L", "/etc/ssl/certs/ca-certificates.crt", join(unfinished, "etc/ssl/certs/")]);
  await rename(unfinished, directory);
  return directory;
}

/** Where this machine's packages come from. */
async function origin(): Promise<{ mirror: string; release: string }> {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile("/etc/os-release", "utf8"))?.[1];
  const format = ["--format", "$(REPO_URI) $(RELEASE)"];
  const { stdout } = await execa("apt-get", ["indextargets", ...format, "Created-By: Packages"]);
  const mirror = stdout.split("\n").find((line) => release !== undefined && line.endsWith(` ${release}`));
  if (release === undefined || mirror === undefined) throw new Error(`apt-get knows no origin of Debian ${release}`);
  return { mirror: mirror.split(" ", 1)[0] ?? "", release };
}
