import { setTimeout as delay } from "node:timers/promises";

/** Resolves after so many milliseconds; rejects when the signal is aborted. */
export type Wait = (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;

export const realWait: Wait = async (milliseconds, signal) => {
  await delay(milliseconds, undefined, signal ? { signal } : {});
};
