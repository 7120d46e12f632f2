import { expect, test } from "vitest";
import { createEventStream, formatEvent } from "../../src/http/event_stream.ts";
import { EventLog } from "../../src/node/event_log.ts";

const at = new Date("2026-04-02T12:00:00.000Z");

function source() {
  const log = new EventLog();
  return { log, compute: { events: () => log.recent(), onEvent: (listener: never) => log.listen(listener) } };
}

test("an event is two lines and an empty one, its data one line of JSON", () => {
  expect(formatEvent({ kind: "status", at, status: "failed", error: "first\nsecond" })).toBe(
    'event: status\ndata: {"at":"2026-04-02T12:00:00.000Z","status":"failed","error":"first\\nsecond"}\n\n',
  );
  const timing = { name: "get_basebackup", startMs: 1.23456, durationMs: 10, depth: 1 };
  expect(formatEvent({ kind: "stage", timing })).toBe(
    'event: stage\ndata: {"name":"get_basebackup","start_ms":1.235,"duration_ms":10,"depth":1}\n\n',
  );
});

test("who comes later is told the stages and the latest status, then what happens", async () => {
  const { log, compute } = source();
  log.add({ kind: "status", at, status: "init", error: null });
  log.add({ kind: "stage", timing: { name: "a", startMs: 0, durationMs: 1, depth: 0 } });
  log.add({ kind: "status", at, status: "running", error: null });
  const reader = createEventStream(compute).pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toContain("event: stage");
  expect((await reader.read()).value).toContain('"status":"running"');
  log.add({ kind: "status", at, status: "configuration", error: null });
  expect((await reader.read()).value).toContain('"status":"configuration"');
  await reader.cancel();
});

test("a client that does not read is dropped, and one that is gone frees its place", async () => {
  const { log, compute } = source();
  const streams = Array.from({ length: 64 }, () => createEventStream(compute));
  expect(() => createEventStream(compute)).toThrow("64 event streams are open");
  for (let count = 0; count < 2_000; count++) log.add({ kind: "status", at, status: "running", error: null });
  await expect(streams[0]?.getReader().read()).rejects.toThrow("does not read");
  const stream = createEventStream(compute);
  await stream.cancel();
  expect(log.recent()).toHaveLength(1);
});
