const REPLACEMENT = "***";

/**
 * A connection string that may be shown: the password is replaced, in the URL form (user part and query) and in the
 * `key=value` form. Anything else is returned as it is.
 */
export function redactConnstr(connstr: string): string {
  return connstr
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):[^/?#]*@/i, `$1:${REPLACEMENT}@`)
    .replace(/([?&](?:ssl)?password=)[^&#]*/gi, `$1${REPLACEMENT}`)
    .replace(/\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'&#]+)/gi, `$1${REPLACEMENT}`);
}

/** Text in which the given secrets, and passwords of connection strings, are replaced. Empty secrets are ignored. */
export function redactSecrets(text: string, secrets: readonly string[]): string {
  // Longest first: one secret may begin with another.
  const known = secrets.filter((secret) => secret.length > 0).sort((a, b) => b.length - a.length);
  const hidden = known.reduce((rest, secret) => rest.replaceAll(secret, REPLACEMENT), text);
  return hidden
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*):[^\s/?#]*@/gi, `$1:${REPLACEMENT}@`)
    .replace(/\b(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'"&#]+)/gi, `$1${REPLACEMENT}`);
}
