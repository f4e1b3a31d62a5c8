# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# EveringHeader - reads what a public header says and declares.
package EveringHeader;

use strict;
use warnings;

# A comment as its lines, without stars; what indents them stays, tabs included.
sub comment_lines {
	my ($text) = @_;
	$text =~ s{^\s*/\*\*?[ \t]*\n?}{};
	$text =~ s{[ \t]*\*/\s*$}{};
	my @lines = map { s/^[ \t]*\*(?: |(?=\t)|$)//r } split /\n/, $text;
	pop @lines while @lines && $lines[-1] =~ /^\s*$/;
	return \@lines;
}

# "a() - text", "a(), b() - text", "struct a - text": the names, and the lines from text.
sub head_of {
	my ($lines) = @_;
	my $text = join "\n", @$lines;
	my $name = qr/(?:evr_\w+\(\)|(?:struct|enum) evr_\w+)/;
	return unless $text =~ /^($name(?:,\s+$name)*)\s+-\s+/;
	my @names = split /,\s+/, $1;
	return (\@names, [split /\n/, substr($text, $+[0])]);
}

# The comment that ends right before a place: nothing but white space between.
sub comment_before {
	my ($text, $at) = @_;
	my $before = substr($text, 0, $at);
	return unless $before =~ m{^(/\*(?:(?!\*/).)*\*/)\s*\z}ms;
	return $1;
}

sub signature {
	my ($text) = @_;
	$text =~ s/\bEVRI?_(?:API|INLINE|NODISCARD)\b//g;
	$text =~ s/\s+/ /g;
	$text =~ s/^ //;
	my ($type, $name, $arguments) = $text =~ /^(.*?) ?\b(evr_\w+) ?\((.*)\) ?$/
		or die "cannot read the declaration: $text\n";
	my @arguments = $arguments eq 'void' ? () : split / ?, ?/, $arguments;
	return ($name, $type, \@arguments);
}

# Functions are what is marked at the beginning of a line and is named evr_.
sub functions {
	my ($text) = @_;
	my (@functions, %comment);
	while ($text =~ m{(/\*\*(?:(?!\*/).)*\*/)}gs) {
		my ($names, $lines) = head_of(comment_lines($1)) or next;
		my @names = map { s/\(\)$//r } grep { /\(\)$/ } @$names or next;
		my $comment = { names => \@names, lines => $lines };
		$comment{$_} = $comment for @names;
	}
	my $marked = qr/^EVRI?_(?:API|INLINE)\b/m;
	while ($text =~ /($marked[^;{]*?\bevr_\w+\s*\([^;{]*\)[^;{]*?)\s*[;{]/g) {
		my ($name, $type, $arguments) = signature($1);
		push @functions, {
			name      => $name,
			type      => $type,
			arguments => $arguments,
			comment   => $comment{$name},
		};
		delete $comment{$name};
	}
	return (\@functions, [sort keys %comment]);
}

# Structures and enumerations, without those that lie in shared memory (docs/LAYOUT.md)
# and without the inside of those that say of themselves that they are opaque.
sub types {
	my ($text) = @_;
	my @types;
	my $head = qr/^(?:typedef )?(struct|enum) (?:EVR_CACHE_ALIGNED )?(evr_\w+)/m;
	while ($text =~ /($head(?:;| \{.*?^\}[^;]*;))/gms) {
		my ($body, $kind, $name, $at) = ($1, $2, $3, $-[0]);
		next if $name =~ /_shared$/ || $name =~ /^evr_atomic_/;
		my $comment = comment_before($text, $at);
		my $lines = $comment ? comment_lines($comment) : [];
		my ($names, $rest) = head_of($lines);
		$body = "$kind $name;"
			if join(' ', @$lines) =~ /treat as opaque/i && $body =~ /\{/;
		my @lines = @{ $rest // $lines };
		if ($kind eq 'struct' && !grep { /^\@/ } @lines) {
			# What is told behind each member is a list, as "@member:" is.
			my @told;
			$body =~ s{(\w+)(\[\w+\])?;\K\s*/\*\s*(.*?)\s*\*/$}
				{push @told, "\@$1: $3"; ''}gem;
			my $at = 0;
			$at++ while $at < @lines && $lines[$at] =~ /\S/;
			splice @lines, $at, 0, @told;
		}
		push @types, { name => "$kind $name", body => $body, lines => \@lines };
	}
	return \@types;
}

# Macros with a value, in groups: those that follow one another without a gap, below the
# comment that stands above the first of them.
sub constants {
	my ($text) = @_;
	my (@groups, $group);
	my $comment = '';
	my @lines = split /\n/, $text =~ s/\\\n\s*/ /gr;
	while (defined(my $line = shift @lines)) {
		if ($line =~ m{^\s*/\*}) {
			$comment = "$line\n";
			$comment .= shift(@lines) . "\n"
				while $comment !~ m{\*/} && @lines;
			undef $group;
			next;
		}
		if ($line =~ m{^\#define (EVR_\w+)[ \t]+(\S.*?)\s*(?:/\*\s*(.*?)\s*\*/)?$}
			&& $2 !~ /^__attribute__/) {
			if (!$group) {
				push @groups, $group = {
					lines => $comment ? comment_lines($comment) : [],
					macros => []
				};
			}
			push @{ $group->{macros} }, [$1, $2, $3 // ''];
			$comment = '';
			next;
		}
		undef $group;
		$comment = '' if $line =~ /\S/;
	}
	return \@groups;
}

sub read_header {
	my ($path) = @_;
	my ($name) = $path =~ m{([^/]+)$};
	open(my $in, '<', $path) or die "page.pl: $path: $!\n";
	local $/;
	my $text = <$in>;
	my ($comment) = $text =~ m{(/\*\*\s*\n \* \Q$name\E - .*?\*/)}s
		or die "page.pl: $path: no comment '$name - what it is' on top\n";
	my $lines = comment_lines($comment);
	my $about = join "\n", @$lines;
	$about =~ s/^\Q$name\E - //;
	$about =~ s/^(.*?)(?:\.(?=\s)|\.?\z)[ \n]*//s;
	my $summary = $1 =~ s/\s+/ /gr;
	# More in the same paragraph goes on from the summary, which must stand there too.
	my $goes_on = $about ne '' && join("\n", @$lines) !~ /\n\n\Q$about\E\z/;
	my ($functions, $strangers) = functions($text);
	return {
		name      => $name,
		summary   => $summary,
		goes_on   => $goes_on,
		lines     => [split /\n/, $about],
		functions => $functions,
		strangers => $strangers,
		types     => types($text),
		constants => constants($text),
	};
}

# Parameters that a comment describes and the declaration has not; comments of functions
# that are not declared; functions without a comment.
sub contradictions {
	my ($header) = @_;
	my @found = map { "$header->{name}: $_() is described, not declared" }
		@{ $header->{strangers} };
	for my $function (@{ $header->{functions} }) {
		my $at = "$header->{name}: $function->{name}()";
		my $comment = $function->{comment};
		if (!$comment) {
			push @found, "$at has no comment";
			next;
		}
		next if @{ $comment->{names} } > 1;
		my $arguments = join ' ', @{ $function->{arguments} };
		for (@{ $comment->{lines} }) {
			next unless /^\@(\w+):/;
			push @found, "$at: \@$1 is no parameter"
				unless $arguments =~ /\b$1\b/;
		}
	}
	return @found;
}

1;
