/**
 * Maps a series with up to `width` results under way, in order. When the reader stops or something fails, what is under
 * way is awaited, so that nothing of it outlives the series.
 */
export async function* orderedMap<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  width: number,
  map: (item: T) => R | Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const ahead: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = Promise.resolve(map(item));
      // A failure is reported when its turn comes; until then it must not count as unhandled.
      result.catch(() => undefined);
      ahead.push(result);
      if (ahead.length >= width) yield await (ahead.shift() as Promise<R>);
    }
    while (ahead.length > 0) yield await (ahead.shift() as Promise<R>);
  } finally {
    await Promise.allSettled(ahead);
  }
}

/** Joins neighbours until there are at least `size` bytes; larger buffers pass as they are. */
export async function* joined(buffers: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const buffer of buffers) {
    if (buffer.length >= size && held.length === 0) {
      yield buffer;
      continue;
    }
    held.push(buffer);
    bytes += buffer.length;
    if (bytes < size) continue;
    yield Buffer.concat(held, bytes);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held, bytes);
}
