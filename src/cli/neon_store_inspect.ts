import { resolve } from "node:path";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { checkStore } from "../store/inspect/check_store.ts";
import { renderSummary, summarizeStore } from "../store/inspect/show_store.ts";

interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** `neon-store check`: exit code 0 when nothing is wrong, 1 with one line a problem. */
export async function runCheck(dir: string, { out }: Output): Promise<number> {
  const { problems, ...counts } = await checkStore(resolve(dir));
  for (const problem of problems) out(`${problem}\n`);
  const seen = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  out(`${problems.length === 0 ? "no problems" : `${problems.length} problems`} in ${seen.join(", ")}\n`);
  return problems.length === 0 ? 0 : 1;
}

/** `neon-store show`: what is in a store, for people or as JSON. */
export async function runShow(dir: string, json: boolean, { out, err }: Output): Promise<number> {
  try {
    const summary = await summarizeStore(resolve(dir));
    out(json ? `${JSON.stringify(summary, undefined, 2)}\n` : renderSummary(summary));
    return 0;
  } catch (error) {
    err(`neon-store: ${errorChain(error)}\n`);
    return error instanceof CodedError ? error.exitCode : 1;
  }
}
