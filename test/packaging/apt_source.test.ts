import { expect, test } from "vitest";
import { parseAptSource } from "./support/rootfs.ts";

const LINE = `# deb http://old.example/debian buster main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian bookworm main contrib
deb http://security.example/debian-security bookworm-security main
`;
const STANZA = `Types: deb
# a comment
URIs: http://mirror.example/debian http://other.example/debian
Suites: bookworm bookworm-updates
Components: main
`;

test("both forms of apt's sources name a mirror and a suite", () => {
  const expected = { mirror: "http://mirror.example/debian", suite: "bookworm" };
  expect(parseAptSource(LINE)).toEqual(expected);
  expect(parseAptSource(STANZA)).toEqual(expected);
  expect(parseAptSource("# nothing\n")).toBeUndefined();
});
