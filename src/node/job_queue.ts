/**
 * Runs jobs one after another: everything that writes `postgresql.conf` or the catalog goes through here
 * (contract: lifecycle.md 5.5). A job that fails fails its caller only.
 */
export class JobQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job, job);
    // The chain goes on whatever becomes of this job; its caller gets the failure from `result`.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
