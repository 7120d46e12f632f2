import type { Plugin } from "esbuild";

/**
 * Parts of dependencies that nobody here uses, but that their own entry point loads: a start would pay for them. Each is a file
 * of the package, as its entry point names it.
 */
const UNUSED: Readonly<Record<string, readonly string[]>> = {
  // With OpenTelemetry's API, `https` and TLS behind them, 20 ms of a start.
  "prom-client/index.js": ["./lib/pushgateway", "./lib/cluster", "./lib/defaultMetrics"],
};

/** Leaves them out of the bundle: whoever uses one all the same gets undefined at once. */
export const unusedParts: Plugin = {
  name: "unused parts",
  setup(build) {
    const found = new Set<string>();
    build.onResolve({ filter: /^\.\// }, ({ importer, path }) => {
      const owner = Object.keys(UNUSED).find((file) => importer.endsWith(`/node_modules/${file}`));
      if (owner === undefined || !UNUSED[owner]?.includes(path)) return undefined;
      found.add(`${owner} ${path}`);
      return { path: `${owner} ${path}`, namespace: "unused" };
    });
    build.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "", loader: "js" }));
    // A new release may have moved them, and then all of it would be back without a word.
    build.onEnd(() => {
      const wanted = Object.entries(UNUSED).flatMap(([owner, paths]) => paths.map((path) => `${owner} ${path}`));
      const errors = wanted
        .filter((part) => !found.has(part))
        .map((part) => ({ text: `${part} is not loaded any more` }));
      return { errors };
    });
  },
};
