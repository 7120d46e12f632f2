import { execa } from "execa";

/** Why container tests cannot run here, in a few words; undefined when they can. */
export async function missingTool(tools: readonly string[]): Promise<string | undefined> {
  if (process.platform !== "linux") return "this is not Linux";
  if (process.geteuid?.() !== 0) return "only root can start containers";
  for (const tool of tools) {
    // The shell's own search, which knows sbin on root's PATH.
    const { exitCode } = await execa("sh", ["-c", 'command -v "$1"', "sh", tool], { reject: false });
    if (exitCode !== 0) return `${tool} is not installed`;
  }
  return undefined;
}
