#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What the texts name is there: functions, files, headings, and the ordered accesses of
# the sources.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../lib/lint-files.sh
. "$(dirname "$0")/../lib/lint-files.sh"

mapfile -t texts < <(ls README.md HACKING.md docs/*.md 2>/dev/null)

# quoted TEXT...: what stands in `backticks`, outside of code blocks, as FILE:LINE: WORD
quoted() {
	perl -ne '
		$code = !$code if /^```/;
		if (!$code) { print "$ARGV:$.: $1\n" while /`([^`]+)`/g; }
		close ARGV if eof;' "$@"
}
quoted "${texts[@]}" >"$EVR_TMP/quoted"

name="every function, type and constant of ours that a text names exists"
grep -rhoE '\b(evr|evri|EVR|EVRI)_\w+' include libevering cpp m4 configure.ac \
	tests/lib tests/unit/local.mk | sort -u >"$EVR_TMP/known"
report "$name" "$(
	while IFS= read -r line; do
		for word in $(grep -oE '\b(evr|evri|EVR|EVRI)_\w+' <<<"${line#*: }"); do
			grep -qxF "$word" "$EVR_TMP/known" ||
				echo "${line%%: *}: $word"
		done
	done < <(grep -vE '\b(NAME|evr_x_)' "$EVR_TMP/quoted" | grep -iE '\bevri?_\w')
)"

report "every file that a text names exists" "$(
	while IFS= read -r line; do
		word=${line#*: }
		[[ $word =~ ^[a-zA-Z_.-][a-zA-Z0-9_./*-]+$ ]] || continue
		[[ $word != *NAME* ]] || continue
		case $word in
		include/* | libevering/* | cpp/* | tools/* | examples/* | bench/* | \
			tests/* | docs/*)
			compgen -G "$word" >/dev/null && continue ;;
		*.c | *.h | *.hpp | *.sh)
			found=$(find . -name "$word" -not -path './build*')
			[ -z "$found" ] || continue ;;
		*) continue ;;
		esac
		echo "$line"
	done <"$EVR_TMP/quoted"
)"

# Links, and the heading that a link leads to, as GitHub makes names of headings.
report "every link in a text leads somewhere" "$(
	perl -e '
		sub anchors {
			my ($file) = @_;
			open(my $in, "<", $file) or return;
			my ($code, %names) = (0);
			while (<$in>) {
				$code = !$code if /^```/;
				next unless !$code && /^#+\s+(.*)/;
				my $name = lc $1;
				$name =~ s/[^\w\s-]//g;
				$name =~ s/\s/-/g;
				$names{$name} = 1;
			}
			return \%names;
		}
		for my $file (@ARGV) {
			my ($folder) = $file =~ m{^(.*/)} ? $1 : "";
			open(my $in, "<", $file) or die;
			while (<$in>) {
				my $at = "$file:$.";
				while (/\]\(([^)\s]+)\)/g) {
					my ($path, $anchor) = split /#/, $1, 2;
					next if $path =~ /^\w+:/;
					my $target = $path eq "" ? $file : "$folder$path";
					my $found = -e $target;
					if ($found && defined $anchor) {
						$found = anchors($target)->{$anchor};
					}
					print "$at: $1\n" unless $found;
				}
			}
		}' "${texts[@]}"
)"

grep -rhoE 'SYNC [a-z-]+/[a-z-]+ \(' include/evering libevering --include='*.[ch]' |
	awk '{ print $2 }' | sort -u >"$EVR_TMP/in-the-sources"
grep -oE '^\| `[a-z-]+/[a-z-]+` \|' docs/RECOVERY.md | tr -d '|` ' |
	sort -u >"$EVR_TMP/in-the-table"
report "RECOVERY.md tells every ordered access of the sources, and no other" "$(
	[ -s "$EVR_TMP/in-the-sources" ] || echo "no SYNC comment was found"
	comm -23 "$EVR_TMP/in-the-sources" "$EVR_TMP/in-the-table" | sed 's/$/: not told/'
	comm -13 "$EVR_TMP/in-the-sources" "$EVR_TMP/in-the-table" |
		sed 's/$/: told, not in the sources/'
)"

report_end
