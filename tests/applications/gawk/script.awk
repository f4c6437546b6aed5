{ sum[$1] += $2 }
END {
    for (name in sum) print name, sum[name] | "sort"
    close("sort")
    print "hello" |& "rev"
    close("rev", "to")
    "rev" |& getline back
    print back, strftime("%Y", 0, 1)
}
