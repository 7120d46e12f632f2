import { expect, test } from "vitest";
import { parseProcessRecord } from "../../src/local/process_record.ts";

test("a process record that is not whole names nobody", () => {
  expect(parseProcessRecord('{"pid":1,"start_time":"x","argv0":"y"}')).toEqual({ pid: 1, start_time: "x", argv0: "y" });
  for (const text of ["", "{", '{"pid":1}', '{"pid":"1","start_time":"x","argv0":"y"}'])
    expect(parseProcessRecord(text)).toBeNull();
});
