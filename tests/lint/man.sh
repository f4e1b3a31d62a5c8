#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The manual pages keep in step with headers, symbol map and tools, and can be read
# without complaint. They are made here, of the templates as they are now.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

pages=$EVR_TMP/man
mkdir "$pages"
mapfile -t headers < <(public_headers)
mapfile -t templates < <(find man -name '*.in' | sort)

expect "every page can be made of its template and the headers" \
	man/page.pl --source . --output "$pages" --version 0 --date "January 1, 2000" \
	"${templates[@]}" || report_end
# Without those that only refer to another.
mapfile -t made < <(cd "$pages" && grep -rL '^\.so ' man[137] | sort)

report "every template is one that the makefile names, and the other way round" "$(
	grep -oE '\bman/[a-z_-]+\.[137]\.in\b' man/local.mk | sort >"$EVR_TMP/named"
	printf '%s\n' "${templates[@]}" | diff - "$EVR_TMP/named"
)"

report "every public header has one page" "$(
	grep -h '^@page' "${templates[@]}" | tr ' ' '\n' | grep '\.h$' | sort |
		diff - <(printf '%s\n' "${headers[@]##*/}" | sort)
)"

# ---- functions -----------------------------------------------------------------------

# Those of atomic.h are inline and not exported: marked as helpers are, named as ours.
{
	tests/lint/declared.pl "${headers[@]}" | grep '^evr_'
	grep -ohE '^EVRI_INLINE [a-z0-9_]+ \*?evr_\w+\(' "${headers[@]}" |
		sed -E 's/.*(evr_\w+)\($/\1/' | tee "$EVR_TMP/inline"
} | sort -u >"$EVR_TMP/public"

report "every public function is in the symbol map, or only inline" "$(
	[ "$(wc -l <"$EVR_TMP/public")" -ge 100 ] || echo "fewer than 100 were found"
	grep -oE '\bevr_\w+;' libevering/libevering.map | tr -d ';' |
		sort -u - "$EVR_TMP/inline" | comm -23 "$EVR_TMP/public" -
)"

report "every public function has a page of its name, which describes it" "$(
	while read -r name; do
		page=$(sed -n 's/^\.so //p' "$pages/man3/$name.3" 2>&1)
		grep -qx "\.Fo $name" "$pages/${page:-none}" 2>/dev/null &&
			grep -qE "^\.Ss (.*, )?$name\(\)" "$pages/$page" ||
			echo "$name()"
	done <"$EVR_TMP/public"
)"

report "every page of a function's name is that of a public function" "$(
	cd "$pages/man3" && find . -name 'evr_*.3' -printf '%f\n' |
		sed 's/\.3$//' | sort | comm -23 - "$EVR_TMP/public"
)"

report "comments of functions describe what is declared" "$(
	man/page.pl --source . --check "${templates[@]}" 2>&1
)"

report "every page of ours that a page refers to exists" "$(
	cd "$pages" || exit
	grep -HoE '\bXr ev(r|ering)[a-z0-9_-]* [0-9]' "${made[@]}" |
		while IFS=': ' read -r page _ name section; do
			[ -e "man$section/$name.$section" ] ||
				echo "$page: $name($section)"
		done | sort -u
)"

# ---- options -------------------------------------------------------------------------

# Of a --help: what its lines begin with.
helped() {
	perl -ne 'next unless /^\s+(-\S.*?)(\s\s|$)/; my $option = $1;
		print "$1\n" while $option =~ /(?<![\w-])(--?[A-Za-z][\w-]*)/g;'
}

# Of a page: what ".It Fl" begins its paragraphs with.
told() {
	perl -ne 'next unless s/^\.It (?=Fl )//; s/\\-/-/g;
		while (/\bFl (Fl )?([\w-]+)/g) { print $1 ? "--$2\n" : "-$2\n"; }' "$1"
}

for tool in evr-peer evering-pin; do
	name="$tool --help and $tool(1) tell the same options"
	if [ ! -x "$EVR_BUILD/tools/$tool" ]; then
		skip "$name" "tools/$tool is not built" "./check lint builds it"
		continue
	fi
	"$EVR_BUILD/tools/$tool" --help | helped | sort -u >"$EVR_TMP/helped"
	told "$pages/man1/$tool.1" | sort -u >"$EVR_TMP/told"
	report "$name" "$(
		[ -s "$EVR_TMP/helped" ] || echo "--help shows no option"
		comm -23 "$EVR_TMP/helped" "$EVR_TMP/told" | sed 's/$/: not in the page/'
		comm -13 "$EVR_TMP/helped" "$EVR_TMP/told" | sed 's/$/: not in --help/'
	)"
done

# ---- examples ------------------------------------------------------------------------

perl -e '
	my ($folder, $number) = (shift, 0);
	for my $file (@ARGV) {
		open(my $in, "<", $file) or die "$file: $!\n";
		my $out;
		while (<$in>) {
			if (/^\@c$/) {
				my $name = "$folder/example-" . ++$number . ".c";
				open($out, ">", $name) or die "$name: $!\n";
				print $out "#line ", $. + 1, " \"$file\"\n";
			} elsif (/^\@end$/) {
				undef $out;
			} elsif ($out) {
				print $out $_;
			}
		}
	}' "$EVR_TMP" "${templates[@]}"

report "every example in C compiles as it stands" "$(
	compgen -G "$EVR_TMP/example-*.c" >/dev/null || echo "no example was found"
	for example in "$EVR_TMP"/example-*.c; do
		cc -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -Iinclude \
			"$example" 2>&1
	done
)"

# ---- how they read -------------------------------------------------------------------

name="mandoc warns of nothing in any page"
if want_command "$name" mandoc mandoc; then
	report "$name" "$(cd "$pages" && mandoc -T lint -W warning "${made[@]}" 2>&1)"
fi

# As lintian does it.
name="man warns of nothing in any page"
if want_command "$name" man man-db; then
	export MANROFFSEQ='' MANWIDTH=80
	report "$name" "$(
		for page in "${made[@]}"; do
			LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z \
				"$pages/$page" 2>&1 >/dev/null | sed "s|^|$page: |"
		done
	)"
fi

report_end
