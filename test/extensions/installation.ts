import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ExtensionDirectories } from "../../src/extensions/staged_archive.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temp_directory.ts";

export interface ScratchInstallation extends ExtensionDirectories, TemporaryDirectory {
  /** Relative paths of everything in it, sorted. */
  readonly list: () => Promise<string[]>;
}

/** Empty directories where extensions would go. */
export async function scratchInstallation(): Promise<ScratchInstallation> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await mkdir(join(path, "share", "extension"), { recursive: true });
  await mkdir(join(path, "lib"));
  return {
    path,
    sharedir: join(path, "share"),
    pkglibdir: join(path, "lib"),
    list: async () =>
      (await readdir(path, { recursive: true })).filter((name) => !/^(share|lib|share\/extension)$/.test(name)).sort(),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
