import * as module from "node:module";

// Nothing else is imported before the version is known: what comes later may use what older versions cannot read.
if (Number(process.versions.node.split(".")[0]) < 24) {
  process.stderr.write(
    `neon-local needs Node.js 24 or newer, this is ${process.versions.node}: install it; in a checkout, "npm start" brings its own\n`,
  );
  process.exit(1);
}
if (process.pid === 1) (await import("./supervision/init_process.ts")).runBelowInit(process);
module.enableCompileCache();
const { neonLocal } = await import("./cli/neon_local.ts");
process.exit(await neonLocal(process.argv.slice(2), import.meta.filename));
