#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What every plan owes (properties.jq), on every machine of topologies/, with every
# strategy, for counts and pairs from few to more than there are.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

want_command "every plan keeps what its strategy promises" jq jq || report_end

machines=()
for file in "$topologies"/*.{txt,xml}; do
	file=${file##*/}
	machines+=("${file%.*}")
done
sizes=(1 2 3 4 5 9 17 130)
[ "$EVR_QUICK" != 1 ] || sizes=(2 5)

# one MACHINE STRATEGY KIND N SMT: a case as JSON, and what is wrong with a refusal
one() {
	local status=0 smt=() plan=null
	[ "$5" = false ] || smt=(--smt)
	"$pin" --dry-run --json --strategy "$2" "--$3" "$4" "${smt[@]}" >"$EVR_TMP/plan" \
		2>"$EVR_TMP/err" || status=$?
	if [ $status -eq 0 ]; then
		plan=$(<"$EVR_TMP/plan")
		[ ! -s "$EVR_TMP/err" ] || echo "$*: $(<"$EVR_TMP/err")" >&3
	elif [ $status -ne 125 ] || [ -s "$EVR_TMP/plan" ] ||
		! one_error "$EVR_TMP/err"; then
		echo "$*: exit status $status, $(<"$EVR_TMP/err")" >&3
	fi
	printf '{"machine":"%s","strategy":"%s","kind":"%s","n":%d,"smt":%s,' "$@"
	printf '"status":%d,"plan":%s}\n' "$status" "$plan"
}

cases() {
	local machine strategy kind n smt
	for machine in "${machines[@]}"; do
		use_topology "$machine"
		for strategy in close smt spread same-node cross-node; do
			for kind in count pairs; do
				for n in "${sizes[@]}"; do
					one "$machine" $strategy $kind "$n" false
					[ $strategy = smt ] ||
						one "$machine" $strategy $kind "$n" true
				done
			done
		done
	done
}

: >"$EVR_TMP/odd"
(cases) >"$EVR_TMP/cases" 3>"$EVR_TMP/odd"
for machine in "${machines[@]}"; do
	on_topology "$machine" --show --json | jq "{ \"$machine\": .machine }"
done | jq -s add >"$EVR_TMP/machines"
jq -n --slurpfile machines "$EVR_TMP/machines" --slurpfile cases "$EVR_TMP/cases" \
	'{ machines: $machines[0], cases: $cases }' |
	jq -r -f "$tables/properties.jq" >"$EVR_TMP/found" ||
	not_ok "the properties can be worked out" "jq failed, see above"

name="a plan is on standard output alone, a refusal is one line of error and status 125"
if [ -s "$EVR_TMP/odd" ]; then
	head -n 20 "$EVR_TMP/odd"
	not_ok "$name" "$(wc -l <"$EVR_TMP/odd") of $(wc -l <"$EVR_TMP/cases") do not"
else
	ok "$name"
fi

# A property that few plans were held against would prove little.
tested=0
while read -r count property; do
	tested=$((tested + 1))
	grep -F "broken $property"$'\t' "$EVR_TMP/found" >"$EVR_TMP/broken"
	if [ -s "$EVR_TMP/broken" ]; then
		head -n 10 "$EVR_TMP/broken" | cut -f 2-
		broken=$(wc -l <"$EVR_TMP/broken")
		not_ok "$property" "$broken of $count plans break it, see above"
	elif [ "$count" -lt 3 ]; then
		not_ok "$property" "only $count plans were held against it"
	else
		ok "$property ($count plans)"
	fi
done < <(sed -n 's/^tested //p' "$EVR_TMP/found" | sort | uniq -c)

wanted=$(grep -cE '(^|[^a-z])p\("' "$tables/properties.jq")
same "every property was held against plans" "$wanted" "$tested"

report_end
