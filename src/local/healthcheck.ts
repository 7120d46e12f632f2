import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { CodedError, errorChain, errorCode } from "../errors/coded_error.ts";
import { type ChooseStateDirectoryOptions, chooseStateDirectory } from "./choose_state_directory.ts";
import { PG } from "./quickstart_records.ts";
import { stateLayout } from "./state_layout.ts";

/** `compute_ctl`'s default for `--external-http-port`. */
const EXTERNAL_HTTP_PORT = "3080";
const LIMIT_MS = 5000;

const serviceSchema = z.object({ pgs: z.optional(z.record(z.string(), z.object({ externalHttp: z.int() }))) });

export interface HealthcheckOptions extends ChooseStateDirectoryOptions {
  /** `--url`. */
  readonly url?: string | undefined;
}

/**
 * Whether what runs on this machine can be used: for supervisors that ask by running a program. Asks the named URL, else
 * the compute of the service of this state directory, else a `compute_ctl` on the port that the image's entry point gave it.
 *
 * @returns the URL that said so
 * @throws CodedError `unhealthy` with the reason
 */
export async function healthcheck(options: HealthcheckOptions): Promise<string> {
  const port = options.env.EXTERNAL_HTTP_PORT || EXTERNAL_HTTP_PORT;
  const url = options.url ?? (await urlOfService(options)) ?? `http://127.0.0.1:${port}/readyz`;
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(LIMIT_MS), redirect: "error" });
    text = await answer.text();
  } catch (error) {
    throw new CodedError("unhealthy", `${url} does not answer: ${errorChain(error)}`);
  }
  if (!answer.ok) throw new CodedError("unhealthy", `${url} answers ${answer.status}: ${text.slice(0, 500)}`);
  return url;
}

/** Undefined when no service runs in the state directory. @throws CodedError `unhealthy` while it starts */
async function urlOfService(options: HealthcheckOptions): Promise<string | undefined> {
  const { path } = await chooseStateDirectory(options);
  let text: string;
  try {
    text = await readFile(stateLayout(path).serviceFile, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
  const port = parseService(text, path).pgs?.[PG]?.externalHttp;
  if (port === undefined) throw new CodedError("unhealthy", `the service in ${path} is still starting`);
  return `http://127.0.0.1:${port}/readyz`;
}

function parseService(text: string, directory: string): z.infer<typeof serviceSchema> {
  try {
    return serviceSchema.parse(JSON.parse(text));
  } catch (cause) {
    const file = stateLayout(directory).serviceFile;
    throw new CodedError("unhealthy", `${file} cannot be read; the service writes it anew when it starts`, { cause });
  }
}
