# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="one header at a time, in C (Criterion)"
budget=120
quick_budget=60
packages="libcriterion-dev"

run_group() {
	local part=(HAVE_CRITERION libcriterion-dev)
	run_programs run_criterion 60 tests/unit/test_ "${part[@]}"
	run_programs run_criterion 60 tests/unit/conform_ "${part[@]}"

	# What happens when attach numbers run out needs a library with short ones.
	grep -q '^[^#]*tests/unit/stress_' "$EVR_TOP/tests/unit/local.mk" || return 0
	left_out HAVE_CRITERION && return 0
	other_tree build-stress --enable-werror --enable-stress-numbers || return 0
	# shellcheck disable=SC2046 # words
	build_here $(programs tests/unit/stress_) || return 0
	run_programs run_criterion 60 tests/unit/stress_ "${part[@]}"
}
