import { expect, test } from "vitest";
import { CodedError } from "../../src/errors/coded_error.ts";
import { parseConnstr } from "../../src/postgres/connstr.ts";
import { sessionOptions } from "../../src/postgres/session_options.ts";

test("parts of the URL, defaults, escapes", () => {
  expect(parseConnstr("postgresql://cloud_admin@localhost:55433/postgres")).toEqual({
    host: "localhost",
    port: 55433,
    user: "cloud_admin",
    password: undefined,
    database: "postgres",
    options: undefined,
  });
  expect(parseConnstr("postgres://a%40b:p%3Aw@[::1]/d%20b?options=-c%20a%3Db")).toEqual({
    host: "::1",
    port: 5432,
    user: "a@b",
    password: "p:w",
    database: "d b",
    options: "-c a=b",
  });
  expect(parseConnstr("postgresql://me@/db?host=/run/x&port=6000")).toMatchObject({ host: "/run/x", port: 6000 });
  expect(parseConnstr("postgresql://%2Frun%2Fx")).toMatchObject({ host: "/run/x", user: "cloud_admin" });
});

test("what is no such URL is refused without being shown", () => {
  for (const connstr of ["host=h password=secret", "http://u:secret@h", "postgresql://u:%zzsecret@h/d"]) {
    expect(() => parseConnstr(connstr)).toThrow(CodedError);
    expect(() => parseConnstr(connstr)).not.toThrow(/secret/);
  }
});

test("session options: ours first, with an empty search_path, then the connection string's", () => {
  const options = sessionOptions("-c statement_timeout=7", 16);
  expect(options).toMatch(
    /^-c role=cloud_admin -c default_transaction_read_only=off -c search_path= -c statement_timeout=0/,
  );
  expect(options).toContain("-c default_transaction_isolation=read\\ committed");
  expect(options).not.toContain("event_triggers");
  expect(options).toMatch(/ -c statement_timeout=7$/);
  expect(sessionOptions(undefined, 17)).toMatch(/-c transaction_timeout=0 -c event_triggers=off$/);
});
