# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What a group of ./check runs its programs with, and how their reports are counted.
# Sourced by ./check (for want_*) and by tests/lib/run-group.sh, which runs one group.
#
# A group is a file tests/groups/NAME.sh that sets
#	about="one line for ./check --list"
#	budget=SECONDS          after which the group has failed
#	quick_budget=SECONDS    the same in ./check quick
#	packages="..."          Debian packages that it needs besides the compiler's
#	needs_build=yes|no      does it use build/?
# and defines run_group, made of the functions below. Exported to every program:
# EVR_TOP, EVR_BUILD, EVR_LOGS, EVR_QUICK.

# Counts go to a file as they come up, so that a group that runs out of time keeps them.
count_passed() { echo "passed $1" >>"$EVR_COUNTS"; }
count_failed() { echo "failed $1" >>"$EVR_COUNTS"; }
count_skipped() { echo "skipped $1" >>"$EVR_COUNTS"; }

# sum_counts FILE WHAT
sum_counts() {
	awk -v what="$2" '$1 == what { n += $2 } END { print n + 0 }' "$1" 2>/dev/null ||
		echo 0
}

# When ./check tells the group to end, what is running is ended too. It has a process
# group of its own (timeout makes one), so the signal does not reach it by itself.
out_of_time=0
running=
end_group() {
	out_of_time=1
	[ -z "$running" ] || kill -TERM "$running" 2>/dev/null
}

# group_failed NAME WHY
group_failed() {
	count_failed 1
	printf '  not ok %s: %s\n' "$1" "$2"
}

# group_skipped NAME REASON CURE
group_skipped() {
	count_skipped 1
	printf '  skip %s: %s; %s\n' "$1" "$2" "$3"
}

# programs PREFIX [VARIABLE]: those of the makefile's check_PROGRAMS that begin with it.
programs() {
	local list="\$(filter $1%,\$(${2:-check_PROGRAMS}))"
	make -s --no-print-directory -C "$EVR_BUILD" evr-list \
		--eval "evr-list: ; @printf '%s\n' $list" | sed '/^$/d'
}

# Was this part of the tree left out by configure? e.g. left_out HAVE_CRITERION
left_out() {
	grep -q "^$1_TRUE = #" "$EVR_BUILD/Makefile"
}

elapsed_since() {
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'
}

# run_logged SECONDS LOG COMMAND...: bounded, all output in LOG. 124: out of time.
run_logged() {
	local seconds=$1 log=$2
	shift 2
	timeout -k 5 "$seconds" "$@" >"$log" 2>&1 </dev/null &
	running=$!
	wait "$running"
	local status=$?
	# A signal ends the first wait, not the program.
	[ $out_of_time -eq 0 ] || wait "$running"
	running=
	return $status
}

