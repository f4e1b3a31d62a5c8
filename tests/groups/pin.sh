# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="evering-pin: plans on many machines, and what this one's kernel made of them"
budget=120
quick_budget=60
packages="jq strace"

run_group() {
	run_scripts 100 tests/pin
}
