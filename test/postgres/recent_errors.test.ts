import { expect, test } from "vitest";
import { RecentErrors } from "../../src/postgres/recent_errors.ts";

const STAMP = "2025-07-29 10:00:00.123 GMT [42] ";

test("keeps the message with its DETAIL and HINT, without the line prefix", () => {
  const errors = new RecentErrors();
  errors.add(`${STAMP}LOG:  starting`);
  errors.add(`${STAMP}FATAL:  data directory is wrong`);
  errors.add(`${STAMP}DETAIL:  it was made by 16`);
  errors.add(`${STAMP}HINT:  use 16`);
  errors.add(`${STAMP}LOG:  shutting down`);
  errors.add(`${STAMP}HINT:  of nobody`);
  expect(errors.toString()).toBe(
    "LOG:  starting FATAL:  data directory is wrong DETAIL:  it was made by 16 HINT:  use 16",
  );
});

test("a FATAL brings the messages before it, an ERROR does not", () => {
  const errors = new RecentErrors();
  errors.add(`${STAMP}LOG:  0`);
  errors.add(`${STAMP}ERROR:  1`);
  for (const text of ["2", "3", "4", "5"]) errors.add(`${STAMP}LOG:  ${text}`);
  errors.add(`${STAMP}HINT:  6`);
  errors.add(`${STAMP}FATAL:  7`);
  expect(errors.toString()).toBe("ERROR:  1; LOG:  3 LOG:  4 LOG:  5 HINT:  6 FATAL:  7");
});

test("joins the lines of one record and takes no quoted label for a message", () => {
  const errors = new RecentErrors();
  errors.add(`${STAMP}LOG:  statement: SELECT ' ERROR:  none'`);
  errors.add("FATAL:  a\u200b\tb\u200bDETAIL:  c");
  expect(errors.toString()).toBe("LOG:  statement: SELECT ' ERROR:  none' FATAL:  a b DETAIL:  c");
});

test("keeps the last ones only and cuts very long ones", () => {
  const errors = new RecentErrors({ kept: 2 });
  for (const text of ["one", "two", "x".repeat(5000)]) errors.add(`${STAMP}ERROR:  ${text}`);
  expect(errors.toString()).toMatch(/^ERROR: {2}two; ERROR: {2}x{1900,2000}…$/);
});

test("never shows a secret", () => {
  const errors = new RecentErrors({ secrets: ["tok", "token-long", undefined, ""] });
  errors.add(`${STAMP}FATAL:  bad token-long in postgres://u:pw@h/d and password=hush host=x`);
  expect(errors.toString()).toBe("FATAL:  bad *** in postgres://u:***@h/d and password=*** host=x");
});
