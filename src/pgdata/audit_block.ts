import { lastAssignment } from "./conf_line.ts";
import { addLibraries } from "./preload_libraries.ts";
import { effectiveSettingValue, quoteString } from "./quoting.ts";
import { type ConfSetting, renderJudged } from "./requested_settings.ts";
import type { ServerStrategy } from "./server_strategy.ts";

/** `Log` and `Hipaa` are older spellings of `Base` and `Extended`. */
export type AuditLogLevel = "Disabled" | "Base" | "Log" | "Extended" | "Hipaa" | "Full";

interface AuditBlock {
  readonly begin: string;
  readonly end: string;
  readonly lines: readonly string[];
  readonly libraries: readonly string[];
}

const BASE: AuditBlock = {
  begin: "# Managed by compute_ctl base audit settings: start",
  end: "# Managed by compute_ctl base audit settings: end",
  lines: ["pgaudit.log='ddl,role'", "pgaudit.log_catalog=off"],
  libraries: ["pgaudit"],
};

/** Rotation in minutes: the cleaner of old audit files counts on it. */
function compliance(logParameter: "on" | "off", log: string): AuditBlock {
  return {
    begin: "# Managed by compute_ctl compliance audit settings: begin",
    end: "# Managed by compute_ctl compliance audit settings: end",
    lines: [
      `pgaudit.log_parameter=${logParameter}`,
      `pgaudit.log='${log}'`,
      "pgaudit.log_catalog=off",
      "pgaudit.log_rotation_age=5",
    ],
    libraries: ["pgaudit", "pgauditlogtofile"],
  };
}

const EXTENDED = compliance("off", "all, -misc");

const BLOCKS: Readonly<Record<AuditLogLevel, AuditBlock | undefined>> = {
  Disabled: undefined,
  Base: BASE,
  Log: BASE,
  Extended: EXTENDED,
  Hipaa: EXTENDED,
  Full: compliance("on", "all"),
};

/**
 * The audit block of a level (contract: postgres-config.md 2.3). Its library line repeats the libraries that would be in
 * force without it: the last setting of that name, else the last line of `postgresql_conf`, else the server's default.
 */
export function renderAuditBlock(
  level: AuditLogLevel,
  requested: { readonly settings: readonly ConfSetting[] | null; readonly postgresqlConf: string | null },
  strategy: ServerStrategy,
  warn: (text: string) => void,
): string[] {
  const block = BLOCKS[level];
  if (!block) return [];
  const name = "shared_preload_libraries";
  const libraries = addLibraries(librariesInForce(requested) ?? strategy.defaultPreloadLibraries, block.libraries);
  const line = renderJudged(`${name}=${quoteString(libraries)}`, name, libraries, strategy, warn);
  return [block.begin, ...block.lines, line, block.end];
}

function librariesInForce(requested: {
  readonly settings: readonly ConfSetting[] | null;
  readonly postgresqlConf: string | null;
}): string | undefined {
  const setting = requested.settings?.findLast(({ name }) => name.toLowerCase() === "shared_preload_libraries");
  if (setting?.value !== undefined && setting.value !== null) {
    return effectiveSettingValue(setting.value, setting.vartype);
  }
  return lastAssignment(requested.postgresqlConf ?? "", "shared_preload_libraries");
}
