#!/usr/bin/env bash
# A real systemd as PID 1 of its own namespaces, on a tmpfs overlay of /: the machine's own programs
# are there, what is written is lost at the end, and the machine's own / is never written. Needs
# root, systemd and a cgroup v2 mount; no image, no container engine.
#
#   systemd_host.sh run FOLDER TREE        boots with TREE copied over /, and is the host: it dies
#                                          with this process (KILL it, it ignores TERM)
#   systemd_host.sh wait FOLDER            returns when it is up
#   systemd_host.sh exec FOLDER COMMAND…   runs a command in it
#   systemd_host.sh clear FOLDER           after its end: its last process, its cgroups, its files
#
# FOLDER belongs to the host. Where the machine gives its cgroup
# controllers to v1, the host's tree has none: limits of memory and processor are accepted there and
# do nothing; tracking, killing, watchdog, sandbox and journal are real.
set -euo pipefail

readonly up_seconds=90
readonly gone_seconds=20

usage() {
  sed -n 6,10p "$0" >&2
  exit 2
}

# The cgroup of a host lies outside of it, beside those of the machine.
cgroup_of() {
  local root
  root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
  [ -n "$root" ] || {
    echo "systemd_host: this machine has no cgroup v2 mount" >&2
    exit 1
  }
  echo "$root/fettle-$(basename "$1")"
}

alive() { [ -n "$1" ] && grep -qs '^State:.[^ZX]' "/proc/$1/status"; }

# until_so SECONDS COMMAND…: looks again ten times a second; false if it never becomes true.
until_so() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

mount_root() {
  local root=$1 name
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount -t cgroup2 -o nsdelegate cgroup2 "$root/sys/fs/cgroup"
  for name in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$name"; done
  chmod 1777 "$root/tmp"
  mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/run/lock"
  mount -t tmpfs tmpfs "$root/dev/shm"
  for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
}

# Nothing of the machine's own services starts: only what the test puts in.
quiet_services() {
  local units=$1/etc/systemd/system name
  mkdir -p "$units"
  rm -rf "$units"/*.wants
  for name in systemd-networkd systemd-timesyncd systemd-resolved systemd-logind systemd-udevd \
    systemd-modules-load systemd-sysctl systemd-firstboot systemd-sysusers console-getty getty@ \
    apt-daily e2scrub_reap; do
    ln -sf /dev/null "$units/$name.service"
  done
  for name in systemd-networkd systemd-udevd-control systemd-udevd-kernel; do
    ln -sf /dev/null "$units/$name.socket"
  done
  ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
}

# A ready machine-id: with none it would be a first boot, which enables every installed service.
settings() {
  local root=$1 name=$2
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  echo "$name" >"$root/etc/hostname"
  hostname "$name"
  : >"$root/etc/fstab"
  rm -rf "$root/var/log/journal"
  mkdir -p "$root/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' \
    >"$root/etc/systemd/journald.conf.d/test.conf"
}

# Inside the namespaces, as the process that becomes systemd.
boot() {
  local place=$1 tree=$2 name=$3 root
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs "$place"
  mkdir "$place/upper" "$place/work" "$place/root"
  mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
  root=$place/root
  cp -a "$tree/." "$root/"
  mount_root "$root"
  quiet_services "$root"
  settings "$root" "$name"
  mkdir "$root/.old"
  cd "$root"
  pivot_root . .old
  exec env -i container=fettle-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/sh -c 'umount -l /.old; rmdir /.old; exec /lib/systemd/systemd --system'
}

find_init() {
  local parent child
  parent=$(cat "$1/unshare.pid" 2>/dev/null) || return 1
  child=$(cat "/proc/$parent/task/$parent/children" 2>/dev/null) || true
  child=${child%% *}
  [ -n "$child" ] && [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ] &&
    echo "$child" >"$1/init.pid"
}

is_up() {
  case $(inside "$1" systemctl is-system-running 2>/dev/null) in
    running | degraded) ;;
    *) return 1 ;;
  esac
}

inside() {
  local init
  init=$(cat "$1/init.pid")
  shift
  nsenter -t "$init" -m -p -u -i -n -C -r -w "$@"
}

# --kill-child: the kernel ends PID 1, and with it everything inside, when unshare is gone.
run() {
  local folder=$1 tree=$2 cgroup
  cgroup=$(cgroup_of "$folder")
  mkdir -p "$folder/place"
  mkdir "$cgroup"
  echo $$ >"$cgroup/cgroup.procs"
  echo $$ >"$folder/unshare.pid"
  exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --net \
    "$0" boot "$folder/place" "$tree" "$(basename "$folder")"
}

wait_up() {
  local folder=$1
  until_so "$up_seconds" find_init "$folder" && until_so "$up_seconds" is_up "$folder" && return
  echo "systemd_host: not up in $up_seconds s" >&2
  exit 1
}

gone() { ! alive "$(cat "$1/init.pid" 2>/dev/null)" && ! alive "$(cat "$1/unshare.pid")"; }
no_cgroup() {
  [ ! -d "$1" ] || { find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && [ ! -d "$1" ]; }
}

clear_up() {
  local folder=$1 left=0
  [ ! -e "$folder/unshare.pid" ] || until_so "$gone_seconds" gone "$folder" || left=1
  until_so "$gone_seconds" no_cgroup "$(cgroup_of "$folder")" || left=1
  [ "$left" = 0 ] || {
    echo "systemd_host: something of $folder is left" >&2
    exit 1
  }
  rm -rf "$folder"
}

[ $# -ge 2 ] || usage
verb=$1
shift
case "$verb" in
  boot) boot "$@" ;;
  run) run "$@" ;;
  wait) wait_up "$@" ;;
  exec) inside "$@" ;;
  clear) clear_up "$@" ;;
  *) usage ;;
esac
