#!/bin/sh
# Entry point of the image. Without arguments: an embedded Postgres with its storage. With flags: compute_ctl and those flags.
# With a program's name: that program. Always by exec, so that signals reach it.
set -eu

case "${1:-}" in
  "") exec neon-local serve ;;
  -*) exec compute_ctl "$@" ;;
  compute_ctl | neon-store | neon-local) exec "$@" ;;
  *)
    echo "entrypoint: '$1' is none of compute_ctl, neon-store, neon-local and no flag of compute_ctl" >&2
    exit 2
    ;;
esac
