#!/bin/sh
set -eu
rm -f /tmp/fallocate && head -c 65536 /dev/zero | tr '\0' x > /tmp/fallocate
fallocate --punch-hole --offset 16384 --length 32768 /tmp/fallocate
fallocate --length 131072 /tmp/fallocate
