#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# declared.pl [--comments] HEADER...: the functions that the headers offer, one name a
# line: what is marked EVR_API or EVR_INLINE at the beginning of a line. Names in evri_
# are what inline functions call in the library; users do not.
# With --comments lines "HEADER:LINE documented|undocumented NAME"; documented is a
# function when the last comment before it has a line that begins with "name() -".
use strict;
use warnings;

my $comments = @ARGV && $ARGV[0] eq '--comments' ? shift : '';
for my $file (@ARGV) {
	open(my $in, '<', $file) or die "$file: $!\n";
	local $/;
	my $text = <$in>;
	my $marked = qr/^(?:EVR_NODISCARD\s+)?EVR_(?:API|INLINE)\b/m;
	while ($text =~ /$marked[^;{]*?\b(evri?_\w+)\s*\(/g) {
		my ($name, $at) = ($1, $-[0]);
		if (!$comments) {
			print "$name\n";
			next;
		}
		my $before = substr($text, 0, $at);
		my $line = 1 + ($before =~ tr/\n//);
		my ($comment) = $before =~ m{.*(/\*.*?\*/)}s;
		my $found = defined $comment && $comment =~ /^\W*\Q$name\E\(\) - /m;
		print "$file:$line ", $found ? 'documented' : 'undocumented', " $name\n";
	}
}
