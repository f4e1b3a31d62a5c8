#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The steps of packages.sh, which runs this as root in namespaces of its own. Rooms are
# the directories below ROOMS that a Debian is in:
#
#	base    a compiler and pkg-config, as a developer has them; only copied
#	build   base and the build dependencies
#	test    base, for autopkgtest
#	user    base, where the packages are installed, used, and purged
#
# With SKIP_REASON and SKIP_CURE set, each test is skipped for that reason.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"
# shellcheck source=chroot.sh
. "$(dirname "$0")/chroot.sh"

SKIP_REASON=${SKIP_REASON:-} SKIP_CURE=${SKIP_CURE:-} ROOMS=${ROOMS:-}
packages=(libevering0 libevering-dev evering-tools)
version=$(sed -nE 's/^AC_INIT\(\[evering\], \[([^]]+)\]\)$/\1/p' "$EVR_TOP/configure.ac")

# timed WHAT COMMAND...: its output in the file $log; how long it took is printed.
timed() {
	local TIMEFORMAT="took %1R s, %1U s of them computing: $1"
	shift
	log=$EVR_TMP/$((++logs)).log
	{ time "$@" >"$log" 2>&1; } 2>&1
}
logs=0
build_log=${EVR_LOGS:-$EVR_BUILD/logs}/packages.dpkg-buildpackage.log

# step NAME COMMAND...: a test. When it fails, the steps after it have no ground.
step() {
	local name=$1
	shift
	if [ -n "$SKIP_REASON" ]; then
		skip "$name" "$SKIP_REASON" "$SKIP_CURE"
	elif timed "$name" "$@"; then
		ok "$name"
	else
		tail -n 50 "$log"
		not_ok "$name" "see above"
		report_end
	fi
}

# ---- build ----

build_dependencies() {
	copy_chroot "$ROOMS/base" "$ROOMS/build" &&
		cp "$EVR_BUILD/evering-$version.tar.xz" "$ROOMS/build/home/user/" &&
		as_user "$ROOMS/build" "tar -xf evering-$version.tar.xz &&
			cp -a evering-$version before" &&
		as_root "$ROOMS/build" "apt-get build-dep -y -q --no-install-recommends \
			/home/user/evering-$version </dev/null"
}

build_packages() {
	as_user "$ROOMS/build" "cd evering-$version &&
		export DEB_BUILD_OPTIONS=parallel=$(nproc) &&
		dpkg-buildpackage -us -uc </dev/null" >"$build_log" 2>&1 && return
	grep -E '^(FAIL|ERROR): ' "$build_log"
	tail -n 40 "$build_log"
	echo "all of it: $build_log"
	return 1
}

# The makefile's sums of "make check": something passed, nothing else happened.
unit_tests_ran() {
	grep -E '^# (TOTAL|PASS|SKIP|FAIL|ERROR): ' "$build_log"
	grep -qE '^# PASS: +[1-9]' "$build_log" &&
		! grep -qE '^# (SKIP|FAIL|ERROR): +[1-9]' "$build_log"
}

# Files that autoreconf makes anew may be missing after "clean"; nothing may be added, and
# what is still there must be what it was.
clean_is_clean() {
	as_user "$ROOMS/build" "cd evering-$version && debian/rules clean" || return
	(cd "$ROOMS/build/home/user" && diff -r before "evering-$version") |
		grep -v '^Only in before[^ ]*: '
	# diff itself did not fail, and grep found no other line.
	[[ ${PIPESTATUS[*]} = [01]" 1" ]]
}

# As of informational remarks, for people to read; errors and warnings, for us.
lintian_is_content() {
	as_root "$ROOMS/build" "apt-get install -y -q --no-install-recommends lintian" &&
		as_user "$ROOMS/build" \
			"lintian --display-info --fail-on error,warning *.changes"
}

# ---- autopkgtest ----

# The built packages, in the home of the room's user.
bring_packages() {
	local name
	for name in "${packages[@]}"; do
		cp "$ROOMS/build/home/user/${name}_"*.deb "$ROOMS/$1/home/user/" || return
	done
}

