#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Who may include whom: layers.txt.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

mapfile -t files < <(find include/evering libevering -name '*.[ch]' | sort)

report "no file includes one of a row below its own" "$(
	perl -e '
		my @rows;
		open(my $table, "<", "tests/lint/layers.txt") or die;
		while (<$table>) {
			next if /^\s*(#|$)/;
			my ($row, $name, @stems) = split;
			for (@stems) {
				my $stem = quotemeta;
				$stem =~ s/\\\*/.*/;
				push @rows, [qr/^$stem$/, $row];
			}
		}
		sub row {
			my ($stem) = $_[0] =~ m{([^/]+)\.[ch]$} or return undef;
			for (@rows) { return $_->[1] if $stem =~ $_->[0] }
			return undef;
		}
		for my $file (@ARGV) {
			my $own = row($file);
			if (!defined $own) {
				print "$file: stands in no row of layers.txt\n";
				next;
			}
			open(my $source, "<", $file) or die;
			while (<$source>) {
				next unless m{^\s*#\s*include\s*(<evering/|")([^>"]+)};
				my ($how, $other) = ($1, $2);
				my $in = $how eq q(") ? "libevering" : "include/evering";
				next unless -e "$in/$other";
				my $row = row($other) // next;
				print "$file:$.: row $own includes $other of row $row\n"
					if $row > $own;
			}
		}' "${files[@]}"
)"

report "public headers include one another as <evering/x.h> and nothing private" "$(
	grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' include/evering/*.h
)"

# The one contract with the system is os.h; what stands behind it is in os_*.c.
mapfile -t others < <(printf '%s\n' "${files[@]}" | grep -v '/os_')
system='(sys|linux|asm)/.*|unistd|fcntl|poll|signal|sched'
report "only os_*.c include the headers of system calls" "$(
	grep -nE "^#[[:space:]]*include <($system)\.h>" "${others[@]}" |
		grep -v '<sys/types\.h>'
)"

report_end
