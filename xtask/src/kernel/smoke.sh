# The smoke suite, inside the machine. The harness reads what it prints: a line
# `STEP name rc=0 want=0 1.5s` for each step, and `FILE name` … `END name` around each file.
# $smoke comes from the kernel's command line: `works`, or `refuses` for kernels that are too old.
step() { # NAME WANTED-STATUS COMMAND…
    name=$1 want=$2
    shift 2
    echo "--- $name: $*"
    begin=$(cut -d' ' -f1 /proc/uptime)
    timeout -k 10 "${limit:-300}" "$@"
    rc=$?
    end=$(cut -d' ' -f1 /proc/uptime)
    echo "STEP $name rc=$rc want=$want $(awk "BEGIN { printf \"%.1f\", $end - $begin }")s"
}
file() { # NAME PATH
    echo "FILE $1"
    cat "$2"
    echo "END $1"
}
# A refusal is one sentence and its cure, before anything is loaded or started.
refusal() { # NAME WANTED-STATUS COMMAND…
    step "$1" "$2" sh -c '"$@" 2> /tmp/refusal > /tmp/refusal.out' sh $3 $4 $5 $6 $7 $8 $9
    file "$1" /tmp/refusal
}
# What a kernel that is well never says.
complains() { # NAME
    step "$1" 1 sh -c 'dmesg | grep -E "BUG:|WARNING:|Oops|Call Trace|soft lockup|hung task"'
}
cd /root
uname -r
if [ "$smoke" = refuses ]; then
    step doctor 1 loupe doctor
    refusal refused-trace 125 loupe trace -- true
    refusal refused-analyze 125 loupe --db /root/loupe.db analyze small.toml
    refusal refused-daemon 125 louped --socket /root/socket --db /root/loupe.db
else
    step doctor 0 loupe doctor
    step trace 0 loupe trace --json -o /tmp/trace -- true
    file trace /tmp/trace
    step strace 0 strace -f -c -o /tmp/strace true
    file strace /tmp/strace
    step stub 1 loupe run --stub uname -- uname -s
    step file 2 loupe run --stub /proc/cpuinfo -- grep -c processor /proc/cpuinfo
    step plausible 0 loupe run --fake getppid=plausible -- sh -c 'echo $PPID'
    step vdso 0 loupe trace --no-vdso -o /tmp/vdso -- date +%s
    step vdso-counted 0 grep -w clock_gettime /tmp/vdso
    # A profile that the host made, where the vDSO answers, holds where it cannot.
    for clock in hpet acpi_pm; do
        echo $clock > /sys/devices/system/clocksource/clocksource0/current_clocksource
    done
    step clock-asked 0 sh -c 'strace -o /tmp/strace date && grep clock_gettime /tmp/strace'
    step profile 0 loupe --db /root/clock.db emulate --profile clock.json clock.toml
    step forks 0 loupe trace -o /tmp/forks -- sh -c 'for i in 1 2 3; do true; /bin/true; done'
    step compat 0 loupe trace -o /tmp/compat -- victim i386-calls /tmp/result
    step rings 0 loupe trace --json -o /tmp/rings -- victim rings /tmp/result
    file rings /tmp/rings
    limit=1200
    step analyze 0 sh -c 'loupe --db /root/loupe.db analyze small.toml --json > /tmp/analysis'
    file analysis /tmp/analysis
    limit=
    . /profile.sh
    # All controllers are in this hierarchy and, as a service manager does it, enabled at its root,
    # so that the kernel itself holds replays to their limits, and its log says that it did. It
    # shows a call trace with each that it ends.
    complains kernel-complained
    echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
    step limit-memory 3 sh -c 'loupe --db /root/loupe.db analyze memory.toml 2> /tmp/limit'
    step limit-memory-told 0 grep -F 'limit reached: 64 MiB of memory' /tmp/limit
    step limit-processes 3 sh -c 'loupe --db /root/loupe.db analyze processes.toml 2> /tmp/limit'
    step limit-processes-told 0 grep -F 'limit reached: 100 processes and threads' /tmp/limit
    dmesg -c > /tmp/limits
    step limit-memory-kept 0 grep 'Memory cgroup out of memory' /tmp/limits
    step limit-processes-kept 0 grep 'fork rejected by pids controller' /tmp/limits
fi
step no-processes 1 pgrep -l loupe
step no-cgroups 1 sh -c 'find /sys/fs/cgroup -name "*loupe*" | grep .'
step no-mounts 1 grep -c loupe /proc/mounts
# The kernel lets go of them a little later.
step no-bpf-objects 0 sh -c 'for try in 1 2 3 4 5 6 7 8 9; do probe no-bpf-objects && exit; sleep 1; done; exit 1'
if [ "$smoke" = works ]; then
    # These last: neither can be taken back.
    echo 3 > /proc/sys/kernel/yama/ptrace_scope
    refusal refused-ptrace 125 loupe run --stub uname -- true
    echo confidentiality > /sys/kernel/security/lockdown
    refusal refused-lockdown 125 loupe trace -- true
    refusal refused-daemon 125 louped --socket /root/socket --db /root/loupe.db
fi
complains kernel-complains
echo "FINISHED"
