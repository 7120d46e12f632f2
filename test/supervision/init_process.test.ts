import { expect, test } from "vitest";
import { initProcess } from "../../src/supervision/init_process.ts";

const us = {
  pid: 1,
  execPath: "/opt/node/bin/node",
  execArgv: ["--max-old-space-size=64"],
  argv: ["/opt/node/bin/node", "/opt/compute_ctl.js", "-D", "/x y"],
  env: { PATH: "relative::/usr/local/bin:/usr/bin" },
};
const only = (path: string) => ({ isExecutable: (candidate: string) => candidate === path });

test("the first process runs the same words below tini, from beside Node.js or from PATH", () => {
  for (const tini of ["/opt/node/bin/tini", "/usr/bin/tini"])
    expect(initProcess({ ...us, ...only(tini) })).toEqual({
      file: tini,
      argv: [tini, "--", us.execPath, "--max-old-space-size=64", "/opt/compute_ctl.js", "-D", "/x y"],
    });
});

test("nobody else, not without tini, and never from a relative directory", () => {
  expect(initProcess({ ...us, pid: 2, ...only("/usr/bin/tini") })).toBeUndefined();
  expect(initProcess({ ...us, isExecutable: () => false })).toBeUndefined();
  expect(initProcess({ ...us, ...only("relative/tini") })).toBeUndefined();
});
