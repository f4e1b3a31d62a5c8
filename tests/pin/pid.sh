#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# evering-pin --pid on running programs: every thread is pinned, also while threads come
# and go, and what cannot be done to another process is said.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

cd "$EVR_TMP" || exit 1
first=${allowed[0]} second=${allowed[1]:-${allowed[0]}}
node=$(numbers "$(status_line Mems_allowed_list)" | head -n 1)

# No process of ours outlives the test, whatever happens.
started=()
trap 'kill -9 "${started[@]}" 2>/dev/null; rm -rf "$EVR_TMP"' EXIT

# start ARGUMENT...: a witness that stays; its process in $started_pid
start() {
	: >witness.out
	"$witness" "$@" >witness.out 2>&1 </dev/null &
	started_pid=$!
	started+=("$started_pid")
	disown $started_pid
	until_true 10 grep -q '^ready$' witness.out
}

stop() {
	kill -9 "$1"
	until_true 10 test ! -e "/proc/$1/task"
}

# run ARGUMENT...: standard output in out, standard error in err, status in $status
run() {
	status=0
	timeout 30 "$pin" "$@" >out 2>err </dev/null || status=$?
}

# affinities PID: the different ones of its threads. One may end while we look.
affinities() {
	cat "/proc/$1/task"/*/status 2>/dev/null |
		sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' | sort -u
}

# ---- twenty threads ------------------------------------------------------------------

start crowd 20
crowd=$started_pid
same "the program that is pinned has 20 threads" 20 "$(ls "/proc/$crowd/task" | wc -l)"
run --dry-run --pid "$crowd" -c "$first"
same "--dry-run --pid tells every thread" 0:20 \
	"$status:$(ls "/proc/$crowd/task" | while read -r tid; do
		grep -c "\b$tid\b" out
	done | grep -c 1)"
run --dry-run --json --pid "$crowd" -c "$first"
same "--dry-run --json --pid tells what each thread has and would get" \
	"20 [\"$allowed_list\"] [\"$first\"] [\"witness\"]" "$(jq -r '.threads |
		"\(length) \(map(.cpus_now) | unique) \(map(.cpus) | unique) "
		+ "\(map(.name) | unique)"' out)"
same "--dry-run --pid changes nothing" "$allowed_list" "$(affinities "$crowd")"

run --pid "$crowd" -c "$first"
same "all threads of a running process are pinned" "0 $first" \
	"$status $(affinities "$crowd")"
same "the number of threads is told" 1 "$(cat out err | grep -c '\b20 threads')"
run --pid "$crowd" -c "$second" --json
same "--json tells what a running process got, and how many threads" \
	"0 $second $second 20" "$status $(jq -r '"\(.cpus) \(.got.cpus) "
		+ "\(if .threads | type == "array" then .threads | length
			else .threads end)"' out)"
run --pid "$crowd" -c all
same "a pinned process can be let go again" "0 $allowed_list" \
	"$status $(affinities "$crowd")"
run --pid "$crowd" -n 1 -q
same "a strategy's plan is the affinity of all threads" \
	"0 $("$pin" --dry-run --json -n 1 | jq -r .cpus)" "$status $(affinities "$crowd")"

refused "--memory interleave of another process cannot be" "interleave" \
	"$pin" --pid "$crowd" -m "interleave=$node"
refused "--memory preferred of another process cannot be" "preferred" \
	"$pin" --pid "$crowd" -m "preferred=$node"
refused "--pid and a COMMAND exclude one another" "--pid" \
	"$pin" --pid "$crowd" -c "$first" true
run --pid "$crowd" -c "$first"
stop "$crowd"
refused "a process that has ended is told" "there is no process $crowd\b" \
	"$pin" --pid "$crowd" -c "$first"

# ---- threads that come and go --------------------------------------------------------

start crowd 20 churn
name="20 threads stay and others come and go, all are pinned each time"
odd=
for round in 1 2 3 4 5 6 7 8 9 10; do
	cpu=$first
	[ $((round % 2)) -eq 0 ] || cpu=$second
	run -q --pid "$started_pid" -c "$cpu"
	[ $status -eq 0 ] || odd+="round $round: status $status: $(cat err); "
	for _ in 1 2 3 4 5; do
		got=$(affinities "$started_pid")
		[ "$got" = "$cpu" ] || odd+="round $round: ${got//$'\n'/ }, not $cpu; "
	done
done
same "$name" "" "$odd"
stop "$started_pid"

# It may have been as asked for a moment, but then what was got is what was asked.
name="of a process that takes its CPUs back no other success is told than what is asked"
if want_cpus "$name" 2; then
	start crowd 20 unruly
	odd='' refusals=0
	for round in 1 2 3 4 5 6 7 8 9 10; do
		run --pid "$started_pid" -c "$first"
		case $status in
		0) grep -qE "got CPUs? $first, " err ||
			odd+="round $round: $(cat err); " ;;
		125) refusals=$((refusals + 1)) ;;
		*) odd+="round $round: status $status; " ;;
		esac
	done
	same "$name" "" "$odd"
	if [ $refusals -gt 0 ]; then
		ok "such a process is refused after a bounded number of attempts"
	else
		not_ok "such a process is refused after a bounded number of attempts" \
			"not once in ten rounds"
	fi
	stop "$started_pid"
fi

# ---- what one may not do -------------------------------------------------------------

name="a process of somebody else is told with what would be needed"
if [ "$(id -u)" -ne 0 ]; then
	refused "$name" "CAP_SYS_NICE" "$pin" --pid 1 -c "$first"
elif want_command "$name" setpriv util-linux; then
	chmod 755 "$EVR_TMP"
	cp "$pin" evering-pin
	start crowd 3
	refused "$name" "CAP_SYS_NICE" setpriv --reuid=65534 --regid=65534 \
		--clear-groups "$EVR_TMP/evering-pin" --pid "$started_pid" -c "$first"
	same "a process that could not be pinned is as before" "$allowed_list" \
		"$(affinities "$started_pid")"
	stop "$started_pid"
fi

# What the kernel says to be done and is not, which strace makes of ours.
name="threads that the kernel did not pin are seen"
if want_cpus "$name" 2 && want_command "$name" strace strace; then
	start crowd 3
	refused "$name" "asked for CPU $first\b.* got CPUs? $allowed_list\b" \
		strace -qq -o trace -e trace=sched_setaffinity \
		-e inject=sched_setaffinity:retval=0 "$pin" --pid "$started_pid" \
		-c "$first"
	stop "$started_pid"
fi

# ---- memory --------------------------------------------------------------------------

# The node that its pages move to: another one where there is one.
target=$(numbers "$(status_line Mems_allowed_list)" | tail -n 1)
start memory 8 stay
map=$(sed -n 's/^map //p' witness.out)
run --pid "$started_pid" -m "bind=$target"
pages=$((8 * 1024 * 1024 / $(getconf PAGESIZE)))
places=$(grep "^0*$map " "/proc/$started_pid/numa_maps" | grep -o 'N[0-9]*=[0-9]*')
same "--memory bind moves the pages of a running process" "0 N$target=$pages" \
	"$status $places"
same "that the policy for its new pages is not set is said" 1 \
	"$(cat out err | grep -c 'new pages')"
name="pages that the kernel did not move are seen"
if [ "$target" = "$node" ]; then
	skip "$name" "one node of memory" "run it on a machine with several"
elif want_command "$name" strace strace; then
	refused "$name" "asked for .*node $node\b" strace -qq -o trace \
		-e trace=migrate_pages -e inject=migrate_pages:retval=0 \
		"$pin" --pid "$started_pid" -m "bind=$node"
fi
stop "$started_pid"

report_end
