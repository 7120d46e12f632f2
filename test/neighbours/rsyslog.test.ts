import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cleanAuditLogs, runAuditLogCleaner } from "../../src/neighbours/audit_log_cleaner.ts";
import { configureAuditLogging, configureLogsExport } from "../../src/neighbours/rsyslog.ts";
import { renderAuditConfig, renderLogsExportConfig } from "../../src/neighbours/rsyslog_config.ts";
import { restartRsyslogd } from "../../src/neighbours/rsyslogd.ts";
import type { ProgramOutcome, RunProgram } from "../../src/neighbours/run_program.ts";
import { auditEndpoint, logsExportEndpoint, parseSyslogEndpoint } from "../../src/neighbours/syslog_endpoint.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const source = { pgdata: "/data/pgdata", endpointId: "ep-1", projectId: "proj-1" };
const never = new AbortController().signal;

describe("endpoints", () => {
  test("host:port, an IPv4 address, a bracketed IPv6 address", () => {
    expect(parseSyslogEndpoint("logs.example:6514")).toEqual({ host: "logs.example", port: 6514 });
    expect(parseSyslogEndpoint("10.0.0.1:80")).toEqual({ host: "10.0.0.1", port: 80 });
    expect(parseSyslogEndpoint("[::1]:514")).toEqual({ host: "::1", port: 514 });
    expect(parseSyslogEndpoint("otel_collector.ns.svc.:514")).toEqual({ host: "otel_collector.ns.svc.", port: 514 });
  });

  test.each([
    ...["", "c", ":514", "c:", "c:0", "c:65536", "c:5x", "a b:1", "::1:514", "[c]:1", "1.2.3:5", "-c:1", "c..d:1"],
    ...["c:514\naction()", 'c";x:1', "http://c:514", "c:1:2"],
  ])("%j is no endpoint", (text) => {
    expect(parseSyslogEndpoint(text)).toBeUndefined();
  });

  test("TLS is preferred for audit logs", () => {
    const env = { AUDIT_LOGGING_ENDPOINT: "plain:514", AUDIT_LOGGING_TLS_ENDPOINT: "tls:6514" };
    expect(auditEndpoint(env)).toEqual({ host: "tls", port: 6514, tls: true });
    expect(auditEndpoint({ ...env, AUDIT_LOGGING_TLS_ENDPOINT: "" })).toEqual({ host: "plain", port: 514, tls: false });
  });

  test("without an audit endpoint, or with a malformed one, there is a clear error", () => {
    expect(() => auditEndpoint({ AUDIT_LOGGING_ENDPOINT: "" })).toThrow(
      "AUDIT_LOGGING_ENDPOINT and AUDIT_LOGGING_TLS_ENDPOINT are both empty",
    );
    expect(() => auditEndpoint({ AUDIT_LOGGING_TLS_ENDPOINT: "nowhere" })).toThrow(
      'AUDIT_LOGGING_TLS_ENDPOINT must be host:port, not "nowhere"',
    );
  });

  test("postgres-config.md case 14: the log export of Postgres needs host:port", () => {
    expect(logsExportEndpoint("c:514")).toEqual({ host: "c", port: 514 });
    expect(() => logsExportEndpoint("c")).toThrow(/^Invalid host format for Postgres logs export$/);
  });
});

describe("configuration files", () => {
  test("audit logs", async () => {
    await expect(renderAuditConfig(source, { host: "logs.example", port: 514, tls: false })).toMatchFileSnapshot(
      "golden/audit.conf",
    );
  });

  test("audit logs over TLS", async () => {
    await expect(renderAuditConfig(source, { host: "logs.example", port: 6514, tls: true })).toMatchFileSnapshot(
      "golden/audit_tls.conf",
    );
  });

  test("log export", async () => {
    await expect(renderLogsExportConfig({ host: "::1", port: 514 })).toMatchFileSnapshot("golden/postgres_logs.conf");
  });

  test("ids and paths cannot break out of their string", () => {
    const hostile = { pgdata: '/d"a', endpointId: 'x"; stop #', projectId: "a\\\nb$c" };
    const text = renderAuditConfig(hostile, { host: "h", port: 1, tls: false });
    expect(text).toContain('file="/d\\"a/log/*.log"');
    expect(text).toContain('set $.json_log!endpoint_id = "x\\"; stop #";\n');
    expect(text).toContain('set $.json_log!project_id = "a\\\\ b\\$c";\n');
  });
});

const done = (stdout = ""): ProgramOutcome => ({ code: 0, signal: null, stdout, stderr: "", failure: undefined });
const none: ProgramOutcome = { ...done(), code: 1 };

/** An init that starts rsyslogd again after so many looks; the old one lives on for as many. */
function machine(looksUntilBack: number): { run: RunProgram; calls: string[]; waits: number[] } {
  const calls: string[] = [];
  const waits: number[] = [];
  let looks = -1;
  const run: RunProgram = (program, argv) => {
    calls.push([program, ...argv].join(" "));
    if (program === "pkill") return Promise.resolve(done());
    looks++;
    return Promise.resolve(looks > looksUntilBack ? done("202\n") : done("101\n"));
  };
  return { run, calls, waits };
}

