import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { replaceFile } from "../disk/atomic_file.ts";
import { CodedError, errorChain } from "../errors/coded_error.ts";
import { describeExit, type ProcessExit } from "../postgres/process_exit.ts";
import { readProcess } from "../postgres/process_identity.ts";
import { type ExitRung, endChild } from "./exit_ladder.ts";
import type { LogFile } from "./log_file.ts";
import { removeProcessRecord, writeProcessRecord } from "./process_record.ts";
import { afterFailure, NO_FAILURES } from "./restart_policy.ts";
import { type ChildHandle, spawnChild } from "./spawn_child.ts";
import { sendSignal } from "./wait_for_exit.ts";

/** What the supervisor has to know about one child. */
export interface ChildPlan {
  /** Name of its record in `run/procs/`. */
  readonly name: string;
  readonly program: string;
  /** Asked at each start: ports that the first start found are kept by the later ones. */
  readonly argv: () => readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly log: LogFile;
  readonly rungs: readonly ExitRung[];
  /** A second place for its pid, as text: where `neon_local` looks for it. */
  readonly pidFile?: string;
  /** An exit code after which it must not be started again, and what that means: ends the sentence. */
  readonly finalExit?: { readonly code: number; readonly meaning: string };
  /** What people have to know when it was started again: ends the sentence. */
  readonly restartNote?: string;
  /** Before each start: forgets what the last one published. */
  readonly prepare?: () => Promise<void>;
  /** Resolves when the child does its work, rejects when it says that it cannot. Stops asking when the signal aborts. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  /** After each end, however it came: what the child may have left running. */
  readonly cleanUp?: () => Promise<void>;
}

export interface SupervisorOptions {
  readonly procsDir: string;
  /** Takes one sentence about what happened. */
  readonly report: (line: string) => void;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
  /** Waits between two starts; rejects when the signal aborts. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

export type ChildState = "stopped" | "starting" | "running" | "crashed" | "failed" | "stopping";

const TAIL_LINES = 5;

/**
 * Keeps one child running from `start` to `stop`: spawns it, waits until it is ready, starts it again when it ends
 * unexpectedly, and says so when it gives up (contract: neon-local.md A3).
 */
export class SupervisedChild {
  readonly #plan: ChildPlan;
  readonly #options: SupervisorOptions;
  readonly #now: () => number;
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
  readonly #stopping = new AbortController();
  readonly #force = new AbortController();
  #state: ChildState = "stopped";
  #current: (ChildHandle & { readonly readySince: number }) | undefined;
  /** The work in the background: a start, then the watch. Never rejects. */
  #work: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(plan: ChildPlan, options: SupervisorOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#pause = options.pause ?? ((ms, signal) => delay(ms, undefined, { signal }));
  }

