import { join } from "node:path";
import type { Lsn } from "../wire/lsn.ts";
import { walSegmentName } from "../wire/wal/segment.ts";

/** Where everything lies below a store's directory. One place, so that no other file joins paths of its own. */
export interface StoreLayout {
  readonly root: string;
  readonly storeFile: string;
  /** Sockets of the processes that hold or want the directory. */
  readonly lockDir: string;
  /** The addresses that are really listened on, while the store runs. */
  readonly endpointsFile: string;
  readonly tenantsDir: string;
  readonly chunksDir: string;
  readonly templatesDir: string;
  /** Unfinished files; emptied at every start. */
  readonly temporaryDir: string;
  readonly tenantDir: (tenant: string) => string;
  readonly tenantFile: (tenant: string) => string;
  readonly timelineDir: (tenant: string, timeline: string) => string;
}

export interface TimelineLayout {
  readonly dir: string;
  readonly timelineFile: string;
  readonly acceptorFile: string;
  readonly walDir: string;
  readonly imagesDir: string;
  readonly segment: (segment: bigint) => string;
  readonly image: (lsn: Lsn) => string;
}

export function storeLayout(root: string): StoreLayout {
  const tenantsDir = join(root, "tenants");
  const tenantDir = (tenant: string) => join(tenantsDir, tenant);
  return {
    root,
    storeFile: join(root, "store.json"),
    lockDir: join(root, "lock"),
    endpointsFile: join(root, "store_endpoints.json"),
    tenantsDir,
    chunksDir: join(root, "chunks"),
    templatesDir: join(root, "templates"),
    temporaryDir: join(root, "tmp"),
    tenantDir,
    tenantFile: (tenant) => join(tenantDir(tenant), "tenant.json"),
    timelineDir: (tenant, timeline) => join(tenantDir(tenant), timeline),
  };
}

export function timelineLayout(dir: string): TimelineLayout {
  const walDir = join(dir, "wal");
  const imagesDir = join(dir, "images");
  return {
    dir,
    timelineFile: join(dir, "timeline.json"),
    acceptorFile: join(dir, "acceptor.json"),
    walDir,
    imagesDir,
    segment: (segment) => join(walDir, walSegmentName(segment)),
    // An LSN's own spelling has a slash in it.
    image: (lsn) => join(imagesDir, `${lsn.toString(16).toUpperCase().padStart(16, "0")}.json`),
  };
}
