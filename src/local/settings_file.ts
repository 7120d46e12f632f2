import { readFile } from "node:fs/promises";
import * as z from "zod/mini";
import { replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorCode } from "../errors/coded_error.ts";

/** Format of the state directory that this program writes, the newest that it reads. */
const STATE_FORMAT = 1;

/** `neon-local.json`; keys that we do not know are kept (contract: neon-local.md A4). */
const settingsSchema = z.looseObject({
  format: z.int().check(z.positive()),
  created_at: z.string(),
  defaults: z.record(z.string(), z.unknown()),
});
export type Settings = z.infer<typeof settingsSchema>;

/**
 * Reads the settings; undefined when there are none.
 *
 * @throws CodedError `state_format` or `state_damaged` (exit 4); nothing is changed then.
 */
export async function readSettings(path: string): Promise<Settings | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, "it is no JSON", cause);
  }
  const format = formatSchema.safeParse(value);
  if (format.success && format.data.format > STATE_FORMAT)
    throw new CodedError(
      "state_format",
      `${path} has format ${format.data.format}, this program knows ${STATE_FORMAT}: a newer neon-local wrote it; run that one, or take another directory with --dir`,
      { exitCode: 4 },
    );
  const settings = settingsSchema.safeParse(value);
  if (!settings.success) throw damaged(path, z.prettifyError(settings.error));
  return settings.data;
}

/** @param now milliseconds since the Unix epoch */
export async function createSettings(path: string, now: number): Promise<Settings> {
  const settings = { format: STATE_FORMAT, created_at: new Date(now).toISOString(), defaults: {} };
  await replaceFile(path, `${JSON.stringify(settings, null, 2)}\n`);
  return settings;
}

const formatSchema = z.object({ format: z.number() });

function damaged(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError(
    "state_damaged",
    `${path} cannot be read: ${why}; mend it, or take another directory with --dir`,
    {
      exitCode: 4,
      cause,
    },
  );
}
