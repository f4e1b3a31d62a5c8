#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What evering-pin prints on machines that we do not have, line by line: the cases of
# golden.txt against expected/. After a change that is meant,
#
#	UPDATE=1 tests/pin/golden.sh
#
# writes what is printed now into expected/; read every line of the difference before it
# is kept, because these files say what is right.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

: >"$EVR_TMP/files"
while read -r line; do
	cells "$line"
	name=${cell[0]} topology=${cell[1]} status=0
	words "${cell[2]}"
	file=$name.txt
	[[ " ${argument[*]} " != *" --json "* ]] || file=$name.json
	echo "$file" >>"$EVR_TMP/files"
	on_topology "$topology" "${argument[@]}" >"$EVR_TMP/got" 2>"$EVR_TMP/err" ||
		status=$?
	sentence="evering-pin ${cell[2]} on $topology prints what was agreed"
	sentence=${sentence//:/ }
	if [ $status -ne 0 ] || [ -s "$EVR_TMP/err" ]; then
		not_ok "$sentence" "exit status $status: $(cat "$EVR_TMP/err")"
	elif [ "${UPDATE:-0}" = 1 ]; then
		cp "$EVR_TMP/got" "$tables/expected/$file"
		skip "$sentence" "expected/$file is written, not compared" \
			"run it again without UPDATE"
	elif ! diff -u "$tables/expected/$file" "$EVR_TMP/got"; then
		not_ok "$sentence" "it differs from expected/$file, see above"
	else
		ok "$sentence"
	fi
done < <(rows golden.txt)

same "every file in expected is of one case" "" "$(
	sort "$EVR_TMP/files" | uniq -d
	cd "$tables/expected" && find . -type f ! -name errors.txt -printf '%P\n' | sort |
		comm -13 <(sort "$EVR_TMP/files") -
)"

report_end
