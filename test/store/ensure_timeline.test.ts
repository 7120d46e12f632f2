import { expect, test } from "vitest";
import { parseWantedTimeline } from "../../src/store/ensure_timeline.ts";

const TENANT = "0123456789ABCDEF0123456789abcdef";
const TIMELINE = "f".repeat(32);

test("tenant, timeline and major", () => {
  const wanted = { tenantId: TENANT.toLowerCase(), timelineId: TIMELINE, major: 17 };
  expect(parseWantedTimeline(`${TENANT}/${TIMELINE}:17`)).toEqual(wanted);
});

test.each([
  "",
  "/:17",
  `${TENANT}/${TIMELINE}`,
  `${TENANT}/${TIMELINE}:13`,
  `${TENANT}/${TIMELINE}:170`,
  `${TENANT}/x:17`,
  `${TENANT}-0102/${TIMELINE}:17`,
  ` ${TENANT}/${TIMELINE}:17`,
])("nothing else: %j", (text) => {
  expect(parseWantedTimeline(text)).toBeUndefined();
});
