import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withLine } from "../../src/pgdata/append_line.ts";
import { PASSWORD_RULE, updatePgHba, updatePgIdent, withPasswordRule } from "../../src/pgdata/auth_files.ts";
import {
  adoptCandidateConf,
  appendSubscribersEnabled,
  discardCandidateConf,
  writeCandidateConf,
  writePostgresqlConf,
} from "../../src/pgdata/conf_file.ts";
import { copyDatabricksTls } from "../../src/pgdata/databricks_tls.ts";
import {
  linkSharedMemory,
  needsFileBackedSharedMemory,
  readOvercommitMemory,
  removeSharedMemory,
  sharedMemoryDirectory,
} from "../../src/pgdata/dynshmem.ts";
import { clearOverride, writeOverride } from "../../src/pgdata/override.ts";
import { ensureNeonSignal, ensureStandbySignal } from "../../src/pgdata/signal_files.ts";
import { scratchDirectory } from "./scratch.ts";

const read = (...path: string[]): Promise<string> => readFile(join(...path), "utf8");

describe("the append rule", () => {
  test.each([
    ["", "x", "x"],
    ["a", "x", "a\nx"],
    ["a\n", "x", "a\n\nx"],
    ["x\na", "x", "x\na"],
    ["a\r\nx\r\n", "x", "a\r\nx\r\n"],
    [" x", "x", " x\nx"],
  ])("%j + %j", (text, line, expected) => {
    expect(withLine(text, line)).toBe(expected);
    expect(withLine(expected, line)).toBe(expected);
  });
});

describe("postgresql.conf and its override", () => {
  test("is replaced whole, and may be tried beside the one in force", async () => {
    const pgdata = await scratchDirectory();
    await writePostgresqlConf(pgdata, "a = 1\n", undefined);
    expect((await stat(join(pgdata, "postgresql.conf"))).mode & 0o777).toBe(0o600);
    const candidate = await writeCandidateConf(pgdata, "a = 2\n", undefined);
    expect([await read(pgdata, "postgresql.conf"), await read(candidate)]).toEqual(["a = 1\n", "a = 2\n"]);
    await adoptCandidateConf(pgdata);
    expect(await read(pgdata, "postgresql.conf")).toBe("a = 2\n");
    await writeCandidateConf(pgdata, "a = 3\n", undefined);
    await discardCandidateConf(pgdata);
    expect(await readdir(pgdata)).toEqual(["postgresql.conf"]);
  });

  test("subscribers are let loose by one last line, once", async () => {
    const pgdata = await scratchDirectory();
    await writePostgresqlConf(pgdata, "neon.disable_logical_replication_subscribers=true\n", undefined);
    expect(await appendSubscribersEnabled(pgdata)).toBe(true);
    expect(await appendSubscribersEnabled(pgdata)).toBe(false);
    expect(await read(pgdata, "postgresql.conf")).toBe(
      "neon.disable_logical_replication_subscribers=true\n\nneon.disable_logical_replication_subscribers=false",
    );
  });

  test("the override lifts the size limit and is emptied", async () => {
    const pgdata = await scratchDirectory();
    await writeOverride(pgdata, undefined);
    expect(await read(pgdata, "compute_ctl_temp_override.conf")).toBe("neon.max_cluster_size=-1");
    await clearOverride(pgdata, undefined);
    expect(await read(pgdata, "compute_ctl_temp_override.conf")).toBe("");
  });
});

