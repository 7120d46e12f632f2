import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

test("the top section of the changelog is that of the version in package.json, with a date or unreleased", async () => {
  const { version }: { version: string } = JSON.parse(await readFile("package.json", "utf8"));
  const [, top, when] = /^## \[(.+)\] - (.+)$/m.exec(await readFile("CHANGELOG.md", "utf8")) ?? [];
  expect(top).toBe(version);
  expect(when).toMatch(/^(unreleased|\d{4}-\d{2}-\d{2})$/);
});
