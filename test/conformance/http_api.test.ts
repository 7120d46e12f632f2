import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Compute } from "../support/compute_ctl.ts";
import { runOn, specAt } from "../support/compute_on.ts";
import { answerOf, postInternal } from "../support/internal_request.ts";
import { installations } from "../support/postgres.ts";
import { type Storage, useStore } from "../support/store.ts";

const store = useStore();
const LSN = /^[0-9A-F]+\/[0-9A-F]+$/;

async function counter(compute: Compute, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(await compute.metrics())?.[1]);
}

/** Makes every reconfiguration fail until it is called again: the file in force can be replaced by nothing. */
async function blockConfiguration(compute: Compute): Promise<() => Promise<void>> {
  const conf = join(compute.pgdata, "postgresql.conf");
  await rename(conf, `${conf}.kept`);
  await mkdir(conf);
  return async () => {
    await rm(conf, { recursive: true });
    await rename(`${conf}.kept`, conf);
  };
}

describe("without a spec", () => {
  let compute: Compute;
  beforeAll(async () => {
    compute = await Compute.start({ config: {} });
    await compute.reach("empty");
  });
  afterAll(async () => await compute?.[Symbol.asyncDispose]());

  test("http-api.md case 9: the request id comes back and stands in both log lines", async () => {
    for (const [path, token] of [
      ["/status", true],
      ["/status", false],
      ["/nope", false],
    ] as const) {
      const headers = { "x-request-id": "abc-1", ...(token ? {} : { authorization: "" }) };
      expect((await compute.request(path, { headers })).headers.get("x-request-id")).toBe("abc-1");
    }
    expect((await compute.request("/nope")).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    await compute.says(/GET \/nope request_id=abc-1/);
    await compute.says(/request_id=abc-1 code=404 latency=\d+/);
  });

  test("http-api.md case 10: unknown paths and methods need no token", async () => {
    const base = `http://127.0.0.1:${compute.externalPort}`;
    const unknown = await fetch(`${base}/nope`);
    expect([unknown.status, await unknown.text()]).toEqual([404, ""]);
    expect((await compute.request("/status/")).status).toBe(404);
    const wrong = await fetch(`${base}/status`, { method: "DELETE" });
    expect([wrong.status, wrong.headers.get("allow"), await wrong.text()]).toEqual([405, "GET,HEAD", ""]);
    const allow = async (path: string): Promise<string | null> =>
      (await fetch(base + path, { method: "PATCH" })).headers.get("allow");
    expect(await allow("/lfc/prewarm")).toBe("GET,HEAD,POST,DELETE");
    expect(await allow("/lfc/offload")).toBe("GET,HEAD,POST");
    for (const path of ["/metrics", "/autoscaling_metrics", "/healthz", "/readyz", "/openapi.json", "/docs"])
      expect([200, 503]).toContain((await fetch(base + path)).status);
    const head = await compute.request("/status", { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await fetch(`${base}/status`, { method: "HEAD" })).status).toBe(400);
  });

  test("http-api.md case 11: each port has its own routes", async () => {
    expect((await compute.request("/extensions", { method: "POST", body: "{}" })).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${compute.internalPort}/status`)).status).toBe(404);
    for (const gone of ["/info", "/installed_extensions", "/configure_telemetry", "/profile/cpu"])
      expect((await compute.request(gone)).status).toBe(404);
  });

  test("http-api.md case 26: what needs a running compute is refused", async () => {
    const refused = [412, { error: "invalid compute status: empty" }];
    expect(await answerOf(await compute.request("/check_writability", { method: "POST" }))).toEqual(refused);
    expect(await answerOf(await compute.request("/insights"))).toEqual(refused);
  });

  test("http-api.md case 39: routes that need a spec say so, and /status goes on", async () => {
    const prewarm = await compute.request("/lfc/prewarm", { method: "POST" });
    expect(prewarm.status).toBe(202);
    await expect.poll(async () => (await compute.request("/lfc/prewarm")).json()).toMatchObject({ status: "failed" });
    expect((await compute.request("/lfc/offload", { method: "POST" })).status).toBe(202);
    expect((await postInternal(compute, "/extension_server/x")).status).toBe(412);
    const storage: Storage = {
      tenantId: "1".repeat(32),
      timelineId: "2".repeat(32),
      pageserver: { libpq_url: "postgresql://127.0.0.1:1" },
      safekeepers: ["127.0.0.1:1"],
    };
    const body = JSON.stringify({ spec: specAt(compute, storage), wal_flush_lsn: "0/1A2B3C8" });
    expect(await answerOf(await compute.request("/promote", { method: "POST", body }))).toEqual([
      500,
      { status: "failed", error: "invalid compute status: empty" },
    ]);
    expect((await compute.status()).status).toBe("empty");
  });

  test("http-api.md case 34: bodies of /promote", async () => {
    const post = async (body: string, type: string): Promise<number> =>
      (await compute.request("/promote", { method: "POST", body, headers: { "content-type": type } })).status;
    expect(await post("{}", "text/plain")).toBe(415);
    expect(await post("{", "application/json")).toBe(400);
    expect(await post("{}", "application/json")).toBe(422);
  });

  test("http-api.md case 40, lifecycle.md case 51, metrics-and-logs.md case 16: a refresh is refused, and counted", async () => {
    const before = await counter(compute, "pg_cctl_pagestream_request_errors_total");
    for (let count = 1; count <= 3; count++) {
      expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([
        500,
        { error: "Cannot refresh compute configuration in state Empty" },
      ]);
    }
    expect(await counter(compute, "pg_cctl_pagestream_request_errors_total")).toBe(before + 3);
  });

  test("http-api.md case 42: a body that is too large is 413", async () => {
    const [status, body] = await answerOf(await postInternal(compute, "/grants", `"${"x".repeat(3_000_000)}"`));
    expect([status, body]).toEqual([413, { error: "failed to buffer the request body: length limit exceeded" }]);
  });

  test("http-api.md case 44, reconcile.md case 70: a wrong body is told before a wrong state", async () => {
    expect((await postInternal(compute, "/grants", {})).status).toBe(422);
    expect((await postInternal(compute, "/grants", "text")).status).toBe(400);
    const grant = { database: "postgres", schema: "public", privileges: ["USAGE"], role: "r" };
    expect((await postInternal(compute, "/grants", grant)).status).toBe(412);
    expect((await postInternal(compute, "/grants", { ...grant, privileges: ["usage"] })).status).toBe(422);
    expect((await postInternal(compute, "/extensions", { extension: "x", database: "y", version: "1" })).status).toBe(
      412,
    );
  });

  test("http-api.md case 23: query strings of /terminate that are wrong", async () => {
    for (const query of ["?mode=slow", "?x=1"])
      expect((await compute.request(`/terminate${query}`, { method: "POST" })).status).toBe(400);
    expect((await compute.status()).status).toBe("empty");
  });
});

describe("a running primary", () => {
  let compute: Compute;
  let storage: Storage;
  beforeAll(async () => {
    // The one installation with pg_dump, where there is one.
    const { postgres, major } = installations().find(({ binDir }) => binDir.startsWith("/usr")) ?? installations()[0]!;
    storage = await store().timeline(major);
    compute = await runOn(storage, { pgbin: postgres });
  });
  afterAll(async () => await compute?.[Symbol.asyncDispose]());

  test("http-api.md case 24: every role and database, names unchanged", async () => {
    for (const name of ['with "quotes"', "with space", "🐘"]) {
      await compute.query(`CREATE ROLE "${name.replaceAll('"', '""')}"`);
      await compute.query(`CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    }
    const [status, body] = await answerOf(await compute.request("/dbs_and_roles"));
    expect(status).toBe(200);
    const { roles, databases } = body as { roles: { name: string }[]; databases: { name: string }[] };
    for (const list of [roles, databases])
      expect(list.map(({ name }) => name)).toEqual(expect.arrayContaining(['with "quotes"', "with space", "🐘"]));
    expect(roles.map(({ name }) => name)).toContain("cloud_admin");
    expect(roles.map(({ name }) => name)).toContain("pg_monitor");
    expect(Object.keys(roles[0] ?? {})).toEqual(["name", "encrypted_password", "options"]);
    expect(databases).toContainEqual({
      name: "template0",
      owner: "cloud_admin",
      options: null,
      restrict_conn: true,
      invalid: false,
    });
  });

  test("http-api.md case 25: a database's schema, whatever its name", async () => {
    const dump = (database: string, headers = {}): Promise<Response> =>
      compute.request(`/database_schema?database=${encodeURIComponent(database)}`, { headers });
    const first = await dump("postgres");
    if (first.status === 500) {
      // A distribution without pg_dump says so.
      expect(await first.text()).toContain("failed to execute pg_dump");
      return;
    }
    expect(first.headers.get("content-type")).toBe("application/json");
    for (const name of ['a="b" c', "🐘🐘", "x".repeat(63)]) {
      await compute.query(`CREATE DATABASE "${name.replaceAll('"', '""')}"`);
      const response = await dump(name, { accept: "text/plain" });
      expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      const sql = await response.text();
      expect(sql).toContain("-- PostgreSQL database dump complete");
      expect(sql).not.toContain("health_check");
    }
    expect(await answerOf(await dump("no such database"))).toEqual([404, { error: "database does not exist" }]);
    expect(await answerOf(await compute.request("/database_schema"))).toEqual([
      400,
      { error: expect.stringContaining("missing field `database`") },
    ]);
  });

  test("http-api.md case 26: /check_writability writes its row, and fails without the table", async () => {
    const table = "(id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, updated_at timestamptz DEFAULT now())";
    await compute.query(`CREATE TABLE IF NOT EXISTS public.health_check ${table}`);
    const before = Number(await compute.query("SELECT extract(epoch FROM clock_timestamp())::float8"));
    const check = (): Promise<Response> => compute.request("/check_writability", { method: "POST" });
    expect(await answerOf(await check())).toEqual([200, true]);
    const written = Number(
      await compute.query("SELECT extract(epoch FROM updated_at)::float8 FROM public.health_check WHERE id = 1"),
    );
    expect(written).toBeGreaterThanOrEqual(before);
    await compute.query("ALTER TABLE public.health_check RENAME TO elsewhere");
    expect((await check()).status).toBe(500);
    await compute.query("ALTER TABLE public.elsewhere RENAME TO health_check");
  });

  test("http-api.md case 27: insights without the extension are empty, twice encoded", async () => {
    const [status, text] = await answerOf(await compute.request("/insights"));
    expect(status).toBe(200);
    expect(JSON.parse(text as string)).toEqual({ pg_stat_statements: [] });
    expect(await answerOf(await compute.request("/insights?format=object"))).toEqual([200, { pg_stat_statements: [] }]);
    expect((await compute.request("/insights?format=xml")).status).toBe(400);
  });

  test("http-api.md case 28: /grants", async () => {
    await compute.query("CREATE ROLE grantee LOGIN");
    await compute.query("CREATE SCHEMA shared");
    const grant = { database: "postgres", schema: "shared", privileges: ["CREATE", "USAGE"], role: "grantee" };
    for (let times = 0; times < 2; times++)
      expect(await answerOf(await postInternal(compute, "/grants", grant))).toEqual([201, grant]);
    const session = await compute.connect({ user: "grantee" });
    await session.query("CREATE TABLE shared.t (i int)");
    await session.end();
    const select = await answerOf(await postInternal(compute, "/grants", { ...grant, privileges: ["SELECT"] }));
    expect(select).toEqual([
      500,
      {
        error: expect.stringMatching(/^failed to grant role privileges to the schema: Failed to execute query: GRANT/),
      },
    ]);
    expect((await postInternal(compute, "/grants", { ...grant, role: "nobody at all" })).status).toBe(500);
    const nowhere = await answerOf(await postInternal(compute, "/grants", { ...grant, database: "nowhere" }));
    expect(nowhere).toEqual([500, { error: expect.stringContaining("Failed to connect to the database") }]);
  });

  test("http-api.md case 29: /extensions", async () => {
    const versions = "SELECT count(*) FROM pg_available_extension_versions WHERE name = 'plpgsql'";
    expect(Number(await compute.query(versions))).toBe(1);
    const wanted = { extension: "plpgsql", database: "postgres", version: "1.0" };
    for (let times = 0; times < 2; times++)
      expect(await answerOf(await postInternal(compute, "/extensions", wanted))).toEqual([
        201,
        { extension: "plpgsql", version: "1.0" },
      ]);
    const unknown = { ...wanted, extension: "no_such_extension" };
    expect(await answerOf(await postInternal(compute, "/extensions", unknown))).toEqual([
      500,
      { error: expect.stringMatching(/^failed to install extension: Failed to execute query: CREATE EXTENSION/) },
    ]);
    expect((await postInternal(compute, "/extensions", { ...wanted, version: "9.9" })).status).toBe(500);
  });

  test("http-api.md case 41, metrics-and-logs.md case 19: a stock server has all six families, at zero", async () => {
    const response = await compute.request("/autoscaling_metrics");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/text"]);
    const lines = (await response.text()).trim().split("\n");
    expect(lines.filter((line) => line.startsWith("# TYPE ")).map((line) => line.split(" ")[3])).toEqual(
      Array(6).fill("gauge"),
    );
    const windows = lines.flatMap((line) => /duration_seconds="(\d+)"/.exec(line)?.[1] ?? []);
    expect(windows.map(Number)).toEqual(Array.from({ length: 60 }, (_, index) => (index + 1) * 60));
  });

  test("http-api.md case 30: on a stock server a prewarm and an offload are skipped", async () => {
    for (const path of ["/lfc/prewarm", "/lfc/offload"]) {
      expect((await compute.request(path, { method: "POST" })).status).toBe(202);
      await expect.poll(async () => (await compute.request(path)).json()).toEqual({ status: "skipped" });
    }
    expect((await compute.request("/lfc/prewarm?x=1", { method: "POST" })).status).toBe(400);
    expect((await compute.request("/lfc/prewarm", { method: "DELETE" })).status).toBe(202);
    expect(await counter(compute, "compute_ctl_lfc_prewarm_errors_total")).toBe(0);
  });

  test("http-api.md case 33: a primary cannot be promoted", async () => {
    const body = JSON.stringify({ spec: specAt(compute, storage), wal_flush_lsn: "0/1A2B3C8" });
    expect(await answerOf(await compute.request("/promote", { method: "POST", body }))).toEqual([
      500,
      { status: "failed", error: 'compute mode "primary" is not replica' },
    ]);
  });

  test("http-api.md case 35: what has no remote extensions says so", async () => {
    expect(await answerOf(await postInternal(compute, "/extension_server/x"))).toEqual([
      412,
      { error: "remote storage is not configured" },
    ]);
    expect((await postInternal(compute, "/extension_server/%ff")).status).toBe(400);
    expect((await postInternal(compute, "/extension_server/x?is_library=maybe")).status).toBe(400);
    expect((await postInternal(compute, "/extension_server/")).status).toBe(404);
  });

  test("the liveness probe asks Postgres", async () => {
    expect(await answerOf(await compute.request("/hadron_liveness_probe"))).toEqual([200, "ok"]);
  });

  test("/readyz is 200, and /events tells the stages and the state", async () => {
    const base = `http://127.0.0.1:${compute.externalPort}`;
    expect(await answerOf(await fetch(`${base}/readyz`))).toEqual([200, { status: "ready" }]);
    expect(await answerOf(await fetch(`${base}/healthz`))).toEqual([200, { status: "alive" }]);
    const response = await compute.request("/events");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("event: status")) text += (await reader.read()).value;
    expect(text).toMatch(
      /event: stage\ndata: \{"name":"prepare_pgdata","start_ms":[\d.]+,"duration_ms":[\d.]+,"depth":0\}/,
    );
    expect(text).toMatch(/event: status\ndata: \{"at":"[^"]+","status":"running","error":null\}/);
    const configuring = compute.configure(specAt(compute, storage));
    while (!text.includes('"status":"configuration"')) text += (await reader.read()).value;
    expect((await configuring).status).toBe(200);
    await reader.cancel();
  });

  test("the documentation is served without a token, and loads nothing", async () => {
    const base = `http://127.0.0.1:${compute.externalPort}`;
    const document = await (await fetch(`${base}/openapi.json`)).json();
    expect(document).toEqual(JSON.parse(await readFile("specs/openapi.json", "utf8")));
    const page = await fetch(`${base}/docs`);
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    const html = await page.text();
    for (const path of Object.keys((document as { paths: object }).paths))
      expect(html).toContain(`<code>${path}</code>`);
    expect(html).not.toMatch(/<script|src=|@import|url\(/);
  });

  test("a setting that Postgres refuses is 400 in Postgres' words, and nothing has changed", async () => {
    const bad = specAt(compute, storage, { settings: { work_mem: "oops" } });
    expect(await answerOf(await compute.configure(bad))).toEqual([
      400,
      { error: expect.stringContaining('invalid value for parameter "work_mem"') },
    ]);
    expect(await compute.status()).toMatchObject({ status: "running", error: null });
  });

  test("what needs a restart is named in the log", async () => {
    await compute.configure(specAt(compute, storage, { settings: { max_connections: 57 } }));
    await compute.says(/WARN settings that need a restart of the compute: .*max_connections/);
    await compute.configure(specAt(compute, storage));
  });

  test("neon-local.md case 58, http-api.md case 48, lifecycle.md case 63: a refresh that cannot be worked off refuses the rest", async () => {
    const file = join(compute.directory, "config.json");
    await rename(file, `${file}.away`);
    expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([200, null]);
    await compute.says("ERROR Refresh configuration: ");
    await compute.reach("refresh_configuration_pending");
    const refused = { error: "invalid compute status: refresh-configuration-pending" };
    expect(await answerOf(await compute.configure(specAt(compute, storage)))).toEqual([412, refused]);
    expect(await answerOf(await compute.request("/terminate", { method: "POST" }))).toEqual([412, refused]);
    expect((await postInternal(compute, "/refresh_configuration")).status).toBe(200);
    await rename(`${file}.away`, file);
    await compute.reach("running");
    expect((await compute.status()).error).toBeNull();
  });

  test("lifecycle.md case 48, lifecycle.md case 64, http-api.md case 40: a refresh that finds nothing new, and a /configure right after it", async () => {
    const before = await counter(compute, "pg_cctl_pagestream_request_errors_total");
    expect((await postInternal(compute, "/refresh_configuration")).status).toBe(200);
    await compute.reach("running");
    await compute.says("Retrieved spec is the same as the current spec");
    expect(await compute.metrics()).toContain('status="running"} 1');
    expect(await counter(compute, "pg_cctl_pagestream_request_errors_total")).toBe(before + 1);
    const began = performance.now();
    expect((await compute.configure(specAt(compute, storage))).status).toBe(200);
    // Nothing waits for the pause of 5 s after a refresh.
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  test("lifecycle.md case 49, spec.md case 31: a refresh brings another setting, and other pageservers, into force without a restart", async () => {
    const file = join(compute.directory, "config.json");
    await copyFile(file, `${file}.first`);
    const config = JSON.parse(await readFile(file, "utf8"));
    const pid = await compute.postmasterPid();
    config.spec.cluster.settings.push({ name: "work_mem", value: "9MB", vartype: "string" });
    await writeFile(file, JSON.stringify(config));
    expect((await postInternal(compute, "/refresh_configuration")).status).toBe(200);
    await expect.poll(() => compute.query("SHOW work_mem"), { timeout: 20_000 }).toBe("9MB");
    await compute.reach("running");
    const moved = `${storage.pageserver.libpq_url}?application_name=moved`;
    config.spec.pageserver_connection_info.shards["0000"].pageservers[0].libpq_url = moved;
    await writeFile(file, JSON.stringify(config));
    expect((await postInternal(compute, "/refresh_configuration")).status).toBe(200);
    await expect.poll(() => compute.query("SHOW neon.pageserver_connstring"), { timeout: 20_000 }).toBe(moved);
    await compute.reach("running");
    expect(await compute.postmasterPid()).toBe(pid);
    await rename(`${file}.first`, file);
  });

  test("http-api.md case 19, lifecycle.md case 19, metrics-and-logs.md case 32: catalog work that fails", async () => {
    const cluster = {
      ...(specAt(compute, storage).cluster as object),
      databases: [{ name: "d", owner: "nobody_at_all" }],
    };
    const [code, body] = await answerOf(await compute.configure({ ...specAt(compute, storage), cluster }));
    expect([code, body]).toEqual([
      500,
      { error: expect.stringMatching(/^compute configuration failed: ".*nobody_at_all/) },
    ]);
    expect(await compute.status()).toMatchObject({
      status: "failed",
      error: expect.stringContaining("nobody_at_all"),
    });
    expect(await compute.query("SELECT 1")).toBe(1);
    expect((await compute.configure(specAt(compute, storage))).status).toBe(200);
  });

  test("lifecycle.md case 71, metrics-and-logs.md case 28, metrics-and-logs.md case 32: catalog work that hangs holds up nobody else", async () => {
    const blocker = await compute.connect();
    await blocker.query("BEGIN");
    await blocker.query("CREATE ROLE contested");
    const roles = [{ name: "contested", encrypted_password: null, options: null }];
    const cluster = { ...(specAt(compute, storage).cluster as object), roles };
    const configuring = compute.configure({ ...specAt(compute, storage), cluster });
    await compute.reach("configuration");
    const waiting =
      "SELECT array_agg(DISTINCT application_name) FROM pg_stat_activity WHERE application_name LIKE 'compute_ctl:%' AND application_name <> 'compute_ctl:compute_monitor'";
    await expect.poll(() => compute.query(waiting)).toEqual(["compute_ctl:apply_config"]);
    const refused = [412, { error: "invalid compute status: configuration" }];
    expect(await answerOf(await compute.configure(specAt(compute, storage)))).toEqual(refused);
    expect(await answerOf(await compute.request("/terminate", { method: "POST" }))).toEqual(refused);
    const before = await counter(compute, "pg_cctl_pagestream_request_errors_total");
    expect(await answerOf(await postInternal(compute, "/refresh_configuration"))).toEqual([
      500,
      { error: "Cannot refresh compute configuration in state Configuration" },
    ]);
    expect(await counter(compute, "pg_cctl_pagestream_request_errors_total")).toBe(before + 1);
    for (let times = 0; times < 1_000; times++)
      expect(await compute.metrics()).toContain('compute_ctl_up{build_tag="latest",status="configuration"} 1');
    await blocker.query("ROLLBACK");
    await blocker.end();
    expect((await configuring).status).toBe(200);
    expect(await compute.query("SELECT count(*)::int FROM pg_roles WHERE rolname = 'contested'")).toBe(1);
  });

  test("http-api.md case 46, lifecycle.md case 65: a failed reconfiguration can be mended", async () => {
    const unblock = await blockConfiguration(compute);
    const [code, body] = await answerOf(await compute.configure(specAt(compute, storage)));
    expect([code, body]).toEqual([500, { error: expect.stringMatching(/^compute configuration failed: ".*EISDIR/) }]);
    expect(await compute.status()).toMatchObject({ status: "failed", error: expect.stringContaining("EISDIR") });
    expect(await answerOf(await fetch(`http://127.0.0.1:${compute.externalPort}/readyz`))).toEqual([
      503,
      { status: "not_ready", reason: "failed" },
    ]);
    expect(await compute.query("SELECT 1")).toBe(1);
    expect((await compute.request("/insights")).status).toBe(412);
    await unblock();
    expect((await compute.configure(specAt(compute, storage))).status).toBe(200);
    expect(await compute.status()).toMatchObject({ status: "running", error: null });
  });
});

describe("the end", () => {
  test("http-api.md case 21, lifecycle.md case 52: /terminate?mode=immediate brings the LSN, and the process ends with 0", async () => {
    await using compute = await runOn(await store().timeline());
    await compute.query("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    const flushed = String(await compute.query("SELECT pg_current_wal_flush_lsn()"));
    const [status, body] = await answerOf(
      await compute.request("/terminate?mode=immediate", { method: "POST", admin: true }),
    );
    expect(status).toBe(200);
    const { lsn } = body as { lsn: string };
    expect(lsn).toMatch(LSN);
    expect(lsnOf(lsn)).toBeGreaterThanOrEqual(lsnOf(flushed));
    expect(await compute.exited).toEqual({ code: 0, signal: null });
  });

  test("http-api.md case 22, lifecycle.md case 53: a fast one goes on to serve, and a second call gets the same", async () => {
    await using compute = await runOn(await store().timeline());
    const [status, body] = await answerOf(await compute.request("/terminate", { method: "POST" }));
    expect(status).toBe(200);
    expect(await answerOf(await compute.request("/terminate", { method: "POST" }))).toEqual([201, body]);
    expect((await compute.status()).status).toBe("terminated");
    // metrics-and-logs.md case 4
    expect(await compute.metrics()).toContain('status="terminated"} 1');
    expect((await compute.request("/terminate?mode=slow", { method: "POST" })).status).toBe(400);
    expect((await compute.configure(specAt(compute, await store().timeline()))).status).toBe(412);
  });

  test("http-api.md case 46, lifecycle.md case 65: also after a failed reconfiguration", async () => {
    const storage = await store().timeline();
    await using compute = await runOn(storage);
    await blockConfiguration(compute);
    expect((await compute.configure(specAt(compute, storage))).status).toBe(500);
    const [status, body] = await answerOf(await compute.request("/terminate?mode=immediate", { method: "POST" }));
    expect([status, body]).toEqual([200, { lsn: expect.stringMatching(LSN) }]);
    expect((await compute.exited).code).toBe(0);
  });

  test("lifecycle.md case 69, http-api.md case 43: a signal ends a /terminate that waits for a storage that is gone", async () => {
    const { TestStore } = await import("../support/store.ts");
    const own = await TestStore.start();
    await using compute = await runOn(await own.timeline());
    await own[Symbol.asyncDispose]();
    const terminating = compute.request("/terminate", { method: "POST" });
    await compute.says("sent signal and notified waiters");
    const ended = compute.stop("SIGTERM");
    expect(await answerOf(await terminating)).toEqual([500, { error: expect.stringContaining("SIGTERM") }]);
    expect(await ended).toEqual({ code: 1, signal: null });
  });

  test("lifecycle.md case 50, spec.md case 32: a refresh that finds no spec ends Postgres and the process", async () => {
    await using compute = await runOn(await store().timeline());
    const pid = await compute.postmasterPid();
    const file = join(compute.directory, "config.json");
    const { compute_ctl_config } = JSON.parse(await readFile(file, "utf8"));
    await writeFile(file, JSON.stringify({ spec: null, compute_ctl_config }));
    expect((await postInternal(compute, "/refresh_configuration")).status).toBe(200);
    expect((await compute.exited).code).toBe(1);
    expect(compute.output).toContain("this compute is no longer attached to any storage. Exiting.");
    expect(() => process.kill(pid, 0)).toThrow();
  });

  test("http-api.md case 27: with Postgres stopped hard /insights is 500 or the process has ended", async () => {
    await using compute = await runOn(await store().timeline());
    process.kill(await compute.postmasterPid(), "SIGSTOP");
    // The backlog takes the connection and nobody answers: the session's own limit ends the wait.
    const [status] = await answerOf(await compute.request("/insights"));
    expect(status).toBe(500);
    expect((await compute.status()).status).toBe("running");
    process.kill(await compute.postmasterPid(), "SIGCONT");
  });
});

function lsnOf(text: string): bigint {
  const [high = "0", low = "0"] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
