import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeControlFiles } from "../../src/extensions/control_files.ts";
import { ExtensionDownloads } from "../../src/extensions/extension_downloads.ts";
import { loadExtensionsAtStart } from "../../src/extensions/load_at_start.ts";
import type { RemoteExtensions } from "../../src/spec/neighbours.ts";
import type { SpecWithSettings } from "../../src/spec/settings.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { archive, file } from "./archive.ts";
import { startGateway } from "./gateway.ts";
import { type ScratchInstallation, scratchInstallation } from "./installation.ts";
import { remoteExtensions } from "./remote_extensions.ts";

const ZEROS = { load_ext_ms: 0, num_ext_downloaded: 0, largest_ext_size: 0, total_ext_download_size: 0 };

function specWith(libraries: string, remote: RemoteExtensions | null) {
  const settings = [{ name: "shared_preload_libraries", value: libraries, vartype: "string" }];
  const cluster = { settings, postgresql_conf: null } as unknown as SpecWithSettings["cluster"];
  return { cluster, remote_extensions: remote };
}

function downloadsOf(baseUrl: string, installation: ScratchInstallation, signal = new AbortController().signal) {
  return new ExtensionDownloads({
    ...{ baseUrl, buildTag: "tag", arch: "x64", major: 17, signal },
    sharedir: installation.sharedir,
    pkglibdir: installation.pkglibdir,
    onRequest: () => {},
    log: collectingLog().log,
  });
}

const remote = remoteExtensions({
  public_extensions: ["small", "large", "broken"],
  library_index: { small: "small", large: "large", large_helper: "large", broken: "broken", forbidden: "forbidden" },
  extensions: ["small", "large", "broken", "forbidden"],
});
const small = archive([file("lib/small.so", "s")]);
const large = archive([file("lib/large.so", "l".repeat(3000)), file("lib/large_helper.so", Math.random().toString())]);

describe("at start", () => {
  test("listed libraries are fetched in parallel, each archive once; figures count what came", async () => {
    await using installation = await scratchInstallation();
    const both = Promise.withResolvers<void>();
    let asked = 0;
    await using gateway = await startGateway(async (path) => {
      if (++asked === 3) both.resolve();
      // No answer before all are under way.
      await both.promise;
      if (path.includes("broken")) return { status: 500 };
      return { status: 200, body: path.includes("small") ? small : large };
    });
    const clock = [1000.2, 1250.9];
    const figures = await loadExtensionsAtStart({
      spec: specWith("neon,small,large, large_helper,local_one,broken", remote),
      downloads: downloadsOf(gateway.baseUrl, installation),
      sharedir: installation.sharedir,
      log: collectingLog().log,
      now: () => clock.shift() ?? 0,
    });
    expect(figures).toEqual({
      load_ext_ms: 251,
      num_ext_downloaded: 2,
      largest_ext_size: Math.max(small.length, large.length),
      total_ext_download_size: small.length + large.length,
    });
    expect(gateway.requests).toHaveLength(3);
    expect(await installation.list()).toEqual([
      ...["lib/large.so", "lib/large_helper.so", "lib/small.so"],
      ...["share/extension/broken.control", "share/extension/large.control", "share/extension/small.control"],
    ]);
  });

  test("what was fetched before does not count", async () => {
    await using installation = await scratchInstallation();
    await using gateway = await startGateway(() => ({ status: 200, body: small }));
    const downloads = downloadsOf(gateway.baseUrl, installation);
    await downloads.download("small");
    const { log } = collectingLog();
    const start = { spec: specWith("small", remote), downloads, sharedir: installation.sharedir, log };
    expect(await loadExtensionsAtStart({ ...start, now: () => 0 })).toEqual(ZEROS);
    expect(gateway.requests).toHaveLength(1);
  });

  test("a listed library that is not allowed fails the start, before anything is fetched", async () => {
    await using installation = await scratchInstallation();
    await using gateway = await startGateway(() => ({ status: 200, body: small }));
    const loading = loadExtensionsAtStart({
      spec: specWith("small,forbidden", remote),
      downloads: downloadsOf(gateway.baseUrl, installation),
      sharedir: installation.sharedir,
      log: collectingLog().log,
    });
    await expect(loading).rejects.toThrow("extension forbidden is not found");
    expect(gateway.requests).toEqual([]);
  });

  test("without a gateway only control files are written; without remote extensions nothing", async () => {
    await using installation = await scratchInstallation();
    const common = { downloads: undefined, sharedir: installation.sharedir, log: collectingLog().log };
    expect(await loadExtensionsAtStart({ ...common, spec: specWith("small", null) })).toEqual(ZEROS);
    expect(await installation.list()).toEqual([]);
    expect(await loadExtensionsAtStart({ ...common, spec: specWith("forbidden", remote) })).toEqual(ZEROS);
    expect(await installation.list()).toHaveLength(3);
  });

  test("an abort is not taken for a failed download", async () => {
    await using installation = await scratchInstallation();
    const stop = new AbortController();
    await using gateway = await startGateway(() => () => stop.abort(new Error("stopping")));
    const loading = loadExtensionsAtStart({
      spec: specWith("small", remote),
      downloads: downloadsOf(gateway.baseUrl, installation, stop.signal),
      sharedir: installation.sharedir,
      log: collectingLog().log,
    });
    await expect(loading).rejects.toThrow("stopping");
  });
});

describe("control files", () => {
  test("only those of allowed extensions; one that is there stays, with a warning", async () => {
    await using installation = await scratchInstallation();
    const existing = join(installation.sharedir, "extension", "large.control");
    await writeFile(existing, "local");
    const { log, lines } = collectingLog();
    expect(await writeControlFiles(remote, installation.sharedir, log)).toBe(2);
    expect(lines).toEqual([" WARN control file large.control exists both locally and remotely"]);
    expect(await readFile(existing, "utf8")).toBe("local");
    expect(await readFile(join(installation.sharedir, "extension", "small.control"), "utf8")).toBe(
      "comment = 'small of the spec'\n",
    );
    expect(await installation.list()).not.toContain("share/extension/forbidden.control");
  });

  test("missing lists allow nothing, also when only one is missing", async () => {
    await using installation = await scratchInstallation();
    const custom = remoteExtensions({ custom_extensions: ["a"], extensions: ["a", "b"] });
    await writeControlFiles(custom, installation.sharedir, collectingLog().log);
    await writeControlFiles(remoteExtensions({ extensions: ["c"] }), installation.sharedir, collectingLog().log);
    expect(await installation.list()).toEqual(["share/extension/a.control"]);
  });

  test.each(["../evil.control", "a/b.control", "..", ""])(
    "a file named %j is refused, nothing is written",
    async (name) => {
      await using installation = await scratchInstallation();
      const hostile: RemoteExtensions = {
        ...remoteExtensions({ public_extensions: ["a"], extensions: [] }),
        extension_data: { a: { control_data: { "a.control": "", [name]: "" }, archive_path: "" } },
      };
      await expect(writeControlFiles(hostile, installation.sharedir, collectingLog().log)).rejects.toMatchObject({
        code: "control_file_name",
      });
      expect(await installation.list()).toEqual([]);
    },
  );

  test("a directory that cannot be written to ends the start with its name", async () => {
    await using installation = await scratchInstallation();
    const blocked = join(installation.path, "file");
    await writeFile(blocked, "");
    await expect(writeControlFiles(remote, blocked, collectingLog().log)).rejects.toThrow(
      `cannot write to ${blocked}/extension`,
    );
  });
});
