import { Counter, Gauge, Registry } from "prom-client";

/** What the WAL proposer reports: LSNs as numbers of bytes. */
export interface ProposerFigures {
  readonly term: bigint;
  readonly receivedLsn: bigint;
  readonly committedLsn: bigint;
  readonly active: number;
  readonly quorum: boolean;
  readonly lagMs: number;
}

/**
 * Every family of `GET /metrics`, in the order of the contract. Registered once a process; unlabelled families show 0 from
 * the first scrape on (contract: metrics-and-logs.md 2).
 */
export class ComputeMetrics {
  readonly #registry = new Registry();
  readonly #up = this.#gauge("compute_ctl_up", "1 while compute_ctl runs, labelled with its build and its state", [
    "build_tag",
    "status",
  ]);
  readonly installedExtensions = this.#gauge(
    "compute_installed_extensions",
    "databases with that version of an extension installed",
    ["extension_name", "owned_by_superuser", "version"],
  );
  readonly controlPlaneRequests = this.#counter(
    "compute_ctl_cplane_requests_total",
    "requests to the control plane by outcome",
    ["http_status", "rpc"],
  );
  readonly remoteExtensionRequests = this.#counter(
    "compute_ctl_remote_ext_requests_total",
    "remote extension downloads by outcome",
    ["filename", "http_status"],
  );
  readonly migrationsFailed = this.#counter("compute_ctl_db_migration_failed_total", "failed database migrations", [
    "migration_id",
  ]);
  readonly auditLogBytes = this.#gauge("compute_audit_log_dir_size", "bytes of audit log files");
  readonly currentDowntimeMs = this.#gauge(
    "compute_pg_current_downtime_ms",
    "length of the current outage of Postgres in ms, 0 when it is up",
  );
  readonly downtimeMs = this.#counter("compute_pg_downtime_ms_total", "sum of all outages of Postgres in ms");
  readonly prewarms = this.#counter(
    "compute_ctl_lfc_prewarms_total",
    "prewarms of the local file cache that were accepted",
  );
  readonly prewarmErrors = this.#counter(
    "compute_ctl_lfc_prewarm_errors_total",
    "prewarms of the local file cache that failed",
  );
  readonly offloads = this.#counter(
    "compute_ctl_lfc_offloads_total",
    "offloads of the local file cache state that were started",
  );
  readonly offloadErrors = this.#counter(
    "compute_ctl_lfc_offload_errors_total",
    "offloads of the local file cache state that failed",
  );
  readonly refreshRequests = this.#counter(
    "pg_cctl_pagestream_request_errors_total",
    "calls of POST /refresh_configuration",
  );
  readonly statementTimeouts = this.#counter(
    "pg_cctl_configure_statement_timeout_errors_total",
    "statement timeouts while a spec was applied",
  );
  readonly attached = this.#gauge("pg_cctl_attached", "1 when attached to a timeline", [
    "pg_compute_id",
    "pg_instance_id",
    "tenant_id",
    "timeline_id",
  ]);
  readonly leaseRequests = this.#counter(
    "compute_ctl_lsn_lease_requests_total",
    "rounds of LSN lease requests of a static compute by outcome; not in the original",
    ["outcome"],
  );
  readonly #proposerTerm = this.#gauge("compute_ctl_walproposer_term", "term in which this compute was elected");
  readonly #proposerLagBytes = this.#gauge(
    "compute_ctl_walproposer_lag_bytes",
    "WAL that a quorum has not acknowledged yet",
  );
  readonly #proposerLagMs = this.#gauge(
    "compute_ctl_walproposer_lag_ms",
    "how long the oldest unacknowledged WAL has been waiting",
  );
  readonly #proposerQuorum = this.#gauge(
    "compute_ctl_walproposer_quorum",
    "1 while a quorum of safekeepers follows this compute",
  );
  readonly #proposerActive = this.#gauge("compute_ctl_walproposer_safekeepers", "safekeepers that follow this compute");
  readonly #build = this.#gauge("compute_ctl_build_info", "1, labelled with the version of the program and its build", [
    "build_tag",
    "version",
  ]);
  readonly #buildTag: string;

  constructor(buildTag: string) {
    this.#buildTag = buildTag;
  }

  /**
   * Shows the one sample of `compute_ctl_up`: the old one goes and the new one comes without a scrape between.
   *
   * @param status in its text form, such as `configuration-pending`
   */
  setStatus(status: string): void {
    this.#up.reset();
    this.#up.set({ build_tag: this.#buildTag, status }, 1);
  }

  /** Shows the one sample of `compute_ctl_build_info`; not in the original. */
  setVersion(version: string): void {
    this.#build.set({ build_tag: this.#buildTag, version }, 1);
  }

  /** How far the WAL of a stock server has come; not in the original. */
  setProposer(status: ProposerFigures): void {
    this.#proposerTerm.set(Number(status.term));
    const lag = status.receivedLsn > status.committedLsn ? status.receivedLsn - status.committedLsn : 0n;
    this.#proposerLagBytes.set(Number(lag));
    this.#proposerLagMs.set(status.lagMs);
    this.#proposerQuorum.set(status.quorum ? 1 : 0);
    this.#proposerActive.set(status.active);
  }

  /** The page in Prometheus text format 0.0.4; labelled families without a sample are left out. */
  async text(): Promise<string> {
    const families = await this.#registry.getMetricsAsJSON();
    const shown = families.filter((family) => (family.values as readonly unknown[]).length > 0);
    const parts = await Promise.all(shown.map((family) => this.#registry.getSingleMetricAsString(family.name)));
    return `${parts.join("\n")}\n`;
  }

  #gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  #counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }
}
