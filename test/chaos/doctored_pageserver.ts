import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import {
  type BackendMessage,
  BackendMessageParser,
  encodeQuery,
  encodeStartupMessage,
  encodeTerminate,
} from "../../src/wire/postgres_protocol.ts";
import { TAR_END, TarReader } from "../../src/wire/tar.ts";
import { copyAnswer, tarMember } from "../support/sample_base_backup.ts";
import { type ScriptedLibpqServer, startLibpqServer } from "../support/scripted_libpq_server.ts";
import type { TestStore } from "../support/store.ts";

/** A member of a base backup; directories have no content. */
export interface Member {
  readonly path: string;
  readonly type: "file" | "directory";
  readonly mode: number;
  content: Buffer;
}

/** A pageserver that hands out a store's base backups after a test has had its way with them. */
export async function doctoredPageserver(
  store: TestStore,
  doctor: (members: Member[], lsn: string) => Member[],
): Promise<ScriptedLibpqServer> {
  return await startLibpqServer({
    answer: async ({ query }) => {
      const [, , , lsn = ""] = query.split(" ");
      const members = doctor(await readMembers(store, query.replace(" --gzip", "")), lsn);
      const packed = members.map(({ path, type, mode, content }) => tarMember({ path, type, mode }, content));
      const tar = Buffer.concat([...packed, TAR_END]);
      return copyAnswer(query.includes("--gzip") ? gzipSync(tar, { level: 1 }) : tar);
    },
  });
}

async function readMembers(store: TestStore, query: string): Promise<Member[]> {
  const [host = "", port = ""] = store.endpoints.pageserver.split(":");
  const socket = connect({ host, port: Number(port) });
  await once(socket, "connect");
  const parser = new BackendMessageParser();
  const members: Member[] = [];
  let parts: Buffer[] = [];
  const reader = new TarReader({
    entry: ({ path, type, mode }) => {
      parts = [];
      members.push({ path, type: type === "directory" ? "directory" : "file", mode, content: Buffer.alloc(0) });
    },
    data: (chunk) => parts.push(Buffer.from(chunk)),
    endEntry: () => {
      const last = members.at(-1);
      if (last !== undefined) last.content = Buffer.concat(parts);
    },
  });
  socket.write(encodeStartupMessage({ user: "no_user" }));
  let asked = false;
  for await (const chunk of socket) {
    for (const message of parser.push(chunk as Buffer) as Iterable<BackendMessage>) {
      if (message.type === "errorResponse") throw new Error(message.fields.message);
      if (message.type === "readyForQuery" && !asked) socket.write(encodeQuery(query));
      if (message.type === "readyForQuery") asked = true;
      if (message.type === "copyData") reader.push(Buffer.from(message.data));
      if (message.type === "commandComplete") socket.end(encodeTerminate());
    }
  }
  return members;
}

/** The segment in which a base backup ends. */
export function lastSegment(members: readonly Member[]): Member {
  const segments = members.filter(({ path }) => /pg_wal\/[0-9A-F]{24}$/.test(path));
  const last = segments.sort((one, other) => (one.path < other.path ? -1 : 1)).at(-1);
  if (last === undefined) throw new Error("the base backup has no WAL");
  return last;
}