describe("pg_hba.conf and pg_ident.conf", () => {
  test("postgres-config.md case 18: the password rule is the last line, exactly once", async () => {
    const pgdata = await scratchDirectory();
    const path = join(pgdata, "pg_hba.conf");
    await writeFile(path, "local all all trust\n", { mode: 0o640 });
    await chmod(path, 0o640);
    expect(await updatePgHba(pgdata, null)).toBe(true);
    expect(await updatePgHba(pgdata, null)).toBe(false);
    expect(await read(path)).toBe("local all all trust\n\nhost\tall\t\tall\t\tall\t\tmd5");
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  test("a missing file is an error", async () => {
    await expect(updatePgHba(await scratchDirectory(), null)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("an include stands before the password rule, once, however often", () => {
    const include = "/etc/databricks/pg hba.conf";
    const line = `include_if_exists "${include}"`;
    const expected = `a\n${line}\n${PASSWORD_RULE}`;
    expect(withPasswordRule("a", include)).toBe(expected);
    expect(withPasswordRule(expected, include)).toBe(expected);
    expect(withPasswordRule(`a\n${PASSWORD_RULE}`, include)).toBe(expected);
    expect(withPasswordRule(`a\n${line}`, include)).toBe(expected);
  });

  test("an empty pg_ident.conf takes the include as its only line", async () => {
    const pgdata = await scratchDirectory();
    await writeFile(join(pgdata, "pg_ident.conf"), "");
    expect(await updatePgIdent(pgdata, "/etc/ident.conf")).toBe(true);
    expect(await updatePgIdent(pgdata, "/etc/ident.conf")).toBe(false);
    expect(await read(pgdata, "pg_ident.conf")).toBe("include_if_exists /etc/ident.conf");
  });
});

describe("signal files", () => {
  test("postgres-config.md case 17: zenith.signal alone is copied to neon.signal", async () => {
    const pgdata = await scratchDirectory();
    expect(await ensureNeonSignal(pgdata, undefined)).toBe(false);
    await writeFile(join(pgdata, "zenith.signal"), "PREV LSN: 0/169AD58");
    expect(await ensureNeonSignal(pgdata, undefined)).toBe(true);
    expect(await read(pgdata, "neon.signal")).toBe("PREV LSN: 0/169AD58");
    await writeFile(join(pgdata, "neon.signal"), "PREV LSN: none");
    expect(await ensureNeonSignal(pgdata, undefined)).toBe(false);
    expect(await read(pgdata, "neon.signal")).toBe("PREV LSN: none");
  });

  test("postgres-config.md case 8: standby.signal exists and is empty; an existing one is kept", async () => {
    const pgdata = await scratchDirectory();
    await ensureStandbySignal(pgdata, undefined);
    expect(await read(pgdata, "standby.signal")).toBe("");
    await writeFile(join(pgdata, "standby.signal"), "mine");
    await ensureStandbySignal(pgdata, undefined);
    expect(await read(pgdata, "standby.signal")).toBe("mine");
  });
});

describe("shared memory in files", () => {
  test("postgres-config.md case 11: only where Linux does not overcommit", async () => {
    expect(needsFileBackedSharedMemory("linux", " 2\n")).toBe(true);
    expect(needsFileBackedSharedMemory("linux", "0\n")).toBe(false);
    expect(needsFileBackedSharedMemory("linux", null)).toBe(false);
    expect(needsFileBackedSharedMemory("darwin", "2")).toBe(false);
    expect(await readOvercommitMemory(join(await scratchDirectory(), "none"))).toBeNull();
  });

  test("postgres-config.md case 19: every PGDATA has a directory of its own", async () => {
    const [pgdata, other, tmpfs] = [await scratchDirectory(), await scratchDirectory(), await scratchDirectory()];
    await mkdir(join(pgdata, "pg_dynshmem"));
    await linkSharedMemory(pgdata, undefined, tmpfs);
    const directory = await readlink(join(pgdata, "pg_dynshmem"));
    expect(directory).toBe(sharedMemoryDirectory(`${pgdata}/`, tmpfs));
    expect(directory).not.toBe(sharedMemoryDirectory(other, tmpfs));
    expect((await stat(directory)).mode & 0o777).toBe(0o700);

    // A crashed compute's segments go, and so does the directory at the end.
    await writeFile(join(directory, "mmap.1"), "");
    await linkSharedMemory(pgdata, undefined, tmpfs);
    expect(await readdir(directory)).toEqual([]);
    await removeSharedMemory(pgdata, tmpfs);
    await removeSharedMemory(pgdata, tmpfs);
    expect(await readdir(tmpfs)).toEqual([]);
    expect((await lstat(join(pgdata, "pg_dynshmem"))).isSymbolicLink()).toBe(true);
  });

  test("an incomplete base backup and somebody else's directory are errors", async () => {
    const [pgdata, tmpfs] = [await scratchDirectory(), await scratchDirectory()];
    await expect(linkSharedMemory(pgdata, undefined, tmpfs)).rejects.toMatchObject({ code: "incomplete_basebackup" });
    await mkdir(join(pgdata, "pg_dynshmem"));
    await symlink(pgdata, sharedMemoryDirectory(pgdata, tmpfs));
    await expect(linkSharedMemory(pgdata, undefined, tmpfs)).rejects.toMatchObject({ code: "shared_memory_taken" });
    expect(await readdir(pgdata)).toEqual(["pg_dynshmem"]);
  });
});

describe("TLS files of databricks_settings", () => {
  test("are copied under their own names unless they are there; a missing one is an error", async () => {
    const [pgdata, source] = [await scratchDirectory(), await scratchDirectory()];
    const files = { certFile: join(source, "c.crt"), keyFile: join(source, "k.key") };
    await writeFile(files.certFile, "cert");
    await expect(copyDatabricksTls(pgdata, files, undefined)).rejects.toMatchObject({
      code: "databricks_tls_unreadable",
    });
    await writeFile(files.keyFile, "key", { mode: 0o644 });
    await writeFile(join(pgdata, "c.crt"), "older");
    await copyDatabricksTls(pgdata, files, undefined);
    expect([await read(pgdata, "c.crt"), await read(pgdata, "k.key")]).toEqual(["older", "key"]);
    expect((await stat(join(pgdata, "k.key"))).mode & 0o777).toBe(0o600);
  });
});
