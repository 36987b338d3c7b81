#!/usr/bin/env bash
# Hosts as network namespaces round one switch, for tests of a member that is cut off. Needs root.
# Nothing is made in the caller's own network: the bridge lives in the namespace NAME-switch, host I
# has eth0 10.77.0.I/24 in NAME-I.
#   netns.sh up NAME COUNT    makes them
#   netns.sh cut NAME I       the switch drops all of host I; its carrier stays, it is not told
#   netns.sh heal NAME I      and passes it on again
#   netns.sh down NAME        takes all of NAME away
set -euo pipefail

readonly NET=10.77.0
readonly PORT_DISABLED=0 PORT_FORWARDING=3 # states of a bridge port (man bridge)

names() { ip netns list | awk '{print $1}' | grep -E "^$1-([0-9]+|switch)\$" || true; }

up() {
  local name=$1 count=$2 switch=$1-switch i
  ip netns add "$switch"
  ip -n "$switch" link add br0 type bridge stp_state 0 forward_delay 0
  ip -n "$switch" link set br0 up
  for i in $(seq 1 "$count"); do
    ip netns add "$name-$i"
    ip -n "$name-$i" link set lo up
    ip -n "$switch" link add "port$i" type veth peer name eth0 netns "$name-$i"
    ip -n "$switch" link set "port$i" master br0 up
    ip -n "$name-$i" addr add "$NET.$i/24" dev eth0
    ip -n "$name-$i" link set eth0 up
  done
}

port_state() { ip netns exec "$1-switch" bridge link set dev "port$2" state "$3"; }

down() {
  local one
  for one in $(names "$1"); do ip netns del "$one"; done
}

case ${1:-} in
  up) up "$2" "$3" ;;
  cut) port_state "$2" "$3" "$PORT_DISABLED" ;;
  heal) port_state "$2" "$3" "$PORT_FORWARDING" ;;
  down) down "$2" ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
