#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# evering-pin on the machine of machine.sh, whose nodes, CPUs and distances are known:
# what it shows of it, where it puts threads, and where the memory of what it starts lies.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=../pin/common.bash
. "$(dirname "$0")/../pin/common.bash"

cd "$EVR_TMP" || exit 1
trap 'kill -9 "$started" 2>/dev/null; rm -rf "$EVR_TMP"' EXIT
started=

# ---- the machine ---------------------------------------------------------------------

"$pin" --show --json >machine
# of FILTER: from the machine's JSON
of() {
	jq -r ".machine | $1" machine
}
same "--show tells three nodes, one of them without CPUs" \
	$'0 0-1\n1 2-3\n2 ' "$(of '.nodes[] | "\(.node) \(.cpus)"')"
same "--show tells how far from one another the nodes are" \
	$'10 21 17\n21 10 28\n17 28 10' "$(of '.distances[] | map("\(.)") | join(" ")')"
same "--show tells the huge pages of each node" \
	$'0 16/16\n1 16/16\n2 16/16' "$(of '.nodes[] | .node as $node | .huge_pages[]
		| select(.bytes == 2097152) | "\($node) \(.free)/\(.total)"')"
same "--show tells the two packages and their CPUs" \
	$'0 0-1\n1 2-3' "$(of '.packages[] | "\(.package) \(.cpus)"')"
"$pin" --show >text
same "--show in words names the node of memory only" 1 "$(grep -c '^node:2 ' text)"

# ---- CPUs ----------------------------------------------------------------------------

same "node:1 is the CPUs of that node" "main cpus=2-3" \
	"$("$pin" -q -c node:1 -- "$witness" tree | sed -n '/^main/s/ policy.*//p')"
refused "the CPUs of a node that has none are an error" "node:2|node 2" \
	"$pin" -c node:2 -- true

# plan ARGUMENT...: the nodes of the CPUs chosen
plan() {
	"$pin" --dry-run --json "$@" | jq -r '.roles[].cpu' | while read -r cpu; do
		echo $((cpu / 2))
	done | sort | paste -sd ' '
}
same "pairs on the same node do not cross" "0 0" "$(plan --strategy same-node -p 1)"
same "a pair across nodes crosses" "0 1" "$(plan --strategy cross-node -p 1)"
same "two workers, spread, are in two nodes" "0 1" "$(plan --strategy spread -n 2)"

# ---- memory, as the kernel tells it --------------------------------------------------

# pages POLICY: of 8 MiB touched under the policy, how many 4 KiB pages lie in which node
pages() {
	"$pin" -q -c 0 -m "$1" -- "$witness" memory 8 | sed -n 's/^node //p' |
		paste -sd ' '
}
for node in 0 1 2; do
	same "--memory bind=node:$node puts all pages into node $node" \
		"$node pages=2048" "$(pages "bind=node:$node")"
	same "--memory preferred=$node puts pages into node $node while it has room" \
		"$node pages=2048" "$(pages "preferred=$node")"
done
same "--memory interleave=0-2 puts a third of the pages into each node" \
	$'0\n1\n2' "$(pages interleave=0-2 | tr ' ' '\n' | awk -F= '
		!/=/ { node = $0; next } $2 >= 682 && $2 <= 683 { print node }')"
same "without --memory pages lie in the node of the CPU" "1 pages=2048" \
	"$("$pin" -q -c 3 -- "$witness" memory 8 | sed -n 's/^node //p')"

# numa_maps WHAT: of the started witness's 8 MiB
numa_maps() {
	local map
	map=$(sed -n 's/^map //p' witness.out)
	grep "^0*$map " "/proc/$started/numa_maps" | grep -oE "$1" | paste -sd ' '
}
"$pin" -q -c 0-1 -m bind=node:2 -- "$witness" memory 8 stay >witness.out 2>&1 &
started=$!
disown $started
until_true 10 grep -q '^ready$' witness.out
same "numa_maps of what evering-pin started tells policy, node and pages" \
	"bind:2 N2=2048" "$(numa_maps 'bind:[0-9,-]+|N[0-9]=[0-9]+')"
status=0
"$pin" -q --pid "$started" -m bind=1 2>err || status=$?
same "--pid --memory bind=1 moves the pages of a running process there" "0 N1=2048 " \
	"$status $(numa_maps 'N[0-9]=[0-9]+') $(cat err)"

report_end
