# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="layers, headers alone, symbols, manual pages, comments, sizes, licences, scripts"
budget=60
packages="shellcheck mandoc man-db"
needs_build=no

run_group() {
	run_scripts 60 tests/lint
}
