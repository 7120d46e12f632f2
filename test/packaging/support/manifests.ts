import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
import type { ISecret } from "kubernetes-models/v1/Secret";
import type { IService } from "kubernetes-models/v1/Service";
import { parseAllDocuments } from "yaml";
import type { KubernetesObject } from "./kubernetes_types.ts";

export const DIRECTORY = "deploy/kubernetes";

export type Workload = IDeployment | IStatefulSet;

/** The objects of one file, by kind. */
export class Manifest {
  readonly objects: readonly KubernetesObject[];

  constructor(objects: readonly KubernetesObject[]) {
    this.objects = objects;
  }

  static read(file: string): Manifest {
    const documents = parseAllDocuments(readFileSync(join(DIRECTORY, file), "utf8"));
    for (const document of documents) for (const fault of [...document.errors, ...document.warnings]) throw fault;
    return new Manifest(documents.map((document) => document.toJS() as KubernetesObject));
  }

  get services(): IService[] {
    return this.#all("Service");
  }

  get policies(): INetworkPolicy[] {
    return this.#all("NetworkPolicy");
  }

  get configMaps(): IConfigMap[] {
    return this.#all("ConfigMap");
  }

  get secrets(): ISecret[] {
    return this.#all("Secret");
  }

  /** There is exactly one in each file. */
  get workload(): Workload {
    const [workload, ...more] = [...this.#all<Workload>("Deployment"), ...this.#all<Workload>("StatefulSet")];
    if (workload === undefined || more.length > 0) throw new Error("expected one Deployment or StatefulSet");
    return workload;
  }

  get pod(): IPodSpec {
    return podOf(this.workload);
  }

  /** The text of the `--config` file. */
  get config(): string {
    const text = this.secrets[0]?.stringData?.["config.json"];
    if (text === undefined) throw new Error("the first Secret has no config.json");
    return text;
  }

  #all<Kind>(kind: string): Kind[] {
    return this.objects.filter((object) => object.kind === kind) as unknown as Kind[];
  }
}

export function podOf(workload: Workload): IPodSpec {
  const pod = workload.spec?.template.spec;
  if (pod === undefined || pod === null) throw new Error("the workload has no pod");
  return pod;
}

/** Sidecars too. */
export function containersOf(pod: IPodSpec): IContainer[] {
  return [...(pod.initContainers ?? []), ...pod.containers];
}

/** Files of objects; patches and kustomizations are none. */
export function manifestFiles(): string[] {
  return readdirSync(DIRECTORY).filter((file) => /^(?!kustomization\.).*(?<!\.patch)\.yaml$/.test(file));
}
