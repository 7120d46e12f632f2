import type { ComputePlace } from "./compute_ctl.ts";

/** One POST to a compute's internal port, with a JSON body unless it is undefined. */
export async function postInternal(compute: ComputePlace, path: string, body?: unknown): Promise<Response> {
  return await fetch(`http://127.0.0.1:${compute.internalPort}${path}`, {
    method: "POST",
    ...(body === undefined
      ? {}
      : {
          body: typeof body === "string" ? body : JSON.stringify(body),
          headers: { "content-type": "application/json" },
        }),
  });
}

/** Status and JSON body; null for an empty one. */
export async function answerOf(response: Response): Promise<[number, unknown]> {
  const text = await response.text();
  return [response.status, text === "" ? null : JSON.parse(text)];
}
