import { expect, test } from "vitest";
import { parseBackupLabel, renderBackupLabel } from "../../src/wire/backup_label.ts";

const LABEL = {
  start: 0x2_0100_0028n,
  checkpoint: 0x2_0100_0060n,
  method: "pg_rewind",
  from: "primary",
  startTime: "2026-11-21 18:00:00 UTC",
  label: "a: b",
  timeline: 1,
} as const;

test("a label as pg_rewind writes it", () => {
  expect(renderBackupLabel(LABEL)).toBe(
    [
      "START WAL LOCATION: 2/1000028 (file 000000010000000200000001)",
      "CHECKPOINT LOCATION: 2/1000060",
      "BACKUP METHOD: pg_rewind",
      "BACKUP FROM: primary",
      "START TIME: 2026-11-21 18:00:00 UTC",
      "LABEL: a: b",
      "START TIMELINE: 1",
      "",
    ].join("\n"),
  );
  expect(parseBackupLabel(renderBackupLabel(LABEL))).toEqual(LABEL);
});

test.each([
  ["", "lacks its start"],
  [renderBackupLabel(LABEL).replace("CHECKPOINT", "CHICKEN"), "lacks its start or checkpoint"],
  [renderBackupLabel(LABEL).replace("METHOD: pg_rewind", "METHOD: magic"), "unknown backup method"],
  [renderBackupLabel(LABEL).replace("FROM: primary", "FROM: me"), "neither primary nor standby"],
])("a label that is none", (text, message) => {
  expect(() => parseBackupLabel(text)).toThrow(message);
});
