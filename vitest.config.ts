import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: ["test/support/global_setup.ts"],
    // Two cores, and integration tests start real servers: more workers only make them wait for each other.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Integration tests share two noisy cores with the servers they start; a second failure is a failure.
    retry: process.env.CI === "true" ? 1 : 0,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.integration.test.ts", "test/**/*.container.test.ts", "test/conformance/**"],
        },
      },
      {
        extends: true,
        test: { name: "integration", include: ["test/**/*.integration.test.ts", "test/conformance/**/*.test.ts"] },
      },
      {
        extends: true,
        test: {
          name: "packaging",
          include: ["test/**/*.container.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          // They share images and the machine's container storage.
          fileParallelism: false,
        },
      },
    ],
  },
});
