import { takeNotifyVariables } from "./notify_variables.ts";
import type { ServiceManager } from "./service_manager.ts";

/**
 * The service manager that waits for this process, if any; takes its variables out of `env` before anything is awaited. Only
 * where there is one is the code that speaks to it loaded.
 */
export function findServiceManager(
  env: NodeJS.ProcessEnv,
  warn: (message: string) => void,
): Promise<ServiceManager> | undefined {
  const variables = takeNotifyVariables(env, process.pid);
  if (variables === undefined) return undefined;
  return import("./service_manager.ts").then(({ ServiceManager }) => new ServiceManager({ variables, env, warn }));
}
