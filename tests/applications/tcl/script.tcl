set out [open [lindex $argv 0] w]
proc serve {channel address port} {
    fconfigure $channel -buffering line
    puts $channel [string reverse [gets $channel]]
    close $channel
}
set server [socket -server serve -myaddr 127.0.0.1 0]
set port [lindex [fconfigure $server -sockname] 2]
set client [socket -async 127.0.0.1 $port]
fconfigure $client -buffering line
puts $client "hello"
fileevent $client readable {set answer [gets $client]}
vwait answer
puts $out "socket $answer"
after 10 {set rung yes}
vwait rung
puts $out "timer $rung"
puts $out "child [exec sort -r << "a\nb\nc"]"
puts $out "sum [::tcl::mathop::+ {*}{1 2 3 4}]"
close $out
