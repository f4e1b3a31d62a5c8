#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# evering-pin COMMAND on this machine: what COMMAND, its threads and its descendants got,
# as the kernel tells it, and that nothing else about COMMAND is changed.
# shellcheck disable=SC2154 # what common.bash sets
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=common.bash
. "$(dirname "$0")/common.bash"

cd "$EVR_TMP" || exit 1
first=${allowed[0]} second=${allowed[1]:-none}
node=$(numbers "$(status_line Mems_allowed_list)" | head -n 1)

# run ARGUMENT...: standard output in out, standard error in err
run() {
	local status=0
	timeout 30 "$pin" "$@" >out 2>err </dev/null || status=$?
	return $status
}

# ---- CPUs ----------------------------------------------------------------------------

everyone="main thread-0 thread-1 child grandchild grandchild's-thread"

# all_have NAME WHAT ARGUMENT...: everyone of the tree says WHAT
all_have() {
	local name=$1 what=$2
	shift 2
	run "$@" -- "$witness" tree
	same "$name" "$(printf "%s $what\n" $everyone)" "$(cat out)"
}

all_have "threads, child, grandchild and its thread run on the CPU asked for" \
	"cpus=$first policy=default nodes=" -q -c "$first"
all_have "-c all is every CPU that this process may use" \
	"cpus=$allowed_list policy=default nodes=" -q -c all
run --dry-run --json -n 1
all_have "a plan of one worker is the affinity of all descendants" \
	"cpus=$(jq -r .cpus out) policy=default nodes=" -q -n 1
name="CPUs inherited from taskset bound what 'all' means"
if want_cpus "$name" 2; then
	timeout 30 taskset -c "$second" "$pin" -q -c all "$witness" tree >out 2>err
	same "$name" "$(printf "%s cpus=$second policy=default nodes=\n" $everyone)" \
		"$(cat out)"
fi

# ---- roles ---------------------------------------------------------------------------

run -q -c "$first" -- sh -c 'echo "$EVERING_CPUS"'
same "plain --cpus makes workers" "worker:$first" "$(cat out)"
EVERING_CPUS="submitter:77" run -q -c "$first" -- sh -c 'echo "$EVERING_CPUS"'
same "an inherited EVERING_CPUS is replaced" "worker:$first" "$(cat out)"

name="evr_cpu_pin_role() puts each thread of a pair on its CPU"
if want_cpus "$name" 2; then
	run --dry-run --json --pairs 1 --smt
	submitter=$(jq -r '.roles[] | select(.role == "submitter").cpu' out)
	completer=$(jq -r '.roles[] | select(.role == "completer").cpu' out)
	run -q --pairs 1 --smt -- "$witness" role submitter 0 completer 0 completer 1 \
		worker 0
	same "$name" "submitter 0 cpu=$submitter cpus=$submitter
completer 0 cpu=$completer cpus=$completer
completer 1 error=ERANGE
worker 0 error=ENOENT" "$(cat out)"
fi
name="evr_cpu_pin_role() honours the order of the workers"
if want_cpus "$name" 2; then
	run -q -c "$first,$second" -- "$witness" role worker 1 worker 0 worker 2
	same "$name" "worker 1 cpu=$second cpus=$second
worker 0 cpu=$first cpus=$first
worker 2 error=ERANGE" "$(cat out)"
fi
"$witness" role worker 0 >out
same "without evering-pin there is no role" "worker 0 error=ENOENT" "$(cat out)"

# ---- memory --------------------------------------------------------------------------

for policy in bind interleave preferred; do
	all_have "--memory $policy=LIST is the policy of all descendants" \
		"cpus=$allowed_list policy=$policy nodes=$node" -q -m "$policy=$node"
done
run --dry-run --json -c "$first"
near=$(jq -r .nodes out)
all_have "--memory without a list takes the nodes of the CPUs" \
	"cpus=$first policy=bind nodes=$near" -q -c "$first" -m bind
run -q -m "interleave=$node" -- "$pin" -q -c "$first" -- "$witness" tree
same "without --memory an inherited policy stays" \
	"$(printf "%s cpus=$first policy=interleave nodes=$node\n" $everyone)" \
	"$(cat out)"

run -q -m "bind=$node" -- "$witness" memory 4
same "the pages that COMMAND touches lie in the node it is bound to" \
	"node $node pages=$((4 * 1024 * 1024 / $(getconf PAGESIZE)))" "$(grep ^node out)"
name="every mapping in numa_maps of COMMAND has the policy"
if [ -r /proc/self/numa_maps ]; then
	run -q -m "bind=$node" -- cat /proc/self/numa_maps
	same "$name" "bind:$node" "$(cut -d ' ' -f 2 out | sort -u)"
else
	skip "$name" "this kernel has no /proc/self/numa_maps" "CONFIG_NUMA"
fi

# ---- COMMAND is as if started without ------------------------------------------------

"$pin" -q -c "$first" -- sh -c 'echo $$' >out 2>err &
pid=$!
wait $pid
same "COMMAND has the process id of evering-pin" "$pid" "$(cat out)"

