# The first process of a test's host: makes the file systems and becomes systemd. It is run in new
# namespaces of processes, mounts, cgroups, names, messages and network; so all that it makes ends
# with them. Nothing that it does reaches the machine below.
#
#   $1  an empty directory to build in
#   $2  the host's name
set -eu
work=$1 name=$2

mount --make-rprivate /
mount -t tmpfs -o mode=755 loupe-test-host "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" loupe-test-host "$work/root"
cd "$work/root"

mount -t proc proc proc
# The settings of the kernel are not the host's own; systemd and its helpers set some at a start.
for kept in sys sysrq-trigger; do
    [ -e "proc/$kept" ] || continue
    mount --bind "proc/$kept" "proc/$kept"
    mount -o remount,bind,ro "proc/$kept"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
if [ -d sys/kernel/tracing ]; then mount -t tracefs tracefs sys/kernel/tracing; fi

for private in run tmp dev; do mount -t tmpfs -o mode=755 "$private" "$private"; done
chmod 1777 tmp
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# What the machine below has of Loupe, of services and of a journal is not this host's.
rm -rf etc/loupe var/lib/loupe var/lib/systemd/timers var/log/journal
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires
rm -f usr/sbin/policy-rc.d
# Installing a package need not index all manual pages.
rm -f var/lib/man-db/auto-update
printf '%s\n' "$name" > etc/hostname
printf '%s' "$name" | md5sum | cut -c 1-32 > etc/machine-id
mkdir -p etc/systemd/system etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' > etc/systemd/journald.conf.d/test.conf
# What a start waits for, or what concerns hardware.
for unit in systemd-update-utmp systemd-logind systemd-random-seed systemd-hwdb-update \
    systemd-remount-fs getty@ console-getty e2scrub_reap ldconfig apparmor; do
    ln -sf /dev/null "etc/systemd/system/$unit.service"
done
ln -sf /dev/null etc/systemd/system/proc-sys-fs-binfmt_misc.automount
printf '' > etc/fstab

hostname "$name"
ip link set lo up
mkdir old
pivot_root . old
umount -l old
rmdir old
exec env -i container=loupe-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --show-status=false
