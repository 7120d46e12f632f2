import { expect, test } from "vitest";
import { tailStart } from "../../src/walproposer/unsaved_tail.ts";

const history = (...entries: [term: bigint, lsn: bigint][]) => entries.map(([term, lsn]) => ({ term, lsn }));

test.each([
  ["only we wrote", history([4n, 100n], [5n, 200n], [6n, 300n]), 300n, [5n], { kind: "ours", from: 300n }],
  [
    "nothing of ours has arrived",
    history([4n, 100n], [5n, 200n], [6n, 200n]),
    200n,
    [5n],
    { kind: "ours", from: 200n },
  ],
  [
    "others were elected and wrote nothing",
    history([5n, 200n], [6n, 300n], [7n, 300n], [8n, 300n]),
    300n,
    [5n],
    { kind: "ours", from: 300n },
  ],
  [
    "an earlier try brought a part",
    history([5n, 200n], [6n, 300n], [7n, 350n]),
    350n,
    [5n, 6n],
    { kind: "ours", from: 350n },
  ],
  [
    "another one wrote",
    history([5n, 200n], [6n, 300n], [7n, 400n]),
    400n,
    [5n],
    { kind: "overtaken", from: 300n, term: 6n },
  ],
  [
    "another one wrote after one that did not",
    history([5n, 200n], [6n, 300n], [7n, 300n], [8n, 400n]),
    400n,
    [5n],
    { kind: "overtaken", from: 300n, term: 7n },
  ],
  ["storage knows nothing of us", history([4n, 100n], [6n, 300n]), 300n, [5n], { kind: "unknown" }],
])("%s", (_name, entries, end, terms, expected) => {
  expect(tailStart(entries, end, terms)).toEqual(expected);
});
