use strict;
use warnings;
use File::Temp qw(tempfile);
my %sum;
for my $name (qw(a b c)) {
    open my $in, "<", "$name.tsv" or die;
    while (<$in>) { my ($k, $v) = split; $sum{$k} += $v }
}
my ($out, $temporary) = tempfile(DIR => ".");
print $out "$_ $sum{$_}\n" for sort keys %sum;
close $out;
rename $temporary, "report.txt" or die;
print scalar(keys %sum), "\n";
