#!/bin/sh
set -eu
rm -rf /tmp/gdb && mkdir /tmp/gdb
gcc -g -O0 -o /tmp/gdb/program program.c
gdb -nx -batch -ex 'set disable-randomization off' -ex 'set startup-with-shell off' -ex 'break stop' -ex run -ex 'print number' -ex continue /tmp/gdb/program > /tmp/gdb/said 2>&1
