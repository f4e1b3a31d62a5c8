#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What every file owes its readers, whatever is in it.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

mapfile -t sources < <(source_files)
mapfile -t code < <(c_files)

report "every source file names its licence in its first three lines" "$(
	for file in "${sources[@]}"; do
		head -n 3 "$file" |
			grep -q 'SPDX-License-Identifier: Apache-2\.0 OR MIT' ||
			echo "$file"
	done
)"

report "no line is longer than 90 columns, a tab being 8" "$(
	for file in "${sources[@]}"; do
		expand -t 8 "$file" | awk -v file="$file" \
			'length($0) > 90 { print file ":" NR ": " length($0) " columns" }'
	done
)"

report "no line ends in white space and every file ends in a newline" "$(
	grep -nE '[[:space:]]+$' "${sources[@]}"
	for file in "${sources[@]}"; do
		[ -z "$(tail -c 1 "$file")" ] || echo "$file: no newline at its end"
	done
)"

report "no file is longer than 600 lines" "$(
	wc -l "${sources[@]}" |
		awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }'
)"

words='TO''DO|FIX''ME|XX''X|HA''CK'
report "nothing is left for later" "$(
	grep -nwE "$words" "${sources[@]}"
)"

mapfile -t shared < <(printf '%s\n' "${code[@]}" |
	grep -E '^\./(include|libevering|cpp)/')
report "shared integers are evr_atomic_, never _Atomic, std::atomic or volatile" "$(
	without_comments "${shared[@]}" |
		sed -E 's/\b(__asm__|asm) (volatile|__volatile__)//' |
		grep -E '\b_Atomic\b|std::atomic|\bvolatile\b|<stdatomic\.h>|<atomic>'
)"

report_end
