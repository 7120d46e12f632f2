import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** Where what takes long to make is kept between test files; `npm run test:packaging` makes and removes it. */
export const CACHE = process.env.PACKAGING_CACHE ?? join(tmpdir(), "neon-local-packaging");

/** Where a distribution's packages come from. */
interface AptSource {
  readonly mirror: string;
  readonly suite: string;
}

/**
 * A root directory with a minimal Debian (or what this machine runs) and those packages, made by debootstrap: half a minute
 * the first time, then kept. Nobody may write into it: put an overlay over it, or copy it.
 *
 * @param extra packages beside those of a minimal system
 */
export async function debianRootfs(extra: readonly string[]): Promise<string> {
  const source = await hostAptSource();
  const cache = join(CACHE, "rootfs");
  const packages = [...extra].sort().join(",");
  const key = createHash("sha256").update(packages).digest("hex").slice(0, 12);
  const finished = join(cache, `${source.suite}-${key}`);
  if (await stat(finished).catch(() => undefined)) return finished;
  await mkdir(cache, { recursive: true });
  // Half of one is never found: it gets its name when it is whole.
  const fresh = await mkdtemp(join(cache, "fresh-"));
  try {
    const flags = ["--variant=minbase", ...(packages === "" ? [] : [`--include=${packages}`])];
    await execa("debootstrap", [...flags, source.suite, fresh, source.mirror], {
      env: await aptProxy(),
      stdin: "ignore",
      all: true,
    });
    await execa("chmod", ["0755", fresh]);
    await rename(fresh, finished).catch(async (error: unknown) => {
      // Another run may have been faster.
      if (!(await stat(finished).catch(() => undefined))) throw error;
    });
    return finished;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** The first archive of packages that this machine's apt knows; both forms of `sources.list(5)`. */
async function hostAptSource(directory = "/etc/apt"): Promise<AptSource> {
  const parts = join(directory, "sources.list.d");
  const names = (await readdir(parts).catch(() => [])).sort().map((name) => join(parts, name));
  for (const file of [join(directory, "sources.list"), ...names]) {
    const source = parseAptSource(await readFile(file, "utf8").catch(() => ""));
    if (source !== undefined) return source;
  }
  throw new Error(`there is no archive of packages in ${directory}`);
}

/** Reads `deb [options] URI suite ...` lines and `URIs:`/`Suites:` stanzas; undefined when there is neither. */
export function parseAptSource(text: string): AptSource | undefined {
  const line = /^deb\s+(?:\[[^\]]*\]\s+)?(?<mirror>https?:\/\/\S+)\s+(?<suite>[\w.-]+)\s/m.exec(text)?.groups;
  if (line) return { mirror: line.mirror ?? "", suite: line.suite ?? "" };
  const mirror = /^URIs:\s*(https?:\/\/\S+)/im.exec(text)?.[1];
  const suite = /^Suites:\s*([\w.-]+)/im.exec(text)?.[1];
  return mirror === undefined || suite === undefined ? undefined : { mirror, suite };
}

/** apt's own proxy, which debootstrap does not know of. */
async function aptProxy(): Promise<Record<string, string>> {
  const { stdout } = await execa("apt-config", ["shell", "PROXY", "Acquire::http::Proxy"], { reject: false });
  const proxy = /^PROXY='(.*)'$/m.exec(stdout ?? "")?.[1];
  return proxy ? { http_proxy: proxy } : {};
}
