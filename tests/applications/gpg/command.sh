#!/bin/sh
set -eu
rm -rf /tmp/gpg && mkdir -m 700 /tmp/gpg && cd /tmp/gpg
seq 1 1000 > plain
options="--homedir /tmp/gpg --batch --quiet --pinentry-mode loopback --s2k-count 65536"
gpg $options --passphrase word --symmetric --output secret plain
gpg $options --passphrase word --decrypt --output again secret
gpg $options --passphrase other --decrypt --output wrong secret 2> /dev/null || echo refused > verdict
gpgconf --homedir /tmp/gpg --kill all
