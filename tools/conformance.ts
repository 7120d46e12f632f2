/**
 * Runs the black-box conformance tests against a `compute_ctl` by path:
 * `npm run conformance -- [--against PATH]`; without a path against our own build.
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { against: { type: "string" } } });
const program = resolve(values.against ?? "dist/compute_ctl.js");
const { status } = spawnSync("node_modules/.bin/vitest", ["run", "test/conformance"], {
  stdio: "inherit",
  env: { ...process.env, COMPUTE_CTL: program },
});
process.exit(status ?? 1);
