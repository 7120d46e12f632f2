import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as backup from "../../../src/wire/page_api/base_backup.ts";
import * as lease from "../../../src/wire/page_api/lease_lsn.ts";
import { pageServiceDefinition } from "../../../src/wire/page_api/page_service.ts";

const LSN = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe("page_api", () => {
  test("bytes on the wire are protobuf's own", () => {
    const request = { lsn: 0x16abcden, replica: true, full: false, compression: backup.BASE_BACKUP_COMPRESSION.gzip };
    expect(backup.encodeGetBaseBackupRequest(request).toString("hex")).toBe("08deF9Aa0b10012002".toLowerCase());
    expect(backup.encodeGetBaseBackupResponseChunk({ chunk: Buffer.from("abc") }).toString("hex")).toBe("0a03616263");
    expect(lease.encodeLeaseLsnResponse({ expires: { seconds: 1n, nanos: 2 } }).toString("hex")).toBe("0a0408011002");
    expect(lease.encodeLeaseLsnRequest({ lsn: 1n }).toString("hex")).toBe("0801");
  });

  test("round trips", () => {
    fc.assert(
      fc.property(
        LSN,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 0, max: 9 }),
        (lsn, replica, full, compression) => {
          const request = { lsn, replica, full, compression };
          expect(backup.decodeGetBaseBackupRequest(backup.encodeGetBaseBackupRequest(request))).toEqual(request);
          expect(lease.decodeLeaseLsnRequest(lease.encodeLeaseLsnRequest({ lsn }))).toEqual({ lsn });
        },
      ),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
        const chunk = Buffer.from(bytes);
        expect(
          backup.decodeGetBaseBackupResponseChunk(backup.encodeGetBaseBackupResponseChunk({ chunk })).chunk,
        ).toEqual(chunk);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 4e12 }), (millis) => {
        const response = { expires: lease.timestampFromMillis(millis) };
        const read = lease.decodeLeaseLsnResponse(lease.encodeLeaseLsnResponse(response));
        expect(read).toEqual(response);
        expect(lease.timestampToMillis(read.expires!)).toBe(millis);
      }),
    );
    expect(lease.decodeLeaseLsnResponse(Buffer.alloc(0))).toEqual({ expires: undefined });
  });

  test("unknown fields are skipped, broken messages refused", () => {
    const request = Buffer.from("0a03616263" + "0801" + "3d00000000", "hex");
    expect(lease.decodeLeaseLsnRequest(request)).toEqual({ lsn: 1n });
    expect(() => backup.decodeGetBaseBackupResponseChunk(Buffer.from("0a05616263", "hex"))).toThrow(RangeError);
  });

  test("a chunk is a view on its message", () => {
    const message = backup.encodeGetBaseBackupResponseChunk({ chunk: Buffer.alloc(100_000, 1) });
    expect(backup.decodeGetBaseBackupResponseChunk(message).chunk.buffer).toBe(message.buffer);
  });

  test("paths", () => {
    expect(Object.values(pageServiceDefinition).map(({ path }) => path)).toEqual([
      "/page_api.PageService/GetBaseBackup",
      "/page_api.PageService/LeaseLsn",
    ]);
  });
});
