// A service for the supervisor's tests: starts one child and waits to be killed.
import { LogFile } from "../../../src/local/log_file.ts";
import { spawnChild } from "../../../src/local/spawn_child.ts";

const [, , file, log] = process.argv;
const child = new URL("child.mjs", import.meta.url).pathname;
await spawnChild({
  program: process.execPath,
  argv: [child, "run", file],
  env: process.env,
  cwd: "/",
  output: new LogFile(log).fd,
});
setInterval(() => undefined, 60_000);
