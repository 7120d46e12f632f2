import { expect, test } from "vitest";
import { listeningInodes } from "../../src/local/port_owner.ts";

test("the listening sockets of a port are found in the kernel's table", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:D888 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0",
    "   1: 0100007F:D888 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0",
    "   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0",
  ].join("\n");
  expect(listeningInodes(table, 0xd888)).toEqual(["111"]);
  expect(listeningInodes(table, 80)).toEqual(["333"]);
  expect(listeningInodes(table, 81)).toEqual([]);
});
