#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The Debian packages, as users and their administrators meet them: built in a fresh
# Debian, installed in another, used, and purged. The work is done by steps.sh, in
# namespaces of its own: whatever ends it, no process is left and nothing is mounted.
# shellcheck source=../lib/report.sh
. "$(dirname "$0")/../lib/report.sh"

here=$EVR_TOP/tests/packages
export ROOMS=$EVR_BUILD/packages

# skip_all REASON CURE
skip_all() {
	SKIP_REASON=$1 SKIP_CURE=$2 exec bash "$here/steps.sh"
}

[ "$(id -u)" -eq 0 ] ||
	skip_all "only root can make a Debian in a directory" "sudo ./check packages"
for name in mmdebstrap autopkgtest; do
	command -v $name >/dev/null ||
		skip_all "$name is not installed" "apt-get install mmdebstrap autopkgtest"
done
# Whoever is in there ends when we do, in whatever way.
own_namespaces=(setpriv --pdeathsig KILL
	unshare --mount --pid --fork --kill-child --mount-proc)
"${own_namespaces[@]}" true 2>"$EVR_TMP/unshare.log" ||
	skip_all "no mount namespace can be made ($(head -n 1 "$EVR_TMP/unshare.log"))" \
		"give root CAP_SYS_ADMIN here, or run it on a machine of its own"

# We never see anything mounted below it. Who was just killed may not be gone quite yet.
remove_rooms() {
	local tries=20
	until rm -rf --one-file-system "$ROOMS" 2>/dev/null; do
		[ $((tries -= 1)) -gt 0 ] || return
		sleep 0.1
	done
}
trap 'remove_rooms; rm -rf "$EVR_TMP"' EXIT
remove_rooms
mkdir -p "$ROOMS" || exit

expect "make dist makes the source that the packages are built from" \
	make -C "$EVR_BUILD" -s dist || report_end

findmnt -rno TARGET | sort >"$EVR_TMP/mounts"
"${own_namespaces[@]}" bash "$here/steps.sh" &
steps=$!
trap 'kill -KILL $steps; exit 143' TERM INT HUP
wait $steps
status=$?
trap 'exit 143' TERM INT HUP
name="nothing is left mounted"
left=$(findmnt -rno TARGET | sort | comm -13 "$EVR_TMP/mounts" - | grep -F "$ROOMS")
if [ -z "$left" ]; then
	ok "$name"
else
	not_ok "$name" "$left"
fi
[ $status -eq 0 ] || exit $status
report_end
