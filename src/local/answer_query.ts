import { CodedError } from "../errors/coded_error.ts";

/** Runs one query, so that what is printed afterwards is known to work. @throws CodedError `no_answer` */
export async function answerQuery(connectionString: string): Promise<void> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000, application_name: "neon-local" });
  // A lost connection also fails the query that waits on it.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("SELECT 1");
  } catch (cause) {
    throw new CodedError("no_answer", `Postgres runs but does not answer at ${connectionString}`, { cause });
  } finally {
    await client.end().catch(() => undefined);
  }
}
