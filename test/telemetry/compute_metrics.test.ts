import { expect, test } from "vitest";
import { ComputeMetrics } from "../../src/telemetry/compute_metrics.ts";
import { emptyStartupMetrics, formatStartupMetrics } from "../../src/telemetry/startup_metrics.ts";

test("metrics-and-logs.md case 1, metrics-and-logs.md case 2: unlabelled families show 0, labelled ones without samples are left out", async () => {
  const metrics = new ComputeMetrics("latest");
  metrics.setStatus("empty");
  const text = await metrics.text();
  expect(text).toContain('compute_ctl_up{build_tag="latest",status="empty"} 1\n');
  for (const name of [
    "compute_audit_log_dir_size",
    "compute_pg_current_downtime_ms",
    "compute_pg_downtime_ms_total",
    "compute_ctl_lfc_prewarms_total",
    "compute_ctl_lfc_prewarm_errors_total",
    "compute_ctl_lfc_offloads_total",
    "compute_ctl_lfc_offload_errors_total",
    "pg_cctl_pagestream_request_errors_total",
    "pg_cctl_configure_statement_timeout_errors_total",
  ])
    expect(text).toContain(`\n${name} 0\n`);
  for (const name of [
    "compute_installed_extensions",
    "compute_ctl_cplane_requests_total",
    "compute_ctl_remote_ext_requests_total",
    "compute_ctl_db_migration_failed_total",
    "compute_ctl_lsn_lease_requests_total",
    "pg_cctl_attached",
  ])
    expect(text).not.toContain(name);
  expect(
    text.split("\n").filter((line) => line !== "" && !/^(# (HELP|TYPE) \w+ .+|\w+(\{[^{}]*\})? \d+)$/.test(line)),
  ).toEqual([]);
});

test("metrics-and-logs.md case 5: exactly one compute_ctl_up sample whatever the changes, with the build tag", async () => {
  const metrics = new ComputeMetrics("abc");
  for (const status of ["empty", "configuration-pending", "init", "running", "terminated"]) {
    metrics.setStatus(status);
    const samples = (await metrics.text()).split("\n").filter((line) => line.startsWith("compute_ctl_up"));
    expect(samples).toEqual([`compute_ctl_up{build_tag="abc",status="${status}"} 1`]);
  }
});

test("compute_ctl_build_info says version and build tag", async () => {
  const metrics = new ComputeMetrics("abc");
  metrics.setVersion("1.2.3");
  expect(await metrics.text()).toContain('compute_ctl_build_info{build_tag="abc",version="1.2.3"} 1\n');
});

test("the start-up figures have the contract's names and order", () => {
  const metrics = emptyStartupMetrics();
  expect(Object.keys(metrics)).toHaveLength(13);
  expect(formatStartupMetrics(metrics)).toMatch(
    /^ComputeMetrics \{ wait_for_spec_ms: 0, .*, total_ext_download_size: 0 \}$/,
  );
});
