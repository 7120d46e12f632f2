import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { validateFile } from "../../src/cli/validate.ts";
import { configText, minimalSpec, oldestSpec, TENANT, TIMELINE } from "../spec/examples.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "validate-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The report on a file, which is called FILE in it. */
async function report(content: string): Promise<{ ok: boolean; lines: string[] }> {
  const path = join(directory, "config.json");
  await writeFile(path, content);
  const { ok, text } = await validateFile(path);
  return { ok, lines: text.replaceAll(path, "FILE").split("\n") };
}

describe("validateFile", () => {
  test("sums up what would be run, without secrets", async () => {
    const spec = oldestSpec(
      {
        "neon.pageserver_connstring": "postgresql://u:hunter2@ps-1:6400,host=ps-2 password=hunter2 port=6401",
        "neon.safekeepers": "g#4:a:1,b:1",
        work_mem: "1MB",
      },
      { storage_auth_token: "hunter2" },
    );
    expect(await report(configText(spec))).toEqual({
      ok: true,
      lines: [
        "FILE: valid",
        `  tenant      ${TENANT}`,
        `  timeline    ${TIMELINE}`,
        "  mode        primary",
        "  pageservers ps-1:6400, ps-2:6401 (2 shards, stripes of 2048 pages)",
        "  protocol    libpq",
        "  safekeepers a:1, b:1 (generation 4)",
        "  cluster     0 roles, 0 databases, 6 settings",
      ],
    });
  });

  test("static, unsharded, a role, a warning", async () => {
    const cluster = {
      roles: [{ name: "r" }],
      databases: [],
      settings: [
        { name: "a", value: "1", vartype: "integer" },
        { name: "a", value: "2", vartype: "integer" },
      ],
    };
    const { lines } = await report(configText(minimalSpec({ mode: { Static: "0/ab" }, cluster })));
    expect(lines).toContain("  mode        static at 0/AB");
    expect(lines).toContain("  pageservers ps-1:6400 (unsharded)");
    expect(lines).toContain("  cluster     1 role, 0 databases, 2 settings");
    expect(lines.at(-1)).toMatch(/^ {2}warning {5}setting a is given 2 times/);
  });

  test("names every problem with its path", async () => {
    expect(await report(configText(minimalSpec({ tenant_id: null, reconfigure_concurrency: 0 })))).toEqual({
      ok: false,
      lines: [
        "FILE: 2 problems",
        "  spec.tenant_id: tenant id should be provided",
        "  spec.reconfigure_concurrency: must be at least 1",
      ],
    });
    const shapeless = await report(configText(minimalSpec({ cluster: {}, features: null })));
    expect(shapeless).toEqual({
      ok: false,
      lines: [
        "FILE: 3 problems",
        "  spec.features: expected an array, found null",
        "  spec.cluster.roles: missing field `roles`",
        "  spec.cluster.databases: missing field `databases`",
      ],
    });
  });

  test("bad JSON, a missing file, no spec", async () => {
    expect(await report("{")).toEqual({
      ok: false,
      lines: ["invalid config file FILE: unexpected end of JSON at line 1 column 2"],
    });
    expect((await validateFile(join(directory, "missing.json"))).text).toContain("ENOENT");
    expect(await report(configText(null))).toEqual({
      ok: true,
      lines: ["FILE: valid, without a spec: the compute starts empty and waits for POST /configure"],
    });
  });
});
