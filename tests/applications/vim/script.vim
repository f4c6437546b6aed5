%s/p\+le/PLE/
$delete
undo
sort
1!tr a-z A-Z
call append("$", string(range(3)))
write
quit!
