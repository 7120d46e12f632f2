import type { ComputeApi, ComputeEvent } from "./compute_api.ts";

/** A comment line: clients ignore it, and a connection whose client is gone fails with it. */
const KEEP_ALIVE = ": still here\n\n";
const KEEP_ALIVE_MS = 15_000;
/** A client that does not read is dropped before it costs more than this many events. */
const MOST_PENDING = 1_000;

/** One event in the format of `text/event-stream`. */
export function formatEvent(event: ComputeEvent): string {
  return `event: ${event.kind}\ndata: ${JSON.stringify(eventData(event))}\n\n`;
}

function eventData(event: ComputeEvent): object {
  switch (event.kind) {
    case "status":
      return { at: event.at.toISOString(), status: event.status, error: event.error };
    case "stage": {
      const { name, startMs, durationMs, depth } = event.timing;
      return { name, start_ms: rounded(startMs), duration_ms: rounded(durationMs), depth };
    }
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** The events so far and from now on, as one endless body. Throws what `onEvent` throws. */
export function createEventStream(compute: Pick<ComputeApi, "events" | "onEvent">): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = (): void => undefined;
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const send = (text: string): void => {
          controller.enqueue(encoder.encode(text));
          if ((controller.desiredSize ?? 0) > -MOST_PENDING) return;
          stop();
          controller.error(new Error("the client does not read its events"));
        };
        const unsubscribe = compute.onEvent((event) => send(formatEvent(event)));
        const keepAlive = setInterval(() => send(KEEP_ALIVE), KEEP_ALIVE_MS).unref();
        stop = () => {
          clearInterval(keepAlive);
          unsubscribe();
        };
        for (const event of compute.events()) send(formatEvent(event));
      },
      cancel: () => stop(),
    },
    new CountQueuingStrategy({ highWaterMark: 16 }),
  );
}
