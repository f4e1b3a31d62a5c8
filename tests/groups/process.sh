# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="several processes: started, killed, stopped under load"
budget=240
quick_budget=60

run_group() {
	run_programs run_plain 120 tests/process/ "" ""
}