  get state(): ChildState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#current?.pid;
  }

  /**
   * Starts it and waits until it is ready. A child whose first start fails is not started again: whoever asked is told.
   *
   * @throws CodedError `child_failed` with the reason and the child's last lines; `stopping` when `stop` came first
   */
  async start(): Promise<void> {
    const started = this.#attempt();
    this.#work = started.then(
      () => this.#watch(),
      () => undefined,
    );
    await started;
  }

  /** Ends it for good; idempotent, and a later call with `immediate` hastens an earlier one. Rejects when cleaning up fails. */
  stop(how: "in_order" | "immediate" = "in_order"): Promise<void> {
    if (how === "immediate") this.#force.abort();
    this.#stopping.abort(new CodedError("stopping", `${this.#plan.name} is stopping`));
    this.#stopped ??= this.#stopNow();
    return this.#stopped;
  }

  async #stopNow(): Promise<void> {
    const wasUp = this.#current;
    if (this.#state !== "failed") this.#state = "stopping";
    if (wasUp) await endChild(wasUp.pid, wasUp.exited, this.#plan.rungs, this.#force.signal);
    await this.#work;
    this.#current = undefined;
    this.#state = "stopped";
    await this.#plan.cleanUp?.();
    if (wasUp) sendSignal(-wasUp.pid, "SIGKILL");
    await this.#forget();
  }

  /** One start, up to ready. On failure nothing of it is left. */
  async #attempt(): Promise<void> {
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    this.#state = "starting";
    try {
      await this.#spawnAndWait(signal);
    } catch (error) {
      this.#state = "crashed";
      signal.throwIfAborted();
      throw error;
    }
  }

  async #spawnAndWait(signal: AbortSignal): Promise<void> {
    const plan = this.#plan;
    await plan.prepare?.();
    await plan.log.rotateIfLarge();
    const logStart = plan.log.size();
    const { program, env, cwd, log } = plan;
    const child = await spawnChild({ program, argv: plan.argv(), env, cwd, output: log.fd });
    const over = new AbortController();
    try {
      await this.#record(child.pid);
      const died = child.exited.then(async (exit) => {
        if (!over.signal.aborted) throw await this.#deathOf(exit, logStart);
      });
      const ready = plan.ready(AbortSignal.any([signal, over.signal]));
      await Promise.race([ready, died, aborted(signal, over.signal)]);
      // Nothing may come in between: a stop either sees the child here or is seen.
      signal.throwIfAborted();
      this.#current = { ...child, readySince: this.#now() };
      this.#state = "running";
    } catch (error) {
      over.abort();
      await endChild(child.pid, child.exited, plan.rungs, this.#force.signal);
      await this.#sweep(child.pid);
      throw error;
    } finally {
      over.abort();
    }
  }

  /** From ready to the end, with all starts in between. */
  async #watch(): Promise<void> {
    let history = NO_FAILURES;
    for (let running = this.#current; running !== undefined; running = this.#current) {
      const exit = await running.exited;
      let what = `ended unexpectedly (${describeExit(exit)})`;
      let readySince: number | undefined = running.readySince;
      if (this.#stopping.signal.aborted) return;
      this.#state = "crashed";
      this.#current = undefined;
      await this.#sweep(running.pid);
      const { finalExit } = this.#plan;
      if (finalExit !== undefined && exit.code === finalExit.code) return this.#giveUp(`${what}: ${finalExit.meaning}`);
      while (this.#current === undefined) {
        const next = afterFailure(history, this.#now(), readySince);
        history = next.history;
        readySince = undefined;
        if (next.decision.kind === "give_up") return this.#giveUp(`${what}, the fifth failure in ten minutes`);
        this.#options.report(`${this.#plan.name} ${what}; starting it again in ${next.decision.delayMs / 1000} s`);
        try {
          await this.#pause(next.decision.delayMs, this.#stopping.signal);
          await this.#attempt();
          this.#options.report(`${this.#plan.name} runs again${this.#plan.restartNote ?? ""}`);
        } catch (error) {
          if (this.#stopping.signal.aborted) return;
          what = `could not be started again (${errorChain(error)})`;
        }
      }
    }
  }

  #giveUp(what: string): void {
    this.#state = "failed";
    this.#options.report(`${this.#plan.name} ${what}: it is not started again; see ${this.#plan.log.path}`);
  }

  /** What a dead child leaves: processes that it started, the rest of its group, its records. Failures are only said. */
  async #sweep(pid: number): Promise<void> {
    try {
      await this.#plan.cleanUp?.();
      sendSignal(-pid, "SIGKILL");
      await this.#forget();
    } catch (error) {
      this.#options.report(`cleaning up after ${this.#plan.name}: ${errorChain(error)}`);
    }
  }

  async #forget(): Promise<void> {
    await removeProcessRecord(this.#options.procsDir, this.#plan.name);
    if (this.#plan.pidFile !== undefined) await rm(this.#plan.pidFile, { force: true });
  }

  async #record(pid: number): Promise<void> {
    const found = await readProcess(pid);
    // Already gone: `exited` says so in a moment.
    if (found === undefined) return;
    await writeProcessRecord(this.#options.procsDir, this.#plan.name, {
      pid,
      start_time: found.startTime,
      argv0: this.#plan.program,
    });
    if (this.#plan.pidFile !== undefined) await replaceFile(this.#plan.pidFile, `${pid}\n`, { durable: false });
  }

  async #deathOf(exit: ProcessExit, logStart: number): Promise<CodedError> {
    const lines = await this.#plan.log.tail(logStart, TAIL_LINES);
    const said =
      lines.length === 0 ? "it wrote nothing" : `its last lines:\n${lines.map((line) => `  ${line}`).join("\n")}`;
    return new CodedError("child_failed", `${this.#plan.name} ended while starting (${describeExit(exit)}); ${said}`);
  }
}

function aborted(signal: AbortSignal, over: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true, signal: over });
  if (signal.aborted) reject(signal.reason as Error);
  return promise;
}
