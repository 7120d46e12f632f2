import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { availableLibraries, inspectInstallation, parseVersion } from "../../src/postgres/installation.ts";
import { forEachMajor, installation } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const env = process.env;

async function fakeServer(directory: string, version: string): Promise<string> {
  await mkdir(join(directory, "bin"), { recursive: true });
  const postgres = join(directory, "bin", "postgres");
  await writeFile(postgres, `#!/bin/sh\necho '${version}'\n`);
  await chmod(postgres, 0o755);
  return postgres;
}

test.each([
  ["postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", { version: "15.18", major: 15 }],
  ["postgres (PostgreSQL) 18beta1\n", { version: "18beta1", major: 18 }],
  ["postgres (PostgreSQL) 9.6.24\n", { version: "9.6.24", major: 9 }],
  ["PostgreSQL\n", undefined],
])("%j is version %j", (output, expected) => {
  expect(parseVersion(output)).toEqual(expected);
});

forEachMajor("a real server is stock, with its directories and a build that names its ICU", async (server) => {
  const seen = await inspectInstallation(server.postgres, { env });
  expect(seen).toEqual(server);
  expect(seen.kind).toBe("stock");
  expect(seen.buildId).toMatch(/^\d+\.\d+\+icu\d+(\+lz4)?(\+zstd)?$/);
  expect(await availableLibraries(seen)).toContain("plpgsql");
});

test("a bare name is looked up through PATH, links are followed", async () => {
  await using directory = await temporaryDirectory();
  await symlink(installation(17).postgres, join(directory.path, "postgres"));
  const seen = await inspectInstallation("postgres", { env: { PATH: `/nowhere:${directory.path}` } });
  expect(seen).toEqual(installation(17));
});

test("neon.so in the library directory makes it Neon's server", async () => {
  await using directory = await temporaryDirectory();
  const postgres = await fakeServer(directory.path, "postgres (PostgreSQL) 16.9");
  await mkdir(join(directory.path, "lib"));
  await writeFile(join(directory.path, "lib", "neon.so"), "");
  const seen = await inspectInstallation(postgres, { env });
  expect(seen).toMatchObject({ kind: "neon", major: 16, buildId: "16.9+neon", pkglibdir: join(directory.path, "lib") });
  expect(await availableLibraries(seen)).toEqual(new Set(["neon"]));
});

test("pg_config beside the server answers where the layout does not", async () => {
  await using directory = await temporaryDirectory();
  const postgres = await fakeServer(directory.path, "postgres (PostgreSQL) 16.9");
  const libraries = join(directory.path, "elsewhere");
  await writeFile(join(directory.path, "bin", "pg_config"), `#!/bin/sh\necho '${libraries}'\n`, { mode: 0o755 });
  expect(await inspectInstallation(postgres, { env })).toMatchObject({ pkglibdir: libraries, kind: "stock" });
});

test("another major, a program that is no server, a missing program: clean errors with exit 1", async () => {
  await using directory = await temporaryDirectory();
  const old = await fakeServer(join(directory.path, "old"), "postgres (PostgreSQL) 13.4");
  await expect(inspectInstallation(old, { env })).rejects.toMatchObject({ code: "postgres_unsupported", exitCode: 1 });
  await expect(inspectInstallation("/bin/true", { env })).rejects.toMatchObject({ code: "postgres_unusable" });
  await expect(inspectInstallation("/bin/false", { env })).rejects.toMatchObject({ code: "postgres_unusable" });
  await expect(inspectInstallation("/nowhere/postgres", { env })).rejects.toMatchObject({ exitCode: 1 });
  await expect(inspectInstallation("postgres", { env: { PATH: directory.path } })).rejects.toThrow(/PATH/);
});
