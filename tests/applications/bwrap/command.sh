#!/bin/sh
bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --proc /proc --dev /dev --tmpfs /own --unshare-pid --unshare-ipc --unshare-uts --hostname inside \
    sh -c 'ls -d /home /own 2> /dev/null; hostname; touch /usr/loupe 2> /dev/null || echo read-only' \
    > /tmp/bwrap.out
