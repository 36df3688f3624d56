#!/bin/sh
# Keep a tree mounted, in namespaces of its own, for as long as the given command runs.
#
#   chroot_hold.sh PID_FILE KIND SOURCE ROOT BINDS COMMAND [ARG...]
#
# BINDS: host paths, separated by colons, shown read-only at the same place inside the tree.
# PID_FILE is written when everything is in place.
set -eu
. "$(dirname "$0")/tree.sh"

pid_file=$1 root=$4 binds=$5
mount_tree "$2" "$3" "$root"
shift 5

mount_dev "$root"
mount -t sysfs -o ro sysfs "$root/sys"
IFS=:
for path in $binds; do
    if [ -d "$path" ]; then
        mkdir -p "$root$path"
    else
        # Not through a symbolic link of the tree: it would lead out of it.
        [ ! -L "$root$path" ] || rm "$root$path"
        [ -e "$root$path" ] || : >"$root$path"
    fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
unset IFS
record_pid "$pid_file"
mount -t proc proc "$root/proc"
exec "$@"
