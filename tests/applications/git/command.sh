#!/bin/sh
set -eu
rm -rf /tmp/git && mkdir /tmp/git && cd /tmp/git
git init -q -b main origin
cd origin
seq 1 20 > file
git add file
git commit -qm one
git checkout -q -b side
sed -i 's/^20$/twenty/' file
git commit -qam two
git checkout -q main
sed -i 's/^1$/first/' file
git commit -qam three
git merge -q -m merged side
cd ..
git clone -q origin copy
git -C copy fsck --full > fsck 2>&1
