/** What is printed once everything runs. */
export interface Summary {
  readonly version: string;
  readonly connectionString: string;
  /** Where the password is found that others than this machine need; undefined when only this machine can connect. */
  readonly passwordHint?: string | undefined;
  readonly externalHttpPort: number;
  readonly internalHttpPort: number;
  /** `host:port`. */
  readonly storeHttp: string;
  readonly dataDir: string;
  readonly logs: readonly string[];
  readonly startedInMs: number;
}

/** The one block on stdout: where everything is, what it promises and how it is stopped. */
export function formatSummary(summary: Summary): string {
  const rows: readonly (readonly [string, string])[] = [
    ["connect", summary.connectionString],
    ...(summary.passwordHint === undefined ? [] : [["password", summary.passwordHint] as const]),
    ["compute", `http://127.0.0.1:${summary.externalHttpPort} (asks for a token)`],
    ["", `http://127.0.0.1:${summary.internalHttpPort} (this machine only)`],
    ["storage", `http://${summary.storeHttp}`],
    ["data", summary.dataDir],
    ...summary.logs.map((log, index) => [index === 0 ? "logs" : "", log] as const),
    ["keeps", "every commit that returned: it is in the storage, whatever is killed"],
    ["stop", "Ctrl-C, or SIGTERM to this process"],
  ];
  const lines = rows.map(([name, text]) => `  ${name.padEnd(9)}${text}`);
  const seconds = (summary.startedInMs / 1000).toFixed(1);
  return [`neon-local runs PostgreSQL ${summary.version} (ready in ${seconds} s)`, ...lines, ""].join("\n");
}
