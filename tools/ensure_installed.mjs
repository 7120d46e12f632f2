// Runs before `npm start` and `npm test`, possibly on an old Node and before anything is installed:
// plain JavaScript, nothing but Node itself. Installs unless this very lock file is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lock = join(root, "package-lock.json");
const installed = join(root, "node_modules", ".package-lock.json");
const pinnedNode = join(root, "node_modules", ".bin", "node");
// Times alone lie after a checkout; npm alone leaves no trace of which lock file it was.
const mark = join(root, "node_modules", ".lock-sha256");
const hash = createHash("sha256").update(readFileSync(lock)).digest("hex");

const isMarked = existsSync(mark) && readFileSync(mark, "utf8") === hash;
const isNewer = existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
if (!existsSync(pinnedNode) || !(isMarked || isNewer)) {
  process.stderr.write("installing dependencies (npm ci) …\n");
  const result = spawnSync("npm", ["ci", "--loglevel=error"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) {
    process.stderr.write("npm ci failed: see above\n");
    process.exit(result.status ?? 1);
  }
}
if (!isMarked) writeFileSync(mark, hash);
