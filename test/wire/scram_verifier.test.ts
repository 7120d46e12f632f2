import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesScramVerifier, scramVerifier } from "../../src/wire/scram_verifier.ts";

/** RFC 7677, section 3: user `user`, password `pencil`. */
test("the RFC's example", () => {
  const verifier = scramVerifier("pencil", Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"));
  expect(verifier).toBe(
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
  expect(matchesScramVerifier("pencil", verifier)).toBe(true);
  expect(matchesScramVerifier("Pencil", verifier)).toBe(false);
});

test("what is no verifier matches nothing", () => {
  for (const text of ["", "md5ffff", "SCRAM-SHA-256$0:AA==$AA==:AA==", "SCRAM-SHA-256$999999999:AA==$AA==:AA=="])
    expect(matchesScramVerifier("x", text)).toBe(false);
});

test("a password matches its own verifier only", () => {
  const password = fc.string({ unit: "grapheme-ascii", minLength: 1 });
  fc.assert(
    fc.property(password, password, fc.uint8Array({ minLength: 16, maxLength: 16 }), (one, other, salt) => {
      expect(matchesScramVerifier(other, scramVerifier(one, salt))).toBe(one === other);
    }),
    { numRuns: 20 },
  );
});
