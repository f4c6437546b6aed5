#!/bin/sh
set -eu
rm -rf /tmp/openssl && mkdir /tmp/openssl && cd /tmp/openssl
openssl ecparam -name prime256v1 -genkey -noout -out key
openssl req -x509 -new -key key -subj /CN=example -days 1 -out certificate
openssl verify -CAfile certificate certificate > verified
seq 1 1000 > plain
openssl enc -aes-256-cbc -pbkdf2 -iter 1000 -pass pass:word -in plain -out secret
openssl enc -d -aes-256-cbc -pbkdf2 -iter 1000 -pass pass:word -in secret -out again
openssl dgst -sha256 -r plain > digest
openssl rand -hex 16 > random
