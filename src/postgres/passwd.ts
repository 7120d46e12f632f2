import { readFile } from "node:fs/promises";
import { errorCode } from "../errors/coded_error.ts";
import { runProgram } from "./run_program.ts";
import type { UnixUser } from "./unix_user.ts";

/** Reads `passwd(5)` lines; what is no such line is skipped. */
export function parsePasswd(text: string): UnixUser[] {
  const users: UnixUser[] = [];
  for (const line of text.split("\n")) {
    const [name, , uid, gid, , home] = line.split(":");
    if (!name || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) continue;
    users.push({ name, uid: Number(uid), gid: Number(gid), home: home || "/" });
  }
  return users;
}

/**
 * A user by name or uid: from `/etc/passwd`, else, for users that a directory service knows, from `getent`. Undefined when
 * neither knows it.
 */
export async function findUser(
  wanted: string | number,
  options: { readonly env: NodeJS.ProcessEnv; readonly passwdFile?: string },
): Promise<UnixUser | undefined> {
  const text = await readFile(options.passwdFile ?? "/etc/passwd", "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  });
  const matches = (user: UnixUser): boolean => (typeof wanted === "number" ? user.uid : user.name) === wanted;
  const local = parsePasswd(text).find(matches);
  if (local !== undefined || options.passwdFile !== undefined) return local;
  // A name that looks like an option is nobody's.
  if (String(wanted).startsWith("-")) return undefined;
  const answer = await runProgram("getent", ["passwd", String(wanted)], { env: options.env, timeoutMs: 5000 });
  return answer.code === 0 ? parsePasswd(answer.stdout).find(matches) : undefined;
}
