import { describe, expect, test } from "vitest";
import { archiveUrl } from "../../src/extensions/archive_location.ts";
import { lookUpExtension } from "../../src/extensions/look_up.ts";
import { remoteExtensions } from "./remote_extensions.ts";

const remote = remoteExtensions({
  public_extensions: ["anon", "nodata"],
  custom_extensions: ["postgis"],
  library_index: { "postgis-3": "postgis", secret: "secret", nodata: "nodata" },
  extensions: ["anon", "postgis", "secret"],
});

describe("look-up", () => {
  test("an extension is found by its name when one of the lists allows it", () => {
    expect(lookUpExtension(remote, "anon", false)).toBe("anon");
    expect(lookUpExtension(remote, "postgis", false)).toBe("postgis");
  });

  test("http-api.md case 36: a library is found through the index, whatever follows .so", () => {
    for (const name of ["postgis-3", "postgis-3.so", "postgis-3.so.1", "postgis-3.so.1.so"])
      expect(lookUpExtension(remote, name, true), name).toBe("postgis");
  });

  test.each([
    ["unknown", false, "extension unknown is not found"],
    ["secret", false, "extension secret is not found"],
    ["secret.so", true, "extension secret is not found"],
    ["postgis-3", false, "extension postgis-3 is not found"],
    ["postgis", true, "library postgis is not found"],
    ["x.so.1", true, "library x is not found"],
    ["nodata", false, "real_ext_name nodata is not found"],
    ["nodata.so", true, "real_ext_name nodata is not found"],
    ["constructor", true, "library constructor is not found"],
    ["toString", false, "extension toString is not found"],
  ])("%s (library: %s): %s", (name, isLibrary, message) => {
    expect(() => lookUpExtension(remote, name, isLibrary)).toThrow(expect.objectContaining({ message, status: 404 }));
  });

  test("missing lists allow nothing", () => {
    const none = remoteExtensions({
      ...remote,
      extensions: ["anon"],
      public_extensions: null,
      custom_extensions: null,
    });
    expect(() => lookUpExtension(none, "anon", false)).toThrow("extension anon is not found");
  });
});

describe("address of an archive", () => {
  test("tag, architecture in Go style, major version", () => {
    const variant = { buildTag: "7342", arch: "x64", major: 16 };
    expect(archiveUrl("http://gw/p/", "anon", variant)).toBe("http://gw/p/7342/amd64/v16/extensions/anon.tar.zst");
    expect(archiveUrl("http://gw", "anon", { buildTag: "latest", arch: "arm64", major: 18 })).toBe(
      "http://gw/latest/arm64/v18/extensions/anon.tar.zst",
    );
    expect(archiveUrl("http://gw//", "anon", { ...variant, arch: "riscv64" })).toContain("http://gw/7342/riscv64/");
  });

  test("no name leaves its place in the path", () => {
    const url = archiveUrl("http://gw/p/", "../x?y#z", { buildTag: "a/b", arch: "x64", major: 17 });
    expect(url).toBe("http://gw/p/a%2Fb/amd64/v17/extensions/..%2Fx%3Fy%23z.tar.zst");
  });
});
