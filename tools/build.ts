/** Bundles the three programs into dist/: one file each, dynamic imports as chunks that load when they are needed. */
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { build } from "esbuild";

const { version }: { version: string } = JSON.parse(readFileSync("package.json", "utf8"));

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: {
    compute_ctl: "src/compute_ctl.ts",
    neon_store: "src/neon_store.ts",
    neon_local: "src/neon_local.ts",
    // Workers: found by src/disk/worker_entry.ts.
    walproposer_worker: "src/walproposer/driver/walproposer_worker.ts",
    store_wal_worker: "src/store/wal_service/store_wal_worker.ts",
  },
  outdir: "dist",
  bundle: true,
  splitting: true,
  platform: "node",
  target: "node24",
  format: "esm",
  chunkNames: "chunks/[name]-[hash]",
  legalComments: "none",
  minifySyntax: true,
  define: { BUILD_TAG: JSON.stringify(process.env.BUILD_TAG ?? "latest"), PACKAGE_VERSION: JSON.stringify(version) },
  // CommonJS dependencies ask for require(); ES module output has none.
  banner: {
    js: '#!/usr/bin/env node\nimport { createRequire as __createRequire } from "node:module";const require=__createRequire(import.meta.url);',
  },
});
for (const program of ["compute_ctl", "neon_store", "neon_local"]) chmodSync(`dist/${program}.js`, 0o755);
