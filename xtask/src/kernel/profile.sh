# A profile inside the machine, at full duty: of a cgroup, and of an executable outside of it, by
# programs whose calls are known. The harness compares ($smoke is `works`). Sourced by smoke.sh.
export LOUPE_SOCKET=/root/socket
mkdir -p /etc/loupe /sys/fs/cgroup/jobs
printf '[profile]\nduty = "100%%"\n' > /etc/loupe/louped.toml
cat /usr/local/bin/victim > /root/wanderer
chmod 755 /root/wanderer
louped --db /root/profile.db > /tmp/louped 2>&1 &
louped=$!
step profile-ready 0 sh -c 'until loupe profile status > /tmp/ready 2>&1; do sleep 1; done'
step profile-add 0 loupe profile add --cgroup /jobs --executable /root/wanderer
in_jobs() { # NAME COMMAND…
    step "$1" 0 sh -c 'echo $$ > /sys/fs/cgroup/jobs/cgroup.procs; shift; exec "$@"' sh "$@"
}
in_jobs profile-counts victim counts /tmp/result 1000 2 3
in_jobs profile-looks victim looks-around /tmp/result
in_jobs profile-children victim children /tmp/result 200 20 /bin/true
in_jobs profile-rings victim rings /tmp/result
in_jobs profile-compat victim i386-calls /tmp/result
step profile-elsewhere 0 /root/wanderer counts /tmp/result 500 1 1
step profile-show 0 sh -c 'loupe profile show "*" --json > /tmp/profiles'
file profiles /tmp/profiles
step profile-status 0 sh -c 'loupe profile status --json > /tmp/status'
file profile-status /tmp/status
step profile-stop 0 sh -c "kill $louped; while kill -0 $louped 2> /tmp/gone; do sleep 1; done"
file louped /tmp/louped
rmdir /sys/fs/cgroup/jobs
unset LOUPE_SOCKET
