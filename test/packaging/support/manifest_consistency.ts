import type { IContainer } from "kubernetes-models/v1/Container";
import { containersOf, type Manifest, podOf } from "./manifests.ts";

type Labels = Readonly<Record<string, string>> | undefined;

/** Every name in a manifest that leads to nothing in it: what the API server accepts, and what then never starts or answers. */
export function danglingNames(manifest: Manifest): string[] {
  const found: string[] = [];
  const must = (holds: boolean, problem: string): void => void (holds || found.push(problem));
  const { workload, pod, services, policies } = manifest;
  const containers = containersOf(pod);
  const labels = workload.spec?.template.metadata?.labels;
  const portNames = containers.flatMap(({ ports }) => ports ?? []).map(({ name }) => name);

  must(selects(workload.spec?.selector.matchLabels, labels), "the workload does not select its own pod");
  if (workload.kind === "StatefulSet") {
    const name = workload.spec?.serviceName;
    const service = services.find(({ metadata }) => metadata?.name === name);
    must(service?.spec?.clusterIP === "None", `serviceName ${name} is no headless Service`);
  }
  for (const { metadata, spec } of services) {
    must(selects(spec?.selector, labels), `Service ${metadata?.name} selects no pod`);
    for (const { targetPort } of spec?.ports ?? [])
      must(portNames.includes(String(targetPort)), `Service ${metadata?.name}: no port ${targetPort}`);
  }
  for (const { metadata, spec } of policies) {
    must(selects(spec?.podSelector?.matchLabels, labels), `NetworkPolicy ${metadata?.name} selects no pod`);
    for (const { port } of (spec?.ingress ?? []).flatMap(({ ports }) => ports ?? []))
      must(portNames.includes(String(port)), `NetworkPolicy ${metadata?.name}: no port ${port}`);
  }

  const claims = workload.kind === "StatefulSet" ? (workload.spec?.volumeClaimTemplates ?? []) : [];
  const volumes = [...(pod.volumes ?? []).map(({ name }) => name), ...claims.map(({ metadata }) => metadata?.name)];
  const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts ?? []).map(({ name }) => name);
  for (const name of mounts) must(volumes.includes(name), `no volume ${name}`);
  for (const name of volumes) must(mounts.includes(name ?? ""), `volume ${name} is not mounted`);

  const names = (kind: "configMaps" | "secrets"): unknown[] => manifest[kind].map(({ metadata }) => metadata?.name);
  for (const { secret, configMap } of podOf(workload).volumes ?? []) {
    if (secret) must(names("secrets").includes(secret.secretName), `no Secret ${secret.secretName}`);
    if (configMap) must(names("configMaps").includes(configMap.name), `no ConfigMap ${configMap.name}`);
  }
  for (const container of containers) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      if (configMapRef) must(names("configMaps").includes(configMapRef.name), `no ConfigMap ${configMapRef.name}`);
      if (secretRef) must(names("secrets").includes(secretRef.name), `no Secret ${secretRef.name}`);
    }
    const own = (container.ports ?? []).map(({ name }) => name);
    for (const port of probedPorts(container))
      must(own.includes(port), `${container.name} is probed at no port ${port}`);
    for (const path of pathsIn(container))
      must(
        (container.volumeMounts ?? []).some(({ mountPath }) => path.startsWith(`${mountPath}/`)),
        `${container.name}: ${path} is on no volume, and the root file system is read-only`,
      );
  }
  return found;
}

function selects(selector: Labels, labels: Labels): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([name, value]) => labels?.[name] === value);
}

function probedPorts({ startupProbe, livenessProbe, readinessProbe }: IContainer): string[] {
  return [startupProbe, livenessProbe, readinessProbe].flatMap((probe) =>
    probe?.httpGet ? [String(probe.httpGet.port)] : [],
  );
}

/** Directories and files that the flags name; programs come with the image. */
function pathsIn({ args }: IContainer): string[] {
  return (args ?? []).flatMap((word) => /^--(?:pgdata|config|dir)=(.*)$/.exec(word)?.[1] ?? []);
}
