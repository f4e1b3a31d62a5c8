# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="killed and stopped at every instruction of each operation"
budget=300
quick_budget=60

# The harness prints one line per operation and mode, "crash OP MODE points=N failed=F"
# ("points=N of=M" where it tried some of M), each of which counts as one test, and ends
# with the sum of them. After so many seconds it tries what is left at fewer points, and
# says so; without --seconds it tries everything (docs/RECOVERY.md has the figures).
run_group() {
	local program=$EVR_BUILD/tests/crash/crash log=$EVR_LOGS/crash.log status=0
	local start=$EPOCHREALTIME passed failed seconds=290 thin_after=180
	[ "$EVR_QUICK" != 1 ] || seconds=55 thin_after=20
	if ! [ -x "$program" ]; then
		group_failed crash "tests/crash/crash is not built"
		return
	fi
	run_logged "$seconds" "$log" "$program" --seconds "$thin_after" || status=$?
	grep -E '^(crash|skip|not ok|thinned:?) ' "$log" | sed 's/^/  /'
	passed=$(count_lines \
		'^crash [^ ]+ [^ ]+ points=[1-9][0-9]*( of=[0-9]+)? failed=0$' "$log")
	failed=$(count_lines '^crash [^ ]+ [^ ]+ points=' "$log")
	failed=$((failed - passed))
	if ! grep -q '^crash points: [0-9]*, experiments: [0-9]*, failed: ' "$log"; then
		group_failed crash "the harness did not reach its last line"
	fi
	settle crash "$log" "$status" "$seconds" "$passed" "$failed" \
		"$(count_lines '^skip ' "$log")" "$start"
}
