import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { errorCode } from "../../src/errors/coded_error.ts";

/** Below the range from which systems take the ports of outgoing connections: nobody gets it by chance before it is used. */
const LOWEST = 15_000;
const HIGHEST = 32_000;

/** A TCP port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    const server = createServer().listen(port);
    try {
      await once(server, "listening");
    } catch (error) {
      if (errorCode(error) === "EADDRINUSE") continue;
      throw error;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}
