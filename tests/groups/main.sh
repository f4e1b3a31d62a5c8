# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="the main example on real files, disturbed and not, restored by stock zstd"
budget=180
quick_budget=60
packages="zstd"

run_group() {
	if left_out HAVE_ZSTD; then
		group_skipped main "libzstd-dev is not installed" \
			"apt-get install libzstd-dev"
		return
	fi
	run_scripts 120 tests/main
}
