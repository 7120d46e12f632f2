import { setTimeout as delay } from "node:timers/promises";

/** Waits until it is so; the test's own limit is the limit. For concurrent tests too, which `expect.poll` is not. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(10);
}
