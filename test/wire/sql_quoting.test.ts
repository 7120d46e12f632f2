import fc from "fast-check";
import { expect, test } from "vitest";
import {
  doBlock,
  dollarQuote,
  dollarTag,
  invalidName,
  quoteIdentifier,
  quoteLiteral,
  quoteTextArray,
  serializeOptions,
} from "../../src/wire/sql_quoting.ts";

test("identifiers are always wrapped, quotes doubled", () => {
  expect(quoteIdentifier("shop")).toBe('"shop"');
  expect(quoteIdentifier('a"b')).toBe('"a""b"');
});

test("literals double quotes and backslashes, with E where there is one", () => {
  expect(quoteLiteral("it's")).toBe("'it''s'");
  expect(quoteLiteral("a\\b")).toBe("E'a\\\\b'");
  expect(quoteTextArray(["a", "'"])).toBe("ARRAY['a', '''']::text[]");
  expect(quoteTextArray([])).toBe("ARRAY[]::text[]");
});

test("the dollar tag is the shortest run of x that is not in the text", () => {
  const tags = ["shop", "box", "xx", "$x$", "a$"].map(dollarTag);
  expect(tags).toEqual(["x", "xx", "xxx", "xx", "x"]);
});

test("for any text, the mark does not occur inside", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("x", "$", "a", "'", "\n") }), (text) => {
      const quoted = dollarQuote(text);
      const mark = `$${dollarTag(text)}$`;
      expect(quoted.indexOf(mark, 1)).toBe(quoted.length - mark.length);
      expect(doBlock(text)).toContain(text);
    }),
  );
});

test("options: no value, a string, anything else raw", () => {
  expect(
    serializeOptions([
      { name: "LC_COLLATE", value: "C", vartype: "string" },
      { name: "TEMPLATE", value: "template0", vartype: "enum" },
      { name: "IN ROLE pg_monitor", value: null, vartype: "bool" },
    ]),
  ).toBe("LC_COLLATE 'C' TEMPLATE template0 IN ROLE pg_monitor");
  expect(serializeOptions(null)).toBe("");
});

test("NUL is refused, names are measured in bytes", () => {
  for (const quote of [quoteIdentifier, quoteLiteral, dollarQuote]) expect(() => quote("a\0b")).toThrow("NUL");
  expect(invalidName("x".repeat(63))).toBeUndefined();
  expect(invalidName("ü".repeat(32))).toContain("64 bytes");
  expect(invalidName("")).toBe("is empty");
  expect(invalidName("\ud800")).toContain("Unicode");
});
