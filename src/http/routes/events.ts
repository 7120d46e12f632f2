import { createEventStream } from "../event_stream.ts";
import type { Route } from "../route.ts";
import { errorResponse } from "./error_schema.ts";

export const eventsRoute: Route = {
  method: "GET",
  path: "/events",
  summary: "Server-sent events: `status` for each change of state, `stage` for each finished stage of the start",
  authorized: true,
  responses: {
    200: { description: "what happened so far, then what happens", contentType: "text/event-stream" },
    503: errorResponse("too many streams are open"),
  },
  handle: (context, compute) =>
    context.body(createEventStream(compute), 200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
    }),
};
