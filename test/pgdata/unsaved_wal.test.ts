import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forgetUnsavedWal, readUnsavedWal, unsavedWalPath, writeUnsavedWal } from "../../src/pgdata/unsaved_wal.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

test("is written beside the data directory, read back and forgotten; what cannot be read is no reason to go on", async () => {
  await using directory = await temporaryDirectory();
  const pgdata = join(directory.path, "pgdata");
  expect(await readUnsavedWal(pgdata)).toBe(undefined);
  const unsaved = {
    tenantId: "1".repeat(32),
    timelineId: "2".repeat(32),
    startLsn: 0x1500000n,
    terms: [5n, 2n ** 60n],
  };
  await writeUnsavedWal(pgdata, unsaved);
  expect(await readUnsavedWal(pgdata)).toEqual(unsaved);
  await forgetUnsavedWal(pgdata);
  expect(await readUnsavedWal(pgdata)).toBe(undefined);
  for (const text of ["", "{}", '{"terms":["x"]}']) {
    await writeFile(unsavedWalPath(pgdata), text);
    await expect(readUnsavedWal(pgdata)).rejects.toMatchObject({ code: "unsaved_wal" });
  }
  await rm(unsavedWalPath(pgdata));
});
