/** `npm run bench -- <name> [options]`: runs one bench of this folder against the programs in dist/. */
import { readdirSync } from "node:fs";

const [name, ...rest] = process.argv.slice(2);
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !["pgbench.ts", "run.ts", "statistics.ts"].includes(file))
  .map((file) => file.replace(/\.ts$/, ""));
if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run bench -- <${names.join(" | ")}> [options]`);
  process.exit(2);
}
process.argv.splice(2, process.argv.length, ...rest);
await import(`./${name}.ts`);
