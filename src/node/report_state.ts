import { statusText } from "../http/compute_status.ts";
import type { ServiceManager } from "../supervision/service_manager.ts";
import type { ComputeState } from "./compute_state.ts";

/**
 * Tells the service manager each state of a compute, with the reason where one failed. Ready means Running: whoever is
 * ordered behind this compute can connect. Asked to terminate, or told by `stop`, it is stopping.
 */
export function reportState(
  manager: Pick<ServiceManager, "ready" | "status" | "stopping">,
  state: Pick<ComputeState, "state" | "status" | "error" | "onChange">,
  stop: AbortSignal,
): void {
  const tell = (): void => {
    const text = statusText(state.status);
    if (state.state === "running") manager.ready(text);
    else if (state.state.startsWith("termination_pending")) manager.stopping(text);
    else if (state.status === "failed" && state.error !== null) manager.status(`${text}: ${state.error}`);
    else manager.status(text);
  };
  const tellStop = (): void => manager.stopping("stopping");
  tell();
  state.onChange(tell);
  if (stop.aborted) tellStop();
  else stop.addEventListener("abort", tellStop, { once: true });
}
