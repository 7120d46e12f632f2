/** Things to do at points of virtual time, earliest first; what is due at the same time keeps its order. */
export class Timeline {
  readonly #heap: { readonly at: number; readonly order: number; readonly act: () => void }[] = [];
  #order = 0;
  now = 0;

  at(time: number, act: () => void): void {
    const entry = { at: Math.max(time, this.now), order: this.#order++, act };
    const heap = this.#heap;
    let child = heap.length;
    heap.push(entry);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = entry;
  }

  after(delay: number, act: () => void): void {
    this.at(this.now + delay, act);
  }

  /** Does everything that is due up to and including `end`; false when `stop` said so in between. */
  runUntil(end: number, stop: () => boolean): boolean {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const { at, act } = this.#take();
      this.now = at;
      act();
      if (stop()) return false;
    }
    this.now = Math.max(this.now, end);
    return true;
  }

  #take() {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[parent] = heap[child]!;
      parent = child;
    }
    heap[parent] = last;
    return first;
  }
}

function before(a: { at: number; order: number }, b: { at: number; order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
