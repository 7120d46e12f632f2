const POLYNOMIAL = 0x82f63b78;
/** Eight tables of 256: the reflected CRC of a byte followed by 0-7 zero bytes ("slicing by eight"). */
const TABLES = buildTables();

function buildTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let index = 256; index < tables.length; index++) {
    const previous = at(tables, index - 256);
    tables[index] = (previous >>> 8) ^ at(tables, previous & 0xff);
  }
  return tables;
}

function at(table: Uint32Array, index: number): number {
  return table[index] as number;
}

/**
 * CRC-32C (Castagnoli) as PostgreSQL computes it for WAL records and `pg_control`. `previous` is the result for the bytes
 * before, so that pieces can be fed one after the other.
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let crc = ~previous;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    crc =
      at(TABLES, 0x700 | (low & 0xff)) ^
      at(TABLES, 0x600 | ((low >>> 8) & 0xff)) ^
      at(TABLES, 0x500 | ((low >>> 16) & 0xff)) ^
      at(TABLES, 0x400 | (low >>> 24)) ^
      at(TABLES, 0x300 | (bytes[i + 4] as number)) ^
      at(TABLES, 0x200 | (bytes[i + 5] as number)) ^
      at(TABLES, 0x100 | (bytes[i + 6] as number)) ^
      at(TABLES, bytes[i + 7] as number);
  }
  for (; i < bytes.length; i++) crc = at(TABLES, (crc ^ (bytes[i] as number)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}
