# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="the tools, make distcheck, and a user's build against an installed copy"
budget=360
packages="xz-utils libcriterion-dev libboost-test-dev"

run_group() {
	run_scripts 280 tests/tools
}
