import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CHUNK_SIZE, checkChunk, chunkId, encodeChunk, inflateChunk } from "../../src/store/chunk.ts";
import { storedGzipMember } from "../../src/store/gzip_member.ts";

const PATH = "/store/chunks/ab/abc";

test.each([0, 1, 8192, 40_000, CHUNK_SIZE])("a chunk of %i bytes is one gzip member for any gunzip", async (size) => {
  for (const content of [randomBytes(size), Buffer.alloc(size, 5)]) {
    const { id, member } = await encodeChunk(content);
    expect(id).toBe(chunkId(content));
    expect(gunzipSync(member).equals(content)).toBe(true);
    checkChunk(member, id, PATH);
    expect((await inflateChunk(member)).equals(content)).toBe(true);
  }
});

test("every flipped bit and every truncation of a chunk names its file", async () => {
  const { id, member } = await encodeChunk(Buffer.from("some content ".repeat(5)));
  for (let at = 0; at < member.length; at++) {
    const flipped = Buffer.from(member);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    for (const damaged of [flipped, member.subarray(0, at)])
      expect(() => checkChunk(damaged, id, PATH)).toThrow(
        expect.objectContaining({ code: "damaged_file", message: expect.stringContaining(`${PATH} is damaged`) }),
      );
  }
});

test("a chunk under another's name is noticed", async () => {
  const { member } = await encodeChunk(Buffer.from("a"));
  expect(() => checkChunk(member, chunkId(Buffer.from("b")), PATH)).toThrow("another chunk than its name says");
});

test("members that are not compressed: any gunzip reads them, one after the other", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 140_000 }), { minLength: 1, maxLength: 4 }), (sizes) => {
      const contents = sizes.map((size) => Buffer.alloc(size, size & 0xff));
      const stream = Buffer.concat(contents.map(storedGzipMember));
      expect(gunzipSync(stream).equals(Buffer.concat(contents))).toBe(true);
    }),
    { numRuns: 20 },
  );
});
