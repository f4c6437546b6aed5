<?php
$out = fopen($argv[1], "w");
$words = array_map("strrev", explode(" ", "one two three"));
sort($words);
fwrite($out, json_encode(["words" => $words, "sum" => array_sum(range(1, 1000))]) . "\n");
$temporary = tempnam("/tmp", "php");
file_put_contents($temporary, str_repeat("x", 100000));
fwrite($out, filesize($temporary) . " " . md5_file($temporary) . "\n");
unlink($temporary);
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
fwrite($a, "through a socket\n");
fwrite($out, fgets($b));
fwrite($out, shell_exec("echo child"));
