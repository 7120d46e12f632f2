import { computeImage, debianImage, nodeImage } from "./base_images.ts";
import { buildImage, IMAGES } from "./containers.ts";

/** The two targets of our Dockerfile, over stand-ins. What was built before is taken from the builder's cache. */
export const STOCK_IMAGE = `${IMAGES}/stock`;
export const NEON_IMAGE = `${IMAGES}/neon`;

/** Builds the target `stock`. */
export async function buildStockImage(
  options: { readonly tag?: string; readonly args?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const { tag = STOCK_IMAGE, args } = options;
  const bases = { NODE_IMAGE: await nodeImage(), DEBIAN_IMAGE: await debianImage() };
  await buildImage({ tag, target: "stock", args: { ...bases, ...args } });
}

/** Builds the target `neon`. */
export async function buildNeonImage(): Promise<void> {
  const bases = { NODE_IMAGE: await nodeImage(), COMPUTE_IMAGE: await computeImage() };
  await buildImage({ tag: NEON_IMAGE, target: "neon", args: bases });
}
