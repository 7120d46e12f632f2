/**
 * Whether a process holds an exclusive flock on a file, by the text of Linux' `/proc/locks`. The device is not compared:
 * overlay and btrfs file systems show another one there than `stat` does.
 */
export function holdsFlock(locks: string, pid: number, inode: bigint): boolean {
  return locks.split("\n").some((line) => {
    // A line with `->` is somebody who waits for the lock.
    const match = /^\d+: FLOCK\s+\S+\s+WRITE\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line);
    return match?.[1] === String(pid) && match[2] === String(inode);
  });
}
