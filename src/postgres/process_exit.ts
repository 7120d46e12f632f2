import { constants } from "node:os";

/** How a process ended: one of the two is set. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** `exit status: 1` or `signal: 9 (SIGKILL)`: the words log readers know (contract: lifecycle.md 16.3). */
export function describeExit(exit: ProcessExit): string {
  if (exit.signal === null) return `exit status: ${exit.code ?? -1}`;
  return `signal: ${constants.signals[exit.signal]} (${exit.signal})`;
}