# settle NAME LOG STATUS SECONDS PASSED FAILED SKIPPED START: count, print the line of
# a program, and the end of its log when something failed. A program that ends badly
# without saying which test failed, or that reports nothing, is one failure.
settle() {
	local name=$1 log=$2 status=$3 seconds=$4 passed=$5 failed=$6 skipped=$7 start=$8
	local why=
	if [ "$out_of_time" -eq 1 ]; then
		why="stopped, the group's time is up"
	elif [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		why="still running after $seconds s, killed"
	elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
		why="exit status $status, though no test failed"
	elif [ $((passed + failed + skipped)) -eq 0 ]; then
		why="it reported no test"
	fi
	[ -z "$why" ] || failed=$((failed + 1))
	count_passed "$passed"
	count_failed "$failed"
	count_skipped "$skipped"
	printf '  %s: %d passed, %d failed, %d skipped (%s)\n' "$name" "$passed" \
		"$failed" "$skipped" "$(elapsed_since "$start")"
	[ -z "$why" ] || printf '  not ok %s: %s\n' "$name" "$why"
	[ "$failed" -eq 0 ] || show_log "$log"
	[ "$out_of_time" -eq 0 ] || exit 1
}

show_log() {
	printf '  --- the last 60 lines of %s\n' "$1"
	tail -n 60 "$1" | sed 's/^/  | /'
	printf '  ---\n'
}

count_lines() {
	grep -cE "$1" "$2" 2>/dev/null || true
}

# run_plain SECONDS NAME COMMAND...: scripts and plain programs, which report in lines
# "ok NAME", "not ok NAME: why", "skip NAME: reason; cure" (tests/lib/report.*).
run_plain() {
	local seconds=$1 name=$2 log=$EVR_LOGS/$EVR_GROUP.${2//\//.}.log
	local start=$EPOCHREALTIME status=0
	shift 2
	run_logged "$seconds" "$log" "$@" || status=$?
	grep -E '^skip ' "$log" | sed 's/^/  /'
	settle "$name" "$log" "$status" "$seconds" "$(count_lines '^ok ' "$log")" \
		"$(count_lines '^not ok ' "$log")" "$(count_lines '^skip ' "$log")" \
		"$start"
}

# run_criterion SECONDS NAME PROGRAM [ARGUMENT]...: counted from the TAP report, which
# knows cr_skip_test(); the program's own output stays apart from it, in the log.
run_criterion() {
	local seconds=$1 name=$2 log=$EVR_LOGS/$EVR_GROUP.$2.log
	local tap=$EVR_LOGS/$EVR_GROUP.$2.tap start=$EPOCHREALTIME status=0 skips passes
	shift 2
	rm -f "$tap"
	run_logged "$seconds" "$log" "$@" "--tap=$tap" || status=$?
	touch "$tap"
	sed -nE 's/^ok - ([^ ]+) +# SKIP (.*)/  skip \1: \2/p' "$tap"
	skips=$(count_lines '^ok .*# SKIP' "$tap")
	passes=$(count_lines '^ok ' "$tap")
	settle "$name" "$log" "$status" "$seconds" $((passes - skips)) \
		"$(count_lines '^not ok ' "$tap")" "$skips" "$start"
}

# run_boost SECONDS NAME PROGRAM [ARGUMENT]...: counted from the detailed report; skipped
# are the cases whose precondition says so, with its message as the reason.
run_boost() {
	local seconds=$1 name=$2 log=$EVR_LOGS/$EVR_GROUP.$2.log
	local report=$EVR_LOGS/$EVR_GROUP.$2.report start=$EPOCHREALTIME status=0
	local skipped='Test case "(.*)" is skipped because (precondition failed: )?(.*)'
	shift 2
	rm -f "$report"
	run_logged "$seconds" "$log" "$@" --log_level=test_suite --color_output=no \
		--report_level=detailed --report_sink="$report" || status=$?
	touch "$report"
	sed -nE "s@.*$skipped@  skip \1: \3@p" "$log"
	settle "$name" "$log" "$status" "$seconds" \
		"$(count_lines '^ *Test case ".*" has passed' "$report")" \
		"$(count_lines '^ *Test case ".*" (has failed|was aborted)' "$report")" \
		"$(count_lines "$skipped" "$log")" "$start"
}

# run_programs HOW SECONDS PREFIX PART PACKAGE: every program of the makefile under
# PREFIX, or one skip when configure left them out, or one failure when there is none.
run_programs() {
	local how=$1 seconds=$2 prefix=$3 part=$4 package=$5 program any=
	if [ -n "$part" ] && left_out "$part"; then
		group_skipped "$EVR_GROUP" "$package is not installed" \
			"apt-get install $package"
		return
	fi
	for program in $(programs "$prefix"); do
		any=1
		"$how" "$seconds" "${program##*/}" "$EVR_BUILD/$program"
	done
	[ -n "$any" ] || group_failed "$EVR_GROUP" "no program named $prefix* is built"
}

# run_scripts SECONDS DIRECTORY: every script in it.
run_scripts() {
	local seconds=$1 directory=$2 script any=
	for script in "$EVR_TOP/$directory"/*.sh; do
		[ -e "$script" ] || continue
		any=1
		run_plain "$seconds" "$(basename "$script" .sh)" bash "$script"
	done
	[ -n "$any" ] || group_failed "$EVR_GROUP" "no script in $directory"
}

# other_tree NAME ARGUMENT...: from here on this group's build directory is its own,
# configured with these arguments. False, and one failure with the log, when that fails.
other_tree() {
	local log=$EVR_LOGS/$EVR_GROUP.configure.log
	EVR_BUILD=$EVR_TOP/$1
	shift
	configure_tree "$EVR_BUILD" "$@" >"$log" 2>&1 && return 0
	group_failed "$EVR_GROUP" "configuring ${EVR_BUILD##*/} failed"
	show_log "$log"
	return 1
}

# build_here TARGET...: in the group's build directory
build_here() {
	local log=$EVR_LOGS/$EVR_GROUP.build.log start=$EPOCHREALTIME
	if make -C "$EVR_BUILD" -j"$(nproc)" "$@" >"$log" 2>&1; then
		printf '  built in %s (%s)\n' "${EVR_BUILD##*/}" \
			"$(elapsed_since "$start")"
		return 0
	fi
	group_failed "$EVR_GROUP" "building in ${EVR_BUILD##*/} failed"
	show_log "$log"
	return 1
}
