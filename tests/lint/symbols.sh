#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What the headers offer, what the symbol map lists and what the library exports are the
# same functions.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

map=libevering/libevering.map
library=$EVR_BUILD/.libs/libevering.so.0

mapfile -t headers < <(public_headers)
tests/lint/declared.pl "${headers[@]}" | sort -u >"$EVR_TMP/declared"
grep -oE '^[[:space:]]+evri?_[a-z0-9_]+;' "$map" | tr -d ';\t ' |
	sort -u >"$EVR_TMP/mapped"

# differences A B: what is in one of two sorted lists
differences() {
	comm -23 "$EVR_TMP/$1" "$EVR_TMP/$2" | sed "s/\$/: $1, not $2/"
	comm -13 "$EVR_TMP/$1" "$EVR_TMP/$2" | sed "s/\$/: $2, not $1/"
}

report "the symbol map names each symbol and no pattern but 'local'" "$(
	grep -n '\*' "$map" | grep -vE '/\*|\*/|^[0-9]+:[[:space:]]*\*;$|^[0-9]+: \*'
)"
report "the symbol map lists what the headers declare" "$(differences declared mapped)"

name="the library exports what the symbol map lists"
if [ -e "$library" ]; then
	nm -D --defined-only "$library" |
		awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		sort -u >"$EVR_TMP/exported"
	report "$name" "$(differences mapped exported)"
else
	skip "$name" "${library#"$EVR_TOP"/} is not built" "./check lint builds it"
fi

report_end
