#!/bin/sh
# Makes a container with unshare, mount, ip and echo. 08-all adds more walls, for example
# an id-mapped image, fewer capabilities, seccomp and an init.
#
#   usage   sudo steps/08-all/container.sh [ROOTFS [COMMAND [ARG...]]]
set -eu
rootfs=$(cd "${1:-build/rootfs}" && pwd -P)
shift $(($# > 0))
[ $# -gt 0 ] || set -- /bin/sh -l
name=script$$
work=$(mktemp -d "/tmp/$name.XXXXXX")
(umask 077 && echo "${work##*/}" >"$work/.box-leftover")  # For scripts/reset.

# Makes a cgroup, on v1 if the memory controller is there, and otherwise on v2.
group=/sys/fs/cgroup/$name limit=memory.max
[ ! -d /sys/fs/cgroup/memory ] ||
  { group=/sys/fs/cgroup/memory/$name limit=memory.limit_in_bytes; }
undo() {
  ! ip link show "$name" >/dev/null 2>&1 || ip link delete "$name"
  ! mountpoint -q "$work/ns" || umount "$work/ns"
  [ ! -d "$group" ] || rmdir "$group"
  rm -rf "$work"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir "$group"
[ -e "$group/$limit" ] || echo +memory >/sys/fs/cgroup/cgroup.subtree_control
echo 67108864 >"$group/$limit"

# A bind mount keeps the network namespace, and a cable leads into it.
touch "$work/ns"
unshare --net="$work/ns" true
ip link add "$name" type veth peer name eth0 netns "$work/ns"
ip addr add 10.200.0.1 peer 10.200.0.2 dev "$name"
ip link set "$name" up
nsenter --net="$work/ns" sh -c 'ip link set lo up; ip link set eth0 up
  ip addr add 10.200.0.2 peer 10.200.0.1 dev eth0; echo 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter'

# shellcheck disable=SC2016  # For the shell inside.
inside='
  hostname box
  mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root"
  mount -t overlay -o "lowerdir=.,upperdir=$1/upper,workdir=$1/work" none "$1/root"
  cd "$1/root" && shift
  mount -t proc proc proc
  mount -t sysfs -o ro sys sys
  mount -t tmpfs none dev
  for device in null zero random urandom tty; do
    touch dev/$device && mount --bind /dev/$device dev/$device; done
  pivot_root . . && umount -l . && cd / && exec "$@"'
cd "$rootfs"
sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$group" \
  nsenter --net="$work/ns" unshare --mount --propagation private --uts --ipc --cgroup \
  --pid --fork --kill-child setpriv --no-new-privs sh -euc "$inside" sh "$work" "$@"
