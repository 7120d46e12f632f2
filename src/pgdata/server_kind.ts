/**
 * Which PostgreSQL we drive: `neon` has the `neon` library in its pkglibdir, `stock` has not. Never decided by version
 * number (contract: postgres-config.md 11).
 */
export type ServerKind = "neon" | "stock";
