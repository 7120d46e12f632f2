import { expect, test } from "vitest";
import { socketDirectoriesOf } from "../../src/pgdata/socket_directories.ts";

test.each([
  ["nothing: what builds have compiled in", "port=1", ["/var/run/postgresql", "/tmp"]],
  ["one", "unix_socket_directories='/a'", ["/a"]],
  ["several, the last line counts", "unix_socket_directories='/x'\nUnix_Socket_Directories = '/a , /b'", ["/a", "/b"]],
  ["quoted in the list", `unix_socket_directories='"/a b,""c""", /d'`, ['/a b,"c"', "/d"]],
  ["none", "unix_socket_directories=''", []],
  ["abstract, which leaves no file", "unix_socket_directories='@name,/a'", ["/a"]],
])("%s", (_what, conf, directories) => {
  expect(socketDirectoriesOf(conf)).toEqual(directories);
});
