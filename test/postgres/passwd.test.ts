import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findUser, parsePasswd } from "../../src/postgres/passwd.ts";
import { choosePostgresUser, describeRunAs } from "../../src/postgres/run_as.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const TEXT =
  "root:x:0:0:root:/root:/bin/sh\nbad line\nnobody:x:65534:65533:nobody::/x\npg:x:70:71:Postgres:/var/pg:/bin/sh\n";
const env = process.env;

test("lines become users, anything else is skipped", () => {
  expect(parsePasswd(TEXT)).toEqual([
    { name: "root", uid: 0, gid: 0, home: "/root" },
    { name: "nobody", uid: 65534, gid: 65533, home: "/" },
    { name: "pg", uid: 70, gid: 71, home: "/var/pg" },
  ]);
});

test("whoever is not root runs Postgres alone", async () => {
  expect(await choosePostgresUser({ uid: 1000, name: "pg", env })).toBeUndefined();
});

test("root: the named user, else the owner of the directory, else postgres, else nobody", async () => {
  await using directory = await temporaryDirectory();
  const passwdFile = join(directory.path, "passwd");
  await writeFile(passwdFile, TEXT);
  const choose = (more: { name?: string; directory?: string }) =>
    choosePostgresUser({ uid: 0, env, passwdFile, ...more });
  expect(await choose({ name: "pg" })).toMatchObject({ uid: 70, gid: 71 });
  expect(await choose({})).toMatchObject({ name: "nobody" });
  expect(await choose({ directory: join(directory.path, "missing") })).toMatchObject({ name: "nobody" });
  await expect(choose({ name: "who" })).rejects.toMatchObject({ code: "no_postgres_user" });
  await expect(choose({ name: "root" })).rejects.toThrow(/refuses to run as root/);
  await writeFile(passwdFile, `${TEXT}postgres:x:26:27:P:/var/lib/pgsql:/bin/sh\n`);
  const user = await choose({});
  expect(user).toMatchObject({ uid: 26, home: "/var/lib/pgsql" });
  expect(user && describeRunAs(user)).toBe("running as root: Postgres programs run as user postgres");
});

test.skipIf(process.geteuid?.() !== 0)("root: an owner without a name is taken by number", async () => {
  await using directory = await temporaryDirectory({ owner: { uid: 23456, gid: 23457 } });
  expect(await choosePostgresUser({ uid: 0, env, directory: directory.path })).toEqual({
    uid: 23456,
    gid: 23457,
    name: "23456",
    home: "/",
  });
});

test("this machine's users are found by name and number, unknown ones are not", async () => {
  expect(await findUser("root", { env })).toMatchObject({ uid: 0 });
  expect(await findUser(0, { env })).toMatchObject({ name: "root" });
  expect(await findUser("--help", { env })).toBeUndefined();
  expect(await findUser("no-such-user-here", { env })).toBeUndefined();
});
