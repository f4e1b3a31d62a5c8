# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What every plan owes, worked out from the machine as --show --json tells it and not
# from how the tool chooses. Input: {"machines": {NAME: ...}, "cases": [{"machine": NAME,
# "strategy", "kind": "count" or "pairs", "n", "smt", "status", "plan"}]}. Output: lines
# "tested PROPERTY" and "broken PROPERTY<tab>which case and how".

def expand:
	if . == "" then []
	else split(",") | map(split("-") | map(tonumber) | range(.[0]; .[-1] + 1)) end;

# "0,2-5" of sorted numbers
def contract:
	reduce .[] as $n ([];
		if length > 0 and .[-1][1] + 1 == $n then .[-1][1] = $n
		else . + [[$n, $n]] end)
	| map(if .[0] == .[1] then "\(.[0])" else "\(.[0])-\(.[1])" end) | join(",");

# Of a list of objects {KEY: number, "cpus": list}: the number that each CPU has.
def by_cpu(key):
	reduce .[] as $object ({};
		reduce ($object.cpus | expand[]) as $cpu (.;
			.["\($cpu)"] = ($object | key)));

# An index of a machine: what each CPU belongs to, and what may be used.
def index_machine:
	. as $m
	| (.kinds // [] | max_by(.efficiency) | .kind) as $fastest
	| (.cores | by_cpu(.core)) as $core
	| (.cores | by_cpu(.kind)) as $kind
	| (.l3 | by_cpu(.l3)) as $l3
	| (.nodes | by_cpu(.node)) as $node
	| (.packages | by_cpu(.package)) as $package
	| {
		allowed: .allowed,
		has_l3: (.l3 | length > 0),
		distances: .distances,
		of: (.allowed | expand | map({
			key: "\(.)",
			value: { cpu: ., core: $core["\(.)"], l3: $l3["\(.)"],
				node: $node["\(.)"], package: $package["\(.)"],
				near: ($l3["\(.)"] // "node \($node["\(.)"])"),
				fast: ($kind["\(.)"] == $fastest) }
		}) | from_entries)
	}
	| .all = [.of[]]
	| .cores = (.all | unique_by(.core))
	| .one_kind = (.cores | all(.fast))
	| .twins = (.all | group_by(.core) | map(select(length > 1)) | length);

def count_distinct(key): map(key) | unique | length;

# The sizes of the groups that a key makes.
def sizes(key): group_by(key) | map(length);

# How many pairs of two different groups can be made of groups of these sizes?
def mixed_pairs: [((add // 0) / 2 | floor), (add // 0) - (max // 0)] | min;

# How many groups, the largest first, are needed for n?
def needed(n):
	sort | reverse
	| reduce .[] as $size ([0, 0];
		if .[0] >= n then . else [.[0] + $size, .[1] + 1] end)
	| .[1];

# Is there a plan? null where what was agreed leaves it open.
def possible($m; $c):
	(if $c.smt or $c.strategy == "smt" then $m.all else $m.cores end) as $free
	| $c.n as $n
	| if $c.kind == "count" then
		if $c.strategy == "same-node" then ($free | sizes(.node) | max >= $n)
		elif $c.strategy == "smt" then
			($free | length) >= $n and ($n == 1 or $m.twins > 0)
		elif $c.strategy == "cross-node" and ($free | count_distinct(.node)) < 2
		then false
		elif $c.strategy == "cross-node" and $n == 1 then null
		else ($free | length) >= $n end
	elif $c.strategy == "smt" then $m.twins >= $n
	elif $c.strategy == "same-node" then
		if ($m.cores | group_by(.node) | all(sizes(.near) | unique | length == 1))
		then ([$free | sizes(.node)[] / 2 | floor] | add) >= $n
		else null end
	elif $c.strategy == "cross-node" then ($free | sizes(.node) | mixed_pairs) >= $n
	else ([$free | sizes(.near)[] / 2 | floor] | add) >= $n end;

def is($c; $strategy; $kind): $c.strategy == $strategy and $c.kind == $kind;

def pairs:
	[ (map(select(.role == "submitter")) | sort_by(.index)),
	  (map(select(.role == "completer")) | sort_by(.index)) ] | transpose;


def p(name; concerns; holds; how):
	if concerns then { name: name, holds: holds, how: how } else empty end;

def of_status($m; $c):
	p("a plan that is possible is found, one that is not is refused";
		possible($m; $c) != null; possible($m; $c) == ($c.status == 0);
		"exit status \($c.status), possible: \(possible($m; $c))");

# What the plan says of itself
def of_words($m; $c):
	$c.plan as $plan | $plan.roles as $roles
	| ($roles | map(.cpu)) as $cpus
	| (if $c.kind == "pairs" then ["submitter", "completer"] else ["worker"] end)
		as $names
	| p("as many CPUs are chosen as were asked for, numbered from 0"; true;
		[$names[] as $name | range($c.n) | [$name, .]] | sort
			== ($roles | map([.role, .index]) | sort);
		"\($roles | map([.role, .index]) | tostring)"),
	p("no CPU is chosen twice"; true; ($cpus | unique | length) == ($cpus | length);
		"\($cpus)"),
	p("every CPU chosen is allowed"; true; $cpus | all($m.of["\(.)"] != null);
		"\($cpus), allowed \($m.allowed)"),
	p("allowed is what the machine says"; true; $plan.allowed == $m.allowed;
		"\($plan.allowed), not \($m.allowed)"),
	p("core, L3, node and package of each are the machine's"; true;
		$roles | all($m.of["\(.cpu)"] as $it | [.core, .l3, .node, .package]
			== [$it.core, $it.l3, $it.node, $it.package]);
		"\($roles | map([.cpu, .core, .l3, .node, .package]))"),
	p("cpus and nodes are those of the roles"; true;
		$plan.cpus == ($cpus | sort | contract)
			and $plan.nodes == ($roles | map(.node) | unique | contract);
		"cpus \($plan.cpus), nodes \($plan.nodes)"),
	p("the environment is the roles"; true;
		$plan.environment == ([$names[] as $name | $name + ":"
			+ ([$roles[] | select(.role == $name)] | sort_by(.index)
				| map("\(.cpu)") | join(","))] | join(" "));
		$plan.environment),
	p("there is a reason for each role"; true; $roles | all(.reason | length > 10);
		"\($roles | map(.reason))");

# What every strategy owes
def of_cores($m; $c; $it; $pairs; $plain):
	p("siblings are not used unless asked for"; $c.smt or $c.strategy == "smt" | not;
		($it | count_distinct(.core)) == ($it | length); "\($it | map(.cpu))"),
	p("--smt changes nothing as long as there are whole cores"; $plain != null;
		$c.plan.cpus == $plain;
		"\($c.plan.cpus), without --smt \($plain)"),
	p("the fastest kind is used up first"; $c.smt or $c.strategy == "smt" | not;
		([$it[] | select(.fast)] | length)
			== ([($it | length), ([$m.cores[] | select(.fast)] | length)]
				| min);
		"\($it | map([.cpu, .fast]))"),
	p("both of a smt pair are of one core"; is($c; "smt"; "pairs");
		$pairs | all(.[0].core == .[1].core); "\($pairs | map(map(.cpu)))"),
	p("smt fills a core before the next"; is($c; "smt"; "count");
		[$it | group_by(.core)[] | select(length == 1)] | length <=
			$c.n % 2 + ([$m.all | group_by(.core)[] | select(length == 1)]
				| length);
		"\($it | map([.cpu, .core]))");

def of_close($m; $c; $it; $pairs):
	p("both of a close or spread pair share an L3";
		$c.kind == "pairs" and (["close", "spread"] | index($c.strategy));
		$pairs | all(.[0].near == .[1].near);
		"\($pairs | map(map([.cpu, .near])))"),
	p("a close pair is in one node as long as its L3 has such pairs left";
		is($c; "close"; "pairs") and ($c.smt | not)
			and $m.one_kind;
		[$pairs | group_by(.[0].near)[] | .[0][0].near as $near
			| (length - ([$m.cores[] | select(.near == $near)]
				| [sizes(.node)[] / 2 | floor] | add)) as $left_over
			| map(select(.[0].node != .[1].node)) | length
			| . <= ([0, $left_over] | max)] | all;
		"\($pairs | map(map([.cpu, .near, .node])))"),
	p("close workers take as few packages, nodes and L3s as can be";
		is($c; "close"; "count") and ($c.smt | not)
			and $m.one_kind;
		# each level is counted within the fewest of the level above it
		($m.cores | sizes(.package) | needed($c.n)) as $packages
		| ($m.cores | sizes(.node) | needed($c.n)) as $nodes
		| ($m.cores | sizes(.near) | needed($c.n)) as $nears
		| ($it | [count_distinct(.package), count_distinct(.node),
			count_distinct(.near)]) == [$packages, $nodes, $nears];
		"\($it | map([.cpu, .near, .node, .package]))"),
	p("one L3 is filled with close pairs before the next";
		is($c; "close"; "pairs") and ($c.smt | not)
			and $m.one_kind;
		[$it | group_by(.near)[] | .[0].near as $near
			| ([$m.cores[] | select(.near == $near)] | length) - length
			| select(. >= 2)] | length <= 1;
		"\($it | map([.cpu, .near]))");

def of_spread($m; $c; $it; $pairs):
	([$it | length, ($m.cores | count_distinct(.package))] | min) as $packages
	| ([$it | length, ($m.cores | count_distinct(.node))] | min) as $nodes
	| ([$it | length, ($m.cores | count_distinct(.near))] | min) as $nears
	| p("spread workers are in as many packages, nodes and L3s as can be";
		is($c; "spread"; "count") and $m.one_kind;
		($it | [count_distinct(.package), count_distinct(.node),
			count_distinct(.near)]) == [$packages, $nodes, $nears];
		"\($it | map([.cpu, .near, .node, .package]))"),
	p("spread pairs are in as many packages as can be";
		is($c; "spread"; "pairs") and $m.one_kind;
		($pairs | count_distinct(.[0].package))
			== ([$c.n, ($m.cores | group_by(.package) | map(
				select(sizes(.near) | any(. >= 2))) | length)] | min);
		"\($pairs | map(map([.cpu, .package])))");

def of_nodes($m; $c; $it; $pairs):
	p("same-node workers are in one node, over its L3s";
		is($c; "same-node"; "count") and $m.one_kind;
		$it[0].node as $node
		| [$m.cores[] | select(.node == $node)] as $cores
		| ($it | count_distinct(.node)) == 1
			and ($it | count_distinct(.near))
				== ([$c.n, ($cores | count_distinct(.near))] | min);
		"\($it | map([.cpu, .near, .node]))"),
	p("both of a same-node pair are in one node";
		is($c; "same-node"; "pairs");
		$pairs | all(.[0].node == .[1].node);
		"\($pairs | map(map([.cpu, .node])))"),
	p("a same-node pair is in two L3s where all L3s have equally many free cores";
		is($c; "same-node"; "pairs")
			and ($m.cores | group_by(.node)
				| all(sizes(.near)
					| length > 1 and (unique | length == 1)));
		$pairs | all(.[0].near != .[1].near);
		"\($pairs | map(map([.cpu, .near])))"),
	p("cross-node workers are in as many nodes as can be";
		is($c; "cross-node"; "count") and $m.one_kind;
		($it | count_distinct(.node))
			== ([$c.n, ($m.cores | count_distinct(.node))] | min);
		"\($it | map([.cpu, .node]))"),
	p("both of a cross-node pair are in different nodes";
		is($c; "cross-node"; "pairs");
		$pairs | all(.[0].node != .[1].node);
		"\($pairs | map(map([.cpu, .node])))"),
	p("the completer of the first cross-node pair is in the nearest other node";
		is($c; "cross-node"; "pairs")
			and ($m.distances | length > 0);
		$pairs[0] as [$from, $to]
		| $m.distances[$from.node] as $row
		| $row[$to.node]
			== ([$m.all[] | select(.node != $from.node) | $row[.node]] | min);
		"\($pairs[0] | map([.cpu, .node]))");

. as { $machines, $cases }
| ($machines | map_values(index_machine)) as $index
| ($cases | map(select(.status == 0 and (.smt | not))
	| { key: "\([.machine, .strategy, .kind, .n])", value: .plan.cpus })
	| from_entries) as $plain
| $cases[] | . as $c | $index[.machine] as $m
| (of_status($m; $c),
	if .status == 0 then
		[.plan.roles[] | $m.of["\(.cpu)"] // {}] as $it
		| ($c.plan.roles | pairs | map(map($m.of["\(.cpu)"] // {}))) as $pairs
		| (if .smt then $plain["\([.machine, .strategy, .kind, .n])"]
			else null end) as $same
		| of_words($m; $c), of_cores($m; $c; $it; $pairs; $same),
			of_close($m; $c; $it; $pairs), of_spread($m; $c; $it; $pairs),
			of_nodes($m; $c; $it; $pairs)
	else empty end)
| "tested \(.name)",
	if .holds then empty
	else "broken \(.name)\t\($c.machine), \($c.strategy), \($c.n) \($c.kind)"
		+ (if $c.smt then ", --smt" else "" end) + ": " + .how end