# status_of NAME WANTED COMMAND...
status_of() {
	local name=$1 wanted=$2 status=0
	shift 2
	run -q -c "$first" -- "$@" || status=$?
	same "$name" "$wanted" "$status"
}
status_of "the exit status is that of COMMAND" 42 sh -c 'exit 42'
status_of "125 can be the exit status of COMMAND" 125 sh -c 'exit 125'
: >plain
mkdir -p directory
status_of "an empty COMMAND is 127" 127 ""
status_of "COMMAND not found is 127" 127 ./nothing-here
same "a COMMAND not found is named" 1 "$(grep -c "^evering-pin: .*nothing-here" err)"
status_of "a word that no directory of PATH has is 127" 127 no-such-command-anywhere
status_of "a COMMAND that may not be executed is 126" 126 ./plain
same "a COMMAND that cannot be run is named" 1 "$(grep -c "^evering-pin: .*plain" err)"
status_of "a directory as COMMAND is 126" 126 ./directory

"$pin" -q -c "$first" -- sleep 30 >out 2>err &
pid=$!
until_true 10 grep -q '^sleep$' /proc/$pid/comm
kill -USR1 $pid
status=0
wait $pid 2>/dev/null || status=$?
same "a signal reaches COMMAND and ends it as it would alone" \
	$((128 + $(kill -l USR1))) $status

for options in "-q -c $first" "-qc $first" "-qc$first" "--quiet --cpus=$first" \
	"--cpus $first --quiet --"; do
	# shellcheck disable=SC2086 # words
	run $options sh -c 'echo "$EVERING_CPUS"'
	echo "$options: $(cat out err)"
done >forms
same "an option's value may follow it in every usual way" "" \
	"$(grep -v ": worker:$first$" forms)"
run -q -c "$first" printf '%s\n' --count -q --pairs
same "options after COMMAND are its own" "$(printf '%s\n' --count -q --pairs)" \
	"$(cat out)"
run -q -c "$first" -- printf '%s\n' --
same "what follows the first -- is not looked at" "--" "$(cat out)"
run -q -c "$first" -- printf '<%s>' "" "two words" '*' $'a\nb'
same "arguments reach COMMAND as they are" "<><two words><*><a
b>" "$(cat out)"
echo "from standard input" | "$pin" -q -c "$first" cat >out
same "standard input is left to COMMAND" "from standard input" "$(cat out)"

states='^(SigBlk|SigIgn|SigCgt|NoNewPrivs|CapEff|Seccomp):'
sh -c "trap '' USR2; exec grep -E '$states' /proc/self/status" >alone
sh -c "trap '' USR2; exec '$pin' -q -c $first grep -E '$states' /proc/self/status" >out
same "signal masks and privileges are those without" "$(cat alone)" "$(cat out)"
ls -l /proc/self/fd | sed 's/.* \([0-9]* ->\)/\1/; s/[0-9]*\]//; s/fd$//' |
	grep -v "/proc/" >alone
"$pin" -q -c "$first" ls -l /proc/self/fd |
	sed 's/.* \([0-9]* ->\)/\1/; s/[0-9]*\]//; s/fd$//' | grep -v "/proc/" >out
same "no descriptor of evering-pin is left open in COMMAND" "$(cut -d ' ' -f 1 alone)" \
	"$(cut -d ' ' -f 1 out)"
env -i A=1 "$(command -v env)" | sort >alone
env -i A=1 "$pin" -q -c "$first" "$(command -v env)" | sort >out
same "the environment has EVERING_CPUS more and nothing else" \
	"$(cat alone; echo "EVERING_CPUS=worker:$first")" "$(cat out)"

# ---- what is printed -----------------------------------------------------------------

run -q -c "$first" -- true
same "--quiet prints nothing" "" "$(cat out err)"
run -c "$first" -- echo "only this"
same "standard output is COMMAND's alone" "only this" "$(cat out)"
same "what was got is on standard error" 1 \
	"$(grep -cE "^evering-pin: got CPUs? $first, node $near\b" err)"
same "each line on standard error says whose it is" "" "$(grep -v '^evering-pin: ' err)"

run --json -c "$first" -m bind -- echo "only this"
same "with --json standard output is still COMMAND's" "only this" "$(cat out)"
same "--json says on standard error what was asked and got" \
	"$first $first bind $near $near" "$(jq -r '
		"\(.cpus) \(.got.cpus) \(.got.memory | .policy + " " + .nodes) "
		+ .nodes' err)"

run --dry-run -c "$first" -- touch made
same "--dry-run does not run COMMAND" "no" "$([ -e made ] && echo yes || echo no)"

# ---- what was got is read back -------------------------------------------------------

# A kernel that answers "done" and does nothing, which strace makes of ours.
# lied_to NAME CALL PATTERN ARGUMENT...
lied_to() {
	local name=$1 call=$2 pattern=$3
	shift 3
	want_command "$name" strace strace || return 0
	if ! strace -qq -o /dev/null -e inject=getppid:retval=0 true 2>/dev/null; then
		skip "$name" "strace may not trace here" "allow ptrace in this container"
		return 0
	fi
	refused "$name" "$pattern" strace -qq -o trace -e trace="$call" \
		-e inject="$call:retval=0" "$pin" "$@" -- echo "it ran"
}
name="an affinity that the kernel did not set is seen, and COMMAND not run"
if want_cpus "$name" 2; then
	lied_to "$name" sched_setaffinity "asked for CPU.* $first\b.*$allowed_list" \
		-q -c "$first"
fi
lied_to "a memory policy that the kernel did not set is seen, and COMMAND not run" \
	set_mempolicy "asked for memory bind $node, got" -q -m "bind=$node"
name="a memory policy that the kernel refuses is told, and COMMAND not run"
if want_command "$name" strace strace; then
	refused "$name" "Operation not permitted" strace -qq -o trace \
		-e trace=set_mempolicy -e inject=set_mempolicy:error=EPERM \
		"$pin" -q -m "bind=$node" -- echo "it ran"
fi

report_end
