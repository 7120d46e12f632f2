import type { Route } from "./route.ts";
import { autoscalingMetricsRoute } from "./routes/autoscaling_metrics.ts";
import { checkWritabilityRoute } from "./routes/check_writability.ts";
import { configureRoute } from "./routes/configure.ts";
import { databaseSchemaRoute } from "./routes/database_schema.ts";
import { dbsAndRolesRoute } from "./routes/dbs_and_roles.ts";
import { eventsRoute } from "./routes/events.ts";
import { healthRoute, readinessRoute } from "./routes/health.ts";
import { insightsRoute } from "./routes/insights.ts";
import { livenessProbeRoute } from "./routes/liveness_probe.ts";
import {
  cancelPrewarmRoute,
  offloadRoute,
  offloadStateRoute,
  prewarmRoute,
  prewarmStateRoute,
} from "./routes/local_file_cache.ts";
import { metricsRoute, startupMetricsRoute } from "./routes/metrics.ts";
import { docsRoute, openApiRoute } from "./routes/openapi.ts";
import { promoteRoute } from "./routes/promote.ts";
import { reconcileRoute } from "./routes/reconcile.ts";
import { statusRoute } from "./routes/status.ts";
import { terminateRoute } from "./routes/terminate.ts";

/** The external server's routes; of one path, in the order in which `Allow` names their methods. */
export const EXTERNAL_ROUTES: readonly Route[] = [
  statusRoute,
  reconcileRoute,
  metricsRoute,
  autoscalingMetricsRoute,
  startupMetricsRoute,
  insightsRoute,
  dbsAndRolesRoute,
  databaseSchemaRoute,
  checkWritabilityRoute,
  configureRoute,
  terminateRoute,
  promoteRoute,
  prewarmStateRoute,
  prewarmRoute,
  cancelPrewarmRoute,
  offloadStateRoute,
  offloadRoute,
  livenessProbeRoute,
  eventsRoute,
  healthRoute,
  readinessRoute,
  openApiRoute,
  docsRoute,
];
