#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Deliberate faults, each of which the crash harness must see. A patch here breaks one
# rule of the protocol; its head says in words which, and on the line "# red: " the
# operations and modes of tests/crash/crash of which at least one must fail. Each is
# applied to a copy of the library, which is built together with the harness and run
# until its first failure.
#
#	tests/mutants/run.sh [NAME]...    all, or those named
#
# A fault that survives says that the tests have become blind to it: that is the failure.
# So is a patch that does not apply any more: bring it up to date with the code.

# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

CC=${CC:-cc}
flags=(-std=gnu17 -O2 -g -fno-pie -fvisibility=hidden)
seconds=60

# objects TREE OUT SOURCE...: compiles what is not there yet
objects() {
	local tree=$1 out=$2 source object
	shift 2
	for source; do
		object=$out/$(basename "$(dirname "$source")")-$(basename "$source" .c).o
		[ -e "$object" ] ||
			"$CC" "${flags[@]}" -I"$tree/include" -I"$tree/libevering" \
				-I"$tree/tests/crash" -c "$tree/$source" -o "$object" ||
			return
	done
}

# The sources of the library, and of the harness, as the makefile fragments have them.
sources() {
	sed -n '/_SOURCES = /,/[^\\]$/p' "$EVR_TOP/libevering/local.mk" \
		"$EVR_TOP/tests/crash/local.mk" | grep -o '[a-z_/]*\.c'
}

build_original() {
	mkdir -p "$EVR_TMP/objects"
	# shellcheck disable=SC2046 # words
	objects "$EVR_TOP" "$EVR_TMP/objects" $(sources)
}

# A tree with the fault in it, and the objects that the fault does not touch.
build_mutant() {
	local patch=$1 dir=$2 changed
	mkdir -p "$dir/tree/tests" "$dir/objects"
	cp -r "$EVR_TOP/include" "$EVR_TOP/libevering" "$dir/tree/"
	cp -r "$EVR_TOP/tests/crash" "$dir/tree/tests/"
	patch -s -f -p1 -d "$dir/tree" <"$patch" || return 2
	changed=$(sed -n 's@^+++ b/@@p' "$patch")
	# A header touches everything.
	if ! grep -q '\.h$' <<<"$changed"; then
		cp "$EVR_TMP/objects"/*.o "$dir/objects/"
		local file
		for file in $changed; do
			rm -f "$dir/objects/$(basename "$(dirname "$file")")-$(basename \
				"$file" .c).o"
		done
	fi
	# shellcheck disable=SC2046 # words
	objects "$dir/tree" "$dir/objects" $(sources) &&
		"$CC" -static -no-pie -o "$dir/crash" "$dir/objects"/*.o -lnuma
}

try_mutant() {
	local patch=$1 name red dir status
	name=$(basename "$patch" .patch)
	dir=$EVR_TMP/$name
	red=$(sed -n 's/^# red: //p' "$patch")
	build_mutant "$patch" "$dir" >"$EVR_TMP/$name.log" 2>&1
	status=$?
	if [ $status -ne 0 ]; then
		cat "$EVR_TMP/$name.log"
		if [ $status -eq 2 ]; then
			not_ok "$name is caught" "the patch does not apply any more"
		else
			not_ok "$name is caught" "it does not build"
		fi
		return
	fi
	timeout -k 5 "$seconds" "$dir/crash" --only "$red" --first \
		>"$EVR_TMP/$name.log" 2>&1
	status=$?
	if [ $status -eq 1 ] && grep -q '^not ok [a-z]' "$EVR_TMP/$name.log" &&
		! grep -q '^not ok the harness' "$EVR_TMP/$name.log"; then
		grep -m 1 '^not ok' "$EVR_TMP/$name.log" | cut -c 8-240 | sed 's/^/  /'
		ok "$name is caught"
	elif [ $status -eq 0 ]; then
		not_ok "$name is caught" "it survived $red"
	else
		cat "$EVR_TMP/$name.log"
		not_ok "$name is caught" "the harness ended with status $status"
	fi
	rm -rf "$dir"
}

if ! want_command "the crash harness sees deliberate faults" patch patch; then
	report_end
fi
if ! build_original >"$EVR_TMP/build.log" 2>&1; then
	cat "$EVR_TMP/build.log"
	not_ok "the crash harness sees deliberate faults" "it does not build without them"
	report_end
fi
here=$(dirname "$(readlink -f "$0")")
if [ $# -gt 0 ]; then
	for mutant_name; do
		try_mutant "$here/$mutant_name.patch"
	done
else
	for mutant_patch in "$here"/*.patch; do
		try_mutant "$mutant_patch"
	done
fi
report_end
