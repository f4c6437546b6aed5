#!/bin/sh
set -eu
rm -rf /tmp/make && mkdir /tmp/make && cp Makefile /tmp/make && cd /tmp/make
for name in a b c d; do echo $name > $name.in; done
make --jobs=4 --silent all > first
touch -d '+2 seconds' c.in
make --jobs=4 --silent all > second
