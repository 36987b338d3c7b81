#!/usr/bin/env bash
# Hosts as network namespaces round one switch, for tests of a member that is cut off. Needs root.
# Nothing is made in the caller's own network: the bridge lives in the namespace NAME-switch, host I
# has eth0 10.77.0.I/24 in NAME-I.
#   netns.sh up NAME COUNT    makes them
#   netns.sh cut NAME I       the switch drops all of host I; its carrier stays, it is not told
#   netns.sh heal NAME I      and passes it on again
#   netns.sh lossy NAME       makes the switch able to lose packets (nftables), for the next two
#   netns.sh lose NAME SHARE I:J…  it loses 10, 25, 50 or 100 % of what host I sends to host J
#   netns.sh pass NAME        it loses nothing more
#   netns.sh slow NAME I KBIT it passes at most so much a second to host I, and queues the rest for
#                             up to 400 ms; 0: as fast as it can
#   netns.sh down NAME        takes all of NAME away
set -euo pipefail

readonly NET=10.77.0
readonly SHARES=(10 25 50 100)
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

# One set of pairs a share. A rule matches ports, so it takes ARP with it.
lossy() {
  local share
  {
    echo 'table bridge losses {'
    for share in "${SHARES[@]}"; do echo "set of$share { type ifname . ifname; }"; done
    echo 'chain forward { type filter hook forward priority 0; policy accept;'
    for share in "${SHARES[@]}"; do
      echo "iifname . oifname @of$share numgen random mod 100 < $share counter drop"
    done
    printf '}\n}\n'
  } | sed 's/numgen random mod 100 < 100 //' | ip netns exec "$1-switch" nft -f -
}

lose() {
  local switch=$1-switch share=$2 pair pairs=()
  shift 2
  for pair in "$@"; do pairs+=("\"port${pair%:*}\" . \"port${pair#*:}\","); done
  ip netns exec "$switch" nft "add element bridge losses of$share { ${pairs[*]} }"
}

pass() {
  local share
  for share in "${SHARES[@]}"; do echo "flush set bridge losses of$share"; done |
    ip netns exec "$1-switch" nft -f -
}

slow() {
  if [ "$3" = 0 ]; then
    tc -n "$1-switch" qdisc del dev "port$2" root
  else
    tc -n "$1-switch" qdisc replace dev "port$2" root tbf rate "$3kbit" burst 3000 latency 400ms
  fi
}

down() {
  local one
  for one in $(names "$1"); do ip netns del "$one"; done
}

case ${1:-} in
  up) up "$2" "$3" ;;
  cut) port_state "$2" "$3" "$PORT_DISABLED" ;;
  heal) port_state "$2" "$3" "$PORT_FORWARDING" ;;
  lossy) lossy "$2" ;;
  lose) lose "${@:2}" ;;
  pass) pass "$2" ;;
  slow) slow "$2" "$3" "$4" ;;
  down) down "$2" ;;
  *)
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
