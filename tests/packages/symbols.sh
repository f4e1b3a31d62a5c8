#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What can be said of the packages without building them: debian/ is in step with the rest
# of the tree.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

symbols=debian/libevering0.symbols
map=libevering/libevering.map

# Both as lines SYMBOL@NODE.
sed -nE 's/^ (evri?_[a-z0-9_]+@[A-Z0-9_]+) .*/\1/p' $symbols | sort >"$EVR_TMP/packaged"
awk '/^[A-Z0-9_]+ \{$/ { node = $1 }
     /^[[:space:]]+evri?_[a-z0-9_]+;$/ { sub(/;/, ""); print $1 "@" node }' $map |
	sort >"$EVR_TMP/mapped"

report "debian/libevering0.symbols lists what the symbol map lists" "$(
	[ -s "$EVR_TMP/mapped" ] || echo "no symbol was found in $map"
	comm -23 "$EVR_TMP/mapped" "$EVR_TMP/packaged" |
		sed "s,\$, 0.1.0: to be added to $symbols (with the coming version),"
	comm -13 "$EVR_TMP/mapped" "$EVR_TMP/packaged" | sed "s,\$,: not in $map,"
)"

configured=$(sed -nE 's/^AC_INIT\(\[evering\], \[([^]]+)\]\)$/\1/p' configure.ac)
packaged=$(sed -nE '1s/^evering \(([^)]+)\) .*/\1/p' debian/changelog)
report "the newest entry of debian/changelog is of the version in configure.ac" "$(
	[ -n "$configured" ] && [ "$configured" = "$packaged" ] ||
		echo "debian/changelog '$packaged', configure.ac '$configured'"
)"

report_end
