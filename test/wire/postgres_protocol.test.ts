import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as protocol from "../../src/wire/postgres_protocol.ts";

const { BackendMessageParser, FrontendMessageParser, TYPE_OID } = protocol;

function splitEverywhere<T>(bytes: Buffer, parse: (chunks: Buffer[]) => T): void {
  const whole = parse([bytes]);
  for (let at = 0; at <= bytes.length; at++) expect(parse([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
  expect(parse([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole);
}

function frontend(chunks: readonly Buffer[], options?: protocol.FrontendParserOptions): protocol.FrontendMessage[] {
  const parser = new FrontendMessageParser(options);
  const messages = chunks.flatMap((chunk) => parser.push(chunk));
  expect(parser.atBoundary).toBe(true);
  return messages;
}

function backend(chunks: readonly Buffer[], options?: protocol.BackendParserOptions): protocol.BackendMessage[] {
  const parser = new BackendMessageParser(options);
  const messages = chunks.flatMap((chunk) => parser.push(chunk));
  expect(parser.atBoundary).toBe(true);
  return messages;
}

function raw(tag: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body as string);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length + 4);
  return Buffer.concat([Buffer.from(tag), length, bytes]);
}

const STARTUP = protocol.encodeStartupMessage({ user: "u", database: undefined, options: "-c a=b" });

describe("FrontendMessageParser", () => {
  const session = Buffer.concat([
    protocol.encodeSslRequest(),
    protocol.encodeGssEncRequest(),
    STARTUP,
    protocol.encodePasswordMessage("geheim ü"),
    protocol.encodeQuery("basebackup a b"),
    protocol.encodeParse("s", "select $1", [TYPE_OID.text]),
    protocol.encodeBind("p", "s", ["x", null]),
    protocol.encodeDescribe("statement", "s"),
    protocol.encodeExecute("p", 7),
    protocol.encodeClose("portal", "p"),
    protocol.encodeFlush(),
    protocol.encodeSync(),
    protocol.encodeCopyData(Buffer.from("wal")),
    protocol.encodeCopyData(Buffer.alloc(0)),
    protocol.encodeCopyDone(),
    protocol.encodeCopyFail("enough"),
    protocol.encodeTerminate(),
  ]);

  test("reads a session, split at every byte", () => {
    expect(frontend([session])).toEqual([
      { type: "sslRequest" },
      { type: "gssEncRequest" },
      {
        type: "startup",
        majorVersion: 3,
        minorVersion: 0,
        parameters: new Map([
          ["user", "u"],
          ["options", "-c a=b"],
        ]),
      },
      { type: "password", password: "geheim ü" },
      { type: "query", text: "basebackup a b" },
      { type: "parse", statement: "s", query: "select $1", parameterTypes: [25] },
      {
        type: "bind",
        portal: "p",
        statement: "s",
        parameterFormats: [],
        values: [Buffer.from("x"), null],
        resultFormats: [],
      },
      { type: "describe", target: "statement", name: "s" },
      { type: "execute", portal: "p", maxRows: 7 },
      { type: "close", target: "portal", name: "p" },
      { type: "flush" },
      { type: "sync" },
      { type: "copyData", data: Buffer.from("wal") },
      { type: "copyData", data: Buffer.alloc(0) },
      { type: "copyDone" },
      { type: "copyFail", message: "enough" },
      { type: "terminate" },
    ]);
    splitEverywhere(session, frontend);
  });

  test("a cancel request", () => {
    expect(frontend([protocol.encodeCancelRequest(7, Buffer.from([1, 2, 3, 4]))])).toEqual([
      { type: "cancelRequest", processId: 7, secretKey: Buffer.from([1, 2, 3, 4]) },
    ]);
  });

  test.each<[string, Buffer[]]>([
    ["an unknown version", [Buffer.from([0, 0, 0, 9, 0, 2, 0, 0, 0])]],
    ["a start-up packet that is too long", [Buffer.from([0, 0, 0x27, 0x20, 0, 3, 0, 0])]],
    ["a start-up packet with a length below four", [Buffer.from([0, 0, 0, 3])]],
    ["a negative length", [STARTUP, Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff])]],
    ["start-up parameters without end", [Buffer.from([0, 0, 0, 10, 0, 3, 0, 0, 0x61, 0])]],
    ["bytes after the start-up parameters", [Buffer.from([0, 0, 0, 10, 0, 3, 0, 0, 0, 0])]],
    ["an unknown tag", [STARTUP, raw("Y", "")]],
    ["a query without NUL", [STARTUP, raw("Q", "abc")]],
    ["a query with bytes after the NUL", [STARTUP, raw("Q", "a\0b")]],
    ["a sync with a body", [STARTUP, raw("S", "x")]],
    ["a bind with too many values", [STARTUP, raw("B", Buffer.from([0, 0, 0, 0, 0x7f, 0xff, 0, 0]))]],
    ["a bind with a negative count", [STARTUP, raw("B", Buffer.from([0, 0, 0xff, 0xff, 0, 0, 0, 0]))]],
    ["describing neither", [STARTUP, raw("D", "x\0")]],
  ])("%s is an error", (_, chunks) => {
    expect(() => frontend(chunks)).toThrow(expect.objectContaining({ code: "protocol_violation" }));
  });

  test("messages above the limit are refused before they arrive", () => {
    const parser = new FrontendMessageParser({ maxMessageBytes: 10 });
    parser.push(STARTUP);
    expect(parser.push(protocol.encodeCopyData(Buffer.alloc(10)))).toHaveLength(1);
    expect(() => parser.push(protocol.encodeCopyDataHeader(11))).toThrow(/at most 10/);
  });

  test("any bytes give messages or a protocol error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, started) => {
        const parser = new FrontendMessageParser({ maxMessageBytes: 100 });
        if (started) parser.push(STARTUP);
        try {
          parser.push(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(protocol.ProtocolError);
        }
      }),
    );
  });
});

