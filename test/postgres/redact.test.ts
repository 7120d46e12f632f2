import { expect, test } from "vitest";
import { redactConnstr, redactSecrets } from "../../src/postgres/redact.ts";

test.each([
  ["postgresql://u:secret@h:1/d", "postgresql://u:***@h:1/d"],
  ["postgresql://u:se:cr%40et@h/d", "postgresql://u:***@h/d"],
  ["postgresql://u:se@cret@h/d", "postgresql://u:***@h/d"],
  ["postgresql://u@h/d?password=secret&x=1", "postgresql://u@h/d?password=***&x=1"],
  ["host=h password='a \\' b' user=u", "host=h password=*** user=u"],
  ["host=h password = secret user=u", "host=h password = *** user=u"],
  ["postgresql://u@h:5432/d", "postgresql://u@h:5432/d"],
])("%s is shown as %s", (connstr, shown) => {
  expect(redactConnstr(connstr)).toBe(shown);
});

test("known secrets go, the longest first, empty ones are ignored", () => {
  expect(redactSecrets("a abc ab", ["ab", "abc", ""])).toBe("a *** ***");
});
