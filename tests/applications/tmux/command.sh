#!/bin/sh
set -eu
rm -rf /tmp/tmux && mkdir /tmp/tmux && cd /tmp/tmux
tmux="tmux -f /dev/null -S /tmp/tmux/socket"
$tmux new-session -d -x 80 -y 24 'PS1= exec sh'
$tmux send-keys 'echo made $((6 * 7)); tmux wait-for -S typed' Enter
$tmux wait-for typed
$tmux capture-pane -p > screen
$tmux kill-server
