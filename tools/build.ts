/**
 * Bundles the three programs into dist/: one file each, dynamic imports as chunks that load when they are needed. All that
 * they need is in there, so that the package has no dependencies but the PostgreSQL binaries.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { leftOut } from "./build/left_out.ts";
import { bundledPackages, installedPackages, licenseProblems, renderLicenses } from "./build/third_party_licenses.ts";
import { unusedParts } from "./build/unused_parts.ts";

const { version }: { version: string } = JSON.parse(readFileSync("package.json", "utf8"));

rmSync("dist", { recursive: true, force: true });
const { metafile } = await build({
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
  // They stand in THIRD_PARTY_LICENSES.txt.
  legalComments: "none",
  minifySyntax: true,
  metafile: true,
  plugins: [unusedParts],
  define: { BUILD_TAG: JSON.stringify(process.env.BUILD_TAG ?? "latest"), PACKAGE_VERSION: JSON.stringify(version) },
  // CommonJS dependencies ask for require(); ES module output has none.
  banner: {
    js: '#!/usr/bin/env node\nimport { createRequire as __createRequire } from "node:module";const require=__createRequire(import.meta.url);',
  },
});
for (const program of ["compute_ctl", "neon_store", "neon_local"]) chmodSync(`dist/${program}.js`, 0o755);

const bundled = bundledPackages(metafile, ".");
const problems = [...licenseProblems([...bundled, ...installedPackages(".")]), ...leftOut(metafile)];
if (problems.length > 0) {
  // What must not be passed on is not left lying about.
  rmSync("dist", { recursive: true, force: true });
  for (const problem of problems) console.error(`build: ${problem}`);
  process.exit(1);
}
writeFileSync("dist/THIRD_PARTY_LICENSES.txt", renderLicenses(bundled, "."));
