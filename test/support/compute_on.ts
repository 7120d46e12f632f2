import { Compute, type ComputeOptions, type ComputePlace } from "./compute_ctl.ts";
import { computeSpec, type SpecOptions } from "./compute_spec.ts";
import { installation } from "./postgres.ts";
import type { Storage } from "./store.ts";

export type ComputeOnOptions = Omit<ComputeOptions, "config"> & Pick<SpecOptions, "settings" | "cluster" | "more">;

/** The spec of a compute at its place. */
export function specAt(
  place: ComputePlace,
  storage: Storage,
  options: Pick<SpecOptions, "settings" | "cluster" | "more"> = {},
): Record<string, unknown> {
  return computeSpec({ storage, port: place.postgresPort, socketDirectory: place.directory, ...options });
}

/** Starts a compute from a config file with a spec over a storage, with PostgreSQL 17 unless told. */
export async function startOn(storage: Storage, options: ComputeOnOptions = {}): Promise<Compute> {
  const { settings, cluster, more, ...rest } = options;
  return await Compute.start({
    pgbin: installation(17).postgres,
    ...rest,
    config: (place) => ({
      spec: specAt(place, storage, {
        ...(settings ? { settings } : {}),
        ...(cluster ? { cluster } : {}),
        ...(more ? { more } : {}),
      }),
    }),
  });
}

/** The same, and waits until it runs. */
export async function runOn(storage: Storage, options: ComputeOnOptions = {}): Promise<Compute> {
  const compute = await startOn(storage, options);
  try {
    await compute.reach("running");
    return compute;
  } catch (error) {
    await compute[Symbol.asyncDispose]();
    throw error;
  }
}
