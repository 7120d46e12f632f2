import * as z from "zod/mini";
import type { Route } from "../route.ts";

const aliveSchema = z.object({ status: z.literal("alive") });
const readySchema = z.object({ status: z.literal("ready") });
const notReadySchema = z.object({ status: z.literal("not_ready"), reason: z.string() });

/** Alive is who answers: a Postgres that replays WAL for an hour must not be restarted for it. */
export const healthRoute: Route = {
  method: "GET",
  path: "/healthz",
  summary: "Whether the process lives",
  authorized: false,
  quiet: true,
  responses: { 200: { description: "it does", schema: aliveSchema } },
  handle: (context) => context.json({ status: "alive" }),
};

export const readinessRoute: Route = {
  method: "GET",
  path: "/readyz",
  summary: "Whether Postgres runs, answers and can commit",
  authorized: false,
  quiet: true,
  unavailableIsAnswer: true,
  responses: {
    200: { description: "it does", schema: readySchema },
    503: { description: "it does not", schema: notReadySchema },
  },
  handle: (context, compute) => {
    const reason = compute.notReady();
    return reason === null ? context.json({ status: "ready" }) : context.json({ status: "not_ready", reason }, 503);
  },
};
