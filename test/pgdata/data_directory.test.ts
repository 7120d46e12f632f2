import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ClaimOptions, claimDirectory, OWN_MARKER, removeStale } from "../../src/pgdata/data_directory.ts";
import { scratchDirectory } from "./scratch.ts";

const NOTHING_RUNS: ClaimOptions = { readProcess: () => Promise.resolve(undefined) };

/** Fills a directory with the files of a cluster, and some that never belonged there. */
async function fill(pgdata: string): Promise<void> {
  const files = [
    "PG_VERSION",
    "postmaster.pid",
    "backup_label",
    "standby.signal",
    "postgresql.auto.conf",
    "postgresql.conf",
    "global/pg_control",
    "base/5/1259",
    "pg_wal/000000010000000000000001",
    "pg_wal/archive_status/x.ready",
    "core.123",
  ];
  for (const file of files) {
    await mkdir(join(pgdata, file, ".."), { recursive: true });
    await writeFile(join(pgdata, file), "old");
  }
}

async function everythingIn(path: string): Promise<string[]> {
  return (await readdir(path, { recursive: true })).sort();
}

describe("claiming a data directory", () => {
  test("postgres-config.md case 15: of a full PGDATA nothing is left, and its mode is 0700", async () => {
    const pgdata = join(await scratchDirectory(), "pgdata");
    const outside = await scratchDirectory();
    await writeFile(join(outside, "precious"), "");
    await mkdir(pgdata, { mode: 0o755 });
    await fill(pgdata);
    await symlink(outside, join(pgdata, "pg_dynshmem"));
    const before = await stat(pgdata);

    await claimDirectory(pgdata, NOTHING_RUNS);
    const claimed = await everythingIn(pgdata);
    for (const name of ["PG_VERSION", "postmaster.pid", "backup_label", "standby.signal", "postgresql.auto.conf"]) {
      expect(claimed).not.toContain(name);
    }
    expect(claimed).not.toContain("global/pg_control");
    expect(claimed).toContain("base/5/1259");

    await writeFile(join(pgdata, "postgresql.conf"), "new");
    await removeStale(pgdata, new Set(["postgresql.conf"]));
    expect(await everythingIn(pgdata)).toEqual([OWN_MARKER, "postgresql.conf"]);
    expect(await readFile(join(pgdata, "postgresql.conf"), "utf8")).toBe("new");
    const after = await stat(pgdata);
    expect(after.mode & 0o777).toBe(0o700);
    expect(after.ino).toBe(before.ino);
    expect(await everythingIn(outside)).toEqual(["precious"]);
  });

  test("postgres-config.md case 16: a missing parent is an error and nothing is created", async () => {
    const root = await scratchDirectory();
    await expect(claimDirectory(join(root, "no/pgdata"), NOTHING_RUNS)).rejects.toMatchObject({
      code: "pgdata_parent_missing",
      message: expect.stringContaining("create it first"),
    });
    expect(await everythingIn(root)).toEqual([]);
    await writeFile(join(root, "file"), "");
    await expect(claimDirectory(join(root, "file/pgdata"), NOTHING_RUNS)).rejects.toMatchObject({
      code: "pgdata_parent_missing",
    });
  });

  test("a directory that is not there is made", async () => {
    const pgdata = join(await scratchDirectory(), "pgdata");
    await claimDirectory(`${pgdata}/`, NOTHING_RUNS);
    expect((await stat(pgdata)).mode & 0o777).toBe(0o700);
    await removeStale(pgdata, new Set());
    expect(await everythingIn(pgdata)).toEqual([OWN_MARKER]);
  });

  test("what is not ours is refused and stays", async () => {
    const root = await scratchDirectory();
    await writeFile(join(root, "thesis.txt"), "");
    await chmod(root, 0o755);
    await expect(claimDirectory(root, NOTHING_RUNS)).rejects.toMatchObject({ code: "pgdata_refused" });
    await expect(claimDirectory(join(root, "thesis.txt"), NOTHING_RUNS)).rejects.toMatchObject({
      code: "pgdata_refused",
    });
    await expect(claimDirectory("/", NOTHING_RUNS)).rejects.toMatchObject({ code: "pgdata_refused" });
    expect(await everythingIn(root)).toEqual(["thesis.txt"]);
    expect((await stat(root)).mode & 0o777).toBe(0o755);
  });

  test("the home directory is refused by whatever name", async () => {
    const root = await scratchDirectory();
    const home = join(root, "home");
    await mkdir(home);
    await symlink(root, join(root, "link"));
    for (const path of [home, `${home}/`, join(root, "link/home")]) {
      await expect(claimDirectory(path, { ...NOTHING_RUNS, home })).rejects.toMatchObject({ code: "pgdata_refused" });
    }
  });

  test("a fresh mount point and a lone override file count as empty", async () => {
    const pgdata = await scratchDirectory();
    await mkdir(join(pgdata, "lost+found"));
    await writeFile(join(pgdata, "compute_ctl_temp_override.conf"), "");
    await claimDirectory(pgdata, NOTHING_RUNS);
    await removeStale(pgdata, new Set());
    expect(await everythingIn(pgdata)).toEqual([OWN_MARKER, "lost+found"]);
  });

  test("a directory that we had begun to prepare is taken again", async () => {
    const pgdata = await scratchDirectory();
    await claimDirectory(pgdata, NOTHING_RUNS);
    await mkdir(join(pgdata, "base"));
    await claimDirectory(pgdata, NOTHING_RUNS);
    expect(await everythingIn(pgdata)).toEqual(["base", OWN_MARKER]);
  });

  test("a symlink is replaced by a directory, its target stays", async () => {
    const root = await scratchDirectory();
    const target = await scratchDirectory();
    await writeFile(join(target, "precious"), "");
    for (const to of [target, join(root, "nowhere")]) {
      const pgdata = join(root, `link-${to === target}`);
      await symlink(to, pgdata);
      await claimDirectory(`${pgdata}/`, NOTHING_RUNS);
      expect((await lstat(pgdata)).isDirectory()).toBe(true);
    }
    expect(await everythingIn(target)).toEqual(["precious"]);
  });

  test("what stands in the place of our names is removed, never followed", async () => {
    const pgdata = await scratchDirectory();
    const outside = await scratchDirectory();
    await writeFile(join(outside, "pg_control"), "precious");
    await writeFile(join(pgdata, "PG_VERSION"), "17");
    await symlink(outside, join(pgdata, "global"));
    await symlink(join(outside, "pg_control"), join(pgdata, OWN_MARKER));
    await mkdir(join(pgdata, "backup_label"));
    await claimDirectory(pgdata, NOTHING_RUNS);
    expect(await readFile(join(outside, "pg_control"), "utf8")).toBe("precious");
    expect(await everythingIn(pgdata)).toEqual([OWN_MARKER]);
    await writeFile(join(pgdata, "global"), "a file");
    await claimDirectory(pgdata, NOTHING_RUNS);
    expect(await everythingIn(pgdata)).toEqual([OWN_MARKER]);
  });

  test("a running server's directory is refused, also through a symlink", async () => {
    const pgdata = await scratchDirectory();
    const link = join(await scratchDirectory(), "link");
    await symlink(pgdata, link);
    await fill(pgdata);
    await writeFile(join(pgdata, "postmaster.pid"), `4711\n${pgdata}\n`);
    const { dev, ino } = await stat(pgdata, { bigint: true });
    const readProcess: ClaimOptions["readProcess"] = (pid) =>
      Promise.resolve(pid === 4711 ? { isZombie: false, name: "postgres", workingDirectory: { dev, ino } } : undefined);
    const before = await everythingIn(pgdata);
    for (const path of [pgdata, link]) {
      await expect(claimDirectory(path, { readProcess })).rejects.toMatchObject({
        code: "pgdata_in_use",
        message: expect.stringContaining("pid 4711"),
      });
    }
    expect(await everythingIn(pgdata)).toEqual(before);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
  });
});

describe("removing what is stale", () => {
  test("keeps what is named and the directories above it", async () => {
    const pgdata = await scratchDirectory();
    await claimDirectory(pgdata, NOTHING_RUNS);
    await fill(pgdata);
    await symlink("nowhere", join(pgdata, "kept_link"));
    const keep = new Set(["./base/5/1259", "pg_wal/", "kept_link", "never/was/there"]);
    await removeStale(pgdata, keep);
    // Another try of the base backup comes here again.
    await writeFile(join(pgdata, "base/5/stale"), "");
    await removeStale(pgdata, keep);
    expect(await everythingIn(pgdata)).toEqual(["base", "base/5", "base/5/1259", OWN_MARKER, "kept_link", "pg_wal"]);
  });

  test("touches only a directory that was claimed", async () => {
    const pgdata = await scratchDirectory();
    await fill(pgdata);
    const before = await everythingIn(pgdata);
    await expect(removeStale(pgdata, new Set())).rejects.toMatchObject({ code: "pgdata_not_claimed" });
    expect(await everythingIn(pgdata)).toEqual(before);
  });
});
