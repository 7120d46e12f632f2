import { join } from "node:path";

/** Where everything lies in a state directory (contract: neon-local.md A4). One place, so that no other file joins paths of its own. */
export interface StateLayout {
  readonly root: string;
  readonly settingsFile: string;
  readonly privateKeyFile: string;
  readonly publicKeyFile: string;
  /** What a service made up for who connects from elsewhere. */
  readonly passwordFile: string;
  readonly stateDir: string;
  /** Records that could not be read. */
  readonly brokenDir: string;
  readonly storagesDir: string;
  readonly pgsDir: string;
  readonly runDir: string;
  readonly serviceFile: string;
  /** Sockets of the services that hold or want the directory. */
  readonly lockDir: string;
  readonly procsDir: string;
  readonly logsDir: string;
  readonly serviceLog: string;
  storageRecord(storage: string): string;
  branchRecord(storage: string, branch: string): string;
  pgRecord(pg: string): string;
  storageDir(storage: string): string;
  storageLog(storage: string): string;
  pg(pg: string): PgLayout;
}

/** Where the files of one pg lie. */
export interface PgLayout {
  readonly dir: string;
  readonly configFile: string;
  readonly pgdata: string;
  /** Where Postgres' Unix socket is: the directory that packages compile in may be closed to us. */
  readonly socketDir: string;
  readonly log: string;
  readonly pidFile: string;
}

export function stateLayout(root: string): StateLayout {
  const stateDir = join(root, "state");
  const runDir = join(root, "run");
  const logsDir = join(root, "logs");
  const storagesDir = join(root, "storages");
  const pgsDir = join(root, "pgs");
  return {
    root,
    settingsFile: join(root, "neon-local.json"),
    privateKeyFile: join(root, "auth_private_key.pem"),
    publicKeyFile: join(root, "auth_public_key.pem"),
    passwordFile: join(root, "superuser_password"),
    stateDir,
    brokenDir: join(stateDir, "broken"),
    storagesDir,
    pgsDir,
    runDir,
    serviceFile: join(runDir, "service.json"),
    lockDir: join(runDir, "lock"),
    procsDir: join(runDir, "procs"),
    logsDir,
    serviceLog: join(logsDir, "service.log"),
    storageRecord: (storage) => join(stateDir, "storages", `${storage}.json`),
    branchRecord: (storage, branch) => join(stateDir, "branches", storage, `${branch}.json`),
    pgRecord: (pg) => join(stateDir, "pgs", `${pg}.json`),
    storageDir: (storage) => join(storagesDir, storage),
    storageLog: (storage) => join(logsDir, `storage-${storage}.log`),
    pg: (pg) => pgLayout(join(pgsDir, pg)),
  };
}

function pgLayout(dir: string): PgLayout {
  return {
    dir,
    configFile: join(dir, "config.json"),
    pgdata: join(dir, "pgdata"),
    socketDir: join(dir, "socket"),
    log: join(dir, "compute.log"),
    pidFile: join(dir, "compute_ctl.pid"),
  };
}
