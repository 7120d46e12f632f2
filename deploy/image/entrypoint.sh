#!/bin/sh
# Entry point of the image; it ends in exec, so signals reach the program. Three ways in:
#   nothing given                  neon-local serve: a Postgres with its storage
#   flags, or one of the five      compute_ctl with those flags
#   a program and its words        that program, nothing added
# The five: COMPUTE_ID, CONNSTR, and where the spec comes from: SPEC_FILE (a config file), SPEC_JSON (its content) or
# CONTROL_PLANE_URI. They become flags of compute_ctl, and so do PGDATA, EXTERNAL_HTTP_PORT, INTERNAL_HTTP_PORT,
# INTERNAL_HTTP_ADDR, REMOTE_EXT_BASE_URL, PRIVILEGED_ROLE_NAME. An empty variable counts as not set. A variable and a flag
# that say different things end the start with exit code 2.
set -eu

fail() {
  echo "entrypoint: $1" >&2
  exit 2
}

# Prints the value of a flag among the words behind: flag_value --long -s "$@"; fails when it is not there.
flag_value() {
  long=$1 short=${2:-none}
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      "$long" | "$short") printf '%s' "${2-}" && return ;;
      "$long="*) printf '%s' "${1#*=}" && return ;;
      "$short"*) printf '%s' "${1#"$short"}" && return ;;
      --dev | --resize-swap-on-bind | --help | --version | --*=* | -[!-]?* | -h | -V | [!-]* | "") shift ;;
      # A flag and its value, whatever that looks like.
      *)
        shift
        [ $# -eq 0 ] || shift
        ;;
    esac
  done
  return 1
}

case ${1-} in
  "" | -*) ;;
  *)
    program=$(command -v -- "$1") || program=
    case $program in
      /*) [ -f "$program" ] && exec "$@" ;;
    esac
    fail "'$1' is no program here; give flags of compute_ctl, or begin with compute_ctl, neon-store or neon-local"
    ;;
esac

if [ $# -eq 0 ] && [ -z "${COMPUTE_ID:-}${CONNSTR:-}${SPEC_FILE:-}${SPEC_JSON:-}${CONTROL_PLANE_URI:-}" ]; then
  for name in EXTERNAL_HTTP_PORT INTERNAL_HTTP_PORT INTERNAL_HTTP_ADDR REMOTE_EXT_BASE_URL PRIVILEGED_ROLE_NAME; do
    eval "value=\${$name:-}"
    [ -z "$value" ] || fail "$name is for compute_ctl, which needs COMPUTE_ID, CONNSTR and a spec; leave it out for neon-local serve"
  done
  exec neon-local serve
fi

sources=
for name in SPEC_FILE SPEC_JSON CONTROL_PLANE_URI; do
  eval "value=\${$name:-}"
  [ -z "$value" ] || sources="$sources${sources:+ and }$name"
done
case $sources in
  *" and "*) fail "$sources are set: the spec can come from one place only" ;;
esac

for name in EXTERNAL_HTTP_PORT INTERNAL_HTTP_PORT; do
  eval "value=\${$name:-}"
  case $value in
    *[!0-9]*) fail "$name=$value is not a port number" ;;
  esac
done

# Started by variables alone, what is missing is said in their names.
if [ $# -eq 0 ]; then
  PGDATA=${PGDATA:-/var/db/postgres/compute}
  [ -n "${COMPUTE_ID:-}" ] || fail "COMPUTE_ID is not set"
  [ -n "${CONNSTR:-}" ] || fail "CONNSTR is not set, such as postgresql://cloud_admin@localhost:5432/postgres"
  [ -n "$sources" ] || fail "none of SPEC_FILE, SPEC_JSON and CONTROL_PLANE_URI is set"
fi

if [ -n "$sources" ]; then
  for flags in "--config -c" "--control-plane-uri -p" "--spec -s" "--spec-path -S"; do
    value=$(flag_value "${flags% *}" "${flags#* }" "$@") || continue
    case "$sources ${flags% *} $value" in
      "SPEC_FILE --config ${SPEC_FILE:-}" | "CONTROL_PLANE_URI --control-plane-uri ${CONTROL_PLANE_URI:-}") ;;
      *) fail "$sources is set and ${flags% *} is given: leave one out" ;;
    esac
  done
fi

# No values in what is said: they may hold passwords.
for mapping in \
  "COMPUTE_ID --compute-id -i" \
  "PGDATA --pgdata -D" \
  "CONNSTR --connstr -C" \
  "SPEC_FILE --config -c" \
  "CONTROL_PLANE_URI --control-plane-uri -p" \
  "REMOTE_EXT_BASE_URL --remote-ext-base-url -r" \
  "EXTERNAL_HTTP_PORT --external-http-port " \
  "INTERNAL_HTTP_PORT --internal-http-port " \
  "INTERNAL_HTTP_ADDR --internal-http-addr " \
  "PRIVILEGED_ROLE_NAME --privileged-role-name "; do
  name=${mapping%% *} flags=${mapping#* }
  eval "value=\${$name:-}"
  [ -n "$value" ] || continue
  if given=$(flag_value "${flags% *}" "${flags#* }" "$@"); then
    [ "$given" = "$value" ] || fail "$name is set and ${flags% *} says something else: leave one out"
  else
    set -- "${flags% *}" "$value" "$@"
  fi
done

if [ -n "${SPEC_JSON:-}" ]; then
  # On a command line everybody could read it, and Postgres inherits the environment. One file, however often we start.
  directory=${TMPDIR:-/tmp}/compute-config-$(id -u)
  { mkdir -m 0700 "$directory" || [ -O "$directory" ]; } 2>/dev/null || fail "SPEC_JSON needs a directory for its file, and $directory cannot be made"
  file=$directory/config.json
  { (umask 077 && printf '%s\n' "$SPEC_JSON" >"$file.new" && mv "$file.new" "$file"); } 2>/dev/null || fail "SPEC_JSON cannot be written to $file"
  unset SPEC_JSON
  complaint=$(compute_ctl validate "$file" 2>&1 >/dev/null) || fail "$(printf '%s' "$complaint" | tr '\n' ' ' | sed "s|$file|SPEC_JSON|g")"
  set -- --config "$file" "$@"
fi

exec compute_ctl "$@"
