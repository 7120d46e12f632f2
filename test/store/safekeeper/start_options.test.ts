import { expect, test } from "vitest";
import { parseStartOptions } from "../../../src/store/safekeeper/start_options.ts";

const T = "0123456789abcdef0123456789abcdef";
const L = "fedcba9876543210fedcba9876543210";

test.each([
  [`-c timeline_id=${L} tenant_id=${T}`, { tenantId: T, timelineId: L }],
  [`ztenantid=${T.toUpperCase()} ztimelineid=${L}`, { tenantId: T, timelineId: L }],
  [`-c tenant_id=${T} availability_zone=a\\ b x`, { tenantId: T, timelineId: undefined }],
  [`-ctimeline_id=${L} tenant_id=${T}`, { tenantId: T, timelineId: undefined }],
  [`protocol={"type":"vanilla"} tenant_id=${T} timeline_id=${L}`, { tenantId: T, timelineId: L }],
  [undefined, { tenantId: undefined, timelineId: undefined }],
])("storage-protocols.md case 15: options %j", (options, expected) => {
  expect(parseStartOptions(options)).toEqual(expected);
});

test.each([
  ["tenant_id=x", "Failed to parse tenant_id from x"],
  [`shard_count=2 tenant_id=${T}`, "Shard params specified for vanilla protocol"],
  ['protocol={"type":"interpreted","args":{}}', "only the vanilla protocol"],
  ["protocol=vanilla", "protocol is not JSON"],
])("options %s are refused", (options, message) => {
  expect(() => parseStartOptions(options)).toThrow(message);
});
