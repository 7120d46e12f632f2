import { CodedError } from "../errors/coded_error.ts";

/** Creates what a compute needs in a storage, through the pageserver's own management API (contract: storage-protocols.md 7). */
export class StoreClient {
  readonly #base: string;

  /** @param address `host:port` of the HTTP listener */
  constructor(address: string) {
    this.#base = `http://${address}`;
  }

  /** Attaches a tenant, making it when it is not known. */
  async attachTenant(tenant: string, signal: AbortSignal): Promise<void> {
    await this.#call("PUT", `/v1/tenant/${tenant}/location_config`, signal, {
      mode: "AttachedSingle",
      generation: 1,
      tenant_conf: {},
    });
  }

  async hasTimeline(tenant: string, timeline: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#call("GET", `/v1/tenant/${tenant}/timeline/${timeline}`, signal)) !== undefined;
  }

  /** Makes a timeline with an empty database cluster; the same again changes nothing. */
  async bootstrapTimeline(tenant: string, timeline: string, major: number, signal: AbortSignal): Promise<void> {
    await this.#call("POST", `/v1/tenant/${tenant}/timeline`, signal, {
      new_timeline_id: timeline,
      pg_version: major,
    });
  }

  /** The answer's JSON; undefined for 404 of a GET. */
  async #call(method: string, path: string, signal: AbortSignal, body?: object): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#base}${path}`, {
        method,
        signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      text = await response.text();
    } catch (cause) {
      signal.throwIfAborted();
      throw new CodedError("storage_unreachable", `the storage did not answer ${method} ${path}`, {
        status: 502,
        cause,
      });
    }
    if (response.ok) return JSON.parse(text || "null") as unknown;
    if (method === "GET" && response.status === 404) return undefined;
    throw new CodedError(
      "storage_refused",
      `the storage refused ${method} ${path} (${response.status}): ${reasonOf(text)}`,
      {
        status: 502,
      },
    );
  }
}

/** Errors are `{"msg": …}` at a pageserver, `{"error": …}` elsewhere. */
function reasonOf(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) {
      if ("msg" in body && typeof body.msg === "string") return body.msg;
      if ("error" in body && typeof body.error === "string") return body.error;
    }
  } catch {
    // Some answers are plain text.
  }
  return text.trim() || "no reason given";
}
