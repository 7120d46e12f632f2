import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IContainer } from "kubernetes-models/v1/Container";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseComputeCtlArguments } from "../../src/cli/compute_ctl_arguments.ts";
import { parseNeonStoreArguments } from "../../src/cli/neon_store_arguments.ts";
import { decodeComputeConfig } from "../../src/spec/decode.ts";
import { resolveSpec } from "../../src/spec/resolve.ts";
import { findSetting } from "../../src/spec/settings.ts";
import { problemsOf } from "./support/kubernetes_types.ts";
import { danglingNames } from "./support/manifest_consistency.ts";
import { containersOf, DIRECTORY, Manifest, manifestFiles, podOf, type Workload } from "./support/manifests.ts";

const files = manifestFiles();
const STORE = "store-and-compute.yaml";

/** What the command line's own parser says of it; its words on stderr where it is wrong. */
function parsed({ command, args }: IContainer) {
  const complaints: string[] = [];
  const output = { out: () => undefined, err: (text: string) => void complaints.push(text) };
  const words = args ?? [];
  const result =
    command?.[0] === "neon-store" ? parseNeonStoreArguments(words, output) : parseComputeCtlArguments(words, output);
  return { ...result, complaints };
}

function computeOf(manifest: Manifest): IContainer {
  return manifest.pod.containers.find(({ name }) => name === "compute")!;
}

test("there is a manifest of each kind", () => {
  expect(files).toEqual(["compute-neon.yaml", STORE]);
});

describe.each(files)("%s", (file) => {
  const manifest = Manifest.read(file);
  const { pod, workload } = manifest;
  const compute = computeOf(manifest);

  test.each(manifest.objects.map((object) => [`${object.kind} ${object.metadata.name}`, object] as const))(
    "%s is of its Kubernetes type",
    async (_, object) => {
      expect(await problemsOf(object)).toEqual([]);
    },
  );

  test("every name leads somewhere", () => {
    expect(danglingNames(manifest)).toEqual([]);
  });

  test("command lines are ours", () => {
    for (const container of containersOf(pod)) expect(parsed(container)).toMatchObject({ kind: "run", complaints: [] });
  });

  test("the spec runs, asks for passwords, and speaks of the same ports", () => {
    const { spec } = decodeComputeConfig(manifest.config);
    const resolved = resolveSpec(spec!);
    expect(resolved.warnings).toEqual([]);
    const admin = spec!.cluster.roles.find(({ name }) => name === "cloud_admin");
    expect(admin?.encrypted_password).toMatch(/^SCRAM-SHA-256\$4096:/);
    const port = compute.ports?.find(({ name }) => name === "postgres")?.containerPort;
    expect(findSetting(spec!, "port")).toBe(String(port));
    const run = parsed(compute);
    if (run.kind !== "run" || !("computeId" in run.flags)) throw new Error("no command line of compute_ctl");
    expect(new URL(run.flags.connstr).port).toBe(String(port));
    expect(compute.ports?.find(({ name }) => name === "http")?.containerPort).toBe(run.flags.externalHttpPort);
    // The root file system is read-only.
    expect(findSetting(spec!, "unix_socket_directories")).toBe(run.flags.pgdata);
  });

  test("one pod at a time, which is not restarted into a war over the timeline", () => {
    expect(workload.spec?.replicas).toBe(1);
    if (workload.kind === "Deployment") expect(workload.spec?.strategy?.type).toBe("Recreate");
    const env = manifest.configMaps.find(({ metadata }) => metadata?.name === compute.envFrom?.[0]?.configMapRef?.name);
    // Only with a stock server is it us who notice; Neon's own holds its elections itself.
    expect(env?.data?.COMPUTE_CTL_WHEN_FENCED).toBe(file === STORE ? "wait" : undefined);
  });

  test("a server that replays WAL is alive, not ready; a stop has the time that it may take", () => {
    const probed = (probe: IContainer["livenessProbe"]): unknown => probe?.httpGet?.path;
    const { startupProbe, livenessProbe, readinessProbe, lifecycle } = compute;
    expect([startupProbe, livenessProbe, readinessProbe].map(probed)).toEqual(["/healthz", "/healthz", "/readyz"]);
    // Fast, then immediate; then the store's grace.
    const stop = 8 + 5 + (pod.initContainers === undefined ? 0 : 5);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan((lifecycle?.preStop?.sleep?.seconds ?? 0) + stop);
  });

  test("nothing is allowed that is not needed", () => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    });
    for (const container of containersOf(pod))
      expect(container).toMatchObject({
        image: expect.stringMatching(/:\d+\.\d+\.\d+$/),
        imagePullPolicy: "IfNotPresent",
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        resources: {
          requests: { cpu: expect.anything(), memory: expect.anything() },
          limits: { memory: expect.anything() },
        },
        startupProbe: {},
        livenessProbe: {},
      });
  });
});

