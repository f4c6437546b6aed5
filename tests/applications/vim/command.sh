#!/bin/sh
set -eu
rm -rf /tmp/vim && mkdir /tmp/vim && printf 'pear\napple\nplum\n' > /tmp/vim/text
exec vim -u NONE -es -S script.vim /tmp/vim/text
