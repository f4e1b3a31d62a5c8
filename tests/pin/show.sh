#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# evering-pin --show against what the kernel tells in /proc and /sys of this machine, and
# what can be asked of the tool itself.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

cd "$EVR_TMP" || exit 1
cpus=/sys/devices/system/cpu
nodes=/sys/devices/system/node

status=0
"$pin" --show --json >machine 2>err || status=$?
same "--show alone succeeds and complains of nothing" "0 " "$status $(cat err)"

# of FILTER: from the machine's JSON
of() {
	jq -r ".machine | $1" machine
}

same "allowed is this process's affinity" "$allowed_list" "$(of .allowed)"
same "online is the kernel's" "$(cat $cpus/online)" "$(of .online)"
if [ -e $cpus/cpu0/topology/core_cpus_list ]; then
	same "cores have the CPUs that the kernel says are siblings" \
		"$(cat $cpus/cpu*/topology/core_cpus_list | sort -u)" \
		"$(of '.cores[].cpus' | sort -u)"
fi
name="L3s have the CPUs that the kernel says share them"
if [ -e $cpus/cpu0/cache/index3/shared_cpu_list ]; then
	same "$name" "$(cat $cpus/cpu*/cache/index3/shared_cpu_list | sort -u)" \
		"$(of '.l3[].cpus' | sort -u)"
else
	skip "$name" "the kernel tells of no L3" "run it on a machine that has one"
fi
name="nodes are the kernel's, with their CPUs, distances and huge pages"
if [ -d $nodes/node0 ]; then
	for node in $nodes/node[0-9]*; do
		number=${node##*node}
		echo "$number cpus=$(cat "$node/cpulist")"
		for pool in "$node"/hugepages/hugepages-*; do
			size=${pool##*-}
			echo "$number $((${size%kB} * 1024))" \
				"total=$(cat "$pool/nr_hugepages")" \
				"free=$(cat "$pool/free_hugepages")"
		done
	done | sort >wanted
	of '.nodes[] | "\(.node) cpus=\(.cpus)", (.node as $node | .huge_pages[]
		| "\($node) \(.bytes) total=\(.total) free=\(.free)")' | sort >got
	diff -u wanted got || :
	same "$name" "$(cat wanted)" "$(cat got)"
	same "distances are the kernel's" "$(cat $nodes/node[0-9]*/distance)" \
		"$(of '.distances[] | map("\(.)") | join(" ")')"
	same "each node has the memory that the kernel says" \
		"$(sed -n 's/.*MemTotal: *\([0-9]*\) kB/\1/p' \
			$nodes/node[0-9]*/meminfo)" \
		"$(of '.nodes[].memory_bytes / 1024')"
else
	skip "$name" "this kernel has no $nodes" "CONFIG_NUMA"
fi

"$pin" --show >text 2>err
for word in $(of '.packages[] | "package:\(.package)"') \
	$(of '.l3[] | "l3:\(.l3)"') $(of '.nodes[].node' | sed 's/^/node:/'); do
	grep -qw -- "$word" text || echo "$word"
done >missing
same "--show names packages, L3s and nodes as lists take them" "" "$(cat missing)"

# Words mean the CPUs that --show tells.
for level in package l3 node core; do
	key=$level
	array=${level}s
	[ $level != l3 ] || array=l3
	of ".${array}[] | \"\(.$key) \(.cpus)\"" | while read -r number list; do
		[ -n "$list" ] || continue
		got=$("$pin" --dry-run --json -c "$level:$number" | jq -r .cpus)
		numbers "$list" | grep -qxF -f <(numbers "$allowed_list") || continue
		wanted=$(numbers "$list" | grep -xF -f <(numbers "$allowed_list"))
		[ "$(numbers "$got")" = "$wanted" ] ||
			echo "$level:$number is $got, not" $wanted
	done
done >differing
same "each word of a list means the CPUs that --show tells" "" "$(cat differing)"

# ---- the tool itself -----------------------------------------------------------------

for option in --help -h; do
	status=0
	"$pin" $option >help 2>err || status=$?
	same "$option is status 0 and complains of nothing" "0 " "$status $(cat err)"
done
same "--help is under 60 lines of at most 90 columns" "" \
	"$([ "$(wc -l <help)" -lt 60 ] || wc -l <help; expand help | grep -E '.{91}')"
for word in --cpus --strategy --count --pairs --smt --memory --pid --show --dry-run \
	--json --quiet --version close smt spread same-node cross-node bind interleave \
	preferred node package l3 core EVERING_CPUS 125 126 127; do
	grep -qw -e "$word" help || echo "$word"
done >missing
same "--help has every option, strategy, policy, word and exit status" "" "$(cat missing)"
version=$(sed -n 's/^AC_INIT(\[evering\], \[\(.*\)\])/\1/p' "$EVR_TOP/configure.ac")
for option in --version -V; do
	same "$option tells the version of the package" 1 \
		"$("$pin" $option | grep -cwF -- "$version")"
done
status=0
"$pin" --show >/dev/full 2>err || status=$?
same "output that cannot be written is an error" "125 1" \
	"$status $(grep -c '^evering-pin: ' err)"

report_end
