import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { setIniKeys } from "../../src/neighbours/ini_file.ts";

const BASE = `;; pgbouncer of the image
[databases]
* = host=localhost port=5432
pool_mode = not this one

[pgbouncer]
# how clients are pooled
pool_mode = transaction
max_client_conn=10000

; the end of it
[users]
alice = pool_mode=session
`;

describe("setIniKeys", () => {
  test("replaces keys where they stand, adds new ones to the section, leaves everything else alone", () => {
    expect(setIniKeys(BASE, "pgbouncer", { pool_mode: "session", default_pool_size: "64" })).toBe(
      `;; pgbouncer of the image
[databases]
* = host=localhost port=5432
pool_mode = not this one

[pgbouncer]
# how clients are pooled
pool_mode=session
max_client_conn=10000

; the end of it
default_pool_size=64
[users]
alice = pool_mode=session
`,
    );
  });

  test("the same settings again change nothing", () => {
    const once = setIniKeys(BASE, "pgbouncer", { pool_mode: "session", a: "1" });
    expect(setIniKeys(once, "pgbouncer", { pool_mode: "session", a: "1" })).toBe(once);
    expect(setIniKeys(BASE, "pgbouncer", {})).toBe(BASE);
  });

  test("of a key that is there twice one line is left: pgbouncer would take the last", () => {
    const text = "[pgbouncer]\na=1\nb=2\n[x]\na=3\n[pgbouncer]\na=4\n";
    expect(setIniKeys(text, "pgbouncer", { a: "5", c: "6" })).toBe(
      "[pgbouncer]\na=5\nb=2\n[x]\na=3\n[pgbouncer]\nc=6\n",
    );
  });

  test("comments, directives and similar names are no keys", () => {
    const text = "[pgbouncer]\n;pool_mode=a\n#pool_mode=b\n%include x.ini\npool_mode_x=c\n";
    expect(setIniKeys(text, "pgbouncer", { pool_mode: "session" })).toBe(`${text}pool_mode=session\n`);
  });

  test("line breaks stay what they are, a missing last one is added", () => {
    expect(setIniKeys("[pgbouncer]\r\na=1\r\n", "pgbouncer", { a: "2", b: "3" })).toBe("[pgbouncer]\r\na=2\r\nb=3\r\n");
    expect(setIniKeys("[pgbouncer]\na=1", "pgbouncer", { b: "2" })).toBe("[pgbouncer]\na=1\nb=2\n");
  });

  test("values cannot leave their line, and backslashes are doubled", () => {
    expect(setIniKeys("[p]\n", "p", { a: "x\ny\\z\t\u0001" })).toBe("[p]\na=x\\ny\\\\z\\t\\x0001\n");
  });

  test("a missing section and an impossible key are errors", () => {
    expect(() => setIniKeys("[databases]\n", "pgbouncer", { a: "1" })).toThrow(
      expect.objectContaining({ code: "ini_section_missing" }),
    );
    for (const key of ["", "a b", "a=b", "[x]", "a\nb", ";a"])
      expect(() => setIniKeys("[p]\n", "p", { [key]: "1" }), key).toThrow(
        expect.objectContaining({ code: "ini_key_invalid" }),
      );
  });

  test("whatever the values, every other line survives", () => {
    const values = fc.dictionary(fc.stringMatching(/^[a-z_]{1,12}$/), fc.string());
    fc.assert(
      fc.property(values, (settings) => {
        const lines = setIniKeys(BASE, "pgbouncer", settings).split("\n");
        const kept = BASE.split("\n").filter((line) => !/^(?:pool_mode = tr|max_client_conn)/.test(line));
        expect(lines.filter((line) => kept.includes(line)).length).toBeGreaterThanOrEqual(kept.length);
        for (const key of Object.keys(settings))
          expect(lines.filter((line) => line.startsWith(`${key}=`)).length).toBe(1);
      }),
    );
  });
});
