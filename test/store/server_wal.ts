import { join } from "node:path";
import { expect } from "vitest";
import { WalReader } from "../../src/store/wal_reader.ts";
import { findWalEnd } from "../../src/store/wal_scan.ts";
import type { WalSpans } from "../../src/store/wal_span.ts";
import type { Lsn } from "../../src/wire/lsn.ts";
import { segmentNumber, segmentStart } from "../../src/wire/wal/segment.ts";
import { PushClient, type PushTarget } from "./push_client.ts";

/** Brings what a stopped server wrote behind the end of a timeline to the store, as its proposer would have. Its end. */
export async function pushServerWal(pgdata: string, target: PushTarget): Promise<Lsn> {
  await using push = await PushClient.elected(target);
  const spans: WalSpans = [{ walDir: join(pgdata, "pg_wal"), from: 0n }];
  const from = push.position;
  const { end } = await findWalEnd({ spans, from, atLeast: from, systemIdentifier: target.systemId, magic: undefined });
  const reader = new WalReader(spans);
  try {
    for (let at = from; at < end; ) {
      const next = segmentStart(segmentNumber(at) + 1n);
      const stop = next < end ? next : end;
      push.sendAppends(await reader.read(at, stop));
      at = stop;
    }
    for (let flushed = from; flushed < end; ) {
      const answer = await push.next();
      if (answer.type !== "append_response" || answer.term !== push.term) throw new Error(`got ${answer.type}`);
      flushed = answer.flushLsn;
    }
  } finally {
    await reader.close();
  }
  expect(await push.append(new Uint8Array(0), end)).toMatchObject({ flushLsn: end });
  return end;
}
