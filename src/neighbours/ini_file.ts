import { CodedError } from "../errors/coded_error.ts";

/**
 * An INI text with keys of one section set. Everything else stays as it is: comments, blank lines, order, other keys and
 * sections (contract: postgres-config.md 12). A key that is there is replaced where it stands; a new one goes to the end
 * of the section's last part.
 *
 * @throws CodedError `ini_section_missing`; `ini_key_invalid` for a key that the format cannot hold
 */
export function setIniKeys(text: string, section: string, values: Readonly<Record<string, string>>): string {
  const lineBreak = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text.split(/\r?\n/);
  // What follows the last line break is no line.
  if (lines.at(-1) === "") lines.pop();
  const missing = new Map(Object.entries(values).map(([key, value]) => [key, renderIniLine(key, value)]));
  const result: string[] = [];
  const written = new Set<string>();
  let inSection = false;
  let insertAt: number | undefined;
  for (const line of lines) {
    const header = /^\s*\[([^\]]*)\]\s*$/.exec(line)?.[1];
    if (header !== undefined) inSection = header.trim() === section;
    const key = header === undefined && inSection ? keyOf(line) : undefined;
    const replacement = key === undefined ? undefined : missing.get(key);
    // Of equal keys pgbouncer takes the last one: none may be left.
    if (replacement === undefined || key === undefined) result.push(line);
    else if (!written.has(key)) {
      written.add(key);
      result.push(replacement);
    }
    if (inSection && line.trim() !== "") insertAt = result.length;
  }
  if (insertAt === undefined) throw new CodedError("ini_section_missing", `there is no section [${section}]`);
  result.splice(insertAt, 0, ...[...missing].filter(([key]) => !written.has(key)).map(([, line]) => line));
  return `${result.join(lineBreak)}${lineBreak}`;
}

/** Undefined for comments, blank lines and directives such as `%include`. */
function keyOf(line: string): string | undefined {
  return /^\s*([\w.*-]+)\s*=/.exec(line)?.[1];
}

function renderIniLine(key: string, value: string): string {
  if (!/^[\w.*-]+$/.test(key))
    throw new CodedError("ini_key_invalid", `${JSON.stringify(key)} cannot be a key of an INI file`, { status: 400 });
  return `${key}=${escapeIniValue(value)}`;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\r": "\\r",
};

/** So that a value stays within its line. */
function escapeIniValue(value: string): string {
  return value.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach the file
    /[\\\x00-\x1f\x7f-\x9f]/g,
    (character) => NAMED_ESCAPES[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
