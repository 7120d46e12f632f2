import { expect, test } from "vitest";
import { holdsFlock } from "../../src/neighbours/flock.ts";
import { renderLocalProxyConfig } from "../../src/neighbours/local_proxy.ts";

const key = {
  id: "k1",
  role_names: ["authenticated", "anonymous"],
  jwks_url: "https://issuer.example/jwks.json",
  provider_name: "issuer",
  jwt_audience: null,
};

test("the configuration is pretty JSON; a null audience is written, a null member is not", () => {
  expect(renderLocalProxyConfig({ jwks: [key], tls: null }, null)).toBe(`{
  "jwks": [
    {
      "id": "k1",
      "role_names": [
        "authenticated",
        "anonymous"
      ],
      "jwks_url": "https://issuer.example/jwks.json",
      "provider_name": "issuer",
      "jwt_audience": null
    }
  ]
}`);
  expect(renderLocalProxyConfig({ jwks: null, tls: null }, null)).toBe("{}");
});

test("TLS paths are compute_ctl's, never the spec's", () => {
  const ours = { key_path: "/ours.key", cert_path: "/ours.crt" };
  const theirs = { key_path: "/theirs.key", cert_path: "/theirs.crt" };
  expect(JSON.parse(renderLocalProxyConfig({ jwks: [], tls: theirs }, ours))).toEqual({ jwks: [], tls: ours });
  expect(JSON.parse(renderLocalProxyConfig({ jwks: [], tls: theirs }, null))).toEqual({ jwks: [] });
});

test("an exclusive flock of that process on that file counts, nothing else", () => {
  const locks = [
    "1: FLOCK  ADVISORY  WRITE 27639 fe:00:10051422 0 EOF",
    "1: -> FLOCK  ADVISORY  WRITE 27640 fe:00:10051422 0 EOF",
    "2: POSIX  ADVISORY  WRITE 27641 fe:00:10051422 0 EOF",
    "3: FLOCK  ADVISORY  READ 27642 fe:00:10051422 0 EOF",
    "",
  ].join("\n");
  expect(holdsFlock(locks, 27639, 10051422n)).toBe(true);
  expect(holdsFlock(locks, 27639, 1005142n)).toBe(false);
  for (const pid of [2763, 27640, 27641, 27642]) expect(holdsFlock(locks, pid, 10051422n), String(pid)).toBe(false);
});
