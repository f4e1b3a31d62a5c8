#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What evering-pin says to what it cannot do: every line of expected/errors.txt, letter by
# letter. Exit status 125, standard output empty, nothing run.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

while read -r line; do
	cells "$line"
	status=0
	words "${cell[2]}"
	on_topology "${cell[1]}" "${argument[@]}" >"$EVR_TMP/out" 2>"$EVR_TMP/err" \
		</dev/null || status=$?
	printf 'evering-pin: %s\n' "${cell[3]}" >"$EVR_TMP/wanted"
	[ "${cell[0]}" = plan ] ||
		echo "Try 'evering-pin --help'." >>"$EVR_TMP/wanted"
	sentence="'evering-pin ${cell[2]}' on ${cell[1]} is refused as agreed"
	sentence=${sentence//:/ }
	if [ $status -ne 125 ]; then
		not_ok "$sentence" "exit status $status: $(cat "$EVR_TMP/err")"
	elif [ -s "$EVR_TMP/out" ]; then
		not_ok "$sentence" "on standard output: $(head -n 3 "$EVR_TMP/out")"
	elif ! diff -u "$EVR_TMP/wanted" "$EVR_TMP/err"; then
		not_ok "$sentence" "the error differs, see above"
	else
		ok "$sentence"
	fi
done < <(rows expected/errors.txt)

refused "without an argument it says what is missing" "no COMMAND" "$pin"
for source in HWLOC_XMLFILE=/nonexistent HWLOC_XMLFILE=/etc/passwd \
	HWLOC_SYNTHETIC="package:2 nonsense"; do
	for what in "--show" "--dry-run -c 0" "-c 0 -- echo ran"; do
		# shellcheck disable=SC2086 # words
		refused "$what with ${source%%[:/]*} that cannot be read is refused" \
			"$source" env "$source" "$pin" $what
	done
done

report_end
