import { describe, expect, test } from "vitest";
import { takeNotifyVariables } from "../../src/supervision/notify_variables.ts";

const PID = 4711;

describe("the variables of the notification protocol", () => {
  test.each([
    [{}, undefined],
    [{ NOTIFY_SOCKET: "" }, undefined],
    [{ WATCHDOG_USEC: "1000000" }, undefined],
    [{ NOTIFY_SOCKET: "/run/systemd/notify" }, { socket: "/run/systemd/notify", watchdogMs: undefined }],
    [
      { NOTIFY_SOCKET: "@abstract", WATCHDOG_USEC: "1500000" },
      { socket: "@abstract", watchdogMs: 1500 },
    ],
    [
      { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "1000", WATCHDOG_PID: String(PID) },
      { socket: "/n", watchdogMs: 1 },
    ],
    [
      { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" },
      { socket: "/n", watchdogMs: undefined },
    ],
    [
      { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "0" },
      { socket: "/n", watchdogMs: undefined },
    ],
    [
      { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "soon" },
      { socket: "/n", watchdogMs: undefined },
    ],
  ])("%j mean %j, and are gone afterwards", (variables, expected) => {
    const env: NodeJS.ProcessEnv = { PATH: "/bin", ...variables };
    expect(takeNotifyVariables(env, PID)).toEqual(expected);
    expect(env).toEqual({ PATH: "/bin" });
  });
});
