import { expect, test } from "vitest";
import { z } from "zod";
import { decodeRecord, encodeRecord, STORE_FORMAT } from "../../src/store/record_file.ts";

const schema = z.strictObject({ format: z.number(), name: z.string(), list: z.array(z.number()) });
const VALUE = { format: STORE_FORMAT, name: 'ünïcode "crc32c"', list: [1, 2] };
const PATH = "/store/x.json";

test("round trip, readable JSON", () => {
  const text = encodeRecord(VALUE);
  expect(decodeRecord(text, schema, PATH)).toEqual(VALUE);
  expect(JSON.parse(text)).toMatchObject(VALUE);
});

test("every flipped bit and every truncation names the file", () => {
  const bytes = Buffer.from(encodeRecord(VALUE));
  const variants = [...bytes.keys()].flatMap((at) => [
    bytes.subarray(0, at),
    ...[1, 4, 32].map((bit) =>
      Buffer.concat([bytes.subarray(0, at), Buffer.of((bytes[at] ?? 0) ^ bit), bytes.subarray(at + 1)]),
    ),
  ]);
  for (const variant of variants)
    expect(() => decodeRecord(variant.toString("utf8"), schema, PATH)).toThrow(
      expect.objectContaining({
        code: "damaged_file",
        exitCode: 4,
        message: expect.stringContaining(`${PATH} is damaged: `),
      }),
    );
});

test("a newer format is refused before its fields are looked at", () => {
  const text = encodeRecord({ format: STORE_FORMAT + 1, something: "new" });
  expect(() => decodeRecord(text, schema, PATH)).toThrow(
    expect.objectContaining({ code: "newer_format", exitCode: 4, message: expect.stringContaining(PATH) }),
  );
});

test("a value that is not of its kind names the file and the field", () => {
  const text = encodeRecord({ format: STORE_FORMAT, name: 5, list: [] });
  expect(() => decodeRecord(text, schema, PATH)).toThrow(/x\.json is damaged: [\s\S]*name/);
});
