# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="deliberate faults, each of which the crash harness must see"
budget=360
packages="patch"

run_group() {
	run_plain 340 mutants bash "$EVR_TOP/tests/mutants/run.sh"
	grep -E '^ok ' "$EVR_LOGS/mutants.mutants.log" | sed 's/^/  /'
}
