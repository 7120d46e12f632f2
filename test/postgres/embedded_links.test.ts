import { chmod, mkdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ensureLibraryLinks } from "../../src/postgres/embedded_links.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

async function nativeDirectory(root: string): Promise<string> {
  const native = join(root, "native");
  await mkdir(join(native, "lib"), { recursive: true });
  await writeFile(join(native, "lib", "libpq.so.5.17"), "the library");
  const list = [
    { source: "native/lib/libpq.so.5.17", target: "native/lib/libpq.so.5" },
    { source: "native/lib/libpq.so.5.17", target: "native/lib/libpq.so" },
    { source: "native/lib/libpq.so.5.17", target: "native/../../escape" },
  ];
  await writeFile(join(native, "pg-symlinks.json"), JSON.stringify(list));
  return native;
}

test("makes missing links, relative, inside the directory only, however often and by how many at once", async () => {
  await using directory = await temporaryDirectory();
  const native = await nativeDirectory(directory.path);
  await symlink("libpq.so.5.17", join(native, "lib", "libpq.so"));
  await Promise.all([1, 2, 3, 4].map(() => ensureLibraryLinks(native)));
  await ensureLibraryLinks(native);
  expect(await readlink(join(native, "lib", "libpq.so.5"))).toBe("libpq.so.5.17");
  expect(await readFile(join(native, "lib", "libpq.so"), "utf8")).toBe("the library");
  await expect(readlink(join(directory.path, "..", "escape"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("without a list there is nothing to do", async () => {
  await using directory = await temporaryDirectory();
  await ensureLibraryLinks(directory.path);
});

test.skipIf(process.geteuid?.() === 0)(
  "a directory that cannot be written is an error that says what to do",
  async () => {
    await using directory = await temporaryDirectory();
    const native = await nativeDirectory(directory.path);
    await chmod(join(native, "lib"), 0o555);
    await expect(ensureLibraryLinks(native)).rejects.toMatchObject({ code: "postgres_links_missing" });
    await chmod(join(native, "lib"), 0o755);
  },
);
