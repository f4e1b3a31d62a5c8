#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Shell scripts, as shellcheck sees them.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

name="shellcheck warns of nothing in any shell script"
if want_command "$name" shellcheck shellcheck; then
	mapfile -t scripts < <(source_files | while read -r file; do
		head -n 2 "$file" | grep -qE '^#!.*\b(ba)?sh$|shellcheck shell=' &&
			echo "$file"
	done)
	expect "$name" shellcheck -S warning -e SC1090,SC1091 "${scripts[@]}"
fi

report_end
