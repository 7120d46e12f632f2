// A child for the supervisor's tests: says that it is there, then does what it was told.
import { writeFileSync } from "node:fs";
import { Socket } from "node:net";

const [, , mode, file] = process.argv;
console.log(`started ${process.pid} as ${mode}`);
if (mode === "exit") {
  console.log("last words");
  process.exit(3);
}
if (mode === "stubborn")
  for (const signal of ["SIGTERM", "SIGQUIT"]) process.on(signal, () => console.log(`ignored ${signal}`));
else process.on("SIGTERM", () => process.exit(0));
// As compute_ctl does it: the end of the pipe is the end of the service.
const pipe = new Socket({ fd: Number(process.env.NEON_LOCAL_SUPERVISOR_FD), readable: true, writable: false });
pipe.on("close", () => process.exit(1)).resume();
if (file) writeFileSync(file, String(process.pid));
setInterval(() => undefined, 60_000);
