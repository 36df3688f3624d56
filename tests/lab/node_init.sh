#!/bin/sh
# Make an overlay the root of a machine and become its systemd.
#
#   node_init.sh PID_FILE OVERLAY_OPTIONS ROOT
#
# Runs as process 1 of new mount, UTS, IPC, PID and cgroup namespaces, inside the network
# namespace of the node and in the cgroup that is to be the node's root.
set -eu
. "$(dirname "$0")/tree.sh"

record_pid "$1"
mount_tree overlay "$2" "$3"
root=$3

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
# The kernel's settings belong to the machine underneath; the network's are the node's own.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,rw "$root/proc/sys/net"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount_dev "$root"
# A node may try to reset "itself" this way; it would reset the machine underneath.
if [ -e "$root/proc/sysrq-trigger" ]; then
    mount --bind "$root/dev/null" "$root/proc/sysrq-trigger"
fi
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
# Another machine and another boot have another boot id; the kernel's would be the same for all.
cat "$root/proc/sys/kernel/random/uuid" >"$root/run/boot-id"
mount --bind "$root/run/boot-id" "$root/proc/sys/kernel/random/boot_id"
mount -o remount,bind,ro "$root/proc/sys/kernel/random/boot_id"
mkdir "$root/run/host-root"

cd "$root"
pivot_root . run/host-root
umount -l /run/host-root
rmdir /run/host-root
umask 022
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system
