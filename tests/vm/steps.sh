# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The steps of tests/vm/steps.txt: which can run here, and what came of them. Sourced by
# tests/groups/vm.sh, after machine.sh.
# shellcheck disable=SC2154 # what machine.sh sets

# step_wanted NAME
step_wanted() {
	[ -z "${EVR_VM_ONLY:-}" ] || [[ " $EVR_VM_ONLY " == *" $1 "* ]]
}

# program_of COMMAND: its first word, or the script that its first word is to run
program_of() {
	local first rest
	read -r first rest <<<"$1"
	[[ $first != bash && $first != sh ]] || first=${rest%% *}
	echo "${first#\$EVR_TOP/}"
}

# here FILE: in the build or in the source directory?
here() {
	[ -e "$EVR_BUILD/$1" ] || [ -e "$EVR_TOP/$1" ]
}

# choose_steps: those wanted and built here, to vm/steps; the files that they need, to
# the array vm_files. A program that configure left out is skipped.
choose_steps() {
	local name seconds how command file
	vm_files=(Makefile)
	: >"$vm_dir/steps"
	# Not -r: a backslash continues a line.
	# shellcheck disable=SC2162
	while read name seconds how command; do
		case $name in
		'' | '#'*) continue ;;
		with)
			for file in $seconds $how $command; do
				! here "$file" || vm_files+=("$file")
			done
			continue
			;;
		esac
		step_wanted "$name" || continue
		file=$(program_of "$command")
		if here "$file"; then
			vm_files+=("$file")
			echo "$name $seconds $how $command" >>"$vm_dir/steps"
		elif [ "$how" = criterion ] && left_out HAVE_CRITERION; then
			group_skipped "$name" "libcriterion-dev is not installed" \
				"apt-get install libcriterion-dev"
		else
			group_failed "$name" "there is no $file"
		fi
	done <"$EVR_TOP/tests/vm/steps.txt"
}

# split_results: what the machine wrote, to the logs vm.NAME.log and vm.NAME.tap, and
# "NAME STATUS SECONDS" of each step that ended, to vm/ended.
split_results() {
	tr -d '\r' <"$vm_dir/results" | awk -v logs="$EVR_LOGS/vm." '
		$1 == "@@" && $2 == "end" { print $3, $4, $5; file = ""; next }
		$1 == "@@" && $2 == "up" { next }
		$1 == "@@" { file = logs $2; printf "" >file; next }
		file { print >file }' >"$vm_dir/ended"
}

# settle_step NAME LIMIT HOW: counted as the other groups count (tests/lib/groups.sh)
settle_step() {
	local name=$1 limit=$2 how=$3 log=$EVR_LOGS/vm.$1.log tap=$EVR_LOGS/vm.$1.tap
	local status seconds start passed failed skipped
	read -r _ status seconds < <(grep "^$name " "$vm_dir/ended")
	if [ -z "${seconds:-}" ]; then
		group_failed "$name" "the machine ended before this did"
		[ ! -e "$log" ] || show_log "$log"
		return
	fi
	start=$(awk -v now="$EPOCHREALTIME" -v seconds="$seconds" \
		'BEGIN { printf "%.6f", now - seconds }')
	case $how in
	criterion)
		touch "$tap"
		# What --filter leaves out is not skipped: it is not wanted here.
		sed -i '/# SKIP test was skipped$/d' "$tap"
		sed -nE 's/^ok - ([^ ]+) +# SKIP (.*)/  skip \1: \2/p' "$tap"
		skipped=$(count_lines '^ok .*# SKIP' "$tap")
		passed=$(($(count_lines '^ok ' "$tap") - skipped))
		failed=$(count_lines '^not ok ' "$tap")
		;;
	crash)
		skipped=$(count_lines '^skip ' "$log")
		passed=$(count_lines '^crash .* points=[1-9].* failed=0$' "$log")
		failed=$(($(count_lines '^crash .* points=' "$log") - passed))
		;;
	status)
		skipped=0 passed=0 failed=0
		[ "$status" -ne 0 ] || passed=1
		;;
	*)
		grep -E '^skip ' "$log" | sed 's/^/  /'
		skipped=$(count_lines '^skip ' "$log")
		passed=$(count_lines '^ok ' "$log")
		failed=$(count_lines '^not ok ' "$log")
		;;
	esac
	settle "$name" "$log" "$status" "$limit" "$passed" "$failed" "$skipped" "$start"
}

# run_steps SECONDS KERNEL: all of them in one boot
run_steps() {
	local limit=$1 kernel=$2 start=$EPOCHREALTIME status=0 why='' up version
	local name seconds how
	rm -f "$EVR_LOGS"/vm.*.log "$EVR_LOGS"/vm.*.tap "$vm_dir"/{console,results}
	touch "$vm_dir"/{console,results}
	choose_steps
	if ! [ -s "$vm_dir/steps" ]; then
		group_failed vm "no step can run (EVR_VM_ONLY='${EVR_VM_ONLY:-}')"
		return
	fi
	if ! vm_fill "$vm_dir/root" "$vm_dir/steps" "${vm_files[@]}"; then
		group_failed vm "the machine's files could not be put together"
		return
	fi
	vm_boot "$limit" "$kernel" "$vm_dir/root" || status=$?
	rm -rf "$vm_dir/root" "$vm_dir/initramfs"
	split_results
	read -r _ _ up version < <(grep '^@@ up ' "$vm_dir/results" | tr -d '\r')
	[ -z "$version" ] || printf '  kernel %s, up after %s s, off after %s\n' \
		"$version" "$up" "$(elapsed_since "$start")"
	case $status in
	0) [ -n "$version" ] || why="it did not start" ;;
	124 | 137) why="still running after $limit s, killed" ;;
	*) why="qemu ended with status $status" ;;
	esac
	if [ -n "$why" ]; then
		group_failed "the machine" "$why"
		show_log "$EVR_LOGS/vm.qemu.log"
		show_log "$vm_dir/console"
	fi
	while read -r name seconds how _; do
		settle_step "$name" "$seconds" "$how"
	done <"$vm_dir/steps"
}
