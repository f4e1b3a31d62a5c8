#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The README shows programs exactly as they are in examples/. Above each such code block
# stands a line <!-- PATH -->, which a reader does not see.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

# shown PATH: the code block below <!-- PATH -->
shown() {
	awk -v mark="<!-- $1 -->" '
		$0 == mark { next_block = 1; next }
		next_block && /^```/ { next_block = 0; inside = 1; next }
		inside && /^```$/ { exit }
		inside' README.md
}

for path in examples/hello.c examples/hello.cpp; do
	report "the README shows $path exactly as it is" "$(
		shown "$path" | diff - "$path"
	)"
done

report "every file that the README shows is one that is compared" "$(
	grep -oE '^<!-- examples/.* -->$' README.md |
		grep -vE '<!-- examples/hello\.(c|cpp) -->'
)"

report_end
