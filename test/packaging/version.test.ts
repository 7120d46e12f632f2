import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const { version }: { version: string } = JSON.parse(await readFile("package.json", "utf8"));

test("the top section of the changelog is that of the version in package.json, with a date or unreleased", async () => {
  const [, top, when] = /^## \[(.+)\] - (.+)$/m.exec(await readFile("CHANGELOG.md", "utf8")) ?? [];
  expect(top).toBe(version);
  expect(when).toMatch(/^(unreleased|\d{4}-\d{2}-\d{2})$/);
});

/** A tag or label of our images: `neon-local:1.2.3`, `ARG VERSION=1.2.3`, `newTag: 1.2.3`. */
const OURS = /(?:neon-local(?:-compute)?:|VERSION=|newTag: )(\d+\.\d+\.\d+)/g;

test("tags and labels of images are of the version in package.json", async () => {
  const files = ["Dockerfile", ...globSync("deploy/**/*.{yaml,md}")];
  const found = await Promise.all(
    files.map(async (file) => [...(await readFile(file, "utf8")).matchAll(OURS)].map(([, tag]) => `${file}: ${tag}`)),
  );
  const tags = found.flat();
  expect(tags.length).toBeGreaterThan(10);
  expect(tags.filter((tag) => !tag.endsWith(`: ${version}`))).toEqual([]);
});
