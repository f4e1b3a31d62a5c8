# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Which files the lint scripts look at. Sourced after tests/lib/report.sh.

cd "$EVR_TOP" || exit 1

# What autoreconf and a build in the tree leave among our own files.
made='^\./(build[^/]*|autom4te\.cache|build-aux|\.git|evering-[0-9][^/]*)/'
made+='|^\./(aclocal\.m4|configure~?|config\.(h|log|status|h\.in~?)|Makefile(\.in)?'
made+='|\.git|libtool|stamp-h1|evering(-uninstalled)?\.pc|evering-[0-9].*\.tar\..*)$'
made+='|^\./debian/(\.debhelper|tmp|libevering0|libevering-dev|evering-tools)/'
made+='|^\./man/(man[137]/|manual\.list$)'
made+='|^\./debian/(files|autoreconf\..*|.*-stamp|.*\.(substvars|debhelper))$'
made+='|^\./m4/(libtool|lt.*)\.m4$|/\.(deps|libs)/|/\.dirstamp$|\.(o|lo|la|a|log|trs)$|~$'

# Every file of the project, as ./PATH.
project_files() {
	find . -type f -o -type l | grep -vE "$made" | sort
}

# Those that people write in a language with comments: all but texts, patches and what
# programs print or read.
source_files() {
	project_files | grep -vE '\.(md|patch|xz|zst|gz|xml|symbols)$|/LICENSE-' |
		grep -vE '/expected/|/topologies/|/debian/(changelog|copyright|source/)'
}

c_files() {
	project_files | grep -E '\.(c|h|cpp|hpp)$'
}

public_headers() {
	find include/evering -name '*.h' | sort
}

# Comments and string literals of C taken out of each file named, line numbers kept;
# lines come out as FILE:LINE: text.
without_comments() {
	perl -e '
		for my $file (@ARGV) {
			open(my $in, "<", $file) or die "$file: $!\n";
			local $/;
			my $text = <$in>;
			$text =~ s{(/\*.*?\*/)|(//[^\n]*)|("(?:\\.|[^"\\\n])*")} {
				my $gone = $&;
				$gone =~ s/[^\n]//g;
				$3 ? "\"\"" : $gone;
			}gse;
			my $line = 0;
			print "$file:", ++$line, ": $_\n" for split /\n/, $text, -1;
		}' "$@"
}

# report NAME FINDINGS: ok when there are none; else they are shown.
report() {
	if [ -z "$2" ]; then
		ok "$1"
	else
		printf '%s\n' "$2"
		not_ok "$1" "$(printf '%s\n' "$2" | wc -l) findings, above"
	fi
}
