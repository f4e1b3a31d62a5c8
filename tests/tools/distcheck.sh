#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The tarball: complete, and buildable in all the ways that people build tarballs.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

jobs=-j$(nproc)
expect "make distcheck builds, tests, installs and removes from the tarball" \
	make -C "$EVR_BUILD" -s "$jobs" VERBOSE=1 distcheck || report_end

tarball=$(find "$EVR_BUILD" -maxdepth 1 -name 'evering-*.tar.xz' | head -n 1)
tar -C "$EVR_TMP" -xf "$tarball" || report_end
directory=$EVR_TMP/$(basename "$tarball" .tar.xz)

missing=$(project_files | while read -r file; do
	[ -e "$directory/$file" ] || echo "$file"
done)
if [ -z "$missing" ]; then
	ok "every file of the tree is in the tarball"
else
	printf '%s\n' "$missing"
	not_ok "every file of the tree is in the tarball" "EXTRA_DIST lacks those above"
fi

in_tree() {
	cd "$directory" && ./configure -q && make -s "$jobs"
}
expect "the tarball builds in its own tree too" in_tree

report_end
