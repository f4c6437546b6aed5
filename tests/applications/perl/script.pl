use strict;
use warnings;
use Socket;
use IO::Select;

open(my $out, '>', $ARGV[0]) or die;
my $child = open(my $pipe, '-|') // die;
if (!$child) { print join(',', sort { $b <=> $a } 1 .. 5), "\n"; exit 3; }
print $out "child: ", <$pipe>;
close($pipe);
print $out "status: ", $? >> 8, "\n";

socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
my $select = IO::Select->new($b);
print $out "ready: ", scalar(my @none = $select->can_read(0)), "\n";
syswrite($a, "x");
print $out "ready: ", scalar(my @ready = $select->can_read(5)), "\n";

my $caught = 0;
local $SIG{USR1} = sub { $caught++ };
kill 'USR1', $$;
print $out "caught: $caught\n";

my $directory = "/tmp/perl-directory.$$";
mkdir($directory) or die;
for my $name (qw(b a c)) { open(my $file, '>', "$directory/$name") or die; print $file $name; }
opendir(my $handle, $directory) or die;
print $out "files: ", join(' ', sort grep { !/^\./ } readdir($handle)), "\n";
unlink(glob("$directory/*"));
rmdir($directory) or die;
print $out "gone: ", (-e $directory ? 0 : 1), "\n";
