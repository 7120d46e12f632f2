import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { syncDirectory } from "../disk/atomic_file.ts";
import { CodedError, errorChain, errorCode } from "../errors/coded_error.ts";
import type { PostgresInstallation } from "../postgres/installation.ts";
import type { Logger } from "../telemetry/log.ts";
import { display } from "../telemetry/log_line.ts";
import { CONTROL_STATE_SHUT_DOWN, type ControlFile, readControlFile } from "../wire/control_file.ts";
import { formatLsn } from "../wire/lsn.ts";
import { WAL_PAGE_MAGIC } from "../wire/wal/page_header.ts";
import { WAL_SEGMENT_SIZE, WAL_TIMELINE, walSegmentName } from "../wire/wal/segment.ts";
import { ChunkStore } from "./chunk_store.ts";
import { captureImage } from "./image_capture.ts";
import { readRecord, STORE_FORMAT, writeRecord } from "./record_file.ts";
import { damagedFile } from "./store_error.ts";
import { type Template, templateSchema } from "./template_record.ts";
import { captureWal } from "./template_wal.ts";
import { findWalEnd } from "./wal_scan.ts";

const REMEDY = "remove the template's directory, it is made anew";

/** Runs initdb into a directory that does not exist yet; the files may belong to another user afterwards. */
export type RunInitdb = (request: {
  readonly installation: PostgresInstallation;
  /** Where the data directory goes; its parent belongs to the user that runs initdb. */
  readonly pgdata: string;
  readonly signal: AbortSignal;
}) => Promise<void>;

export interface TemplatesOptions {
  readonly dir: string;
  /** Where templates are looked for first, and never written: those of an image or package. */
  readonly shippedDir?: string | undefined;
  /** What else than the build decides initdb's result; part of the cache key. */
  readonly initdbOptions: readonly string[];
  readonly initdb: RunInitdb;
  /** Where initdb works; it must be reachable for the user that runs it. The system's directory unless told. */
  readonly workDir?: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface CachedTemplate {
  readonly template: Template;
  readonly chunks: ChunkStore;
}

/**
 * Clusters fresh from initdb, one a build and set of options: initdb takes a second, a timeline out of a template a few
 * milliseconds. The directory may be shared by several stores; a template appears in it whole or not at all.
 */
export class Templates {
  readonly #options: TemplatesOptions;
  readonly #loading = new Map<string, Promise<CachedTemplate>>();

  constructor(options: TemplatesOptions) {
    this.#options = options;
  }

  /** The template for a build; requests that come while it is made wait for the same initdb. */
  async get(installation: PostgresInstallation): Promise<CachedTemplate> {
    const key = this.#key(installation);
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#load(installation, key);
      this.#loading.set(key, loading);
      loading.catch(() => this.#loading.delete(key));
    }
    return await loading;
  }

  #key(installation: PostgresInstallation): string {
    const options = createHash("sha256").update(JSON.stringify(this.#options.initdbOptions)).digest("hex");
    return `${installation.buildId.replaceAll(/[^\w.+-]/g, "_")}-${options.slice(0, 16)}`;
  }

  async #load(installation: PostgresInstallation, key: string): Promise<CachedTemplate> {
    const { dir, shippedDir } = this.#options;
    for (const place of shippedDir === undefined ? [dir] : [shippedDir, dir]) {
      const template = await readRecord(join(place, key, "template.json"), templateSchema, REMEDY);
      if (template) return { template, chunks: chunksIn(join(place, key)) };
    }
    const made = join(dir, key);
    return { template: await this.#make(installation, made), chunks: chunksIn(made) };
  }

  async #make(installation: PostgresInstallation, dir: string): Promise<Template> {
    const started = performance.now();
    const work = await mkdtemp(join(this.#options.workDir ?? tmpdir(), "neon-store-initdb-"));
    const unfinished = `${dir}.${randomBytes(4).toString("hex")}.new`;
    try {
      const pgdata = join(work, "pgdata");
      await this.#options.initdb({ installation, pgdata, signal: this.#options.signal });
      await mkdir(join(unfinished, "chunks"), { recursive: true });
      await mkdir(join(unfinished, "tmp"));
      const template = await capture(installation, pgdata, unfinished);
      await rm(join(unfinished, "tmp"), { recursive: true });
      await writeRecord(join(unfinished, "template.json"), template);
      const installed = await install(unfinished, dir);
      this.#options.log.info("made a template", {
        build: display(installation.buildId),
        ms: Math.round(performance.now() - started),
      });
      return installed;
    } catch (error) {
      throw new CodedError("initdb_failed", `could not make a template of PostgreSQL ${installation.buildId}`, {
        cause: error,
      });
    } finally {
      for (const path of [work, unfinished])
        await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
          this.#options.log.warn("could not remove a directory", { path, error: errorChain(error) });
        });
    }
  }
}

function chunksIn(template: string): ChunkStore {
  return new ChunkStore({ dir: join(template, "chunks"), temporaryDir: join(template, "tmp"), cache: false });
}

/** Puts a whole template into its place; another process may have been faster, then its template is used. */
async function install(unfinished: string, dir: string): Promise<Template> {
  await mkdir(dirname(dir), { recursive: true });
  try {
    await rename(unfinished, dir);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
  await syncDirectory(dirname(dir));
  const template = await readRecord(join(dir, "template.json"), templateSchema, REMEDY);
  if (!template) throw damagedFile(join(dir, "template.json"), "it is missing", REMEDY);
  return template;
}

/** The rest of this program stands on these. */
function checkControl(control: ControlFile, pgdata: string): void {
  const problem =
    control.state !== CONTROL_STATE_SHUT_DOWN
      ? `it is in state ${control.state} instead of shut down`
      : control.walSegmentSize !== WAL_SEGMENT_SIZE
        ? `its WAL segments have ${control.walSegmentSize} bytes`
        : control.timeline !== WAL_TIMELINE
          ? `it is on timeline ${control.timeline}`
          : undefined;
  if (problem) throw new CodedError("unusable_cluster", `cannot take ${pgdata} as a template: ${problem}`);
}

async function capture(installation: PostgresInstallation, pgdata: string, dir: string): Promise<Template> {
  const chunks = chunksIn(dir);
  const control = readControlFile(await readFile(join(pgdata, "global", "pg_control")));
  checkControl(control, pgdata);
  const segment = (number: bigint): string => join(pgdata, "pg_wal", walSegmentName(number));
  const { end } = await findWalEnd({
    spans: [{ walDir: join(pgdata, "pg_wal"), from: 0n }],
    from: control.redo,
    atLeast: control.checkpoint + 1n,
    systemIdentifier: control.systemIdentifier,
    magic: WAL_PAGE_MAGIC[installation.major],
  });
  const lsn = formatLsn(end);
  const template: Template = {
    format: STORE_FORMAT,
    image: {
      format: STORE_FORMAT,
      pg_version: installation.major,
      build_id: installation.buildId,
      system_identifier: String(control.systemIdentifier),
      // A stopped server's files hold everything up to the end of its shutdown checkpoint.
      lsn,
      redo: formatLsn(control.redo),
      checkpoint: formatLsn(control.checkpoint),
      ...(await captureImage(pgdata, chunks)),
    },
    end: lsn,
    wal: await captureWal(segment, control.redo, end, chunks),
  };
  await chunks.sync();
  return template;
}