describe(STORE, () => {
  const manifest = Manifest.read(STORE);
  const store = manifest.pod.initContainers?.[0];

  test("the store is a sidecar, and the compute's spec names its timeline and its ports", () => {
    expect(store?.restartPolicy).toBe("Always");
    const { tenantId, timelineId, pageservers, safekeepers } = resolveSpec(decodeComputeConfig(manifest.config).spec!);
    expect(store?.args).toContain(`--ensure-timeline=${tenantId}/${timelineId}:17`);
    const run = parsed(store!);
    if (run.kind !== "run" || !("pageserverAddr" in run.flags)) throw new Error("no command line of neon-store");
    const { pageserverAddr, safekeeperAddr, httpAddr } = run.flags;
    expect(JSON.stringify(pageservers)).toContain(`${pageserverAddr.host}:${pageserverAddr.port}`);
    expect(safekeepers).toEqual([`${safekeeperAddr.host}:${safekeeperAddr.port}`]);
    expect(store?.startupProbe?.exec?.command).toContain(`http://${httpAddr.host}:${httpAddr.port}/v1/status`);
  });

  const damaged = (damage: (object: Workload) => void) => {
    const copy = structuredClone(manifest.objects) as typeof manifest.objects;
    damage(copy.find(({ kind }) => kind === "StatefulSet") as unknown as Workload);
    return new Manifest(copy);
  };

  test("a misspelt key is found, at any depth", async () => {
    const { workload } = damaged((object) => {
      Object.assign(object, { statuss: {} });
      Object.assign(podOf(object).containers[0]!, { livenesProbe: { httpGet: { port: "http" } } });
      Object.assign(podOf(object).containers[0]!.lifecycle!.preStop!.sleep!, { second: 5 });
    });
    expect(await problemsOf(workload as never)).toEqual([
      "/spec/template/spec/containers/0/lifecycle/preStop/sleep/second: no such field",
      "/spec/template/spec/containers/0/livenesProbe: no such field",
      "/statuss: no such field",
    ]);
  });

  test("a wrong type and a missing field are found", async () => {
    const { workload } = damaged((object) => {
      Object.assign(object.spec!, { replicas: "1", selector: undefined });
      Object.assign(podOf(object).containers[0]!.ports![0]!, { containerPort: "postgres" });
    });
    const [problem, ...more] = await problemsOf(workload as never);
    expect(more).toEqual([]);
    expect(problem).toContain("data/spec/replicas must be integer");
    expect(problem).toContain("data/spec must have required property selector");
    expect(problem).toContain("containers/0/ports/0/containerPort must be integer");
  });

  test("a kind that does not exist is found", async () => {
    const object = { apiVersion: "apps/v1", kind: "StatefullSet", metadata: { name: "x" } };
    expect(await problemsOf(object)).toEqual(["apps/v1 StatefullSet: no such type"]);
  });

  test("names that lead nowhere are found", () => {
    const dangling = danglingNames(
      damaged((object) => {
        const pod = podOf(object);
        const [compute] = pod.containers as [IContainer];
        compute.ports![1]!.name = "web";
        compute.volumeMounts = compute.volumeMounts!.filter(({ name }) => name !== "pgdata");
        compute.envFrom![0]!.configMapRef!.name = "neon";
        object.spec!.selector.matchLabels = { app: "neon-local" };
        pod.volumes!.find(({ secret }) => secret)!.secret!.secretName = "spec";
      }),
    );
    expect(dangling).toEqual([
      "the workload does not select its own pod",
      "Service neon-local-pods: no port http",
      "NetworkPolicy neon-local: no port http",
      "volume pgdata is not mounted",
      "no Secret spec",
      "no ConfigMap neon",
      "compute is probed at no port http",
      "compute is probed at no port http",
      "compute is probed at no port http",
      "compute: /var/db/postgres/compute/pgdata is on no volume, and the root file system is read-only",
    ]);
  });
});

describe("kustomization.yaml", () => {
  const read = (file: string): unknown => parse(readFileSync(join(DIRECTORY, file), "utf8"));

  test("names files and images that exist", () => {
    const { resources, images } = read("kustomization.yaml") as {
      resources: string[];
      images: { name: string; newTag: string }[];
    };
    for (const resource of resources) expect(files).toContain(resource);
    const used = files.flatMap((file) => containersOf(Manifest.read(file).pod)).map(({ image }) => image);
    expect(images.map(({ name, newTag }) => `${name}:${newTag}`).sort()).toEqual([...new Set(used)].sort());
  });

  test("the patch for a control plane changes a container that exists, to a command line of ours", async () => {
    const patch = read("control-plane.patch.yaml") as Workload;
    const { workload } = Manifest.read("compute-neon.yaml");
    expect([patch.kind, patch.metadata?.name]).toEqual([workload.kind, workload.metadata?.name]);
    const [patched] = podOf(patch).containers;
    const original = podOf(workload).containers[0]!;
    expect(patched?.name).toBe(original.name);
    Object.assign(original, patched);
    expect(await problemsOf(workload as never)).toEqual([]);
    expect(parsed(original)).toMatchObject({
      kind: "run",
      complaints: [],
      flags: { controlPlaneUri: expect.any(String) },
    });
  });
});
