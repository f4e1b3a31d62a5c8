#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Each public header can be the first and only one that a user includes.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

strict=(-pedantic -Wall -Wextra -Werror -fsyntax-only -Iinclude -Icpp)

# alone COMPILER... -- HEADER...: what the compiler has to say on a file that includes
# nothing but that header. Two at a time.
alone() {
	local compiler=()
	while [ "$1" != -- ]; do
		compiler+=("$1")
		shift
	done
	shift
	printf '%s\n' "$@" | xargs -r -P 2 -I{} sh -c '
		header=$1
		shift
		printf "#include <%s>\n" "${header#*/}" |
			"$@" - >"$EVR_TMP/$$.log" 2>&1 || {
			echo "$header:"
			head -n 8 "$EVR_TMP/$$.log"
		}' sh {} "${compiler[@]}"
}

mapfile -t headers < <(public_headers)
report "every public header compiles alone as pedantic C11" "$(
	alone cc -x c -std=c11 "${strict[@]}" -- "${headers[@]}"
)"
report "every public header compiles alone as C++20" "$(
	alone c++ -x c++ -std=c++20 "${strict[@]}" -- "${headers[@]}"
)"

mapfile -t headers < <(find cpp/evering -name '*.hpp' | sort)
[ ${#headers[@]} -eq 0 ] ||
	report "every header of the C++ face compiles alone as C++20" "$(
		alone c++ -x c++ -std=c++20 "${strict[@]}" -- "${headers[@]}"
	)"

report_end
