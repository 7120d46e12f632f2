/** Where the service manager that started us listens, as it says in our environment (sd_notify(3), sd_watchdog_enabled(3)). */
export interface NotifyVariables {
  /** `NOTIFY_SOCKET`: a path, or an abstract name behind `@`. */
  readonly socket: string;
  /** How long it waits for a sign of life, in milliseconds; undefined when it does not, or not for this process. */
  readonly watchdogMs: number | undefined;
}

/**
 * Takes the variables of systemd's notification protocol out of `env`, also where they are not used: whoever inherits them
 * speaks for the whole service. Debian's PostgreSQL is built with systemd and would report the service ready by itself.
 *
 * Its own file, so that a start without a service manager loads nothing else.
 *
 * @param pid our own, which `WATCHDOG_PID` must name if it names any
 * @returns undefined when no service manager waits for us
 */
export function takeNotifyVariables(env: NodeJS.ProcessEnv, pid: number): NotifyVariables | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: microseconds, WATCHDOG_PID: watched } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  if (!socket) return undefined;
  const asked = /^[1-9]\d{0,15}$/.test(microseconds ?? "") && (watched === undefined || watched === String(pid));
  return { socket, watchdogMs: asked ? Number(microseconds) / 1000 : undefined };
}
