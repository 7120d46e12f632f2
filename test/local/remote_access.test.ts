import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { remoteAccess } from "../../src/local/remote_access.ts";
import { matchesScramVerifier } from "../../src/wire/scram_verifier.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

async function passwordFile(): Promise<string> {
  const temporary = await temporaryDirectory();
  onTestFinished(() => temporary[Symbol.asyncDispose]());
  return join(temporary.path, "password");
}

test("on loopback nobody needs a password, and none is made", async () => {
  const file = await passwordFile();
  for (const [host, listenAddresses] of [
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "127.0.0.1,::1"],
  ] as const)
    for (const env of [{}, { NEON_LOCAL_PASSWORD: "", NEON_LOCAL_PASSWORD_FILE: "" }])
      expect(await remoteAccess({ host, passwordFile: file, env })).toEqual({ listenAddresses });
  await expect(stat(file)).rejects.toThrow("ENOENT");
});

test.each([
  ["0.0.0.0", "0.0.0.0"],
  ["*", "*"],
  ["::", "*"],
  ["192.0.2.1", "127.0.0.1,192.0.2.1"],
])("on %s a password is made once, for nobody else to read", async (host, listenAddresses) => {
  const file = await passwordFile();
  const first = await remoteAccess({ host, passwordFile: file, env: {} });
  const password = (await readFile(file, "utf8")).trim();
  expect(password).toMatch(/^[\w-]{24}$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(first).toMatchObject({ listenAddresses, passwordHint: `in ${file}` });
  const second = await remoteAccess({ host, passwordFile: file, env: {} });
  for (const { passwordVerifier } of [first, second])
    expect(matchesScramVerifier(password, passwordVerifier ?? "")).toBe(true);
});

test("a password that is given counts everywhere, and is not written down", async () => {
  const file = await passwordFile();
  const given = `${file}.given`;
  await writeFile(given, "s3cret\r\nand a comment\n");
  for (const env of [{ NEON_LOCAL_PASSWORD: "s3cret" }, { NEON_LOCAL_PASSWORD_FILE: given }]) {
    const { passwordVerifier = "" } = await remoteAccess({ host: "127.0.0.1", passwordFile: file, env });
    expect(matchesScramVerifier("s3cret", passwordVerifier)).toBe(true);
  }
  await expect(stat(file)).rejects.toThrow("ENOENT");
});

test.each([
  ["a name", "db.example", {}, "db.example is no address to listen on"],
  ["two passwords", "*", { NEON_LOCAL_PASSWORD: "a", NEON_LOCAL_PASSWORD_FILE: "/b" }, "both set"],
  ["an empty password", "*", { NEON_LOCAL_PASSWORD_FILE: "/dev/null" }, "is empty"],
  ["no such file", "*", { NEON_LOCAL_PASSWORD_FILE: "/nonexistent" }, "cannot read the file"],
])("exit 2: %s", async (_what, host, env, text) => {
  const access = remoteAccess({ host, passwordFile: await passwordFile(), env });
  await expect(access).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(text) as string });
});
