import { randomBytes } from "node:crypto";
import { access, readFile, rename } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, type Gzip } from "node:zlib";
import { execa } from "execa";
import { installation, templateCluster } from "./postgres.ts";

/**
 * A base backup from which Postgres starts, as a gzip'ed tar: a cluster that was shut down, made once a run. Like a
 * pageserver's it has no `standby.signal`; unlike one it has a `postgresql.conf`.
 *
 * @param first tar members that come before the cluster's own
 */
export async function realBaseBackup(first: Buffer = Buffer.alloc(0), major = 17): Promise<Buffer> {
  const cluster = await templateCluster(installation(major));
  const cached = `${cluster}.tar`;
  const there = await access(cached).then(
    () => true,
    () => false,
  );
  if (!there) {
    const fresh = `${cached}.${randomBytes(4).toString("hex")}`;
    await execa("tar", ["-C", cluster, "-cf", fresh, "."]);
    await rename(fresh, cached);
  }
  const packed: Buffer[] = [];
  const gzip: Gzip = createGzip({ level: 1 });
  gzip.on("data", (chunk: Buffer) => packed.push(chunk));
  await pipeline(Readable.from([first, await readFile(cached)]), gzip);
  return Buffer.concat(packed);
}
