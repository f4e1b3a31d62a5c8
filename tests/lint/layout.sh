#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# docs/LAYOUT.md against the headers: a small program is made of its tables, with an
# offsetof or sizeof for every number in them, and run.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

page=docs/LAYOUT.md

# rows: the page's tables as lines "struct NAME BYTES ALIGNMENT", "field NAME OFFSET
# BYTES", "unnamed OFFSET BYTES" and "expression VALUE TEXT".
rows() {
	perl -ne '
		if (/^## (?:struct (\w+))?/) { $struct = $1 // ""; }
		elsif ($struct && /^(\d+) bytes, aligned to (\d+)/) {
			print "struct $struct $1 $2\n";
		} elsif ($struct && /^\| (\d+) \| (\d+) \| `(\w+)` \|/) {
			print "field $3 $1 $2\n";
		} elsif ($struct && /^\| (\d+) \| (\d+) \| \*unnamed\* \|/) {
			print "unnamed $1 $2\n";
		} elsif ($struct && /^\| \d+ \| \d+ \|/) {
			print "malformed $.\n";
		} elsif (/^\| `(.+)` \| `((?:0x)?[0-9a-f]+)` \|$/) {
			print "expression $2 $1\n";
		}' "$page"
}
rows >"$EVR_TMP/rows"

report "every row of a structure in LAYOUT.md can be read" "$(
	awk '$1 == "malformed" { print "line " $2 }' "$EVR_TMP/rows"
)"

report "LAYOUT.md tells every structure that lies in shared memory" "$(
	grep -ohE '^struct.* (evr_\w+_shared|evri_directory_entry) \{' \
		include/evering/*.h libevering/*.h |
		grep -oE 'evri?_\w+' | sort >"$EVR_TMP/declared"
	awk '$1 == "struct" { print $2 }' "$EVR_TMP/rows" | sort >"$EVR_TMP/told"
	[ -s "$EVR_TMP/declared" ] || echo "no structure was found in the headers"
	comm -23 "$EVR_TMP/declared" "$EVR_TMP/told" | sed 's/$/: not told/'
	comm -13 "$EVR_TMP/declared" "$EVR_TMP/told" | sed 's/$/: told, not declared/'
)"

report "the rows of each structure follow one another without a gap" "$(
	awk 'function finish() {
		     if (name != "" && end != bytes)
			     print name ": the rows end at " end " of " bytes
	     }
	     $1 == "struct" { finish(); name = $2; bytes = $3; end = 0 }
	     $1 == "field" || $1 == "unnamed" {
		     at = $(NF - 1)
		     if (at != end)
			     print name ": a row at " at ", the one before ends at " end
		     end = at + $NF
	     }
	     END { finish() }' "$EVR_TMP/rows"
)"

# The program: one line of output for every number that differs.
{
	echo '#include <stdio.h>'
	echo '#include <evering/evering.h>'
	echo '#include "region_internal.h"'
	cat <<'C'
static void compare(const char *what, unsigned long long here, unsigned long long told)
{
	if (here != told)
		printf("%s: in the headers %llu (%#llx), on the page %llu (%#llx)\n",
		       what, here, here, told, told);
}

int main(void)
{
C
	awk '$1 == "struct" {
		     s = $2
		     printf "compare(\"sizeof %s\", sizeof(struct %s), %s);\n", s, s, $3
		     printf "compare(\"alignof %s\", _Alignof(struct %s), %s);\n",
			     s, s, $4
	     }
	     $1 == "field" {
		     printf "compare(\"%s.%s\", offsetof(struct %s, %s), %s);\n",
			     s, $2, s, $2, $3
		     printf "compare(\"bytes of %s.%s\", ", s, $2
		     printf "sizeof(((struct %s *)0)->%s), %s);\n", s, $2, $4
	     }
	     $1 == "expression" {
		     text = $0
		     sub(/^expression [^ ]+ /, "", text)
		     printf "compare(\"%s\", (unsigned long long)(%s), %sULL);\n",
			     text, text, $2
	     }' "$EVR_TMP/rows"
	echo 'return 0; }'
} >"$EVR_TMP/layout.c"

name="every number in LAYOUT.md is the compiler's"
if cc -std=gnu17 -w -Iinclude -Ilibevering "$EVR_TMP/layout.c" -o "$EVR_TMP/layout" \
	2>"$EVR_TMP/cc.log"; then
	report "$name" "$("$EVR_TMP/layout" || echo "the program ended badly")"
else
	head -n 20 "$EVR_TMP/cc.log"
	not_ok "$name" "the program made of the page does not compile"
fi

expressions=$(grep -c '^expression' "$EVR_TMP/rows")
fields=$(grep -c '^field' "$EVR_TMP/rows")
if [ "$expressions" -ge 60 ] && [ "$fields" -ge 60 ]; then
	ok "no less is compared than when this was written"
else
	not_ok "no less is compared than when this was written" \
		"$fields fields and $expressions expressions, 60 of each wanted"
fi

report_end
