import { expect, test } from "vitest";
import { parseConfigComplaints } from "../../src/pgdata/config_complaints.ts";

/** As PostgreSQL 15 prints them. */
const STDERR = `2026-11-21 20:54:56.752 GMT [8239] LOG:  skipping missing configuration file "/d/postgresql.auto.conf"
2026-11-21 20:54:56.735 GMT [8237] LOG:  syntax error in file "/d/postgresql.conf" line 10, near token "*"
2026-11-21 20:54:56.735 GMT [8237] LOG:  syntax error in file "/d/postgresql.conf" line 11, near end of line
2026-11-21 20:54:56.752 GMT [8239] LOG:  unrecognized configuration parameter "max_replication_write_lag" in file "/d/postgresql.conf" line 2
2026-11-21 20:54:56.783 GMT [8243] LOG:  invalid value for parameter "dynamic_shared_memory_type": "xx"
2026-11-21 20:54:56.783 GMT [8243] HINT:  Available values: posix, sysv, mmap.
2026-11-21 20:54:56.783 GMT [8243] LOG:  0 is outside the valid range for parameter "max_connections" (1 .. 262143)
2026-11-21 20:54:56.784 GMT [8243] LOG:  could not open configuration file "/d/gone.conf": No such file or directory
2026-11-21 20:54:56.784 GMT [8243] FATAL:  configuration file "/d/postgresql.conf" contains errors
`;

test("what the dry run prints", () => {
  const file = "/d/postgresql.conf";
  expect(parseConfigComplaints(STDERR)).toEqual([
    { file, line: 10, parameter: null, message: expect.stringContaining('near token "*"') },
    { file, line: 11, parameter: null, message: expect.stringContaining("near end of line") },
    { file, line: 2, parameter: "max_replication_write_lag", message: expect.stringContaining("unrecognized") },
    {
      file: null,
      line: null,
      parameter: "dynamic_shared_memory_type",
      message: 'invalid value for parameter "dynamic_shared_memory_type": "xx" (Available values: posix, sysv, mmap.)',
    },
    { file: null, line: null, parameter: "max_connections", message: expect.stringContaining("outside") },
    { file: null, line: null, parameter: null, message: expect.stringContaining("gone.conf") },
  ]);
  expect(parseConfigComplaints("")).toEqual([]);
  expect(parseConfigComplaints("postgres: FATAL:  x\n")).toMatchObject([{ message: "x" }]);
});
