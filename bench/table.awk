# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Reads wanted.txt, then the measurements (evr-bench --json); prints for each case that
# something is wanted of: the floors, the peers, ours, what is wanted, and whether it is
# met. Far rows stand apart: figures of different regimes say nothing about each other.

# The text after "KEY": in a line of JSON, without quotes; "" if there is none.
function field(key,    at, rest) {
	at = index($0, "\"" key "\":")
	if (!at)
		return ""
	rest = substr($0, at + length(key) + 3)
	if (substr(rest, 1, 1) == "\"") {
		rest = substr(rest, 2)
		return substr(rest, 1, index(rest, "\"") - 1)
	}
	match(rest, /^[^,}]*/)
	return substr(rest, 1, RLENGTH)
}

function kind(subject) {
	return subject ~ /^evering/ ? "ours" : subject ~ /^floor:/ ? "floor" : "peer"
}

function number_text(value) {
	return sprintf(value < 100 ? "%.2f" : "%.0f", value)
}

# One subject's figures, as they stand in a table.
function cell(regime, name, subject,    key, text) {
	key = regime SUBSEP name SUBSEP subject
	if (key in median) {
		text = number_text(median[key])
		if (unit[name] == "M/s")
			text = text " M/s, fair " fairness[key]
	}
	if ((name, subject) in hung)
		text = text (text ? ", " : "") "hung " hung[name, subject]
	return text == "" ? "" : text sides[name, subject]
}

function print_kind(regime, name, which,    i, subject, text) {
	for (i = 1; i <= subjects_count[name]; i++) {
		subject = subjects[name, i]
		if (kind(subject) != which)
			continue
		text = cell(regime, name, subject)
		if (text == "")
			continue
		printf "%-12s%-8s%-26s%s\n", "", which, subject, text
	}
}

# The smallest, or for a rate the largest, of all peers that are there.
function best_peer(regime, name,    i, key, best) {
	best = ""
	for (i = 1; i <= subjects_count[name]; i++) {
		key = regime SUBSEP name SUBSEP subjects[name, i]
		if (kind(subjects[name, i]) != "peer" || !(key in median))
			continue
		if (best == "" || (unit[name] == "M/s" ? median[key] > best \
						       : median[key] < best))
			best = median[key]
	}
	return best
}

# What wish @w says in this regime: "met", "short by", "not measured".
function judge(regime, w,    name, key, got, limit, other) {
	name = want_case[w]
	key = regime SUBSEP name SUBSEP want_subject[w]
	if (want_what[w] == "hung")
		got = ((name, want_subject[w]) in hung) \
			? hung[name, want_subject[w]] + 0 : (key in median) ? 0 : ""
	else if (want_what[w] == "fairness")
		got = (key in fairness) ? fairness[key] : ""
	else
		got = (key in median) ? median[key] : ""
	if (got == "")
		return "not measured"
	limit = want_number[w]
	if (want_of[w] != "-") {
		other = want_of[w] == "peers" ? best_peer(regime, name) \
					      : median[regime, name, want_of[w]]
		if (other == "")
			return "not measured beside " want_of[w]
		limit *= other
	}
	got += 0
	if (want_relation[w] == "<=" ? got <= limit \
	    : want_relation[w] == "<" ? got < limit : got >= limit)
		return "met (" number_text(got) ", wanted " want_relation[w] " " \
			number_text(limit) ")"
	return "SHORT BY " number_text(got > limit ? got - limit : limit - got) " (" \
		number_text(got) ", wanted " want_relation[w] " " number_text(limit) ")"
}

function wish(w) {
	return want_what[w] " " want_relation[w] " " want_number[w] \
		(want_of[w] == "-" ? "" : " x " want_of[w])
}

# Whether there is anything to be shown, in this regime.
function seen(regime, name,    i) {
	for (i = 1; i <= subjects_count[name]; i++)
		if ((regime, name, subjects[name, i]) in median)
			return 1
	return 0
}

function count_unmeasured(name,    w) {
	for (w = 1; w <= wants_count; w++)
		if (want_case[w] == name)
			tally["not measured"]++
}

function print_regime(regime,    c, w, name, verdict) {
	printf "\n%s\n\n", title[regime]
	for (c = 1; c <= cases_count; c++) {
		name = cases[c]
		if (!seen(regime, name)) {
			if (regime == "near") {
				printf "%-22snothing measured in this regime\n", name
				count_unmeasured(name)
			}
			continue
		}
		printf "%s, %s\n", name, unit[name]
		print_kind(regime, name, "floor")
		print_kind(regime, name, "peer")
		print_kind(regime, name, "ours")
		for (w = 1; w <= wants_count; w++) {
			if (want_case[w] != name)
				continue
			verdict = judge(regime, w)
			printf "%-12s%-8s%-26s%s: %s\n", "", "wanted", want_subject[w],
				wish(w), verdict
			if (regime == "near")
				tally[verdict ~ /^met/ ? "met" \
					: verdict ~ /^SHORT/ ? "short" : "not measured"]++
		}
	}
}

FILENAME == wanted {
	if (/^#/ || NF == 0)
		next
	if (NF != 6) {
		print "table.awk: " FILENAME ":" FNR ": six words wanted" >"/dev/stderr"
		exit failed = 1
	}
	w = ++wants_count
	want_case[w] = $1; want_subject[w] = $2; want_what[w] = $3
	want_relation[w] = $4; want_number[w] = $5 + 0; want_of[w] = $6
	if (!($1 in known)) {
		known[$1]
		cases[++cases_count] = $1
	}
	next
}

field("skipped") != "" {
	skipped[++skipped_count] = field("case") " " field("subject") ": " \
		field("skipped")
	next
}

{
	name = field("case"); subject = field("subject")
	if (!((name, subject) in listed)) {
		listed[name, subject]
		subjects[name, ++subjects_count[name]] = subject
		if (field("sides") == "threads")
			sides[name, subject] = "  (threads)"
	}
	if (field("hung") != "") {
		hung[name, subject] = field("hung") " of " field("reps")
		next
	}
	regime = field("regime")
	unit[name] = field("unit")
	median[regime, name, subject] = field("median") + 0
	fairness[regime, name, subject] = field("fairness")
	regimes_seen[regime]
}

END {
	if (failed)
		exit 1
	title["near"] = "Near: both CPUs share a cache"
	title["far"] = "Far: they do not"
	print_regime("near")
	if ("far" in regimes_seen)
		print_regime("far")
	if (("mixed" in regimes_seen) || ("disturbed" in regimes_seen))
		print "\nleft out: repetitions in which the regime changed, or others ran"
	for (i = 1; i <= skipped_count; i++)
		print "skipped: " skipped[i]
	printf "\nnear: %d met, %d short, %d not measured\n", tally["met"],
		tally["short"], tally["not measured"]
}
