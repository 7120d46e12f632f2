import * as z from "zod";
import { chunkIdPattern } from "./chunk.ts";
import { imageSchema, lsnText } from "./image.ts";

/** `template.json`: what initdb made, as an image and the WAL behind its redo position. */
export const templateSchema = z.strictObject({
  format: z.number().int(),
  image: imageSchema,
  /** End of initdb's last record. */
  end: lsnText,
  /** Pieces of WAL, each at most a chunk long; everything between them is zero. */
  wal: z.array(z.strictObject({ at: lsnText, chunk: z.string().regex(chunkIdPattern) })),
});

export type Template = z.infer<typeof templateSchema>;
export type TemplateWal = Template["wal"];
