import type { Route } from "./route.ts";
import { configureRoute } from "./routes/configure.ts";
import { metricsRoute, startupMetricsRoute } from "./routes/metrics.ts";
import { statusRoute } from "./routes/status.ts";
import { terminateRoute } from "./routes/terminate.ts";

/** The external server's routes. */
export const EXTERNAL_ROUTES: readonly Route[] = [
  statusRoute,
  metricsRoute,
  startupMetricsRoute,
  configureRoute,
  terminateRoute,
];
