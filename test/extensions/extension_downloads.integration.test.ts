import { execFileSync } from "node:child_process";
import { lstat, mkdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { errorChain } from "../../src/errors/coded_error.ts";
import { ExtensionDownloads, type ExtensionDownloadsOptions } from "../../src/extensions/extension_downloads.ts";
import { provideExtension } from "../../src/extensions/provide_extension.ts";
import { directoryError, type ExtensionDirectories } from "../../src/extensions/staged_archive.ts";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { collectingLog } from "../support/collecting_log.ts";
import { freePort } from "../support/free_port.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";
import { archive, file, type Member, other, sampleArchive, tar } from "./archive.ts";
import { type Gateway, type GatewayAnswer, startGateway } from "./gateway.ts";
import { scratchInstallation } from "./installation.ts";
import { remoteExtensions } from "./remote_extensions.ts";

const SAMPLE_FILES = [
  "lib/anon.so",
  "share/extension/anon",
  "share/extension/anon--1.0.sql",
  "share/extension/anon.control",
  "share/extension/anon/data.csv",
];

interface Prepared {
  readonly downloads: ExtensionDownloads;
  readonly metrics: ComputeMetrics;
  readonly lines: string[];
}

function prepare(
  baseUrl: string,
  directories: ExtensionDirectories,
  changes: Partial<ExtensionDownloadsOptions> = {},
): Prepared {
  const metrics = new ComputeMetrics("test");
  const { log, lines } = collectingLog();
  const downloads = new ExtensionDownloads({
    baseUrl,
    buildTag: "tag",
    arch: "x64",
    major: 16,
    sharedir: directories.sharedir,
    pkglibdir: directories.pkglibdir,
    onRequest: ({ filename, httpStatus }) => metrics.remoteExtensionRequests.inc({ filename, http_status: httpStatus }),
    log,
    signal: new AbortController().signal,
    ...changes,
  });
  return { downloads, metrics, lines };
}

async function samples(metrics: ComputeMetrics): Promise<string[]> {
  return (await metrics.text()).split("\n").filter((line) => line.startsWith("compute_ctl_remote_ext_requests_total{"));
}

const serving = (body: Buffer): Promise<Gateway> => startGateway(() => ({ status: 200, body }));
const failure = (work: Promise<unknown>): Promise<string> => work.then(() => "no error", errorChain);

const spec = {
  remote_extensions: remoteExtensions({
    public_extensions: ["anon"],
    library_index: { anon: "anon" },
    extensions: ["anon"],
  }),
};

describe("POST /extension_server", () => {
  test("http-api.md case 35: what cannot be provided has its status", async () => {
    await using installation = await scratchInstallation();
    const { downloads } = prepare("http://127.0.0.1:1/", installation);
    const missing = { name: "anon", isLibrary: false };
    const error = (...given: Parameters<typeof provideExtension>): Promise<unknown> =>
      provideExtension(...given).catch((thrown: unknown) => thrown);
    expect(await error(undefined, spec, missing)).toMatchObject({
      status: 412,
      message: "remote storage is not configured",
    });
    expect(await error(downloads, null, missing)).toMatchObject({ status: 412 });
    expect(await error(downloads, { remote_extensions: null }, missing)).toMatchObject({
      status: 409,
      message: "information about remote extensions is unavailable",
    });
    expect(await error(downloads, spec, { ...missing, name: "other" })).toMatchObject({
      status: 404,
      message: "extension other is not found",
    });
    expect(await error(downloads, spec, { name: "x.so", isLibrary: true })).toMatchObject({ status: 404 });
  });

  test("http-api.md case 35: gateway 500 is 500, and the next call tries again; then no request any more", async () => {
    await using installation = await scratchInstallation();
    const body = sampleArchive();
    await using gateway = await startGateway((_path, index) => (index === 0 ? { status: 500 } : { status: 200, body }));
    const { downloads, metrics } = prepare(gateway.baseUrl, installation);
    const ask = (): Promise<void> => provideExtension(downloads, spec, { name: "anon.so.1", isLibrary: true });
    await expect(ask()).rejects.toMatchObject({ status: 500, code: "extension_download" });
    expect(await installation.list()).toEqual([]);
    await ask();
    expect(await installation.list()).toEqual(SAMPLE_FILES);
    await ask();
    expect(gateway.requests).toHaveLength(2);
    expect(await samples(metrics)).toEqual([
      'compute_ctl_remote_ext_requests_total{filename="anon.tar.zst",http_status="500 Internal Server Error"} 1',
      'compute_ctl_remote_ext_requests_total{filename="anon.tar.zst",http_status="200 OK"} 1',
    ]);
  });

  test("http-api.md case 35: parallel calls are one gateway request, also when it fails", async () => {
    await using installation = await scratchInstallation();
    let answer: GatewayAnswer = { status: 404 };
    const open = Promise.withResolvers<void>();
    await using gateway = await startGateway(async () => {
      await open.promise;
      return answer;
    });
    const { downloads } = prepare(gateway.baseUrl, installation);
    const ask = (): Promise<void> => provideExtension(downloads, spec, { name: "anon", isLibrary: false });
    const failing = Promise.allSettled([ask(), ask()]);
    open.resolve();
    expect((await failing).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(gateway.requests).toHaveLength(1);
    answer = { status: 200, body: sampleArchive() };
    await Promise.all([ask(), ask(), ask()]);
    expect(gateway.requests).toHaveLength(2);
  });

  test("http-api.md case 36: the path that the gateway sees", async () => {
    await using installation = await scratchInstallation();
    await using gateway = await serving(sampleArchive());
    const { downloads } = prepare(gateway.baseUrl, installation);
    await downloads.download("anon");
    await prepare(gateway.baseUrl, installation, { major: 18, arch: "arm64" }).downloads.download("anon");
    expect(gateway.requests).toEqual([
      "GET /prefix/tag/amd64/v16/extensions/anon.tar.zst",
      "GET /prefix/tag/arm64/v18/extensions/anon.tar.zst",
    ]);
  });

  test("metrics-and-logs.md case 8: one sample an outcome", async () => {
    await using installation = await scratchInstallation();
    const body = sampleArchive();
    await using gateway = await startGateway((path) =>
      path.includes("anon") ? { status: 200, body } : { status: 404 },
    );
    const { downloads, metrics } = prepare(gateway.baseUrl, installation);
    await downloads.download("anon");
    await downloads.download("anon");
    expect(await failure(downloads.download("gone"))).toBe(
      "Failed to download a remote file: unexpected remote extensions server response status code: 404 Not Found",
    );
    expect(await samples(metrics)).toEqual([
      'compute_ctl_remote_ext_requests_total{filename="anon.tar.zst",http_status="200 OK"} 1',
      'compute_ctl_remote_ext_requests_total{filename="gone.tar.zst",http_status="404 Not Found"} 1',
    ]);
    const down = prepare(`http://127.0.0.1:${await freePort()}/`, installation);
    expect(await failure(down.downloads.download("anon"))).toMatch(/^Failed to download a remote file: .*ECONNREFUSED/);
    expect(await samples(down.metrics)).toEqual([
      'compute_ctl_remote_ext_requests_total{filename="anon.tar.zst",http_status="unknown"} 1',
    ]);
  });
});

describe("the gateway", () => {
  test("503 has its own words, redirects are followed", async () => {
    await using installation = await scratchInstallation();
    const body = sampleArchive();
    await using gateway = await startGateway((path) => {
      if (path.includes("busy")) return { status: 503 };
      return path === "/moved" ? { status: 200, body } : { status: 302, location: "/moved" };
    });
    const { downloads } = prepare(gateway.baseUrl, installation);
    expect(await failure(downloads.download("busy"))).toBe(
      "Failed to download a remote file: remote extensions server is temporarily unavailable",
    );
    expect(await downloads.download("anon")).toBe(body.length);
  });

  test("a body that breaks off counts as 200 and leaves nothing", async () => {
    await using installation = await scratchInstallation();
    const body = sampleArchive();
    await using gateway = await startGateway(() => (response) => {
      response.writeHead(200, { "content-length": body.length });
      response.write(body.subarray(0, body.length - 20), () => response.destroy());
    });
    const { downloads, metrics } = prepare(gateway.baseUrl, installation);
    expect(await failure(downloads.download("anon"))).toMatch(/^Failed to download a remote file: /);
    expect(await samples(metrics)).toHaveLength(1);
    expect((await samples(metrics))[0]).toContain('http_status="200 OK"} 1');
    expect(await installation.list()).toEqual([]);
  });

  test("silence ends a download", async () => {
    await using installation = await scratchInstallation();
    await using gateway = await startGateway(() => (response) => void response.writeHead(200).write("("));
    const { downloads } = prepare(gateway.baseUrl, installation, { idleTimeoutMs: 50 });
    expect(await failure(downloads.download("anon"))).toMatch(/no data for 0.05 s$/);
    expect(await installation.list()).toEqual([]);
  });

  test("an abort ends it with the abort's reason, not as a failed download", async () => {
    await using installation = await scratchInstallation();
    const stop = new AbortController();
    await using gateway = await startGateway(() => () => stop.abort(new Error("stopping")));
    const { downloads, lines } = prepare(gateway.baseUrl, installation, { signal: stop.signal });
    expect(await failure(downloads.download("anon"))).toBe("stopping");
    expect(lines).toEqual([]);
    expect(await installation.list()).toEqual([]);
  });

  test("a spoilt archive ends the request at once, though the gateway would go on", async () => {
    await using installation = await scratchInstallation();
    const closed = Promise.withResolvers<void>();
    await using gateway = await startGateway(() => (response) => {
      response.once("close", closed.resolve);
      response.writeHead(200).write("this is no zstd frame, and nothing follows");
    });
    const { downloads } = prepare(gateway.baseUrl, installation);
    expect(await failure(downloads.download("anon"))).toMatch(/the zstd stream is damaged/);
    await closed.promise;
  });
});

describe("unpacking", () => {
  async function unpack(body: Buffer, directories: ExtensionDirectories): Promise<string> {
    await using gateway = await serving(body);
    return await failure(prepare(gateway.baseUrl, directories).downloads.download("x"));
  }

  test("files get their place, readable for everybody; the rest of the archive is ignored", async () => {
    await using installation = await scratchInstallation();
    const members = [
      other("directory", "./"),
      other("directory", "./lib/"),
      file("./lib/a.so", "so", 0o4700),
      file("lib/bitcode/a/b.bc", "bc"),
      file("share/extension/a.control", "control"),
      file("share/doc/a.txt", "ignored"),
      file("README", "ignored"),
    ];
    expect(await unpack(archive(members), installation)).toBe("no error");
    expect(await installation.list()).toEqual([
      "lib/a.so",
      "lib/bitcode",
      "lib/bitcode/a",
      "lib/bitcode/a/b.bc",
      "share/extension/a.control",
    ]);
    const mode = async (path: string): Promise<number> => (await stat(join(installation.path, path))).mode & 0o7777;
    expect(await Promise.all(["lib/a.so", "lib/bitcode", "share/extension/a.control"].map(mode))).toEqual([
      0o755, 0o755, 0o644,
    ]);
  });

  test("what is there is replaced file by file, what is beside it stays", async () => {
    await using installation = await scratchInstallation();
    const library = join(installation.pkglibdir, "anon.so");
    await writeFile(library, "old");
    const { ino } = await stat(library);
    const data = join(installation.sharedir, "extension", "anon");
    await mkdir(data);
    await writeFile(join(data, "mine.csv"), "kept");
    expect(await unpack(sampleArchive(), installation)).toBe("no error");
    expect((await stat(library)).ino).not.toBe(ino);
    expect(await installation.list()).toEqual([...SAMPLE_FILES, "share/extension/anon/mine.csv"].sort());
  });

  test("links within their tree", async () => {
    await using installation = await scratchInstallation();
    const members = [
      file("lib/liba.so.1", "code"),
      other("symlink", "lib/liba.so", "liba.so.1"),
      other("hardlink", "lib/copy.so", "lib/liba.so.1"),
    ];
    expect(await unpack(archive(members), installation)).toBe("no error");
    expect(await readlink(join(installation.pkglibdir, "liba.so"))).toBe("liba.so.1");
    expect(await readFile(join(installation.pkglibdir, "copy.so"), "utf8")).toBe("code");
  });

  const hostile: readonly (readonly [string, readonly Member[]])[] = [
    ["a path upwards", [file("../evil", "x")]],
    ["a path upwards from a root", [file("lib/../../evil", "x")]],
    ["an absolute path", [file("/tmp/evil", "x")]],
    ["a symlink outwards", [other("symlink", "lib/out", "../..")]],
    ["an absolute symlink", [other("symlink", "lib/out", "/tmp")]],
    ["a file through a symlink", [other("symlink", "lib/out", "sub"), file("lib/out/evil", "x")]],
    ["a directory through a symlink", [other("symlink", "lib/out", "sub"), other("directory", "lib/out/")]],
    ["a hard link outwards", [other("hardlink", "lib/out", "../../../etc/passwd")]],
    ["a hard link to what is not there", [other("hardlink", "lib/out", "lib/none")]],
    ["a hard link to a symlink", [other("symlink", "lib/a", "b"), other("hardlink", "lib/out", "lib/a")]],
    ["a file in place of a root", [file("lib", "x")]],
    ["a file over a directory", [file("lib/a/b", "x"), file("lib/a", "x")]],
    ["a path through a file", [file("lib/a", "x"), file("lib/a/b", "x")]],
  ];
  test.each(hostile)("http-api.md case 37: %s: 500, and nothing is written anywhere", async (_what, members) => {
    await using installation = await scratchInstallation();
    const body = archive([file("lib/first.so", "good"), ...members, file("lib/last.so", "good")]);
    expect(await unpack(body, installation)).toMatch(/^Failed to download a remote file: the archive holds /);
    expect(await installation.list()).toEqual([]);
  });

  test("names that only pax and GNU headers can hold are read, and checked like others", async () => {
    await using installation = await scratchInstallation();
    await using source = await temporaryDirectory();
    const long = `${"very_long_name_".repeat(8)}.sql`;
    await mkdir(join(source.path, "share", "extension"), { recursive: true });
    await writeFile(join(source.path, "share", "extension", long), "long");
    for (const format of ["gnu", "pax"]) {
      const bytes = execFileSync("tar", ["-cf", "-", `--format=${format}`, "-C", source.path, "share"]);
      expect(await unpack(zstdCompressSync(bytes), installation), format).toBe("no error");
    }
    expect(await installation.list()).toEqual([`share/extension/${long}`]);
    const deep = `${"../".repeat(40)}evil`;
    const outwards = execFileSync("tar", [
      ...["-cf", "-", "--format=gnu", "-P", `--transform=s,share/extension/.*,${deep},`, "-C", source.path],
      `share/extension/${long}`,
    ]);
    expect(await unpack(zstdCompressSync(outwards), installation)).toMatch(/a path that is not plain/);
  });

  test("damaged, cut off, continued or of another kind: nothing is put in place", async () => {
    await using installation = await scratchInstallation();
    const good = sampleArchive();
    const damaged = Buffer.from(good);
    damaged.fill(0xff, good.length - 30, good.length - 10);
    for (const body of [
      damaged,
      good.subarray(0, good.length - 1),
      Buffer.concat([good, Buffer.from("more")]),
      Buffer.alloc(0),
      tar([file("lib/a.so", "x")]),
      zstdCompressSync(tar([file("lib/a.so", "x")]).subarray(0, 1024)),
      zstdCompressSync(Buffer.from("no tar")),
    ])
      expect(await unpack(body, installation)).toMatch(/^Failed to download a remote file: /);
    expect(await installation.list()).toEqual([]);
  });

  test("a directory that is not ours is named in the error, with what to do", () => {
    const denied = Object.assign(new Error("permission denied"), { code: "EACCES" });
    expect(errorChain(directoryError("/usr/lib/postgresql/17/lib", denied))).toBe(
      "cannot write to /usr/lib/postgresql/17/lib: the user of compute_ctl must be allowed to add files there: permission denied",
    );
  });

  test("a directory that cannot be written to is named in the error", async () => {
    await using installation = await scratchInstallation();
    const notDirectory = join(installation.path, "file");
    await writeFile(notDirectory, "");
    expect(await unpack(sampleArchive(), { ...installation, pkglibdir: join(notDirectory, "lib") })).toContain(
      `cannot write to ${notDirectory}/lib`,
    );
  });

  test("a library directory may be a symlink of the installation's own", async () => {
    await using installation = await scratchInstallation();
    const real = join(installation.path, "real");
    await mkdir(real);
    const link = join(installation.path, "link");
    await symlink(real, link);
    expect(await unpack(sampleArchive(), { ...installation, pkglibdir: link })).toBe("no error");
    expect((await lstat(join(real, "anon.so"))).isFile()).toBe(true);
  });

  test("other work goes on while a large archive is unpacked", async () => {
    await using installation = await scratchInstallation();
    const large = archive([file("lib/large.so", Buffer.alloc(64 * 1024 * 1024, "x"))]);
    let turns = 0;
    const done = new AbortController();
    const counting = (async () => {
      for (; !done.signal.aborted; turns++) await delay(1);
    })();
    expect(await unpack(large, installation)).toBe("no error");
    done.abort();
    await counting;
    expect(turns).toBeGreaterThan(2);
  });
});
