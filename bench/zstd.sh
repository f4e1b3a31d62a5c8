#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The case "zstd": the main example, worker processes over shared memory, beside the stock
# zstd with threads, both with two workers, the same chunks and the same level. Started by
# bench/run, which has built everything.

set -u
export LC_ALL=C
: "${EVR_BUILD:?bench/run starts this}"
program=$EVR_BUILD/examples/evr-zstd
data=$EVR_BUILD/zstd-data
input=$data/usr.tar
input_bytes=$((256 << 20))
chunk_bytes=$((1 << 20))
level=3
repetitions=7
json=no

for option; do
	case $option in
	--list)
		printf '%-21s  %s\n' zstd \
			"a tar of /usr, 256 MiB, by the main example; MB/s"
		exit
		;;
	--quick) repetitions=1 ;;
	--json) json=yes ;;
	esac
done

skip() {
	if [ $json = yes ]; then
		printf '{"case":"zstd","skipped":"%s"}\n' "$1"
	else
		printf '%-21s skipped: %s\n' zstd "$1"
	fi
	exit 0
}

fail() {
	printf 'zstd: %s\n' "$1" >&2
	exit 1
}

make_input() {
	[ "$(stat -c %s "$input" 2>/dev/null || echo 0)" -ge $((200 * 1000 * 1000)) ] &&
		return
	mkdir -p "$data" || exit 1
	tar -C / -cf - usr 2>/dev/null | head -c $input_bytes >"$input"
}

run_evering() {
	"$program" --workers 2 --chunk $chunk_bytes --level $level "$input" -o "$1" \
		2>"$data/evering.log"
}

run_zstd() {
	zstd -q -f -T2 -B$chunk_bytes -$level --no-check "$input" -o "$1" \
		2>"$data/zstd.log"
}

# measure SUBJECT: one repetition; appends MB/s and the bounces to its file
measure() {
	local out=$data/out.zst before after start end
	rm -f "$out"
	before=$("$EVR_BUILD/bench/evr-bench" --bounce)
	start=${EPOCHREALTIME/./}
	"run_$1" "$out" || fail "$1 failed: $(tail -n 3 "$data/$1.log")"
	end=${EPOCHREALTIME/./}
	after=$("$EVR_BUILD/bench/evr-bench" --bounce)
	zstd -q -d -c "$out" | cmp -s - "$input" || fail "$1 lost something"
	awk -v bytes="$bytes" -v us=$((end - start)) -v bounces="$before $after" \
		'BEGIN { printf "%.2f %s\n", bytes / us, bounces }' \
		>>"$data/$1.samples"
}

# column NAME N: median, smallest and largest
column() {
	cut -d ' ' -f "$2" "$data/$1.samples" | sort -n | awk '
		{ v[NR] = $1 }
		END { m = int((NR + 1) / 2)
		      print (NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2), v[1], v[NR] }'
}

show() {
	local median min max before after _
	read -r median min max < <(column "$1" 1)
	read -r before _ < <(column "$1" 2)
	read -r after _ < <(column "$1" 3)
	if [ $json = yes ]; then
		printf '{"case":"zstd","subject":"%s",' "$2"
		printf '"unit":"MB/s","better":"higher",'
		printf '"median":%s,"min":%s,"max":%s,"reps":%d,' \
			"$median" "$min" "$max" $repetitions
		printf '"bounce_before_ns":%s,"bounce_after_ns":%s}\n' \
			"$before" "$after"
	else
		printf '%-21s %-24s %4.0f MB/s  [%8.2f ..%9.2f] %4d   %5.0f %5.0f\n' \
			zstd "$2" "$median" "$min" "$max" $repetitions \
			"$before" "$after"
	fi
}

[ -x "$program" ] || skip "no examples/evr-zstd; apt-get install libzstd-dev"
command -v zstd >/dev/null || skip "no zstd to compare with; apt-get install zstd"
[ "$(nproc)" -ge 2 ] || skip "2 CPUs wanted, 1 usable"
make_input
bytes=$(stat -c %s "$input")
[ "$bytes" -ge 200000000 ] || skip "/usr has only $bytes bytes, 200000000 wanted"
rm -f "$data"/*.samples
cat "$input" >/dev/null
for ((i = 0; i < repetitions; i++)); do
	measure evering
	measure zstd
done
show evering evering
show zstd "zstd_T2"
rm -f "$data/out.zst"
