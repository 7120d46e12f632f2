import { readFileSync } from "node:fs";

// Both are put in by tools/build.ts; a program that runs from its sources has neither.
declare const PACKAGE_VERSION: string | undefined;
declare const BUILD_TAG: string | undefined;

/** The option of every program that prints {@link versionLine}, as commander's `version()` takes it. */
export const VERSION_OPTION = ["-V, --version", "print name, version and build tag"] as const;

/** The tag of this build: the environment's, else what it was built with, else `latest`. */
export function buildTag(env: NodeJS.ProcessEnv): string {
  return env.BUILD_TAG ?? (typeof BUILD_TAG === "string" ? BUILD_TAG : "latest");
}

/** What `--version` prints: `compute_ctl 0.1.0 (latest)`. */
export function versionLine(program: string, env: NodeJS.ProcessEnv): string {
  return `${program} ${packageVersion()} (${buildTag(env)})`;
}

/** The version of the package that this program is part of. */
export function packageVersion(): string {
  if (typeof PACKAGE_VERSION === "string") return PACKAGE_VERSION;
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  return version;
}
