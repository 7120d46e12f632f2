import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { readProcess } from "../../src/pgdata/read_process.ts";
import { scratchDirectory } from "./scratch.ts";

describe("looking a process up", () => {
  test("ourselves and nobody", async () => {
    expect(await readProcess(process.pid)).toMatchObject({ isZombie: false });
    expect(await readProcess(2 ** 30)).toBeUndefined();
  });

  test.runIf(process.platform === "linux")("name, working directory, zombies", async () => {
    const directory = await scratchDirectory();
    // The shell's child dies, and the program that takes the shell's place never waits for it.
    const child = spawn("sh", ["-c", "sh -c 'echo $$' & exec sleep 60"], {
      cwd: directory,
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const zombie = Number(line.toString());
      await expect.poll(async () => (await readProcess(zombie))?.isZombie).toBe(true);
      const { dev, ino } = await stat(directory, { bigint: true });
      await expect.poll(async () => (await readProcess(child.pid ?? 0))?.name).toBe("sleep");
      expect(await readProcess(child.pid ?? 0)).toMatchObject({ isZombie: false, workingDirectory: { dev, ino } });
    } finally {
      child.kill("SIGKILL");
      await once(child, "close");
    }
  });
});
