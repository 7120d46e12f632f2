import { describe, expect, test } from "vitest";
import { PageServiceError } from "../../src/basebackup/page_service_client.ts";
import { isPermanentStorageError } from "../../src/basebackup/permanent_error.ts";
import { ServerError, type SessionPhase } from "../../src/basebackup/server_error.ts";
import { type RetryOptions, withBaseBackupRetries } from "../../src/basebackup/with_retries.ts";
import { CodedError, errorChain } from "../../src/errors/coded_error.ts";

function scripted(options: Partial<RetryOptions> = {}) {
  const seen: { waits: number[]; warnings: string[]; wipes: number } = { waits: [], warnings: [], wipes: 0 };
  const retryOptions: RetryOptions = {
    lsn: 0x16abcden,
    wipe: async () => void seen.wipes++,
    warn: (text) => void seen.warnings.push(text),
    sleep: async (milliseconds) => void seen.waits.push(milliseconds),
    signal: new AbortController().signal,
    ...options,
  };
  return { seen, retryOptions };
}

describe("withBaseBackupRetries", () => {
  test("storage-protocols.md case 2: eleven tries, 500 ms, then half as much longer each; the last error stays", async () => {
    const { seen, retryOptions } = scripted();
    let tries = 0;
    const failing = withBaseBackupRetries(async () => {
      tries++;
      throw new Error(`try ${tries}`, { cause: new Error("broken pipe") });
    }, retryOptions);
    const error = await failing.catch((reason: unknown) => reason);
    expect(errorChain(error)).toBe("failed to get basebackup@0/16ABCDE: try 11: broken pipe");
    expect(error).toMatchObject({ code: "base_backup_failed" });
    expect(tries).toBe(11);
    expect(seen.wipes).toBe(10);
    expect(seen.waits.slice(0, 3)).toEqual([500, 750, 1125]);
    expect(seen.waits).toHaveLength(10);
    expect(seen.warnings[0]).toBe("Failed to get basebackup: try 1: broken pipe (attempt 0/10)");
    expect(seen.warnings[9]).toBe("Failed to get basebackup: try 10: broken pipe (attempt 9/10)");
  });

  test("a try that succeeds ends it", async () => {
    const { seen, retryOptions } = scripted();
    let tries = 0;
    const attempt = async (): Promise<number> => {
      if (++tries < 3) throw new Error("no");
      return tries;
    };
    expect(await withBaseBackupRetries(attempt, retryOptions)).toBe(3);
    expect(seen.waits).toEqual([500, 750]);
  });

  test("what cannot get better is not tried again", async () => {
    const { seen, retryOptions } = scripted();
    const refused = async (): Promise<never> => {
      throw new ServerError({ severity: "ERROR", code: "XX000", message: "not found" }, "query");
    };
    await expect(withBaseBackupRetries(refused, retryOptions)).rejects.toThrow("failed to get basebackup@0/16ABCDE");
    expect(seen).toEqual({ waits: [], warnings: [], wipes: 0 });
  });

  test("an abort ends it without another try", async () => {
    const owner = new AbortController();
    const { seen, retryOptions } = scripted({ signal: owner.signal });
    const attempt = async (): Promise<never> => {
      owner.abort(new Error("stopping"));
      throw new Error("cut");
    };
    await expect(withBaseBackupRetries(attempt, retryOptions)).rejects.toMatchObject({ code: "base_backup_failed" });
    expect(seen.warnings).toEqual([]);
  });

  test("zero retries", async () => {
    const { seen, retryOptions } = scripted({ retries: 0 });
    await expect(withBaseBackupRetries(() => Promise.reject(new Error("no")), retryOptions)).rejects.toThrow();
    expect(seen.waits).toEqual([]);
  });
});

describe("isPermanentStorageError", () => {
  const server = (code: string, message: string, phase: SessionPhase) =>
    new ServerError({ severity: "ERROR", code, message }, phase);

  test.each<[boolean, unknown]>([
    [true, server("XX000", "JWT authentication error", "authentication")],
    [true, server("28P01", "password authentication failed", "authentication")],
    [true, server("XX000", "JWT authentication error", "query")],
    [true, server("XX000", "not found", "query")],
    [true, new PageServiceError("grpc_not_found", "")],
    [true, new PageServiceError("grpc_unauthenticated", "")],
    [true, new PageServiceError("grpc_permission_denied", "")],
    [true, new CodedError("password_required", "")],
    [false, server("57P01", "shutdown", "query")],
    [false, server("08006", "reconnect", "query")],
    [false, server("57P03", "starting up", "startup")],
    [false, server("XX000", "Timed out while waiting for WAL record at LSN 0/1 to arrive", "query")],
    [false, new PageServiceError("grpc_unavailable", "")],
    [false, new PageServiceError("grpc_internal", "")],
    [false, new CodedError("tar_truncated", "")],
    [false, Object.assign(new Error("x"), { code: "ECONNREFUSED" })],
    [false, "not found"],
  ])("%s: %s", (permanent, error) => expect(isPermanentStorageError(error)).toBe(permanent));
});
