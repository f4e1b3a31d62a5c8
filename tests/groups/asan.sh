# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="AddressSanitizer and UndefinedBehaviorSanitizer on unit, cpp and process"
budget=480

run_group() {
	local program
	other_tree build-asan --with-sanitizer=address,undefined || return 0
	# shellcheck disable=SC2046 # words
	build_here $(programs tests/unit/test_) $(programs tests/unit/conform_) \
		$(programs tests/cpp/test_) $(programs tests/process/) || return 0
	# A test may raise SIGBUS on purpose; address randomisation of newer kernels
	# collides with the shadow memory.
	export EVR_QUICK=1 ASAN_OPTIONS="handle_sigbus=0:detect_stack_use_after_return=1"
	export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
	export LSAN_OPTIONS="print_suppressions=0"
	LSAN_OPTIONS+=":suppressions=$EVR_TOP/tests/lib/lsan.supp"
	for program in $(programs tests/unit/test_) $(programs tests/unit/conform_); do
		run_criterion 60 "${program##*/}" setarch -R "$EVR_BUILD/$program"
	done
	for program in $(programs tests/cpp/test_); do
		run_boost 60 "${program##*/}" setarch -R "$EVR_BUILD/$program"
	done
	for program in $(programs tests/process/); do
		run_plain 100 "${program##*/}" setarch -R "$EVR_BUILD/$program"
	done
}
