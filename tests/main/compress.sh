#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The main example on undisturbed inputs: what it writes is what the stock zstd restores.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

program=$EVR_BUILD/examples/evr-zstd
want_command "the stock zstd restores what evr-zstd writes" zstd zstd || report_end
cd "$EVR_TMP" || exit 1

# restores NAME COMPRESSED ORIGINAL
restores() {
	if zstd -q -d -c "$2" 2>"$EVR_TMP/zstd.err" | cmp -s - "$3"; then
		ok "$1"
	else
		not_ok "$1" "zstd -d of $2 differs from $3: $(cat "$EVR_TMP/zstd.err")"
	fi
}

# compressed NAME ORIGINAL [OPTION]...
compressed() {
	local name=$1 original=$2
	shift 2
	if ! timeout 60 "$program" -o out.zst "$@" "$original" 2>err; then
		not_ok "$name" "evr-zstd failed: $(cat err)"
		return
	fi
	restores "$name" out.zst "$original"
}

megabytes=64
[ "$EVR_QUICK" = 1 ] && megabytes=16
# Text that compresses, bytes that do not, and a hole.
{
	tar -C /usr -cf - include 2>/dev/null | head -c "$((megabytes / 2))M"
	head -c "$((megabytes / 4))M" /dev/urandom
	head -c "$((megabytes / 4))M" /dev/zero
} >mixed
: >empty
printf x >one
head -c 3M mixed >three-chunks
head -c $((3 * 1048576 + 1)) mixed >one-more
head -c $((3 * 1048576 - 1)) mixed >one-less

compressed "a file of $megabytes MB is restored" mixed
compressed "the empty file is restored" empty
compressed "a file of one byte is restored" one
compressed "a file of exactly three chunks is restored" three-chunks
compressed "a file of three chunks and a byte is restored" one-more
compressed "a file of three chunks less a byte is restored" one-less
compressed "chunks of 1 KiB are restored" one-more --chunk 1K
compressed "chunks that are no multiple of anything are restored" one-more --chunk 12345
compressed "chunks of 32 MiB are restored" mixed --chunk 32M --window 1
compressed "a window of one chunk is enough" one-more --window 1
compressed "one worker is enough" mixed --workers 1
compressed "levels from the fastest to a slow one are restored" one-more --level -5
compressed "level 12 is restored" one-more --level 12

[ -s out.zst ] && "$program" -q -o out.zst empty
name="the empty input becomes one empty frame, not an empty file"
if [ -s out.zst ] && [ "$(zstd -d -c -q out.zst | wc -c)" -eq 0 ]; then
	ok "$name"
else
	not_ok "$name" "out.zst has $(wc -c <out.zst) bytes"
fi

"$program" -q <one-more >piped.zst
restores "standard input becomes standard output" piped.zst one-more
"$program" -q - <empty >piped.zst
restores "an empty pipe becomes an empty frame" piped.zst empty
{
	head -c 100000 one-more
	sleep 0.3
	tail -c +100001 one-more
} | "$program" -q --chunk 64K -o slow.zst
restores "a pipe that pauses is read to its end" slow.zst one-more
"$program" -q -o - one >piped.zst
restores "-o - is standard output" piped.zst one

cp one-more named
"$program" -q named
restores "without -o the output is called like the input with .zst" named.zst one-more

echo old >present.zst
"$program" -q -o present.zst one-more
restores "a file that has the name already is replaced" present.zst one-more

chmod 600 named
"$program" -q -o mode.zst named
name="the output of a private file is as private"
if [ "$(stat -c %a mode.zst)" = 600 ]; then
	ok "$name"
else
	not_ok "$name" "its mode is $(stat -c %a mode.zst)"
fi

"$program" -o out.zst mixed 2>line
shape='^bytes=[0-9]+ out=[0-9]+ MB/s=[0-9.]+ workers=[0-9]+ p50_us=[0-9]+ p99_us=[0-9]+'
shape+=' killed=0 recovered=0 cpus=[0-9,-]+ nodes=[0-9,-]+ pinned=(yes|no)$'
name="the last line tells the figures, and no progress bar where there is no terminal"
if [ "$(wc -l <line)" -eq 1 ] && grep -qE "$shape" line; then
	ok "$name"
else
	not_ok "$name" "it is '$(cat line)'"
fi
name="its byte counts are those of the files"
if grep -q "^bytes=$(stat -c %s mixed) out=$(stat -c %s out.zst) " line; then
	ok "$name"
else
	not_ok "$name" "$(cat line) for $(stat -c %s mixed) and $(stat -c %s out.zst)"
fi

sum=$(cksum <out.zst)
for workers in 1 2 3 7; do
	"$program" -q --workers $workers -o again.zst mixed
	name="$workers workers write the same bytes"
	if [ "$(cksum <again.zst)" = "$sum" ]; then
		ok "$name"
	else
		not_ok "$name" "the output differs"
	fi
done

# 256 MB through a pipe would show if the parent's memory grew with the input.
peak_kb() {
	local job peak=0 now
	head -c "${1}M" /dev/zero >fifo &
	"$program" -q --chunk 256K --workers 1 -o /dev/null fifo &
	job=$!
	while kill -0 $job 2>/dev/null; do
		now=$(awk '/^VmHWM/ { print $2 }' /proc/$job/status 2>/dev/null)
		[ "${now:-0}" -gt $peak ] && peak=$now
	done
	wait $job && echo $peak
}
mkfifo fifo
small=$(peak_kb 16)
large=$(peak_kb 256)
# The peak is a sample, and on a loaded machine the short run may end before it has all
# its pages: 4 MiB more are nothing for 960 chunks more.
name="memory stays the same on a larger input"
if [ "${small:-0}" -gt 0 ] && [ "${large:-0}" -gt 0 ] &&
	[ "$large" -lt $((small + 4096)) ]; then
	ok "$name"
else
	not_ok "$name" "'$small' KiB at 16 MB, '$large' KiB at 256 MB"
fi

name="2 MiB pages do the same"
if want_huge_pages "$name" 16; then
	"$program" -q --huge --workers 2 --window 4 -o huge.zst one-more
	restores "$name" huge.zst one-more
fi

report_end
