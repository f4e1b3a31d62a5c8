#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Every function of the library is tried at each of its instructions, or
# tests/crash/coverage.c says why not. That an operation goes through what it is said to
# go through is seen by the harness itself, which fails if it does not.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

map=libevering/libevering.map
table=tests/crash/coverage.c

grep -oE '^[[:space:]]+evri?_[a-z0-9_]+;' "$map" | tr -d ';\t ' |
	sort >"$EVR_TMP/mapped"
grep -oE '^[[:space:]]+(TRIED|WITHIN|NOT_TRIED)\("evri?_[a-z0-9_]+"' "$table" |
	grep -oE 'evri?_[a-z0-9_]+' | sort >"$EVR_TMP/told"

report "the crash harness accounts for every function of the symbol map, once" "$(
	comm -23 "$EVR_TMP/mapped" "$EVR_TMP/told" |
		sed "s|\$|: in $map, not in $table|"
	comm -13 "$EVR_TMP/mapped" "$EVR_TMP/told" |
		sed "s|\$|: in $table, not in $map, or twice|"
)"

# The operations of each row; a row may go over several lines.
operations() {
	perl -0ne '
		while (/\b(?:TRIED|WITHIN)\("\w+",\s*((?:"[^"]*"\s*)+)\)/g) {
			my $list = $1;
			$list =~ s/"\s*"//g;
			$list =~ tr/"//d;
			print "$_\n" for split " ", $list;
		}' "$table" | sort -u
}

report "what is said to be tried is an operation of the crash harness" "$(
	for operation in $(operations); do
		grep -q "\"$operation\"" tests/crash/scenarios_*.c ||
			echo "$table: there is no operation $operation"
	done
)"

report "what is not tried has a reason" "$(
	grep -nE 'NOT_TRIED\("[a-z0-9_]+", *(""|NULL)' "$table"
)"

report_end
