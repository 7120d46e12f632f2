import { describe, expect, test } from "vitest";
import { ServiceManager } from "../../src/supervision/service_manager.ts";

/** A service manager whose messages and clock are the test's: `answers` says how each message ends. */
function scripted({ watchdogMs, answers = [] }: { watchdogMs?: number; answers?: Promise<void>[] } = {}) {
  const [sent, warnings] = [[] as string[][], [] as string[]];
  const clock: { ms?: number; beat?: () => void; stopped: boolean } = { stopped: false };
  const manager = new ServiceManager({
    variables: { socket: "/n", watchdogMs },
    env: {},
    warn: (message) => warnings.push(message),
    notify: (assignments) => {
      sent.push([...assignments]);
      return answers.shift() ?? Promise.resolve();
    },
    every: (ms, beat) => {
      Object.assign(clock, { ms, beat });
      return () => (clock.stopped = true);
    },
  });
  return { manager, sent, warnings, clock };
}

describe("what the service manager is told", () => {
  test("ready once, then the status alone, then that we stop", async () => {
    const { manager, sent } = scripted();
    manager.ready("running");
    await manager.close();
    manager.ready("running again");
    await manager.close();
    manager.stopping("stopping");
    await manager.close();
    expect(sent).toEqual([["READY=1", "STATUS=running"], ["STATUS=running again"], ["STOPPING=1", "STATUS=stopping"]]);
  });

  test("one message at a time; what is said meanwhile comes as one, with the latest status", async () => {
    const first = Promise.withResolvers<void>();
    const { manager, sent } = scripted({ answers: [first.promise] });
    manager.status("empty");
    manager.status("init");
    manager.ready("running");
    manager.stopping("stopping");
    expect(sent).toEqual([["STATUS=empty"]]);
    first.resolve();
    await manager.close();
    expect(sent).toEqual([["STATUS=empty"], ["STATUS=stopping", "READY=1", "STOPPING=1"]]);
  });

  test("a status is one line of limited length: a line break would begin another assignment", async () => {
    const { manager, sent } = scripted();
    manager.status("failed: first\nREADY=1\r\nsecond\tthird");
    await manager.close();
    manager.status("x".repeat(10_000));
    await manager.close();
    expect(sent).toEqual([["STATUS=failed: first READY=1 second third"], [`STATUS=${"x".repeat(400)}`]]);
  });

  test("a message that does not get through is one warning, and the next one is tried", async () => {
    const fail = (): Promise<void> => Promise.reject(new Error("spawn systemd-notify ENOENT"));
    const { manager, sent, warnings } = scripted({ answers: [fail(), fail()] });
    manager.status("init");
    await manager.close();
    manager.ready("running");
    await manager.close();
    manager.stopping("stopping");
    await manager.close();
    expect(sent).toHaveLength(3);
    expect(warnings).toEqual(["the service manager cannot be told anything: spawn systemd-notify ENOENT"]);
  });
});

describe("the watchdog", () => {
  test("gets a beat every half of its time, until we end", async () => {
    const { manager, sent, clock } = scripted({ watchdogMs: 60_000 });
    expect(clock.ms).toBe(30_000);
    clock.beat?.();
    await manager.close();
    expect(sent).toEqual([["WATCHDOG=1"]]);
    expect(clock.stopped).toBe(true);
  });

  test("that nobody asked for gets none", async () => {
    const { manager, clock } = scripted();
    await manager.close();
    expect(clock).toEqual({ stopped: false });
  });

  test("of many days does not make a timer that fires all the time", () => {
    expect(scripted({ watchdogMs: 1e12 }).clock.ms).toBe(2 ** 31 - 1);
  });
});
