/**
 * `GET /status` at 1, 16 and 64 connections: of an idle compute, beside a bare hono server in a process of its own that
 * answers with a fixed text; and of the compute while it makes 100 databases. Then one scrape of `/metrics`.
 *
 *     npm run bench -- http [--requests 5000] [--databases 100]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { parseArgs } from "node:util";
import { specAt, startOn } from "../test/support/compute_on.ts";
import { TestStore } from "../test/support/store.ts";
import { median, printTable, quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: { requests: { type: "string", default: "5000" }, databases: { type: "string", default: "100" } },
});
const requests = Number(values.requests);
const CONNECTIONS = [1, 16, 64];

interface Target {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Milliseconds of each request, over so many connections that are kept; ends early when told. */
async function measure(target: Target, connections: number, enough: () => boolean = () => false): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const samples: number[] = [];
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0 && !enough()) {
      const began = performance.now();
      const outgoing = request({ host: "127.0.0.1", agent, ...target });
      outgoing.end();
      const [answer] = await once(outgoing, "response");
      answer.resume();
      await once(answer, "end");
      if (answer.statusCode !== 200) throw new Error(`${target.path}: ${answer.statusCode}`);
      samples.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  agent.destroy();
  return samples;
}

const BARE = `
import { serve } from "@hono/node-server";
import { Hono } from "hono";
const app = new Hono();
app.get("/status", (context) => context.body("{}", 200, { "content-type": "application/json" }));
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(port));
`;

async function bareServer(): Promise<{ target: Target; stop: () => void }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", BARE], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { target: { port: Number(String(line)), path: "/status", headers: {} }, stop: () => child.kill() };
}

function row(name: string, connections: number, samples: readonly number[], peer?: readonly number[]): string[] {
  const figures = [0.5, 0.99].map((share) => quantile(samples, share).toFixed(2));
  const ratio = peer === undefined ? "" : (median(samples) / median(peer)).toFixed(1);
  return [name, String(connections), String(samples.length), ...figures, ratio];
}

await using store = await TestStore.start();
const storage = await store.timeline();
await using compute = await startOn(storage);
await compute.reach("running");
const status = await computeTarget("/status");
const bare = await bareServer();
const rows = [["", "connections", "requests", "p50 ms", "p99 ms", "p50 / bare"]];
for (const target of [bare.target, status]) await measure(target, 16);
for (const connections of CONNECTIONS) {
  const peer = await measure(bare.target, connections);
  rows.push(row("bare hono", connections, peer));
  rows.push(row("/status", connections, await measure(status, connections), peer));
}
const databases = Array.from({ length: Number(values.databases) }, (_, index) => ({
  name: `db_${index}`,
  owner: "cloud_admin",
}));
const spec = specAt(compute, storage);
const configuring = compute.configure({ ...spec, cluster: { ...(spec.cluster as object), databases } });
let done = false;
void configuring.then(() => (done = true));
rows.push(row("/status while databases are made", 1, await measure(status, 1, () => done)));
if (!(await configuring).ok) throw new Error(await (await configuring).text());
rows.push(row("/metrics", 1, await measure(await computeTarget("/metrics"), 1)));
printTable("GET, milliseconds", rows);
bare.stop();

async function computeTarget(path: string): Promise<Target> {
  return { port: compute.externalPort, path, headers: await compute.authorization() };
}
