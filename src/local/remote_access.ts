import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";
import { scramVerifier } from "../wire/scram_verifier.ts";

const LOOPBACK = "127.0.0.1";
const WILDCARDS: Readonly<Record<string, string>> = { "0.0.0.0": "0.0.0.0", "::": "*", "*": "*" };

export interface RemoteAccessOptions {
  /** `--pg-host`: an IP address, or `*`. */
  readonly host: string;
  /** Where a password is kept that nobody gave. */
  readonly passwordFile: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Who may connect to Postgres from where. On this machine the superuser needs no password, from elsewhere everybody does. */
export interface RemoteAccess {
  /** The value of `listen_addresses`; loopback is always among them, we connect there ourselves. */
  readonly listenAddresses: string;
  /** What Postgres stores of the superuser's password; undefined: leave it as it is. */
  readonly passwordVerifier: string | undefined;
  /** Where people find the password; undefined when nobody needs one. */
  readonly passwordHint: string | undefined;
}

/**
 * Decides what Postgres listens on and with which password: `NEON_LOCAL_PASSWORD`, or the first line of the file that
 * `NEON_LOCAL_PASSWORD_FILE` names, else a random one, made once, as soon as others than this machine can connect.
 *
 * @throws CodedError `usage` (exit 2) when the address or the password cannot be used
 */
export async function remoteAccess(options: RemoteAccessOptions): Promise<RemoteAccess> {
  const { host, env } = options;
  const listenAddresses = listenAddressesFor(host);
  const given = await givenPassword(env);
  const open = !isLoopback(host);
  if (given === undefined && !open) return { listenAddresses, passwordVerifier: undefined, passwordHint: undefined };
  return {
    listenAddresses,
    passwordVerifier: scramVerifier(given?.password ?? (await keptPassword(options.passwordFile)), randomBytes(16)),
    passwordHint: given?.from ?? `in ${options.passwordFile}`,
  };
}

function listenAddressesFor(host: string): string {
  const wildcard = WILDCARDS[host];
  if (wildcard !== undefined) return wildcard;
  if (isIP(host) === 0)
    throw usage(`${host} is no address to listen on: give --pg-host an IP address, or * for all of this machine's`);
  return host === LOOPBACK ? host : `${LOOPBACK},${host}`;
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

async function givenPassword(env: NodeJS.ProcessEnv): Promise<{ password: string; from: string } | undefined> {
  // What a compose file makes of a variable that nobody set is empty.
  const { NEON_LOCAL_PASSWORD: text = "", NEON_LOCAL_PASSWORD_FILE: file = "" } = env;
  if (text !== "" && file !== "")
    throw usage("NEON_LOCAL_PASSWORD and NEON_LOCAL_PASSWORD_FILE are both set: leave one out");
  if (text !== "") return { password: text, from: "from NEON_LOCAL_PASSWORD" };
  if (file === "") return undefined;
  const password = await firstLine(file);
  if (password === "") throw usage(`the first line of ${file}, which should be the password, is empty`);
  return { password, from: `from ${file}` };
}

async function firstLine(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).split(/\r?\n/, 1)[0] ?? "";
  } catch (cause) {
    throw usage(`cannot read the file that NEON_LOCAL_PASSWORD_FILE names, ${file}`, cause);
  }
}

async function keptPassword(file: string): Promise<string> {
  try {
    const kept = (await readFile(file, "utf8")).trim();
    if (kept !== "") return kept;
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
  const made = randomBytes(18).toString("base64url");
  await replaceFile(file, `${made}\n`);
  return made;
}

function usage(message: string, cause?: unknown): CodedError {
  return new CodedError("usage", message, { exitCode: 2, cause });
}
