#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# page.pl - makes the manual pages of templates and headers.
#
#	page.pl --source DIR --output DIR --version V --date D TEMPLATE...
#	page.pl --source DIR --check TEMPLATE...
#
# A function is described once, by the comment above its declaration. A template
# (man/NAME.SECTION.in) is mdoc(7), written by hand, and holds what is no function's: when
# to use it all, an example, what to see also. Lines that begin with @ pull in the rest:
#
#	@page HEADER...   the first of them: whose page this is; none for a program's
#	@name [TEXT]      NAME: page and functions, TEXT or the first header's summary
#	@library          what to link with
#	@synopsis         the includes and the declarations
#	@description      the comment on top of each header
#	@types            the structures and enumerations that users see
#	@constants        the macros with a value
#	@functions        a subsection for each function, or group of them
#	@c ... @end       code in C, as it stands; tests/lint/man.sh compiles it
#	@text ... @end    any other text, as it stands
#
# Written are DIR/manN/PAGE.N and for each function DIR/man3/FUNCTION.3, which refers to
# its page. Their names go to standard output, for the makefile to install.
#
# With --check: what a comment says that the declaration does not, a line each.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use EveringHeader;
use EveringMdoc;

my %option = (source => '.', output => '', version => '', date => '', check => 0);
while (@ARGV && $ARGV[0] =~ /^--(\w+)$/) {
	my $name = $1;
	die "page.pl: there is no option --$name\n" unless exists $option{$name};
	shift;
	$option{$name} = $name eq 'check' ? 1 : shift;
}

# Which page is whose: wanted before the first is written, for references.
my (%header, %page_of, %text_of);
for my $template (@ARGV) {
	my ($page, $section) = $template =~ m{([^/]+)\.(\d)\.in$}
		or die "page.pl: $template: not PAGE.SECTION.in\n";
	open(my $in, '<', "$option{source}/$template") or die "page.pl: $template: $!\n";
	local $/;
	my $text = $text_of{$template} = <$in>;
	my ($line) = $text =~ /^\@page[ \t]*(.*)$/m
		or die "page.pl: $template: no line \@page\n";
	for my $name (split ' ', $line) {
		die "page.pl: $template: $name has a page already\n" if $page_of{$name};
		$header{$name} = EveringHeader::read_header(
			"$option{source}/include/evering/$name");
		$page_of{$name} = [$page, $section];
	}
}

if ($option{check}) {
	print map { "$_\n" } map { EveringHeader::contradictions($header{$_}) }
		sort keys %header;
	exit 0;
}

sub write_page {
	my ($name, $text) = @_;
	my ($folder) = "$option{output}/$name" =~ m{(.*)/};
	-d $folder or mkdir $folder or die "page.pl: $folder: $!\n";
	open(my $out, '>', "$option{output}/$name") or die "page.pl: $name: $!\n";
	print $out $text;
	close($out) or die "page.pl: $name: $!\n";
	print "$name\n";
}

for my $template (@ARGV) {
	my ($page, $section) = $template =~ m{([^/]+)\.(\d)\.in$};
	my ($names) = $text_of{$template} =~ /^\@page[ \t]*(.*)$/m;
	my @headers = map { $header{$_} } split ' ', $names;
	my @functions = map { @{ $_->{functions} } } @headers;
	my $mdoc = EveringMdoc->new(
		page    => $page,
		headers => \@headers,
		page_of => \%page_of,
		all     => \%header);

	my $text = qq(.\\" SPDX-License-Identifier: Apache-2.0 OR MIT\n)
		. qq(.\\" Made by man/page.pl of $template\n)
		. ".Dd $option{date}\n.Dt \U$page\E $section\n"
		. ".Os Evering $option{version}\n";
	my $code;
	for my $line (split /\n/, $text_of{$template}) {
		if (defined $code) {
			if ($line eq '@end') {
				$text .= $mdoc->literal($code);
				undef $code;
			} else {
				$code .= "$line\n";
			}
			next;
		}
		next if $line =~ /^\.\\"|^\@page/;
		if ($line =~ /^\@(?:c|text)$/) {
			$code = '';
		} elsif ($line =~ /^\@name(?:\s+(.*))?$/) {
			$text .= $mdoc->make_name($1);
		} elsif ($line =~ /^\@(\w+)$/ && $mdoc->can("make_$1")) {
			$text .= $mdoc->can("make_$1")->($mdoc);
		} elsif ($line =~ /^\@/) {
			die "page.pl: $template: what is '$line'?\n";
		} else {
			$line =~ s/\@VERSION\@/$option{version}/g;
			$text .= "$line\n";
		}
	}
	die "page.pl: $template: no \@end\n" if defined $code;
	write_page("man$section/$page.$section", $text);
	for my $name (map { $_->{name} } @functions) {
		write_page("man3/$name.3", ".so man$section/$page.$section\n");
	}
}
