import type { Route } from "./route.ts";
import { extensionServerRoute } from "./routes/extension_server.ts";
import { extensionsRoute } from "./routes/extensions.ts";
import { grantsRoute } from "./routes/grants.ts";
import { refreshConfigurationRoute } from "./routes/refresh_configuration.ts";

/** The internal server's routes: no token, so it listens on loopback unless told otherwise. */
export const INTERNAL_ROUTES: readonly Route[] = [
  extensionServerRoute,
  extensionsRoute,
  grantsRoute,
  refreshConfigurationRoute,
];
