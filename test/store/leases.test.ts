import { expect, test } from "vitest";
import { Leases } from "../../src/store/leases.ts";
import { STORE_FORMAT } from "../../src/store/record_file.ts";
import { Timeline } from "../../src/store/timeline.ts";

const timeline = new Timeline(
  {
    format: STORE_FORMAT,
    tenant_id: "1".repeat(32),
    timeline_id: "2".repeat(32),
    pg_version: 17,
    build_id: "17.10",
    system_identifier: "1",
    ancestor_timeline_id: null,
    ancestor_lsn: null,
    start_lsn: "0/1000100",
    images: ["0/1000100"],
    created_at: "",
  },
  "/nowhere",
);

test("storage-protocols.md case 14: a second request never shortens a lease", () => {
  let now = 1000;
  const leases = new Leases(() => now, 600);
  expect(leases.take(timeline, 0x1000100n)).toBe(1600);
  now = 500;
  expect(leases.take(timeline, 0x1000100n)).toBe(1600);
  now = 1500;
  expect(leases.take(timeline, 0x1000100n)).toBe(2100);
});

test("a lease ends by itself", () => {
  let now = 0;
  const leases = new Leases(() => now, 600);
  leases.take(timeline, 0x1000100n);
  expect(leases.held(timeline)).toEqual([0x1000100n]);
  now = 600;
  expect(leases.held(timeline)).toEqual([]);
});

test("an LSN is moved to where a record can start; what lies below the cutoff is refused", () => {
  const leases = new Leases(() => 0, 600);
  leases.take(timeline, 0x1002000n);
  leases.take(timeline, 0x1000101n);
  expect(leases.held(timeline)).toEqual([0x1002018n, 0x1000108n]);
  expect(leases.take(timeline, 0x10000f8n)).toBeUndefined();
  expect(leases.take(timeline, 0n)).toBeUndefined();
});
