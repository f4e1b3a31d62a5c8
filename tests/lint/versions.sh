#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The version is written in two places.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

configured=$(sed -nE 's/^AC_INIT\(\[evering\], \[([^]]+)\]\)$/\1/p' configure.ac)
header=include/evering/version.h
part() {
	awk -v name="EVR_VERSION_$1" '$1 == "#define" && $2 == name { print $3 }' $header
}
numbers=$(part MAJOR).$(part MINOR).$(part PATCH)
string=$(part STRING | tr -d '"')

name="configure.ac and version.h name the same version"
if [ -n "$configured" ] && [ "$configured $configured" = "$numbers $string" ]; then
	ok "$name"
else
	not_ok "$name" "configure.ac '$configured', version.h '$numbers' and '$string'"
fi

report_end
