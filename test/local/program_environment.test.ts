import { expect, test } from "vitest";
import { programEnvironment } from "../../src/local/program_environment.ts";

const env = {
  PATH: "/bin",
  HOME: "/h",
  LC_ALL: "C",
  TZ: "UTC",
  RUST_LOG: "debug",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://x",
  LD_LIBRARY_PATH: "/l",
  NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: "1",
  AWS_SECRET_ACCESS_KEY: "secret",
  AZURE_STORAGE_KEY: "secret",
  NEON_API_KEY: "secret",
  NEON_LOCAL_SUPERVISOR_FD: "9",
  NODE_OPTIONS: "--inspect",
  PGPASSWORD: "secret",
  GITHUB_TOKEN: "secret",
};

test("only what is on the list reaches a program, and credentials only who needs them", () => {
  const compute = programEnvironment(env, { objectStore: false, postgresUser: "postgres" });
  expect(Object.keys(compute).sort()).toEqual([
    "COMPUTE_CTL_POSTGRES_USER",
    "HOME",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PATH",
    "RUST_LOG",
    "TZ",
  ]);
  const store = programEnvironment(env, { objectStore: true });
  expect(store).toMatchObject({ AWS_SECRET_ACCESS_KEY: "secret", AZURE_STORAGE_KEY: "secret" });
  expect(store).not.toHaveProperty("COMPUTE_CTL_POSTGRES_USER");
  expect(store).not.toHaveProperty("NEON_API_KEY");
});
