#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The example's processes run where evering-pin, or EVERING_CPUS, says.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

program=$EVR_BUILD/examples/evr-zstd
pin=$EVR_BUILD/tools/evering-pin
cd "$EVR_TMP" || exit 1

# allowed PID: the CPUs that it may use
allowed() {
	sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$1/status"
}

# A list such as 0-2,5 as words.
expand() {
	local part
	for part in ${1//,/ }; do
		seq "${part%-*}" "${part#*-}"
	done
}

mapfile -t cpus < <(expand "$(allowed self)")

# start ENVIRONMENT WORKERS: the example, waiting for its input
start() {
	mkfifo in
	EVERING_CPUS=$1 "$program" --workers "$2" -o out.zst in 2>line &
	parent=$!
	exec 3>in
	workers=()
	for ((i = 0; i < 500 && ${#workers[@]} < $2; i++)); do
		mapfile -t workers < <(pgrep -P $parent | sort -n)
		sleep 0.02
	done
	# What they are handed is done, so all of them sit by then.
	head -c 20000000 /dev/zero >&3
}

finish() {
	exec 3>&-
	wait $parent
	rm in
}

# seated NAME WANTED...: CPUs of the parent and of the workers, in order
seated() {
	local name=$1 pid seen=()
	shift
	for pid in $parent "${workers[@]}"; do
		seen+=("$(allowed "$pid")")
	done
	if [ "${seen[*]}" = "$*" ]; then
		ok "$name"
	else
		not_ok "$name" "parent and workers are on '${seen[*]}', not on '$*'"
	fi
}

all=$(allowed self)
if [ ${#cpus[@]} -lt 2 ]; then
	skip "parent and workers sit where EVERING_CPUS says" \
		"a pair takes two CPUs, and there is one" "run it on a larger machine"
else
	a=${cpus[0]} b=${cpus[1]}
	start "submitter:$a completer:$b" 3
	seated "parent and workers sit where EVERING_CPUS says, the last one anywhere" \
		"$a" "$b" "$a" "$all"
	kill -KILL "${workers[0]}"
	for ((i = 0; i < 500; i++)); do
		mapfile -t now < <(pgrep -P $parent | sort -n)
		[ ${#now[@]} -lt 3 ] || [ "${now[0]}" = "${workers[0]}" ] || break
		sleep 0.02
	done
	workers=("${now[2]}" "${now[0]}" "${now[1]}")
	sleep 0.2
	seated "who replaces a killed worker takes its seat" "$a" "$b" "$a" "$all"
	finish
fi

name="the last line says which CPUs and nodes, read from the plan that was kept"
start "submitter:${cpus[0]} completer:${cpus[0]}" 1
finish
if grep -qE " cpus=${cpus[0]} nodes=[0-9]+ pinned=yes\$" line; then
	ok "$name"
else
	not_ok "$name" "it is '$(cat line)'"
fi

name="a CPU that may not be used is an error, not a silence"
EVERING_CPUS='submitter:0 completer:99999' "$program" --workers 1 -o no.zst /etc/passwd \
	2>errors
status=$?
if [ $status -eq 1 ] && grep -q 'cannot run on CPUs 99999: this thread' errors; then
	ok "$name"
else
	not_ok "$name" "exit status $status: $(cat errors)"
fi

# quickstart_says NAME PATTERN COMMAND...
quickstart_says() {
	local name=$1 pattern=$2
	shift 2
	if "$@" "$EVR_TOP/quickstart" /etc/passwd -o q.zst >said 2>&1 &&
		grep -qE "$pattern" said; then
		ok "$name"
	else
		not_ok "$name" "it said: $(tail -n 5 said)"
	fi
}

name="quickstart pins its pairs and says which CPUs it got"
if ! [ -x "$pin" ]; then
	skip "$name" "evering-pin was not built" \
		"apt-get install libhwloc-dev libcli11-dev nlohmann-json3-dev"
elif [ ${#cpus[@]} -lt 2 ]; then
	skip "$name" "a pair takes two CPUs, and there is one" "run it on a larger one"
else
	quickstart_says "$name" ' pinned=(yes|no)$' env
	name="quickstart leaves alone what evering-pin chose before"
	chosen="submitter:${cpus[0]} completer:${cpus[0]}"
	quickstart_says "$name" " cpus=${cpus[0]} .*pinned=yes" \
		"$pin" -q -c "${cpus[0]}" env "EVERING_CPUS=$chosen"
fi

report_end
