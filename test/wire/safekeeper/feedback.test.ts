import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFeedback, encodeFeedback } from "../../../src/wire/safekeeper/feedback.ts";
import { feedback } from "./arbitrary.ts";

test("what is written is read again", () => {
  fc.assert(
    fc.property(feedback, (value) => {
      expect(decodeFeedback(encodeFeedback(value))).toEqual(value);
    }),
  );
});

test("feedback cut anywhere is an error", () => {
  const bytes = encodeFeedback({ lastReceivedLsn: 1n, replyTime: -5n, shardNumber: 2, corruptionDetected: true });
  for (let length = 0; length < bytes.length; length++)
    expect(() => decodeFeedback(bytes.subarray(0, length))).toThrow();
});

test("unknown keys are skipped by length, other names are understood", () => {
  const key = (name: string, value: string) =>
    Buffer.concat([Buffer.from(`${name}\0`), Buffer.from([0, 0, 0, value.length / 2]), Buffer.from(value, "hex")]);
  const bytes = Buffer.concat([
    Buffer.from([3]),
    key("someday", "0102030405"),
    key("disk_consistent_lsn", "0000000000000009"),
    key("replytime", "ffffffffffffffff"),
  ]);
  expect(decodeFeedback(bytes)).toEqual({ diskConsistentLsn: 9n, replyTime: -1n });
  expect(() => decodeFeedback(Buffer.concat([Buffer.from([1]), key("ps_writelsn", "01")]))).toThrow("instead of 8");
});

test("shard 0 and no corruption are left out", () => {
  expect(encodeFeedback({ shardNumber: 0, corruptionDetected: false })).toEqual(Buffer.from([0]));
});
