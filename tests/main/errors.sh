#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The main example on what cannot work: a message that names it, the exit status, and
# nothing under the name of the output.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

program=$EVR_BUILD/examples/evr-zstd
cd "$EVR_TMP" || exit 1
mkdir out
head -c 5M /dev/urandom >input

# refused NAME STATUS TEXT COMMAND...: fails so, says so, leaves out/ empty
refused() {
	local name=$1 wanted=$2 text=$3 status
	shift 3
	timeout 30 "$@" >stdout 2>stderr
	status=$?
	if [ $status -ne "$wanted" ]; then
		not_ok "$name" "exit status $status, not $wanted: $(cat stderr)"
	elif ! grep -qF -- "$text" stderr; then
		not_ok "$name" "'$(cat stderr)' does not say '$text'"
	elif [ -n "$(ls -A out)" ]; then
		not_ok "$name" "it left $(ls -A out)"
	elif grep -q 'bytes=' stderr; then
		not_ok "$name" "it prints figures: $(cat stderr)"
	else
		ok "$name"
	fi
}

refused "a missing input is named" 1 "cannot read 'no-such'" \
	"$program" -o out/x no-such
refused "a directory as input is refused with the cure" 1 "it is a directory; pack it" \
	"$program" -o out/x "$EVR_TMP"
refused "a missing output directory is named" 1 "no-such-dir" \
	"$program" -o no-such-dir/x input
refused "a file in the place of the output directory is refused" 1 "Not a directory" \
	"$program" -o input/x input
refused "a directory as output is refused" 1 "it is a directory" \
	"$program" -o out input
refused "the input as output is refused" 1 "it is the input" \
	"$program" -o ./input input
refused "a full disk is told (/dev/full)" 1 "No space left on device; make room" \
	"$program" -o /dev/full input
refused "a closed standard input is told" 1 "cannot read standard input" \
	bash -c '"$0" -o out/x <&-' "$program"

name="a reader that goes away ends the job with a message, not with a signal"
"$program" -o - --chunk 64K --window 2 input 2>stderr | head -c 1000 >/dev/null
status=${PIPESTATUS[0]}
if [ "$status" -eq 1 ] && grep -q 'Broken pipe' stderr; then
	ok "$name"
else
	not_ok "$name" "exit status $status: $(cat stderr)"
fi

refused "a chunk that is no number is refused" 2 "--chunk '3X' is not possible" \
	"$program" --chunk 3X -o out/x input
refused "a chunk that is too small is refused" 2 "1K to 32M" \
	"$program" --chunk 100 -o out/x input
refused "a chunk that overflows is refused" 2 "1K to 32M" \
	"$program" --chunk 9223372036854775807M -o out/x input
refused "no workers are refused" 2 "1 to 256" "$program" --workers 0 -o out/x input
refused "a negative window is refused" 2 "1 to 4096" "$program" --window -1 -o out/x input
refused "a level that zstd has not is refused" 2 "--level '99'" \
	"$program" --level 99 -o out/x input
refused "kills every 0 ms are refused" 2 "--kill-every '0'" \
	"$program" --kill-every 0 -o out/x input
refused "an unknown option is named" 2 "--frobnicate" "$program" --frobnicate input
refused "an option without its value is named" 2 "--chunk wants a value" \
	"$program" input --chunk
refused "two files are refused" 2 "one FILE at a time" "$program" -o out/x input input
refused "more memory than there is is told with the cure" 1 "(less: --window" \
	bash -c 'ulimit -v 2000000; "$0" --chunk 32M --window 4096 -o out/x input' \
	"$program"
refused "2 MiB pages that are not there are told" 1 "nr_hugepages" \
	"$program" --huge --chunk 32M --window 4096 --workers 1 -o out/x input

name="--help and --version go to standard output, and cost nothing"
if "$program" --help | grep -q '^Usage: evr-zstd' &&
	"$program" --version | grep -q '^evr-zstd'; then
	ok "$name"
else
	not_ok "$name" "they do not"
fi

name="an output directory that may not be written to is refused"
if [ "$(id -u)" -ne 0 ]; then
	chmod 500 out
	refused "$name" 1 "choose a directory" "$program" -o out/x input
	chmod 700 out
	chmod 000 input
	refused "an unreadable input is refused" 1 "Permission denied" \
		"$program" -o out/x input
	chmod 600 input
elif want_command "$name" setpriv util-linux; then
	# root may write everywhere: somebody else tries.
	chmod 755 "$EVR_TMP" && cp "$program" other && chmod 755 out other
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	refused "$name" 1 "choose a directory" "${nobody[@]}" ./other -o out/x input
	chmod 000 input
	refused "an unreadable input is refused" 1 "Permission denied" \
		"${nobody[@]}" ./other -o /dev/null input
	chmod 600 input
fi

name="a disk that runs full leaves nothing"
mkdir small
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=2m tmpfs small 2>/dev/null; then
	trap 'umount "$EVR_TMP/small"; rm -rf "$EVR_TMP"' EXIT
	refused "$name" 1 "No space left on device; make room" "$program" -o small/x input
	name="and nothing is left on that disk"
	used=$(df --output=used -k small | tail -n 1)
	if [ -z "$(ls -A small)" ] && [ "$used" -eq 0 ]; then
		ok "$name"
	else
		not_ok "$name" "$(ls -A small), $used KiB are used"
	fi
	echo precious >small/x
	timeout 30 "$program" -q -o small/x input 2>/dev/null
	name="and a file that had the name is as it was"
	if [ "$(cat small/x)" = precious ]; then
		ok "$name"
	else
		not_ok "$name" "small/x has $(stat -c %s small/x) bytes"
	fi
else
	skip "$name" "no tmpfs can be mounted here" "run as root, outside of a container"
fi

report_end
