/**
 * `node:http`, not imported: an import of that module reads every export that it has, and one of them loads all of `fetch`,
 * 25 ms that a start does not have.
 */
export const http = process.getBuiltinModule("node:http");
