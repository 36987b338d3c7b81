#!/usr/bin/env bash
# language.sh FETTLE_WITH_BANNER FETTLE: the language knows the worked example's kind by its entry
# alone, says where its options are wrong, and does not know it without the entry.
set -euo pipefail
with=$1
without=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

spec_with() {
  cat >"$folder/ssh.yaml" <<TEXT
version: 1
services:
  - name: ssh
    nodes: [{name: bastion, address: "10.0.0.5:22"}]
    probes:
      - $1
TEXT
}

# refused_by COMMAND WORDS: exit code 2, and the words are among what it says.
refused_by() {
  local said code=0
  said=$("$1" validate -f "$folder/ssh.yaml" 2>&1) || code=$?
  if [ "$code" != 2 ] || [[ "$said" != *"$2"* ]]; then
    printf 'exit %s, wanted 2 and "%s" in:\n%s\n' "$code" "$2" "$said" >&2
    exit 1
  fi
}

spec_with '{name: ssh, kind: banner, expect: SSH-2.0}'
"$with" validate -f "$folder/ssh.yaml"
refused_by "$without" "ssh.yaml:6:"
spec_with '{name: ssh, kind: banner}'
refused_by "$with" "ssh.yaml:6:9: services[0].probes[0]: 'expect' is missing"
spec_with '{name: ssh, kind: banner, expect: [SSH-2.0]}'
refused_by "$with" "ssh.yaml:6:43: services[0].probes[0].expect: "
spec_with '{name: ssh, kind: banner, expcet: SSH-2.0}'
refused_by "$with" 'did you mean "expect"'
