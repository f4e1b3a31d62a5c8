# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# How a test script says what it proved: one line per property, counted by ./check. A
# script begins with
#
#	#!/usr/bin/env bash
#	# SPDX-License-Identifier: Apache-2.0 OR MIT
#	. "$(dirname "$0")/../lib/report.sh"
#
# and ends with `report_end`. It may be run by hand from anywhere: what ./check would
# export is found out here. NAME is the sentence that the test proves, without a colon.
#
#	EVR_TOP     the source tree         EVR_BUILD   the build directory
#	EVR_QUICK   1 in ./check quick      EVR_TMP     a directory of this script's own,
#	                                                removed when it ends

set -u
EVR_TOP=${EVR_TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
EVR_BUILD=${EVR_BUILD:-$EVR_TOP/build}
EVR_QUICK=${EVR_QUICK:-0}
EVR_TMP=$(mktemp -d "${TMPDIR:-/tmp}/evering-test.XXXXXX") || exit 1
export EVR_TOP EVR_BUILD EVR_QUICK EVR_TMP
trap 'rm -rf "$EVR_TMP"' EXIT
trap 'exit 143' TERM INT HUP

report_reported=0
report_failed=0

# ok NAME
ok() {
	report_reported=1
	printf 'ok %s\n' "$1"
}

# not_ok NAME WHY
not_ok() {
	report_reported=1
	report_failed=1
	printf 'not ok %s: %s\n' "$1" "$2"
}

# skip NAME REASON CURE
skip() {
	report_reported=1
	printf 'skip %s: %s; %s\n' "$1" "$2" "$3"
}

# expect NAME COMMAND...: ok when the command succeeds; its output is shown when not.
expect() {
	local name=$1 status
	shift
	"$@" >"$EVR_TMP/expect.out" 2>&1
	status=$?
	if [ "$status" -eq 0 ]; then
		ok "$name"
	else
		cat "$EVR_TMP/expect.out"
		not_ok "$name" "exit status $status of $*"
	fi
	return "$status"
}

# want_command NAME COMMAND PACKAGE: false, and a skip, when the command is missing.
want_command() {
	command -v "$2" >/dev/null && return 0
	skip "$1" "$2 is not installed" "apt-get install $3"
	return 1
}

# want_huge_pages NAME COUNT: false, and a skip, when fewer 2 MiB pages are free.
want_huge_pages() {
	local free=0 pool=/sys/kernel/mm/hugepages/hugepages-2048kB
	[ -r $pool/free_hugepages ] && free=$(cat $pool/free_hugepages)
	[ "$free" -ge "$2" ] && return 0
	skip "$1" "$2 x 2 MiB huge pages wanted, $free free" \
		"./check --reserve as root, or echo $2 > $pool/nr_hugepages"
	return 1
}

# report_end: the exit status. A script that reported nothing has failed.
report_end() {
	[ $report_reported -eq 1 ] ||
		not_ok "the script reports what it proves" "it reported nothing"
	exit $report_failed
}
