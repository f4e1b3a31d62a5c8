# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# EveringMdoc - comments and declarations of headers, as mdoc(7).
package EveringMdoc;

use strict;
use warnings;

sub new {
	my ($class, %self) = @_;
	my $self = bless { %self }, $class;
	$self->{functions} = [map { @{ $_->{functions} } } @{ $self->{headers} }];
	$self->{here} = { map { $_->{name} => 1 } @{ $self->{functions} } };
	my @all = map { @{ $_->{functions} } } values %{ $self->{all} };
	$self->{known} = { map { $_->{name} => 1 } @all };
	return $self;
}

# ---- letters and words ----------------------------------------------------------------

# What stays as it stands on every device, for code.
sub exact {
	my ($text) = @_;
	$text =~ s/\\/\\e/g;
	$text =~ s/-/\\-/g;
	$text =~ s/'/\\(aq/g;
	$text =~ s/`/\\(ga/g;
	$text =~ s/\^/\\(ha/g;
	$text =~ s/~/\\(ti/g;
	$text =~ s/^([.])/\\&$1/gm;
	return $text;
}

# A word of running text.
sub plain {
	my ($text) = @_;
	$text =~ s/\\/\\e/g;
	$text =~ s/\^/\\(ha/g;
	$text =~ s/~/\\(ti/g;
	$text =~ s/--(?=\w)/\\-\\-/g;
	$text =~ s/->/\\->/g;
	$text =~ s/\b(?=evr_|evr-|evering-)/\\%/g;
	$text =~ s/(?<![\w\-])-(?=[\dE])/\\-/g;
	return $text;
}

# The macro for a word that is more than a word, or nothing.
sub macro {
	my ($self, $word) = @_;
	return "Fa $1" if $word =~ /^\@(\w+)$/;
	return "Em $1" if $word =~ /^\*([\w-]+)\*$/;
	return "Va " . exact($1) if $word =~ /^`([^`]+)`$/;
	return "Vt $1 $2" if $word =~ /^(struct|enum)\0(evr_\w+)$/;
	return "Er \\-$1" if $word =~ /^-(E[A-Z0-9]+)$/;
	return "Ev $word" if $word =~ /^EVERING_[A-Z_]+$/;
	return "Dv $word" if $word =~ /^(?:NULL|[A-Z][A-Z0-9]*_[A-Z0-9_]+)$/;
	return "Xr $1 $2" if $word =~ /^([a-z][\w-]+)\((\d)\)$/;
	if ($word =~ /^(\w+)\(\)$/) {
		return "Xr $1 3" if $self->{known}{$1} && !$self->{here}{$1};
		return "Fn $1";
	}
	if ($word =~ /^\w+\.h$/ && (my $of = $self->{page_of}{$word})) {
		return $of->[0] eq $self->{page} ? "In evering/$word" : "Xr @$of";
	}
	return "Pa $word"
		if $word =~ m{^(?:docs|tests|examples|bench)/\S*$|^/(?:proc|sys)\b\S*$};
	return;
}

# Running text as lines of mdoc: one sentence or piece of it a line, macros on their own.
sub flow {
	my ($self, $text) = @_;
	$text =~ s/\s+/ /g;
	$text =~ s/^ | $//g;
	$text =~ s/\b(struct|enum) (?=evr_\w)/$1\0/g;
	my ($out, $line) = ('', '');
	my $end_line = sub {
		return if $line eq '';
		$line =~ s/^(?=[.'])/\\&/;
		$out .= "$line\n";
		$line = '';
	};
	my @words = split / /, $text;
	for my $i (0 .. $#words) {
		my ($before, $core, $own, $after) =
			$words[$i] =~ /^(["(]*)(.*?)('s|s')?([.,;:!?")]*)$/;
		# The () of a function and the (1) of a page belong to its name.
		if ($after =~ /^\)/ && $core =~ /^[\w-]+\(\d?$/) {
			$core .= ')';
			$after = substr($after, 1);
			($own, $after) = ($1, $2) if $after =~ /^('s)(.*)$/;
		}
		my $macro = $self->macro($core);
		if ($macro) {
			$end_line->();
			my $marks = join '', map { $_ eq '"' ? ' Ns \(dq' : " $_" }
				split //, $after;
			my $marks_before = $before =~ s/"/\\(dq/gr;
			$marks_before = "No \\&$marks_before Ns " if $before ne '';
			$own = defined $own ? " Ns $own" : '';
			$out .= ".$marks_before$macro$own$marks\n";
			next;
		}
		my $word = plain($words[$i] =~ s/\0/ /gr);
		$end_line->() if length($line) + length($word) > 76;
		$line .= ($line eq '' ? '' : ' ') . $word;
		$end_line->()
			if $i < $#words && $word =~ /[.?!]["')]*$/
			&& $words[$i + 1] =~ /^["(]?[A-Z0-9\@*`_]/;
	}
	$end_line->();
	return $out;
}

sub literal {
	my ($self, $code) = @_;
	my @lines = split /\n/, $code;
	my $longest = 0;
	for (@lines) {
		1 while s/^((?:    )*)\t/$1    /;
		1 while s/^(.*?)\t/$1 . ' ' x (8 - length($1) % 8)/e;
		$longest = length if length > $longest;
	}
	my $indent = $longest > 67 ? '' : ' -offset indent';
	return ".Bd -literal$indent\n" . exact(join("\n", @lines)) . "\n.Ed\n";
}

# ---- comments -------------------------------------------------------------------------

my $label = qr/(?:Ordering|Threads|Signals|Stopped|Killed|Cost|After\s+fork)
	(?:,\ \w+|\ or\ killed|\ inside)*/x;

# "Threads: ...", "Signals: ..." among sentences: [label or '', text] each.
sub labelled {
	my ($text) = @_;
	my @parts = split /(?:^|(?<=\n)|(?<=\.\s))($label):\s+/, $text;
	my @found;
	my $first = shift @parts;
	push @found, ['', $first] if defined $first && $first =~ /\S/;
	push @found, [splice(@parts, 0, 2)] while @parts;
	return @found;
}

# Return: what follows, errors in lines of their own as a list.
sub returned {
	my ($self, $text) = @_;
	my @lines = split /\n/, $text;
	my ($out, $sentence, @items, $tail) = ('', '');
	for (@lines) {
		if (/^(-E\w+(?:, -E\w+)*) (\s*)(\S.*)/ && ($2 ne '' || @items)) {
			push @items, [$1, $3];
		} elsif (@items && /^\s/ && !defined $tail) {
			$items[-1][1] .= " $_";
		} elsif (@items) {
			$tail = ($tail // '') . " $_";
		} else {
			$sentence .= " $_";
		}
	}
	$out .= ".Pp\n.Em Return :\n" . $self->flow($sentence);
	if (@items) {
		my $wide = (sort { $b <=> $a } map { length $_->[0] } @items)[0];
		$wide = 16 if $wide > 16;
		$out .= ".Bl -tag -width " . 'x' x $wide . " -offset indent -compact\n";
		for (@items) {
			my $names = join ' , ', map { s/^-/\\-/r } split /, /, $_->[0];
			$out .= ".It Er $names\n" . $self->flow($_->[1]);
		}
		$out .= ".El\n";
	}
	$out .= $self->flow($tail) if defined $tail;
	return $out;
}

# Labels are set apart from other lists by the letter that measures their width.
sub label_width {
	my ($items) = @_;
	my $wide = (sort { $b <=> $a } map { length } $items =~ /^\.It (.*)$/gm)[0];
	return 'l' x ($wide > 15 ? 15 : $wide);
}

sub tags {
	my ($self, $macro, @items) = @_;
	return '' unless @items;
	my $wide = (sort { $b <=> $a } map { length $_->[0] } @items)[0];
	$wide = 28 if $wide > 28;
	my $letter = $macro eq '' ? 'l' : 'x';
	my $out = ".Pp\n.Bl -tag -width " . $letter x $wide . " -compact\n";
	$out .= ".It $macro$_->[0]\n" . $self->flow($_->[1]) for @items;
	return "$out.El\n";
}

# A paragraph of a function's comment.
sub paragraph {
	my ($self, $text, $opening) = @_;
	my $out = '';
	my ($before, $return) = split /(?:^|(?<=\s))Return:\s+/, $text, 2;
	my @pending;
	for (labelled($before // '')) {
		if ($_->[0] ne '') {
			push @pending, [$_->[0] =~ s/\s+/ /gr . ":", $_->[1]];
		} else {
			$out .= ($opening ? '' : ".Pp\n") . $self->flow($_->[1]);
		}
	}
	$out .= $self->tags('', @pending);
	$out .= $self->returned($return) if defined $return;
	return $out;
}

# The lines of a comment: paragraphs, lists, code.
sub body {
	my ($self, $lines, $opening) = @_;
	my @lines = @$lines;
	my $out = '';
	while (@lines) {
		if ($lines[0] =~ /^\s*$/) {
			shift @lines;
		} elsif ($lines[0] =~ /^\t/) {
			my $code = '';
			while (@lines && $lines[0] =~ /^\t|^\s*$/) {
				$code .= (shift(@lines) =~ s/^\t|\@(?=[a-z])//gr) . "\n";
			}
			$out .= $self->literal($code =~ s/\n+$/\n/r);
		} elsif ($lines[0] =~ /^ *(-|\d+\.) /) {
			my $mark = $1 eq '-' ? 'dash' : 'enum';
			my @items;
			while (@lines && $lines[0] =~ /^ /) {
				my $line = shift @lines;
				if ($line =~ s/^ *(?:-|\d+\.) //) {
					push @items, $line;
				} else {
					$items[-1] .= " $line";
				}
			}
			$out .= ".Bl -$mark -compact\n";
			$out .= ".It\n" . $self->flow($_) for @items;
			$out .= ".El\n";
		} else {
			my $text = shift(@lines) . "\n";
			$text .= shift(@lines) . "\n"
				while @lines && $lines[0] !~ /^\s*$|^\t|^ *(?:-|\d+\.) /;
			$out .= $self->paragraph($text, $opening && $out eq '');
		}
	}
	# Lists of labels that follow one another are one list.
	$out =~ s/\n\.El\n\.Pp\n\.Bl -tag -width l+ -compact\n\.It /\n.It /g;
	$out =~ s/^\.Bl -tag -width \Kl+(?= -compact\n(.*?)^\.El$)/label_width($1)/gmse;
	return $out;
}

# What stands behind "name() - ": a sentence or more; code, if any is given; parameters or
# members; the rest.
sub described {
	my ($self, $lines, $code) = @_;
	my @lines = @$lines;
	my (@head, @members);
	push @head, shift @lines while @lines && $lines[0] !~ /^\s*$|^\@/;
	while (@lines && $lines[0] =~ /^\@(\w+):\s+(.*)/) {
		push @members, [$1, $2];
		shift @lines;
		$members[-1][1] .= ' ' . shift @lines
			while @lines && $lines[0] =~ /^\s+\S/;
	}
	@head = map { "$_\n" } @head;
	my $head = join '', @head;
	$head = ucfirst $head unless $head =~ /^(?:evr_|struct |enum )/;
	# A summary is no sentence; here it stands among sentences.
	$head =~ s/([^.?!:\s])(\s*)$/$1.$2/;
	my $out = $self->paragraph($head, 1);
	$out .= $self->literal($code) if defined $code;
	$out .= $self->tags('Fa ', @members);
	return $out . $self->body(\@lines, 0);
}

# ---- what a template asks for ---------------------------------------------------------

sub make_name {
	my ($self, $text) = @_;
	my @names = ($self->{page}, map { $_->{name} } @{ $self->{functions} });
	my $last = pop @names;
	$text //= $self->{headers}[0]{summary};
	return ".Sh NAME\n" . join('', map { ".Nm $_ ,\n" } @names) . ".Nm $last\n"
		. ".Nd " . plain($text) . "\n";
}

sub make_library {
	return ".Sh LIBRARY\nEvering (libevering, \\-levering);\n"
		. ".Xr evering 7\nsays how to compile.\n";
}

sub make_synopsis {
	my ($self) = @_;
	my $out = ".Sh SYNOPSIS\n";
	$out .= ".In evering/$_->{name}\n" for @{ $self->{headers} };
	for my $function (@{ $self->{functions} }) {
		my @arguments = @{ $function->{arguments} };
		@arguments = ('void') unless @arguments;
		$out .= ".Ft \"$function->{type}\"\n.Fo $function->{name}\n";
		$out .= ".Fa \"$_\"\n" for @arguments;
		$out .= ".Fc\n";
	}
	return $out;
}

sub make_description {
	my ($self) = @_;
	my $out = '';
	for (@{ $self->{headers} }) {
		my @lines = @{ $_->{lines} };
		my $summary = ucfirst "$_->{summary}.";
		if ($_ != $self->{headers}[0]) {
			$out .= ".Ss $_->{name}\n";
			unshift @lines, $summary, $_->{goes_on} ? () : '';
		} elsif ($_->{goes_on}) {
			unshift @lines, $summary;
		}
		$out .= $self->body(\@lines, 1);
	}
	return $out;
}

sub make_types {
	my ($self) = @_;
	my $out = '';
	for my $type (map { @{ $_->{types} } } @{ $self->{headers} }) {
		my $body = $type->{body} =~ /\{/ ? $type->{body} : undef;
		next unless $body || @{ $type->{lines} };
		$out .= ".Ss $type->{name}\n" . $self->described($type->{lines}, $body);
	}
	return $out;
}

sub make_constants {
	my ($self) = @_;
	my @groups = map { @{ $_->{constants} } } @{ $self->{headers} };
	return '' unless @groups;
	my $out = ".Ss Constants\n";
	my $first = 1;
	for (@groups) {
		my $about = join "\n", @{ $_->{lines} };
		$out .= ".Pp\n" if $about ne '' && !$first;
		$out .= $self->flow($about) if $about ne '';
		my $list = $self->tags('Dv ', map {
			my $note = $_->[2] eq '' ? '' : ", $_->[2]";
			[$_->[0], $_->[1] =~ s/^UINT\d+_C\((\w+)\)$/$1/r . $note]
		} @{ $_->{macros} });
		$list =~ s/^\.Pp\n// if $first && $about eq '';
		$out .= $list;
		$first = 0;
	}
	return $out;
}

sub make_functions {
	my ($self) = @_;
	my ($out, %done) = ('');
	for my $function (@{ $self->{functions} }) {
		my $comment = $function->{comment} or next;
		next if $done{ $comment->{names}[0] }++;
		my $names = join ', ', map { "$_()" } @{ $comment->{names} };
		$out .= ".Ss $names\n" . $self->described($comment->{lines});
	}
	return $out;
}

1;
