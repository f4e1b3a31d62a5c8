# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="the Debian packages: built, checked, installed, used and purged in a fresh Debian"
budget=420
packages="mmdebstrap autopkgtest xz-utils"

run_group() {
	run_plain 10 symbols bash "$EVR_TOP/tests/packages/symbols.sh"
	run_plain 400 packages bash "$EVR_TOP/tests/packages/packages.sh"
	sed -n 's/^took /  took /p' "$EVR_LOGS/packages.packages.log"
}
