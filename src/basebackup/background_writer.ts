import { close, ftruncate, writev } from "node:fs";
import { promisify } from "node:util";

const closeFile = promisify(close);
const truncateFile = promisify(ftruncate);

const BATCH_BYTES = 1024 * 1024;
const QUEUE_BYTES = 4 * BATCH_BYTES;

/** One large file on its way to the disk. The writer closes it. */
export class BackgroundFile {
  readonly fd: number;
  /** Cut to this size at the end, when it is longer. */
  readonly size: number;
  readonly mustBeCut: boolean;
  position = 0;
  batch: Buffer[] = [];
  batchBytes = 0;

  constructor(fd: number, size: number, oldSize: number) {
    this.fd = fd;
    this.size = size;
    this.mustBeCut = oldSize > size;
  }
}

/**
 * Writes large files in the thread pool, in order, while the event loop reads the network: a disk that throttles writers
 * then holds up the backup, not the process. The queue is bounded by whoever waits for {@link BackgroundWriter.caughtUp}.
 */
export class BackgroundWriter {
  #queue: { run: () => Promise<void>; bytes: number }[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  #error: unknown;
  readonly #open = new Set<BackgroundFile>();
  #roomWaiters: (() => void)[] = [];

  open(fd: number, size: number, oldSize: number): BackgroundFile {
    const file = new BackgroundFile(fd, size, oldSize);
    this.#open.add(file);
    return file;
  }

  append(file: BackgroundFile, chunk: Buffer): void {
    file.batch.push(chunk);
    file.batchBytes += chunk.length;
    if (file.batchBytes >= BATCH_BYTES) this.#enqueueBatch(file);
  }

  /** All of the file has been appended. */
  end(file: BackgroundFile): void {
    this.#enqueueBatch(file);
    this.#enqueue(0, async () => {
      if (file.mustBeCut) await truncateFile(file.fd, file.size);
      this.#open.delete(file);
      await closeFile(file.fd);
    });
  }

  /** True when the appender must wait for {@link BackgroundWriter.caughtUp}. */
  get behind(): boolean {
    return this.#queuedBytes > QUEUE_BYTES || this.#error !== undefined;
  }

  /** Settles when there is room again; rejects with the first error of a write. */
  async caughtUp(): Promise<void> {
    while (this.behind && this.#error === undefined)
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    if (this.#error !== undefined) throw this.#error;
  }

  /** Settles when everything is written and closed. */
  async drain(): Promise<void> {
    await this.#running;
    if (this.#error !== undefined) throw this.#error;
  }

  /** Stops after the write in progress and closes every file; never rejects. */
  async abandon(): Promise<void> {
    this.#error ??= new Error("abandoned");
    await this.#running;
    for (const file of this.#open) await closeFile(file.fd).catch(() => undefined);
    this.#open.clear();
  }

  #enqueueBatch(file: BackgroundFile): void {
    if (file.batchBytes === 0) return;
    const { batch, batchBytes, position } = file;
    file.batch = [];
    file.batchBytes = 0;
    file.position += batchBytes;
    this.#enqueue(batchBytes, () => writeAll(file.fd, batch, batchBytes, position));
  }

  #enqueue(bytes: number, run: () => Promise<void>): void {
    this.#queue.push({ run, bytes });
    this.#queuedBytes += bytes;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.shift(); next && this.#error === undefined; next = this.#queue.shift()) {
      try {
        await next.run();
      } catch (error) {
        this.#error ??= error;
      }
      this.#queuedBytes -= next.bytes;
      if (!this.behind || this.#error !== undefined) for (const wake of this.#roomWaiters.splice(0)) wake();
    }
    this.#running = undefined;
  }
}

/** `writev` until everything is there: it may write less than asked. */
async function writeAll(fd: number, buffers: Buffer[], bytes: number, position: number): Promise<void> {
  for (;;) {
    const written = await new Promise<number>((resolve, reject) =>
      writev(fd, buffers, position, (error, count) => (error ? reject(error) : resolve(count))),
    );
    bytes -= written;
    if (bytes === 0) return;
    position += written;
    buffers = [Buffer.concat(buffers).subarray(written)];
  }
}
