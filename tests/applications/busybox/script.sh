# Writes to the file that is named, in words of POSIX' shell only.
out=$1
directory=/tmp/$2.directory
rm -rf "$directory" && mkdir "$directory" && cd "$directory" || exit 1
{
    i=0 sum=0
    while [ $i -lt 100 ]; do i=$((i + 1)) sum=$((sum + i)); done
    echo "sum $sum"
    echo "pipe $(printf 'c\nb\na\n' | sort | tr '\n' ' ')"
    (exit 3)
    echo "status $?"
    trap 'echo caught' USR1
    kill -USR1 $$
    sleep 0.01 & wait $!
    echo "waited $?"
    for name in x y z; do echo $name > $name; done
    echo "files" *
    read -r word rest << END
first second third
END
    echo "read $word, $rest"
    exec 3< x 4>> x
    echo more >&4
    cat <&3
} > "$out"
