import { describe, expect, test } from "vitest";
import { addLibraries, libraryBaseName, parseLibraryList } from "../../src/pgdata/preload_libraries.ts";

describe("library lists", () => {
  test.each([
    ["", []],
    ["  ", []],
    ["neon", ["neon"]],
    [" neon , pg_stat_statements ", ["neon", "pg_stat_statements"]],
    ['"a,b","c""d",e', ["a,b", 'c"d', "e"]],
    ["$libdir/neon.so,/opt/x y.so", ["$libdir/neon.so", "/opt/x y.so"]],
  ])("%j", (list, names) => {
    expect(parseLibraryList(list)?.map(({ name }) => name)).toEqual(names);
  });

  test.each(["a,", ",a", "a,,b", '"a', '"a"b'])("%j is malformed", (list) => {
    expect(parseLibraryList(list)).toBeUndefined();
  });

  test("what pkglibdir can tell", () => {
    expect(["neon", "neon.so", "$libdir/neon", "$libdir/neon.so"].map(libraryBaseName)).toEqual(Array(4).fill("neon"));
    expect(libraryBaseName("/opt/neon.so")).toBeUndefined();
    expect(libraryBaseName("$libdir/plugins/neon")).toBeUndefined();
  });

  test("names are compared, never parts of names", () => {
    expect(addLibraries("pgauditlogtofile", ["pgaudit"])).toBe("pgauditlogtofile,pgaudit");
    expect(addLibraries("a, pgaudit", ["pgaudit", "pgauditlogtofile"])).toBe("a, pgaudit,pgauditlogtofile");
    expect(addLibraries("$libdir/pgaudit", ["pgaudit"])).toBe("$libdir/pgaudit");
    expect(addLibraries("", ["pgaudit"])).toBe("pgaudit");
  });
});
