import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { invalidMessage } from "./invalid_message.ts";

/** One safekeeper of a membership configuration. */
interface Member {
  readonly nodeId: bigint;
  readonly host: string;
  readonly pgPort: number;
}

/**
 * Which safekeepers count (`conf` in contract: storage-protocols.md 5.4). Generation 0 means "none is known" and has no
 * members; `newMembers` is the second set of a joint configuration, undefined when there is none.
 */
export interface Configuration {
  readonly generation: number;
  readonly members: readonly Member[];
  readonly newMembers: readonly Member[] | undefined;
}

export const NO_CONFIGURATION: Configuration = { generation: 0, members: [], newMembers: undefined };

/** Smallest member on the wire: node id, an empty host's zero byte, port. */
const MEMBER_BYTES = 8 + 1 + 2;

export function readConfiguration(reader: ByteReader): Configuration {
  const generation = reader.u32("conf generation");
  const members = readMembers(reader, "conf members");
  const newMembers = readMembers(reader, "conf new members");
  const conf = { generation, members, newMembers: newMembers.length === 0 ? undefined : newMembers };
  checkConfiguration(conf);
  return conf;
}

export function writeConfiguration(writer: ByteWriter, conf: Configuration): void {
  checkConfiguration(conf);
  writer.u32(conf.generation);
  for (const set of [conf.members, conf.newMembers ?? []]) {
    writer.u32(set.length);
    for (const member of set) writer.u64(member.nodeId).cstr(member.host).u16(member.pgPort);
  }
}

/** Throws unless generation and members go together and no node id stands twice in one set. */
function checkConfiguration(conf: Configuration): void {
  const empty = conf.members.length === 0;
  if (conf.generation === 0 && (!empty || conf.newMembers !== undefined))
    throw invalidMessage("a configuration of generation 0 must not have members");
  if (conf.generation > 0 && empty) throw invalidMessage(`configuration ${conf.generation} has no members`);
  for (const set of [conf.members, conf.newMembers ?? []])
    if (new Set(set.map((member) => member.nodeId)).size !== set.length)
      throw invalidMessage(`configuration ${conf.generation} names a node twice in one set`);
}

function readMembers(reader: ByteReader, field: string): Member[] {
  const members: Member[] = [];
  for (let left = reader.count(MEMBER_BYTES, field); left > 0; left--)
    members.push({ nodeId: reader.u64("node id"), host: reader.cstr("host"), pgPort: reader.u16("pg port") });
  return members;
}
