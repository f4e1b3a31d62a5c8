#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What a user does who has installed Evering: compiles against it with pkg-config alone.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

prefix=$EVR_TMP/prefix
expect "make install puts the library under any prefix" \
	make -C "$EVR_BUILD" -s install prefix="$prefix" || report_end

# The installed evering.pc was made for the configured prefix; pkg-config moves it.
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
evering() {
	pkg-config --define-prefix "$@" evering
}

# findings NAME TEXT
findings() {
	[ -z "$2" ] && ok "$1" && return
	printf '%s\n' "$2"
	not_ok "$1" "see above"
}

version=$(sed -nE 's/^AC_INIT\(\[evering\], \[([^]]+)\]\)$/\1/p' "$EVR_TOP/configure.ac")
if [ "$(evering --modversion)" = "$version" ]; then
	ok "pkg-config knows the version"
else
	not_ok "pkg-config knows the version" "'$(evering --modversion)', not '$version'"
fi

read -r -a cflags < <(evering --cflags)
read -r -a libs < <(evering --libs)
strict=(-pedantic -Wall -Wextra -Werror -fsyntax-only)

findings "every installed header compiles alone in strict C11 and C++20" "$(
	for header in "$prefix"/include/evering/*.h; do
		name="#include <evering/${header##*/}>"
		echo "$name" | cc -x c -std=c11 "${strict[@]}" "${cflags[@]}" - 2>&1
		echo "$name" | c++ -x c++ -std=c++20 "${strict[@]}" "${cflags[@]}" - 2>&1
	done
	for header in "$prefix"/include/evering/*.hpp; do
		[ -e "$header" ] || continue
		echo "#include <evering/${header##*/}>" |
			c++ -x c++ -std=c++20 "${strict[@]}" "${cflags[@]}" - 2>&1
	done
)"

cd "$EVR_TOP/examples" || report_end
any=
for source in *.c *.cpp; do
	[ -e "$source" ] || continue
	any=1
	compiler=(cc -std=gnu17)
	[ "${source##*.}" = c ] || compiler=(c++ -std=c++20)
	expect "examples/$source compiles and links as a user would do it" \
		"${compiler[@]}" -O2 -Wall -Wextra -Werror "$source" \
		-o "$EVR_TMP/example" "${cflags[@]}" "${libs[@]}"
done
[ -n "$any" ] || not_ok "there are examples to compile" "none in examples/"

echo 'int main(void) { return evr_version()[0] == 0; }' >"$EVR_TMP/static.c"
# What pkg-config says --static adds: the library's own needs, without -levering.
read -r -a private < <(evering --libs --static | sed 's/-levering//')
expect "a program links with the static library and what evering.pc adds to it" \
	cc -include evering/version.h "$EVR_TMP/static.c" -o "$EVR_TMP/static" \
	"${cflags[@]}" "$prefix/lib/libevering.a" "${private[@]}"
expect "and such a program runs" "$EVR_TMP/static"

needed=$(objdump -p "$prefix/lib/libevering.so.0" |
	awk '$1 == "NEEDED" && $2 !~ /^(libc\.so|ld-linux|libnuma\.so)/ { print $2 }')
findings "the library needs libc and libnuma and nothing else" "$needed"

soname=$(objdump -p "$prefix/lib/libevering.so.0" | awk '$1 == "SONAME" { print $2 }')
if [ "$soname" = libevering.so.0 ]; then
	ok "the soname is libevering.so.0"
else
	not_ok "the soname is libevering.so.0" "it is '$soname'"
fi

report_end
