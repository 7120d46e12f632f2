// Runs before `npm start` and `npm test`, possibly on an old Node and before anything is installed:
// plain JavaScript, nothing but Node itself. Installs when the lock file is newer than what is installed.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const installed = join(root, "node_modules", ".package-lock.json");
const wanted = join(root, "package-lock.json");
const pinnedNode = join(root, "node_modules", ".bin", "node");

const current =
  existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs && existsSync(pinnedNode);
if (!current) {
  process.stderr.write("installing dependencies (npm ci) …\n");
  const result = spawnSync("npm", ["ci", "--loglevel=error"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) {
    process.stderr.write("npm ci failed: see above\n");
    process.exit(result.status ?? 1);
  }
}
