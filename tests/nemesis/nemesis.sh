#!/usr/bin/env bash
# The nemesis in a mount namespace of its own: its small file systems and the names of its network
# namespaces are gone with its last process, however that ends. Needs root. Takes nemesis.js's options.
set -euo pipefail
[ "$(id -u)" = 0 ] || {
  echo "nemesis: needs root: it makes network namespaces and mounts" >&2
  exit 2
}
# shellcheck disable=SC2016 # the inner shell expands
exec unshare --mount --propagation private bash -c '
  mkdir -p /run/netns
  mount -t tmpfs fettle-nemesis /run/netns
  FETTLE_NEMESIS_MOUNTS=own exec node "$@"' nemesis "$(dirname "$0")/nemesis.js" "$@"
