# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What ./quickstart and ./check share: finding or installing packages, and building.
# Sourced; EVR_TOP is set.

say() {
	printf '%s\n' "$*"
}

complain() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# What the library and its tools are built with.
# shellcheck disable=SC2034 # for who sources this
evr_packages=(build-essential autoconf automake libtool pkg-config libnuma-dev
	libhwloc-dev libcli11-dev nlohmann-json3-dev libzstd-dev)

# A header that the C++ compiler finds. (libraries without a pkg-config file)
has_header() {
	command -v c++ >/dev/null &&
		printf '#include <%s>\n' "$1" | c++ -E -x c++ - >/dev/null 2>&1
}

has_module() {
	command -v pkg-config >/dev/null && pkg-config --exists "$1"
}

has_commands() {
	local name
	for name; do
		command -v "$name" >/dev/null || return 1
	done
}

# Is what we want of a Debian package there, from wherever it came?
has_package() {
	case $1 in
	build-essential) has_commands cc c++ make nm ;;
	autoconf) has_commands autoreconf ;;
	automake) has_commands automake aclocal ;;
	libtool) has_commands libtoolize ;;
	pkg-config) has_commands pkg-config ;;
	xz-utils) has_commands xz ;;
	zstd | shellcheck | strace) has_commands "$1" ;;
	libnuma-dev) has_header numa.h ;;
	libhwloc-dev) has_module hwloc ;;
	libcli11-dev) has_header CLI/CLI.hpp ;;
	nlohmann-json3-dev) has_header nlohmann/json.hpp ;;
	libcriterion-dev) has_module criterion ;;
	libzstd-dev) has_module libzstd ;;
	libboost-test-dev) has_header boost/test/unit_test.hpp ;;
	*) dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii' ;;
	esac
}

install_with_apt() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# want_packages LOG PACKAGE...: installs what is missing when we are root; says what to
# install when we are not. Goes on either way: whoever needs one of them says so.
want_packages() {
	local log=$1 package missing=()
	shift
	for package; do
		[[ " ${missing[*]} " == *" $package "* ]] || has_package "$package" ||
			missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		complain "missing: ${missing[*]}"
		complain "as root: apt-get install -y ${missing[*]}"
		return 0
	fi
	say "installing: ${missing[*]}"
	if ! install_with_apt "${missing[@]}" >"$log" 2>&1; then
		# A fresh machine has no package lists yet.
		{
			apt-get update -q -o DPkg::Lock::Timeout=300 &&
				install_with_apt "${missing[@]}"
		} >>"$log" 2>&1 </dev/null || {
			tail -n 20 "$log" >&2
			complain "apt-get could not install them (all of it: $log)"
		}
	fi
	return 0
}

# The configure script is made when it is missing or older than what it is made from.
# Later changes are seen by make itself.
make_configure() {
	local newer
	if [ -e "$EVR_TOP/configure" ] && [ -e "$EVR_TOP/Makefile.in" ]; then
		newer=$(find "$EVR_TOP/configure.ac" "$EVR_TOP/m4" -name '*.[am][c4]' \
			-newer "$EVR_TOP/configure" 2>/dev/null)
		[ -n "$newer" ] || return 0
	fi
	(cd "$EVR_TOP" && autoreconf --install --force)
}

# configure_tree DIR [ARGUMENT]...: a build directory configured with these arguments.
# With the single argument "any" an existing one is taken whatever its arguments.
configure_tree() {
	local dir=$1 wanted found
	shift
	if [ -e "$EVR_TOP/config.status" ]; then
		complain "configured in place: run 'make distclean' in $EVR_TOP first"
		return 1
	fi
	make_configure || return
	mkdir -p "$dir" || return
	[ "${1:-}" = any ] && [ -e "$dir/Makefile" ] && [ -e "$dir/.arguments" ] &&
		set -- "$(sed 's/^[^ ]* //' "$dir/.arguments")"
	[ "${1:-}" = any ] && shift
	wanted="$EVR_TOP: $*"
	found=$(cat "$dir/.arguments" 2>/dev/null)
	# What an earlier configure did not find may have been installed since.
	if [ "$wanted" = "$found" ] && [ -e "$dir/Makefile" ] &&
		! grep -Eq '^HAVE_[A-Z_]+_TRUE = #' "$dir/Makefile"; then
		# A changed Makefile.am or local.mk is taken in now, not half-way.
		make -C "$dir" Makefile
		return
	fi
	rm -f "$dir/.arguments"
	# shellcheck disable=SC2048,SC2086 # the arguments are words without blanks
	(cd "$dir" && "$EVR_TOP/configure" --silent $*) || return
	printf '%s\n' "$wanted" >"$dir/.arguments"
}

# One ./quickstart or ./check at a time builds in a tree; the next one waits. What runs
# under one that has the tree does not.
lock_tree() {
	[ "${EVR_LOCKED:-}" != "$1" ] || return 0
	mkdir -p "$1" || return
	exec 9>"$1/.lock" || return
	command -v flock >/dev/null || return 0
	flock -n 9 && return 0
	say "waiting for another ./check or ./quickstart in this tree"
	flock 9
}
