import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConfLine } from "../../src/pgdata/conf_line.ts";
import {
  decodeValue,
  effectiveSettingValue,
  quoteRawValue,
  quoteString,
  renderSettingValue,
  requireSettingName,
} from "../../src/pgdata/quoting.ts";

/**
 * PostgreSQL's own reading of a value, token by token and written down independently: the lexer's rules in their order
 * of length, then the decoding of strings. Undefined for a syntax error.
 */
function readAsPostgres(rest: string): string | undefined {
  const body = rest.replace(/^[ \t\r]+/, "");
  if (body.startsWith("'")) {
    let value = "";
    for (let at = 1; at < body.length; at++) {
      const char = body[at];
      if (char === "\n") return undefined;
      if (char === "'" && body[at + 1] !== "'") return onlyBlanks(body.slice(at + 1)) ? value : undefined;
      if (char === "'") {
        value += "'";
        at++;
      } else if (char === "\\") {
        const next = body[++at];
        if (next === undefined || next === "\n") return undefined;
        const octal = /^[0-7]{1,3}/.exec(body.slice(at))?.[0];
        if (octal !== undefined) {
          value += String.fromCharCode(Number.parseInt(octal, 8) & 255);
          at += octal.length - 1;
        } else value += { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }[next] ?? next;
      } else value += char;
    }
    return undefined;
  }
  const tokens = [
    ["value", /^[A-Za-z_\u0080-\uffff][A-Za-z_0-9\u0080-\uffff]*/],
    [
      "qualified",
      /^[A-Za-z_\u0080-\uffff][A-Za-z_0-9\u0080-\uffff]*\.[A-Za-z_\u0080-\uffff][A-Za-z_0-9\u0080-\uffff]*/,
    ],
    ["value", /^[A-Za-z_\u0080-\uffff][A-Za-z_0-9\u0080-\uffff\-._:/]*/],
    ["value", /^[-+]?(?:[0-9]+|0x[0-9a-fA-F]+)[a-zA-Z]*/],
    ["value", /^[-+]?[0-9]*\.[0-9]*(?:[Ee][-+]?[0-9]+)?/],
  ] as const;
  let best: { kind: string; text: string } | undefined;
  for (const [kind, pattern] of tokens) {
    const found = pattern.exec(body)?.[0];
    if (found && found.length > (best?.text.length ?? 0)) best = { kind, text: found };
  }
  return best?.kind === "value" && onlyBlanks(body.slice(best.text.length)) ? best.text : undefined;
}

function onlyBlanks(text: string): boolean {
  return /^[ \t\r]*(?:#[^\n]*)?$/.test(text);
}

const anyText = fc.oneof(
  fc.string({ unit: "binary" }).filter((value) => !value.includes("\0")),
  fc
    .array(fc.constantFrom("'", "\\", "\n", "\r", "#", "=", " ", "a", "1", ".", "n", "é"), { maxLength: 12 })
    .map((all) => all.join("")),
);

describe("quoting", () => {
  test("postgres-config.md case 2: strings are escaped, other types stay raw", () => {
    expect(renderSettingValue("a'b\\c", "string")).toBe("'a''b\\\\c'");
    expect(renderSettingValue("100", "integer")).toBe("100");
    expect(renderSettingValue(`it's C:\\tmp and "so"`, "string")).toBe(`'it''s C:\\\\tmp and "so"'`);
  });

  test("a newline is written as two characters", () => {
    expect(quoteString("a\nb")).toBe("'a\\nb'");
  });

  test("every string comes back from PostgreSQL's reading, and from ours", () => {
    fc.assert(
      fc.property(anyText, (value) => {
        const line = quoteString(value);
        expect(line).not.toContain("\n");
        expect(readAsPostgres(line)).toBe(value);
        expect(decodeValue(line)).toBe(value);
        expect(parseConfLine(`x = ${line} # comment`)?.value).toBe(value);
      }),
      { numRuns: 1000 },
    );
  });

  test("every raw value is one token on one line, and means what it meant", () => {
    fc.assert(
      fc.property(anyText, (value) => {
        const rendered = quoteRawValue(value);
        expect(rendered).not.toContain("\n");
        expect(readAsPostgres(rendered)).toBe(effectiveSettingValue(value, "integer"));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(["on", "100", "-1", "128kB", "0x1F", "1.5", "'already ''quoted'''", "scram-sha-256"])(
    "raw %s stays as it is",
    (value) => {
      expect(quoteRawValue(value)).toBe(value);
    },
  );

  test.each([
    ["1.5GB", "'1.5GB'"],
    ["a.b", "'a.b'"],
    ["1e5", "'1e5'"],
    ["a, b", "'a, b'"],
    ["1\nfsync = off", "'1\\nfsync = off'"],
    ["'open", "'''open'"],
    ["'a' 'b'", "'''a'' ''b'''"],
    ["", "''"],
    ["1 # two", "'1 # two'"],
  ])("raw %j is quoted", (value, expected) => {
    expect(quoteRawValue(value)).toBe(expected);
  });

  test("a NUL and a name that is none are refused", () => {
    for (const act of [
      () => quoteString("a\0"),
      () => quoteRawValue("'a\0'"),
      () => requireSettingName("a = 1\nb"),
      () => requireSettingName(""),
      () => requireSettingName("a.b.c"),
    ]) {
      expect(act).toThrow(expect.objectContaining({ code: "invalid_setting", status: 400 }));
    }
    for (const name of ["neon.tenant_id", "work_mem", "_x"]) requireSettingName(name);
  });
});
