import type { RemoteExtensions } from "../../src/spec/neighbours.ts";
import { remoteExtensionsSchema } from "../../src/spec/neighbours.ts";

export interface RemoteExtensionsSample {
  readonly public_extensions?: readonly string[] | null;
  readonly custom_extensions?: readonly string[] | null;
  readonly library_index?: Readonly<Record<string, string>>;
  /** Those that have data, each with one control file. */
  readonly extensions: readonly string[];
}

/** `remote_extensions` as a spec decodes to it. */
export function remoteExtensions(sample: RemoteExtensionsSample): RemoteExtensions {
  const { extensions, library_index = {}, public_extensions = null, custom_extensions = null } = sample;
  return remoteExtensionsSchema.parse({
    public_extensions,
    custom_extensions,
    library_index,
    extension_data: Object.fromEntries(
      extensions.map((name) => [
        name,
        { control_data: { [`${name}.control`]: `comment = '${name} of the spec'\n` }, archive_path: "unused" },
      ]),
    ),
  });
}
