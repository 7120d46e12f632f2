/** What every Kubernetes object has. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

interface Model {
  validate(): void;
}

/** The API groups that the manifests use. */
const GROUPS: Readonly<Record<string, () => Promise<object>>> = {
  v1: () => import("kubernetes-models/v1"),
  "apps/v1": () => import("kubernetes-models/apps/v1"),
  "networking.k8s.io/v1": () => import("kubernetes-models/networking.k8s.io/v1"),
};

/**
 * What is wrong with an object by Kubernetes' published types: wrong types, missing fields, and keys that no type has, each
 * with its path. The package's compiled validators let such keys pass, as the schemas do; but they read every key that they
 * know, so those that were never read are unknown.
 */
export async function problemsOf(object: KubernetesObject): Promise<string[]> {
  const group = (await GROUPS[object.apiVersion]?.()) as Record<string, new (data: object) => Model> | undefined;
  const Type = group?.[object.kind];
  if (Type === undefined) return [`${object.apiVersion} ${object.kind}: no such type`];
  const model = new Type(object);
  const read = new Set<string>();
  try {
    Reflect.apply(model.validate, watched(model, "", read), []);
  } catch (error) {
    return [String(error)];
  }
  return unread(model, "", read).map((path) => `${path}: no such field`);
}

/** The same value, which notes the path of each of its own keys that is read. */
function watched<Value extends object>(value: Value, path: string, read: Set<string>): Value {
  return new Proxy(value, {
    get(target, key) {
      const content: unknown = Reflect.get(target, key);
      if (typeof key === "symbol" || !Object.hasOwn(target, key)) return content;
      const at = `${path}/${key}`;
      read.add(at);
      return typeof content === "object" && content !== null ? watched(content, at, read) : content;
    },
  });
}

/** The paths of keys that were not read, without what lies below them. */
function unread(value: unknown, path: string, read: ReadonlySet<string>): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, content]) => {
    const at = `${path}/${key}`;
    return read.has(at) ? unread(content, at, read) : [at];
  });
}
