import { expect, test } from "vitest";
import { pgbouncerPlace } from "../../src/neighbours/pgbouncer.ts";

test("the VM's pgbouncer is reached over its socket, any other with a password", () => {
  expect(pgbouncerPlace({ AUTOSCALING: "", PGBOUNCER_PASSWORD: "unused" })).toEqual({
    console: { host: "/tmp", port: 6432, database: "pgbouncer", user: "pgbouncer" },
    iniFile: "/etc/pgbouncer.ini",
  });
  expect(pgbouncerPlace({ PGBOUNCER_PASSWORD: "secret" })).toEqual({
    console: { host: "localhost", port: 6432, database: "pgbouncer", user: "postgres", password: "secret" },
    iniFile: "/var/db/postgres/pgbouncer/pgbouncer.ini",
  });
});
