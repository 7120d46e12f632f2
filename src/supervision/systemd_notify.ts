import { execFile } from "node:child_process";

/** Sends one message to the service manager; rejects with what went wrong. */
export type Notify = (assignments: readonly string[]) => Promise<void>;

/** It waits up to 5 s by itself until the service manager has read the message. */
const LIMIT_MS = 10_000;

/**
 * Messages through systemd's own program, because Node has no datagram Unix sockets. The program is given nothing but the
 * socket and where to look for it.
 *
 * @param path `PATH`, undefined for the system's default
 */
export function systemdNotify(socket: string, path: string | undefined): Notify {
  const env = { NOTIFY_SOCKET: socket, ...(path === undefined ? {} : { PATH: path }) };
  return (assignments) =>
    new Promise((resolve, reject) => {
      execFile("systemd-notify", assignments, { env, timeout: LIMIT_MS, killSignal: "SIGKILL" }, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
}
