const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** U+200B: what stands for the line ends inside a record (contract: lifecycle.md 10.2). */
const ZERO_WIDTH_SPACE = "\u200b";
const STARTS_RECORD = /^\d+-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/;

/**
 * Joins the lines of Postgres' stderr into records: bytes in, records out, each without its newline. A line that begins
 * with a date and a time starts a record, other lines are appended to it. Bytes that are not UTF-8 become U+FFFD. Does no
 * I/O and keeps no time: who feeds it calls {@link flush} 100 ms after the last complete line, {@link end} at the end.
 */
export class LogRecords {
  /** Bytes of the line that has not ended yet. */
  private readonly partial: Buffer[] = [];
  private partialSize = 0;
  /** Lines of the record that has not ended yet. */
  private lines: string[] = [];
  private recordSize = 0;
  private readonly limit: number;

  /** `limit`: bytes after which a line, and a record, is cut; what follows is a record of its own. */
  constructor(limit = 1024 * 1024) {
    this.limit = Math.max(limit, 4);
  }

  /** Whether complete lines wait for {@link flush}. */
  get pending(): boolean {
    return this.lines.length > 0;
  }

  push(chunk: Buffer): string[] {
    const records: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.hold(chunk.subarray(start, end), records);
      this.takeLine(records);
      start = end + 1;
    }
    this.hold(chunk.subarray(start), records);
    return records;
  }

  /** The record made of the complete lines so far. */
  flush(): string[] {
    if (this.lines.length === 0) return [];
    const record = this.lines.join(ZERO_WIDTH_SPACE);
    this.lines = [];
    this.recordSize = 0;
    return [record];
  }

  /** Everything that is left, also a line that never ended. */
  end(): string[] {
    const records: string[] = [];
    if (this.partialSize > 0) this.takeLine(records);
    records.push(...this.flush());
    return records;
  }

  private hold(bytes: Buffer, records: string[]): void {
    while (this.partialSize + bytes.length > this.limit) {
      const room = this.limit - this.partialSize;
      this.keep(bytes.subarray(0, room));
      bytes = bytes.subarray(room);
      this.cutLine(records);
    }
    this.keep(bytes);
  }

  private keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    // A copy: the chunk may be a small window into a large pooled buffer.
    this.partial.push(Buffer.from(bytes));
    this.partialSize += bytes.length;
  }

  /** Ends the record in the middle of an overlong line, but never in the middle of a character. */
  private cutLine(records: string[]): void {
    const line = this.takePartial();
    const end = line.length - unfinishedCharacter(line);
    this.addLine(line.toString("utf8", 0, end), records);
    records.push(...this.flush());
    this.keep(line.subarray(end));
  }

  private takeLine(records: string[]): void {
    const line = this.takePartial();
    const end = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length;
    this.addLine(line.toString("utf8", 0, end), records);
  }

  private addLine(line: string, records: string[]): void {
    if (STARTS_RECORD.test(line) || this.recordSize + line.length > this.limit) records.push(...this.flush());
    this.lines.push(line);
    this.recordSize += line.length + 1;
  }

  private takePartial(): Buffer {
    const [only] = this.partial;
    const line = only !== undefined && this.partial.length === 1 ? only : Buffer.concat(this.partial);
    this.partial.length = 0;
    this.partialSize = 0;
    return line;
  }
}

/** Bytes at the end that begin a UTF-8 character without ending it, 0 to 3. */
function unfinishedCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
