# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="ThreadSanitizer on the tests that need one process only"
budget=150

# It sees the accesses of one process. Criterion does not work under it; what runs here
# are the plain programs named in tsan_programs, told to use threads for processes.
run_group() {
	local program list
	other_tree build-tsan --with-sanitizer=thread || return 0
	list=$(programs "" tsan_programs)
	if [ -z "$list" ]; then
		group_failed tsan "no program is named in tsan_programs"
		return
	fi
	# shellcheck disable=SC2086 # words
	build_here $list || return 0
	export EVR_QUICK=1 TSAN_OPTIONS="second_deadlock_stack=1"
	for program in $list; do
		run_plain 100 "${program##*/}" setarch -R "$EVR_BUILD/$program" --threads
	done
}