describe("BackendMessageParser", () => {
  const session = Buffer.concat([
    protocol.encodeAuthenticationCleartextPassword(),
    protocol.encodeAuthenticationOk(),
    raw("R", Buffer.from([0, 0, 0, 5, 1, 2, 3, 4])),
    raw("R", Buffer.from("\0\0\0\x0aSCRAM-SHA-256\0\0")),
    raw("R", Buffer.from("\0\0\0\x0br=")),
    raw("R", Buffer.from("\0\0\0\x0cv=")),
    raw("R", Buffer.from([0, 0, 0, 7])),
    protocol.encodeParameterStatus("client_encoding", "UTF8"),
    protocol.encodeBackendKeyData(9, Buffer.from([1, 2, 3, 4])),
    raw("v", Buffer.from("\0\0\0\0\0\0\0\x01_pq_.x\0")),
    protocol.encodeReadyForQuery(),
    protocol.encodeRowDescription([
      { name: "flush_lsn", typeOid: TYPE_OID.text },
      { name: "n", typeOid: TYPE_OID.int4 },
    ]),
    protocol.encodeDataRow(["0/1", null, Buffer.from([0xff])]),
    protocol.encodeCommandComplete("SELECT 1"),
    protocol.encodeCopyOutResponse(),
    protocol.encodeCopyInResponse(),
    raw("W", Buffer.from([1, 0, 1, 0, 1])),
    protocol.encodeCopyData(Buffer.from("tar")),
    protocol.encodeCopyDone(),
    protocol.encodeErrorResponse({ severity: "ERROR", code: "XX000", message: "not found" }),
    raw("N", "SNOTICE\0VNOTICE\0C00000\0Mhi\0Ddetail\0Hhint\0?x\0\0"),
    protocol.encodeParseComplete(),
    protocol.encodeBindComplete(),
    protocol.encodeCloseComplete(),
    protocol.encodeParameterDescription(),
    protocol.encodeNoData(),
    protocol.encodeEmptyQueryResponse(),
    raw("s", ""),
    raw("A", "\0\0\0\x05chan\0payload\0"),
  ]);

  test("reads a session, split at every byte", () => {
    const column = { tableOid: 0, attribute: 0, typeModifier: -1, format: 0 };
    expect(backend([session])).toEqual([
      { type: "authenticationCleartextPassword" },
      { type: "authenticationOk" },
      { type: "authenticationMd5Password", salt: Buffer.from([1, 2, 3, 4]) },
      { type: "authenticationSasl", mechanisms: ["SCRAM-SHA-256"] },
      { type: "authenticationSaslContinue", data: Buffer.from("r=") },
      { type: "authenticationSaslFinal", data: Buffer.from("v=") },
      { type: "authenticationOther", method: 7 },
      { type: "parameterStatus", name: "client_encoding", value: "UTF8" },
      { type: "backendKeyData", processId: 9, secretKey: Buffer.from([1, 2, 3, 4]) },
      { type: "negotiateProtocolVersion", minorVersion: 0, unknownOptions: ["_pq_.x"] },
      { type: "readyForQuery", status: "I" },
      {
        type: "rowDescription",
        columns: [
          { ...column, name: "flush_lsn", typeOid: 25, typeSize: -1 },
          { ...column, name: "n", typeOid: 23, typeSize: 4 },
        ],
      },
      { type: "dataRow", values: [Buffer.from("0/1"), null, Buffer.from([0xff])] },
      { type: "commandComplete", tag: "SELECT 1" },
      { type: "copyOutResponse", format: 0, columnFormats: [] },
      { type: "copyInResponse", format: 0, columnFormats: [] },
      { type: "copyBothResponse", format: 1, columnFormats: [1] },
      { type: "copyData", data: Buffer.from("tar") },
      { type: "copyDone" },
      { type: "errorResponse", fields: { severity: "ERROR", code: "XX000", message: "not found" } },
      {
        type: "noticeResponse",
        fields: {
          severity: "NOTICE",
          severityPlain: "NOTICE",
          code: "00000",
          message: "hi",
          detail: "detail",
          hint: "hint",
        },
      },
      { type: "parseComplete" },
      { type: "bindComplete" },
      { type: "closeComplete" },
      { type: "parameterDescription", typeOids: [] },
      { type: "noData" },
      { type: "emptyQueryResponse" },
      { type: "portalSuspended" },
      { type: "notificationResponse", processId: 5, channel: "chan", payload: "payload" },
    ]);
    splitEverywhere(session, backend);
  });

  test("copy data is a view on the chunk when it arrived in one", () => {
    const bytes = Buffer.concat([protocol.encodeCopyData(Buffer.alloc(5000, 1)), protocol.encodeCopyDone()]);
    const [message] = new BackendMessageParser().push(bytes);
    expect(message?.type === "copyData" && message.data.buffer === bytes.buffer).toBe(true);
  });

  test("streamed copy data comes in pieces, nothing is held, the bytes are the same", () => {
    const payloads = [Buffer.alloc(40, 1), Buffer.alloc(0), Buffer.alloc(3, 2)];
    const bytes = Buffer.concat([...payloads.map(protocol.encodeCopyData), protocol.encodeCopyDone()]);
    splitEverywhere(bytes, (chunks) => {
      const messages = backend(chunks, { streamCopyData: true });
      expect(messages.at(-1)).toEqual({ type: "copyDone" });
      return Buffer.concat(messages.flatMap((message) => (message.type === "copyData" ? [message.data] : [])));
    });
    const parser = new BackendMessageParser({ streamCopyData: true, maxMessageBytes: 10 });
    expect(parser.push(protocol.encodeCopyDataHeader(1_000_000_000))).toEqual([]);
    expect(parser.push(Buffer.alloc(9))).toHaveLength(1);
    expect(parser.atBoundary).toBe(false);
  });

  test.each<[string, Buffer]>([
    ["an unknown tag", raw("!", "")],
    ["an unknown transaction status", raw("Z", "x")],
    ["a row that is cut", raw("D", Buffer.from([0, 1, 0, 0, 0, 9, 1]))],
    ["a length below four", Buffer.from([0x5a, 0, 0, 0, 2])],
    ["a message above the limit", Buffer.from([0x44, 0x7f, 0, 0, 0])],
    ["surplus bytes", raw("1", "x")],
  ])("%s is an error", (_, bytes) => {
    expect(() => backend([bytes])).toThrow(expect.objectContaining({ code: "protocol_violation" }));
  });

  test("rows and copies round-trip in any chunking", () => {
    const value = fc.option(fc.oneof(fc.string({ unit: "binary" }), fc.uint8Array()), { nil: null });
    fc.assert(
      fc.property(fc.array(fc.array(value)), fc.integer({ min: 1, max: 50 }), (rows, size) => {
        const bytes = Buffer.concat(rows.map((row) => protocol.encodeDataRow(row)));
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
        expect(backend(chunks)).toEqual(
          rows.map((row) => ({
            type: "dataRow",
            values: row.map((item) => (item === null ? null : Buffer.from(item as string))),
          })),
        );
      }),
    );
  });
});

describe("encoders", () => {
  test("a NUL cannot smuggle in another field", () => {
    expect(() => protocol.encodeQuery("a\0b")).toThrow(RangeError);
    expect(() => protocol.encodeStartupMessage({ user: "u\0options" })).toThrow(RangeError);
    const [error] = backend([protocol.encodeErrorResponse({ severity: "FATAL", code: "57P01", message: "a\0b" })]);
    expect(error?.type === "errorResponse" && error.fields.message).toBe("a\u{FFFD}b");
  });

  test("long messages grow", () => {
    const text = "x".repeat(100_000);
    expect(frontend([STARTUP, protocol.encodeQuery(text)])[1]).toEqual({ type: "query", text });
  });
});
