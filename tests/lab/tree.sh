# Functions shared by the scripts that make a tree into the root of something.  POSIX sh.

# record_pid FILE: write this shell's own line of /proc, as the host counts processes.
# Only valid while the host's /proc is still mounted.
record_pid() {
    read -r stat </proc/self/stat
    printf '%s\n' "$stat" >"$1.new"
    mv "$1.new" "$1"
}

# mount_tree KIND SOURCE ROOT: KIND is "overlay" (SOURCE: mount options) or "bind" (a directory).
mount_tree() {
    mount --make-rprivate /
    if [ "$1" = bind ]; then
        mount --bind "$2" "$3"
        return
    fi
    # A machine that has just lost power may still be letting go of its disk: "busy" for a moment.
    tries=0
    until message=$(mount -t overlay -o "$2" overlay "$3" 2>&1); do
        tries=$((tries + 1))
        if [ "$tries" -ge 50 ]; then
            echo "$message" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# mount_dev ROOT: a /dev with the devices every program expects, and no hardware.
mount_dev() {
    dev=$1/dev
    mount -t tmpfs -o mode=755,nosuid tmpfs "$dev"
    while read -r name major minor; do
        mknod -m 666 "$dev/$name" c "$major" "$minor"
    done <<DEVICES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
DEVICES
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    ln -s fd/0 "$dev/stdin"
    ln -s fd/1 "$dev/stdout"
    ln -s fd/2 "$dev/stderr"
}
