#!/usr/bin/busybox sh
# The first process of the machine: makes a root that can be pivoted away from (the initial one
# cannot), runs the smoke suite there, and turns the machine off.
# What the suite prints goes to the second serial port; the first is the kernel's.
b=/usr/bin/busybox
if [ "$1" != again ]; then
    $b mount -t tmpfs -o mode=755 tmpfs /new
    for entry in /*; do
        case $entry in
            /new | /dev | /proc | /sys) ;;
            # switch_root looks for it, lest it empties another root than this.
            /init) $b cp /init /new/ ;;
            *) $b mv "$entry" /new/ ;;
        esac
    done
    b=/new$b
    $b mkdir -p /new/dev /new/proc /new/sys
    $b mount -t devtmpfs devtmpfs /new/dev
    exec $b switch_root /new /init again
fi
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb NO_COLOR=1
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs tmpfs /dev/shm
$b mount -t tmpfs tmpfs /run
$b mount -t tmpfs tmpfs /tmp
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b mount -t securityfs securityfs /sys/kernel/security
$b ip link set lo up
$b hostname smoke
$b insmod /overlay.ko
$b stty -F /dev/ttyS1 raw
sh /smoke.sh > /dev/ttyS1 2>&1 < /dev/null
$b sync
$b poweroff -f
