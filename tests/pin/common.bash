# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What the scripts of tests/pin share. Sourced after tests/lib/report.sh.

pin=$EVR_BUILD/tools/evering-pin
# shellcheck disable=SC2034 # for who sources this
witness=$EVR_BUILD/tests/pin/witness
tables=$EVR_TOP/tests/pin
topologies=$tables/topologies

# What the caller's shell has set must not reach what is tested.
unset EVERING_CPUS HWLOC_SYNTHETIC HWLOC_XMLFILE HWLOC_THISSYSTEM

# The tool is not built without its libraries. (nothing else is tested here)
if ! [ -x "$pin" ]; then
	if grep -q '^HAVE_PIN_TRUE = #' "$EVR_BUILD/Makefile" 2>/dev/null; then
		skip "evering-pin" "it is not built, a library is missing" \
			"apt-get install libhwloc-dev libcli11-dev nlohmann-json3-dev"
	else
		not_ok "evering-pin is built" "there is no $pin"
	fi
	report_end
fi

# use_topology NAME: from here on hwloc reads that machine of tests/pin/topologies; "-" is
# this one. There, so that what is printed holds no path of this machine.
use_topology() {
	unset HWLOC_SYNTHETIC HWLOC_XMLFILE
	if [ -e "$topologies/$1.xml" ]; then
		cd "$topologies" && export HWLOC_XMLFILE=$1.xml
	elif [ "$1" != - ]; then
		HWLOC_SYNTHETIC=$(cat "$topologies/$1.txt")
		export HWLOC_SYNTHETIC
	fi
}

# on_topology NAME ARGUMENT...: evering-pin there
on_topology() (
	use_topology "$1"
	shift
	exec timeout 30 "$pin" "$@"
)

# rows TABLE: its lines without comments and blank ones
rows() {
	grep -vE '^(#|$)' "$tables/$1"
}

# cells LINE: what stands between " | ", in the array cell
cells() {
	local rest=$1
	cell=()
	while [[ $rest == *" | "* ]]; do
		cell+=("$(trim "${rest%%" | "*}")")
		rest=${rest#*" | "}
	done
	cell+=("$(trim "$rest")")
}

trim() {
	local text=$1
	text=${text#"${text%%[! ]*}"}
	printf '%s' "${text%"${text##*[! ]}"}"
}

# words TEXT: as the shell would take it, in the array argument (our own tables only)
words() {
	eval "argument=($1)"
}

# numbers LIST: "0-2,5" one number a line
numbers() {
	local part parts
	IFS=, read -ra parts <<<"$1"
	for part in "${parts[@]}"; do
		seq "${part%-*}" "${part#*-}"
	done
}

# status_line KEY [PROCESS]: the value of a line of /proc/PROCESS/status
status_line() {
	sed -n "s/^$1:[[:space:]]*//p" "/proc/${2:-self}/status"
}

# The CPUs that we may use: as the kernel prints them, and one by one.
allowed_list=$(status_line Cpus_allowed_list)
mapfile -t allowed < <(numbers "$allowed_list")

# want_cpus NAME COUNT: false, and a skip, when we may use fewer.
want_cpus() {
	[ "${#allowed[@]}" -ge "$2" ] && return 0
	skip "$1" "$2 CPUs wanted, this process may use $allowed_list" \
		"run it on a machine, or in a cpuset, with more"
	return 1
}

# until_true SECONDS COMMAND...
until_true() {
	local tries=$(($1 * 50))
	shift
	while ! "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.02
	done
}

# same NAME WANTED GOT
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "wanted '${2//$'\n'/\\n}', got '${3//$'\n'/\\n}'"
	fi
}

# refused NAME PATTERN COMMAND...: exit status 125, nothing on standard output, one line
# of error that matches. (a line that sends to --help may follow)
refused() {
	local name=$1 pattern=$2 status=0
	shift 2
	timeout 30 "$@" >"$EVR_TMP/refused.out" 2>"$EVR_TMP/refused.err" || status=$?
	if [ $status -ne 125 ]; then
		not_ok "$name" "exit status $status: $(cat "$EVR_TMP/refused.err")"
	elif [ -s "$EVR_TMP/refused.out" ]; then
		not_ok "$name" "on standard output: $(head -n 3 "$EVR_TMP/refused.out")"
	elif ! one_error "$EVR_TMP/refused.err"; then
		not_ok "$name" "not one line of error: $(cat "$EVR_TMP/refused.err")"
	elif ! head -n 1 "$EVR_TMP/refused.err" | grep -qE -- "$pattern"; then
		not_ok "$name" "'$(cat "$EVR_TMP/refused.err")' has no '$pattern'"
	else
		ok "$name"
	fi
}

# one_error FILE: does it hold one error as the tool prints it?
one_error() {
	local lines
	mapfile -t lines <"$1"
	[[ ${lines[0]:-} == "evering-pin: "?* ]] || return 1
	[ ${#lines[@]} -eq 1 ] || [ "${lines[*]:1}" = "Try 'evering-pin --help'." ]
}
