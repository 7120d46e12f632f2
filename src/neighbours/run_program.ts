/** How a program ended. */
export interface ProgramOutcome {
  /** Null when a signal ended it or when it could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** errno name when the program could not be started: `ENOENT`. */
  readonly failure: string | undefined;
}

/** Runs a short-lived program to its end; rejects for nothing that the program does. */
export type RunProgram = (program: string, argv: readonly string[]) => Promise<ProgramOutcome>;

/** `exited with status 3: no space left`, for messages. */
export function describeOutcome(outcome: ProgramOutcome): string {
  const { code, signal, stdout, stderr, failure } = outcome;
  if (failure !== undefined) return `could not be executed (${failure})`;
  const how = signal === null ? `exited with status ${code}` : `was ended by ${signal}`;
  const words = (stderr.trim() || stdout.trim()).slice(-2000);
  return words === "" ? how : `${how}: ${words}`;
}
