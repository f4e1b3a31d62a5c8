#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The main example with workers that die: the same bytes, through recovery.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

program=$EVR_BUILD/examples/evr-zstd
want_command "the stock zstd restores what survived" zstd zstd || report_end
cd "$EVR_TMP" || exit 1

megabytes=96
[ "$EVR_QUICK" = 1 ] && megabytes=32
tar -C /usr -cf - include 2>/dev/null | head -c "${megabytes}M" >input
while [ "$(stat -c %s input)" -lt $((megabytes << 20)) ]; do
	head -c 16M /dev/urandom >>input
done
# Slow enough that even a fast machine is still at it when the kills come, in chunks that
# are done between two of them.
work=(--level 12 --chunk 256K)
"$program" -q "${work[@]}" -o quiet.zst input ||
	not_ok "the undisturbed run succeeds" "it failed"

input=input
# figure NAME FILE: of the last line
figure() {
	sed -nE "s/.* $1=([0-9]+).*/\\1/p" "$2"
}

# disturbed NAME OPTION...: the same bytes, with kills and with requests recovered
disturbed() {
	local name=$1
	shift
	rm -f loud.zst
	if ! timeout 100 "$program" "$@" -o loud.zst $input 2>line; then
		not_ok "$name" "evr-zstd $* failed: $(tail -n 3 line)"
		return
	fi
	if ! cmp -s quiet.zst loud.zst; then
		not_ok "$name" "evr-zstd $* wrote other bytes"
	elif [ "$(figure killed line)" -lt 1 ] ||
		[ "$(figure recovered line)" -lt 1 ]; then
		not_ok "$name" "nothing was killed or recovered: $(tail -n 1 line)"
	else
		ok "$name"
		tail -n 1 line
	fi
}

disturbed "a worker killed every 50 ms changes no byte" "${work[@]}" --kill-every 50
disturbed "a worker killed every 20 ms changes no byte" "${work[@]}" --kill-every 20
disturbed "five workers, one killed every 20 ms, change no byte" \
	"${work[@]}" --workers 5 --kill-every 20
disturbed "the only worker, killed every 40 ms, changes no byte" \
	"${work[@]}" --workers 1 --kill-every 40

if zstd -q -d -c loud.zst | cmp -s - input; then
	ok "the stock zstd restores the disturbed output"
else
	not_ok "the stock zstd restores the disturbed output" "it differs from the input"
fi

# Over in less than the interval: until one is caught at work, each answer kills one.
input=short
head -c 8M input >short
"$program" -q -o quiet.zst short
disturbed "a job shorter than the interval is disturbed too" --kill-every 5000
input=input

# Chunks that are done faster than kills come, so that the kills land everywhere.
"$program" -q --chunk 4K --level 5 -o quiet.zst input
disturbed "with chunks of 4 KiB, killed every 2 ms, no byte changes" \
	--chunk 4K --level 5 --window 64 --kill-every 2

# children PID
children() {
	cat "/proc/$1/task/$1/children" 2>/dev/null
}

name="workers killed from outside are replaced and change no byte"
"$program" -q "${work[@]}" -o quiet.zst input
"$program" "${work[@]}" -o loud.zst input 2>line &
job=$!
kills=0
while kill -0 $job 2>/dev/null && [ $kills -lt 40 ]; do
	for worker in $(children $job); do
		kill -9 "$worker" 2>/dev/null && kills=$((kills + 1))
		break
	done
	sleep 0.02
done
if wait $job && cmp -s quiet.zst loud.zst && [ "$(figure recovered line)" -ge 1 ]; then
	ok "$name"
else
	not_ok "$name" "after $kills kills: $(cat line)"
fi

name="a worker that is stopped and goes on changes no byte"
"$program" "${work[@]}" -o loud.zst --workers 2 input 2>line &
job=$!
worker=
until [ -n "$worker" ] || ! kill -0 $job 2>/dev/null; do
	worker=$(children $job | awk '{ print $1 }')
done
sleep 0.1
if kill -STOP "$worker"; then
	sleep 1
	kill -CONT "$worker"
	if wait $job && cmp -s quiet.zst loud.zst; then
		ok "$name"
	else
		not_ok "$name" "$(cat line)"
	fi
else
	wait $job
	not_ok "$name" "the job ended before a worker could be stopped: $(cat line)"
fi

# The parent: nothing under the final name, and nobody left behind.
mkdir out
"$program" -o out/final.zst --level 15 --workers 3 input 2>/dev/null &
job=$!
sleep 0.5
workers=$(children $job)
kill -9 $job
wait $job 2>/dev/null
sleep 0.3
name="a parent killed half-way leaves nothing in the directory of its output"
if [ -z "$(ls -A out)" ]; then
	ok "$name"
else
	not_ok "$name" "there is $(ls -A out)"
fi
name="the workers of a killed parent end"
left=
for worker in $workers; do
	[ -d "/proc/$worker" ] && ! grep -q '^State:.Z' "/proc/$worker/status" &&
		left="$left $worker"
done
if [ -n "$workers" ] && [ -z "$left" ]; then
	ok "$name"
else
	not_ok "$name" "of '$workers' there are still '$left'"
fi

name="SIGTERM ends the job with exit status 1 and leaves nothing"
"$program" -o out/final.zst --level 15 input 2>line &
job=$!
sleep 0.3
kill -TERM $job
wait $job
status=$?
if [ $status -eq 1 ] && [ -z "$(ls -A out)" ] && grep -q 'stopped by signal 15' line; then
	ok "$name"
else
	not_ok "$name" "exit status $status, '$(cat line)', '$(ls -A out)'"
fi

name="kills that come too fast for any chunk end the job with a clear message"
timeout 60 "$program" -o out/final.zst --level 19 --chunk 32M --workers 1 --window 1 \
	--kill-every 1 input 2>line
status=$?
if [ $status -eq 1 ] && grep -q 'raise --kill-every' line && [ -z "$(ls -A out)" ]; then
	ok "$name"
else
	not_ok "$name" "exit status $status, '$(cat line)', '$(ls -A out)'"
fi

report_end
