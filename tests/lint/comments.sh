#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Comments that the reader relies on: one above each function that users call, and the
# two sides of each ordered access.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

mapfile -t headers < <(public_headers)
mapfile -t ordered < <(find include/evering libevering -name '*.[ch]' | sort)

# The last comment before the declaration has a line " * name() - what it does".
report "every function that users call has its comment right above it" "$(
	"$EVR_TOP/tests/lint/declared.pl" --comments "${headers[@]}" |
		awk '$2 == "undocumented" && $3 !~ /^evri_/ { print $1 ": " $3 "()" }'
)"

sync_comments() {
	perl -e '
		for my $file (@ARGV) {
			open(my $in, "<", $file) or die;
			local $/;
			my $text = <$in>;
			while ($text =~ m{/\*.*?\*/}gs) {
				my ($comment, $start) = ($&, $-[0]);
				while ($comment =~ m{(?<!")\bSYNC\b(?!\w)}g) {
					my $at = $start + $-[0];
					my $before = substr($text, 0, $at);
					my $line = 1 + ($before =~ tr/\n//);
					my $rest = substr($comment, $-[0]);
					$rest =~ s/\n\s*\*?\s*/ /g;
					my ($edge) = $rest =~ m{^SYNC\ ([\w-]+/[\w-]+)
						\ \([^)]+\),\ pairs\ with\ \S}x;
					print "$file:$line ", $edge // "malformed", "\n";
				}
			}
		}' "$@"
}
sync_comments "${ordered[@]}" >"$EVR_TMP/sync"

report "every SYNC comment reads 'SYNC topic/edge (order), pairs with PARTNER'" "$(
	awk '$2 == "malformed" { print $1 }' "$EVR_TMP/sync"
)"

report "every SYNC edge is described at both of its ends" "$(
	awk '$2 != "malformed" { n[$2]++; where[$2] = $1 }
	     END { for (e in n) if (n[e] < 2) print where[e] ": only here: " e }' \
		"$EVR_TMP/sync"
)"

report_end
