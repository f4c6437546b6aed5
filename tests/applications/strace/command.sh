#!/bin/sh
rm -rf /tmp/strace && mkdir /tmp/strace && cd /tmp/strace
strace --follow-forks --output=calls sh -c 'mkdir one; mkdir two' && strace --output=injected --inject=mkdir:error=EROFS mkdir three 2> message