describe("restart of rsyslogd", () => {
  test("waits until another process is there, doubling from 2 ms", async () => {
    const { run, calls, waits } = machine(3);
    await restartRsyslogd({ run, signal: never, wait: async (milliseconds) => void waits.push(milliseconds) });
    expect(calls.slice(0, 3)).toEqual(["pgrep rsyslogd", "pkill rsyslogd", "pgrep rsyslogd"]);
    expect(waits).toEqual([2, 4, 8]);
  });

  test("gives up after 5 s", async () => {
    const { run, waits } = machine(1000);
    const restarted = restartRsyslogd({ run, signal: never, wait: async (ms) => void waits.push(ms) });
    await expect(restarted).rejects.toThrow("rsyslogd did not come back within 5 s");
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBe(5000);
  });

  test("none running before is as good as one", async () => {
    const answers = [none, none, none, done("7\n")];
    const run: RunProgram = () => Promise.resolve(answers.shift() ?? done());
    await restartRsyslogd({ run, signal: never, wait: async () => {} });
    expect(answers).toEqual([]);
  });

  test("a missing program is named", async () => {
    const run: RunProgram = () => Promise.resolve({ ...none, code: null, failure: "ENOENT" });
    await expect(restartRsyslogd({ run, signal: never })).rejects.toThrow(
      "cannot look for rsyslogd: pgrep could not be executed (ENOENT)",
    );
  });
});

describe("configuring", () => {
  test("log export: written and restarted once, the same again changes nothing", async () => {
    await using directory = await temporaryDirectory();
    const configFile = join(directory.path, "postgres_logs.conf");
    const { log } = collectingLog();
    const { run, calls } = machine(0);
    const options = { configFile, log, run, signal: never, wait: async () => {} };
    await configureLogsExport({ ...options, host: null });
    expect(await readdir(directory.path)).toEqual([]);
    await configureLogsExport({ ...options, host: "c:514" });
    expect(await readFile(configFile, "utf8")).toBe(renderLogsExportConfig({ host: "c", port: 514 }));
    const once = calls.length;
    await configureLogsExport({ ...options, host: "c:514" });
    expect(calls).toHaveLength(once);
    await expect(configureLogsExport({ ...options, host: "c" })).rejects.toMatchObject({ status: 400 });
    await configureLogsExport({ ...options, host: null });
    expect(await readdir(directory.path)).toEqual(["postgres_logs.conf"]);
  });

  test("log export on a machine without rsyslog is one warning", async () => {
    await using directory = await temporaryDirectory();
    const configFile = join(directory.path, "rsyslog.d", "postgres_logs.conf");
    const { log, lines } = collectingLog();
    const { run, calls } = machine(0);
    await configureLogsExport({ configFile, log, run, signal: never, host: "c:514" });
    expect(lines).toEqual([` WARN the log of Postgres is not exported: there is no directory for ${configFile}`]);
    expect(calls).toEqual([]);
  });

  test("audit logs: nobody gets a compute that does not send them", async () => {
    await using directory = await temporaryDirectory();
    const { run } = machine(0);
    const env = { AUDIT_LOGGING_ENDPOINT: "c:514" };
    const configFile = join(directory.path, "audit.conf");
    const options = { ...source, env, configFile, run, signal: never, wait: async () => {} };
    await configureAuditLogging(options);
    expect(await readFile(configFile, "utf8")).toContain('target="c" port="514"');
    await expect(configureAuditLogging({ ...options, env: {} })).rejects.toMatchObject({ code: "audit_endpoint" });
    const elsewhere = join(directory.path, "none", "audit.conf");
    await expect(configureAuditLogging({ ...options, configFile: elsewhere })).rejects.toThrow(
      `cannot write ${elsewhere}`,
    );
  });
});

describe("audit log cleaner", () => {
  test("old audit files go, what is left is measured", async () => {
    await using directory = await temporaryDirectory();
    const now = Date.parse("2026-01-01T12:00:00Z");
    const file = async (name: string, bytes: number, minutesOld: number): Promise<void> => {
      await writeFile(join(directory.path, name), Buffer.alloc(bytes));
      const time = new Date(now - minutesOld * 60_000);
      await utimes(join(directory.path, name), time, time);
    };
    await file("audit-old.log", 1, 16);
    await file("audit-new.log", 10, 14);
    await file("postgresql.log", 100, 60);
    await file("audit-old.txt", 1000, 60);
    await file("auditlog", 10_000, 60);
    await mkdir(join(directory.path, "audit-directory.log"));
    expect(await cleanAuditLogs(directory.path, now)).toBe(10_110);
    expect((await readdir(directory.path)).sort()).toEqual([
      "audit-directory.log",
      "audit-new.log",
      "audit-old.txt",
      "auditlog",
      "postgresql.log",
    ]);
  });

  test("every minute, until it is told to end; an unreadable directory is 0 bytes and one warning", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "log");
    const { log, lines } = collectingLog();
    const stop = new AbortController();
    const sizes: number[] = [];
    const waits: number[] = [];
    await runAuditLogCleaner({
      directory: path,
      onSize: (bytes) => sizes.push(bytes),
      log,
      signal: stop.signal,
      wait: async (milliseconds) => {
        waits.push(milliseconds);
        if (waits.length === 2) {
          await mkdir(path);
          await writeFile(join(path, "audit-1.log"), "12345");
        }
        if (waits.length === 3) stop.abort();
      },
    });
    expect(sizes).toEqual([0, 0, 5]);
    expect(waits).toEqual([60_000, 60_000, 60_000]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^ WARN could not clean the audit logs in .*ENOENT/);
  });
});
