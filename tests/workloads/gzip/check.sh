#!/bin/sh
# Runs the tests of gzip's own suite as its `make check` does, one after another, on the gzip of
# this system instead of one that was just built.
#
#   check.sh [-k] SUITE RESULTS [TEST]...
#
# SUITE is the directory with gzip's sources; a line for each test is added to RESULTS. It ends at
# the first test that fails, since that decides; with -k it goes on, as make does.
keep_going=
if [ "$1" = -k ]; then keep_going=1; shift; fi
suite=$1
results=$2
shift 2

# What the suite's Makefile gives to its tests.
srcdir=$suite/tests
abs_srcdir=$srcdir
VERSION=$(sed -n "s/^PACKAGE_VERSION='\(.*\)'/\1/p" "$suite/configure")
built_programs='gzip gunzip gzexe zcat zcmp zdiff zegrep zfgrep zforce zgrep zmore znew'
export srcdir abs_srcdir VERSION built_programs

if [ $# -eq 0 ]; then
    # The first packs 4 GiB, which takes half a minute; the second sleeps.
    set -- $(sed -n '/^TESTS =/,/^$/s/^  \([a-z0-9-]*\).*/\1/p' "$srcdir/Makefile.am" |
        grep -vxE 'list-big|reproducible')
fi

work=$(mktemp -d) || exit
trap 'cd /; rm -rf "$work"' EXIT
cd "$work" || exit
worst=0
for test; do
    /bin/sh "$srcdir/$test" 9>&2
    case $? in
        0) outcome=PASS ;;
        77) outcome=SKIP ;;
        *) outcome=FAIL worst=1 ;;
    esac
    echo "$outcome: $test" >> "$results"
    if [ $worst = 1 ] && [ -z "$keep_going" ]; then break; fi
done
exit $worst
