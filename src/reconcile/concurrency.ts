import type { GenericOption } from "../spec/cluster.ts";

/** The parts of a spec that decide how many databases are worked on at a time. */
export interface ConcurrencySource {
  readonly cluster: {
    readonly settings?: readonly GenericOption[] | null;
    readonly postgresql_conf?: string | null;
  };
  readonly reconfigure_concurrency: number;
}

const WITHOUT_SETTING = 10;

/** At a start: from `max_connections` (contract: reconcile.md 2.4). */
export function startConcurrency(spec: ConcurrencySource): number {
  const connections = maxConnections(spec);
  if (connections === undefined || connections < 1) return WITHOUT_SETTING;
  if (connections < 10) return connections;
  if (connections < 30) return 10;
  return connections < 300 ? Math.floor(connections / 3) : 100;
}

/** At a reconfigure: what the spec says, at least 1. The original waits for ever on 0. */
export function reconfigureConcurrency(spec: ConcurrencySource): number {
  return Math.max(1, spec.reconfigure_concurrency);
}

function maxConnections(spec: ConcurrencySource): number | undefined {
  const setting = spec.cluster.settings?.find(({ name }) => name === "max_connections");
  if (setting) return integer(setting.value ?? "");
  const line = /^[ \t]*max_connections[ \t]*=[ \t]*(\d+)[ \t]*$/m.exec(spec.cluster.postgresql_conf ?? "");
  return line ? integer(line[1] ?? "") : undefined;
}

function integer(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/**
 * Runs `work` for every item, at most `limit` at a time. When one throws, no further item is begun, and it is thrown
 * once those under way have ended.
 */
export async function forEachAtMost<T>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failed: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      if (failed) return;
      try {
        await work(item);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(Math.max(1, limit), items.length) }, worker));
  if (failed) throw failed.error;
}
