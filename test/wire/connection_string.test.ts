import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseConnectionString } from "../../src/wire/connection_string.ts";

describe("parseConnectionString", () => {
  test.each<[string, object]>([
    ["postgres://no_user@127.0.0.1:64000", { host: "127.0.0.1", port: 64000, user: "no_user", password: undefined }],
    ["postgresql://u:p%40ss@[::1]:1/db?options=-c%20a%3Db", { host: "::1", port: 1, user: "u", password: "p@ss" }],
    ["postgresql://host", { host: "host", port: 5432, user: undefined }],
    ["postgresql:///db?host=/run/pg&port=6000", { host: "/run/pg", port: 6000 }],
    ["postgresql://%2Frun%2Fpg", { host: "/run/pg" }],
    ["postgresql://", { host: "localhost", port: 5432 }],
    ["host=h port=7 user='a b' password='it\\'s' dbname = x", { host: "h", port: 7, user: "a b", password: "it's" }],
    ["host=a hostaddr=10.0.0.1", { host: "10.0.0.1" }],
    ["host=h user=''", { host: "h", user: undefined }],
    ["  host=h\\ x  ", { host: "h x" }],
    ["", { host: "localhost" }],
  ])("%j", (text, expected) => expect(parseConnectionString(text)).toMatchObject(expected));

  test("keeps other parameters", () => {
    const url = "postgresql://u@h/db?sslmode=disable&options=-c%20a%3Db";
    expect(Object.fromEntries(parseConnectionString(url).parameters)).toEqual({
      dbname: "db",
      sslmode: "disable",
      options: "-c a=b",
    });
  });

  test.each([
    "postgresql://h:0",
    "postgresql://h:65536",
    "postgresql://h:x",
    "postgresql://a,b:1",
    "host=a,b",
    "postgresql://%zz",
    "just words",
    "host=h secret",
    "host='open",
    "127.0.0.1:5432",
  ])("refuses %j without showing it", (text) => {
    expect(() => parseConnectionString(text)).toThrow(expect.objectContaining({ code: "invalid_connection_string" }));
    expect(() => parseConnectionString(text)).toThrow(expect.not.stringContaining("secret"));
  });

  test("quoted words and URL parts round-trip", () => {
    const text = fc.string({ minLength: 1 }).filter((value) => !value.includes(","));
    fc.assert(
      fc.property(text, text, (user, password) => {
        const quote = (value: string): string => `'${value.replace(/[\\']/g, "\\$&")}'`;
        expect(parseConnectionString(`user=${quote(user)} password=${quote(password)}`)).toMatchObject({
          user,
          password,
        });
        const url = `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h`;
        expect(parseConnectionString(url)).toMatchObject({ user, password, host: "h" });
      }),
    );
  });
});
