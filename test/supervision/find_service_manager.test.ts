import { expect, test } from "vitest";
import { findServiceManager } from "../../src/supervision/find_service_manager.ts";

test("without a socket there is no service manager, and nothing to wait for", () => {
  const env = { WATCHDOG_USEC: "1000000", WATCHDOG_PID: "1" };
  expect(findServiceManager(env, () => undefined)).toBeUndefined();
  expect(env).toEqual({});
});

test("its variables are gone before anything is awaited", async () => {
  const env = { NOTIFY_SOCKET: "/nowhere/notify", WATCHDOG_USEC: "1000000", PATH: "/nowhere" };
  const warnings: string[] = [];
  const found = findServiceManager(env, (message) => warnings.push(message));
  expect(env).toEqual({ PATH: "/nowhere" });
  const manager = await found;
  manager?.ready("running");
  await manager?.close();
  expect(warnings).toEqual([expect.stringContaining("the service manager cannot be told anything")]);
});