run_autopkgtest() {
	copy_chroot "$ROOMS/base" "$ROOMS/test" && bring_packages test || return
	# Its exit status tells of the tests, which the summary names one by one.
	timeout 240 autopkgtest --user=user --summary-file="$EVR_TMP/summary" \
		--no-built-binaries "$ROOMS/test/home/user/"*.deb \
		"$ROOMS/build/home/user/"*.dsc -- chroot "$ROOMS/test"
	cat "$EVR_TMP/summary"
}

# One test of ours for each of debian/tests/control.
autopkgtests() {
	local test name result
	[ -n "$SKIP_REASON" ] || timed "autopkgtest" run_autopkgtest
	for test in $(sed -n 's/^Tests: //p' "$EVR_TOP/debian/tests/control"); do
		name="autopkgtest $test passes against the built packages"
		if [ -n "$SKIP_REASON" ]; then
			skip "$name" "$SKIP_REASON" "$SKIP_CURE"
			continue
		fi
		result=$(sed -nE "s/^$test +//p" "$EVR_TMP/summary")
		case $result in
		PASS*) ok "$name" ;;
		SKIP*)
			skip "$name" "it says $result" "its output, in the log, says why"
			;;
		*) not_ok "$name" "it says '$result'" ;;
		esac
		[[ $result = PASS* ]] || cat "$log"
	done
}

# ---- install, use, purge ----

install_packages() {
	copy_chroot "$ROOMS/base" "$ROOMS/user" && bring_packages user || return
	cp -a "$EVR_TOP/README.md" "$EVR_TOP/debian/tests" "$ROOMS/user/home/user/"
	files_of "$ROOMS/user" | sort >"$EVR_TMP/before"
	as_root "$ROOMS/user" "cd /home/user && apt install -y ./libevering0_*.deb \
		./libevering-dev_*.deb ./evering-tools_*.deb </dev/null"
}

purge_packages() {
	as_root "$ROOMS/user" "apt-get purge -y -q ${packages[*]} </dev/null &&
		apt-get autoremove --purge -y -q </dev/null"
}

nothing_is_left() {
	files_of "$ROOMS/user" | sort >"$EVR_TMP/after"
	diff "$EVR_TMP/before" "$EVR_TMP/after" &&
		diff <(as_root "$ROOMS/base" "dpkg-query -W") \
			<(as_root "$ROOMS/user" "dpkg-query -W")
}

# ---- the steps ----

# The rooms take 2 GiB. Where memory is plenty they are in it: that is quicker, and they
# go when the namespace goes.
make_rooms() {
	if awk '/^MemAvailable:/ { exit $2 < 8 * 1024 * 1024 }' /proc/meminfo; then
		mount -t tmpfs -o mode=755 rooms "$ROOMS" || return
	fi
	make_chroot "$ROOMS/base" build-essential pkg-config
}

made=0
[ -n "$SKIP_REASON" ] || timed "mmdebstrap" make_rooms || made=$?
if [ $made -ne 0 ]; then
	cat "$log"
	SKIP_REASON="no Debian could be made: $(grep -m 1 "^E: " "$log" | cut -c 1-120)"
	[ $made -ne 124 ] || SKIP_REASON="mmdebstrap was not done in 100 s"
	SKIP_CURE="see whether apt-get update works here, and mmdebstrap ${suite:?}"
fi

step "the build dependencies can be had in a fresh Debian" build_dependencies
step "with them the packages build" build_packages
step "the unit tests run in the build and pass" unit_tests_ran
step "debian/rules clean takes away all that the build made" clean_is_clean
step "lintian finds no error and warns of nothing" lintian_is_content
autopkgtests
step "apt installs the three packages in another fresh Debian" install_packages
step "there a user compiles the README's programs with its lines, and runs them" \
	as_user "$ROOMS/user" tests/readme-programs
step "there evering-pin shows the machine, and runs programs where it should" \
	as_user "$ROOMS/user" tests/evering-pin
step "apt purges the three packages and what came with them" purge_packages
step "after the purge every file is as it was before the installation" nothing_is_left
report_end
