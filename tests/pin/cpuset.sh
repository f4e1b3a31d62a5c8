#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# evering-pin where a cpuset or the affinity that it was started with leaves one CPU.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

cd "$EVR_TMP" || exit 1
want_cpus "the CPUs that evering-pin was started with bound it" 2 || report_end
first=${allowed[0]} second=${allowed[1]}

# ---- affinity ------------------------------------------------------------------------

refused "a CPU outside the affinity at the start cannot be had" \
	"--cpus $first: cannot use CPU $first: this process may use CPUs? $second$" \
	taskset -c "$second" "$pin" -c "$first" -- echo "it ran"
refused "all of a list must be allowed, nothing of it is left out" \
	"cannot use CPU $first: this process may use CPUs? $second$" \
	taskset -c "$second" "$pin" -c "$first-$second" -- echo "it ran"
same "a relative number counts the CPUs of the affinity" "$second" \
	"$(taskset -c "$second" "$pin" -q -c +0 -- sh -c 'echo "${EVERING_CPUS#*:}"')"
same "a plan stays within the affinity" "worker:$second" \
	"$(taskset -c "$second" "$pin" -q -n 1 -- sh -c 'echo "$EVERING_CPUS"')"

# ---- cpuset --------------------------------------------------------------------------

# No process of ours, and no cpuset, outlives the test.
group=''
started=()
clean_up() {
	kill -9 "${started[@]}" 2>/dev/null
	[ -z "$group" ] || until_true 5 rmdir "$group" 2>/dev/null
	rm -rf "$EVR_TMP"
}
trap clean_up EXIT

# make_cpuset CPU: a new one in $group, of either version of cgroups; why not in $why
make_cpuset() {
	local top mems
	why="not root"
	[ "$(id -u)" -eq 0 ] || return 1
	why="no cpuset file system is mounted that can be written"
	top=$(awk '$3 == "cgroup" && $4 ~ /(^|,)cpuset(,|$)/ { print $2; exit }' \
		/proc/mounts)
	if [ -z "$top" ]; then
		top=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
		grep -qw cpuset "$top/cgroup.subtree_control" 2>/dev/null || return 1
	fi
	mkdir "$top/evering-test.$$" 2>/dev/null || return 1
	group=$top/evering-test.$$
	mems=$(status_line Mems_allowed_list)
	why="a cpuset of CPU $1 cannot be made in $top"
	{
		echo "$1" >"$group/cpuset.cpus" && echo "$mems" >"$group/cpuset.mems"
	} 2>/dev/null
}

# inside COMMAND...: the process that becomes COMMAND goes into the cpuset first
if make_cpuset "$second"; then
	inside=(sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group")
fi
inherited=none
[ -z "${inside:-}" ] || inherited=$("${inside[@]}" sed -n \
	's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status 2>&1)
if [ "$inherited" != "$second" ]; then
	skip "a cpuset bounds evering-pin" "$why" \
		"run it as root where a cpuset can be made"
	report_end
fi

refused "a CPU outside the cpuset cannot be had" \
	"--cpus $first: cannot use CPU $first: this process may use CPUs? $second$" \
	"${inside[@]}" "$pin" -c "$first" -- echo "it ran"
same "a plan stays within the cpuset" "worker:$second" \
	"$("${inside[@]}" "$pin" -q -n 1 -- sh -c 'echo "$EVERING_CPUS"')"
same "--show tells what the cpuset allows" "$second" \
	"$("${inside[@]}" "$pin" --show --json | jq -r .machine.allowed)"
refused "more than the cpuset has cannot be planned" "\bCPU $second\b" \
	"${inside[@]}" "$pin" -n 2 -- echo "it ran"

# Asked for from outside, the kernel silently gives a process in the cpuset only what the
# cpuset holds.
"${inside[@]}" "$witness" crowd 5 >witness.out 2>&1 </dev/null &
target=$!
started+=("$target")
disown $target
until_true 10 grep -q '^ready$' witness.out
refused "a cpuset that narrows what another process gets is seen" \
	"asked for CPUs $first.*$second.* got CPU $second\b" \
	"$pin" --pid "$target" -c "$first,$second"
refused "a cpuset that has none of what another process should get is told" \
	"\bCPU $first\b" "$pin" --pid "$target" -c "$first"
status=0
"$pin" -q --pid "$target" -c "$second" >out 2>&1 || status=$?
same "what the cpuset holds can be had from outside" 0 $status

report_end
