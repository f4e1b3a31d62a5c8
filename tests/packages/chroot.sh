# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# A small Debian in a directory, made as quickly as possible, and commands in it.

suite=bookworm

# What the host's apt knows of how to get at packages (proxies, certificates, retries) the
# one in the directory needs too. Of the rest, nothing: hooks of the host are its own.
acquire_options() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|ForceIPv)'
}

# The host's own mirrors when it runs the same Debian, or mmdebstrap's.
host_sources() {
	local file
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
		if grep -qsw "$suite" "$file"; then
			echo "$file"
		fi
	done
}

# make_chroot DIR PACKAGE...: the smallest Debian with apt and these packages. Its package
# lists stay, so that nobody needs to fetch them again; dpkg does not wait for the disk.
make_chroot() {
	local dir=$1 packages sources
	shift
	packages=$(IFS=, && echo "$*")
	mapfile -t sources < <(host_sources)
	acquire_options >"$EVR_TMP/acquire.conf"
	timeout 200 mmdebstrap --mode=root --variant=minbase --include="$packages" \
		--aptopt="$EVR_TMP/acquire.conf" --aptopt='Acquire::Languages "none"' \
		--dpkgopt=force-unsafe-io --skip=cleanup/apt/lists \
		"$suite" "$dir" "${sources[@]}" || return
	chroot "$dir" useradd --create-home --shell /bin/sh user
}

# copy_chroot FROM TO: with what programs expect to be mounted. The mounts are seen only
# in the mount namespace that the caller has made, and end with it.
copy_chroot() {
	cp -a --reflink=auto "$1" "$2" &&
		mount -t proc proc "$2/proc" &&
		mount --rbind /sys "$2/sys" &&
		mount --rbind /dev "$2/dev"
}

# What a command there has of our environment.
inside=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
for name in http_proxy https_proxy ftp_proxy no_proxy; do
	[ -z "${!name:-}" ] || inside+=("$name=${!name}")
done

# as_root DIR COMMAND: a line for the shell, run in the root's home
as_root() {
	env -i "${inside[@]}" HOME=/root chroot "$1" sh -c "cd && $2"
}

# as_user DIR COMMAND: the same by somebody without rights
as_user() {
	env -i "${inside[@]}" HOME=/home/user USER=user \
		chroot --userspec=user:user --groups= "$1" sh -c "cd && $2"
}

# files_of DIR: every file, one a line: kind, rights, owner, name, and where it leads or
# a sum of its content. Left out are the states and logs of apt and dpkg, ldconfig's notes
# on what it has read, and what is mounted.
files_of() (
	cd "$1" || exit
	local other=(proc sys dev tmp var/lib/dpkg var/lib/apt var/cache/apt
		var/cache/debconf var/cache/ldconfig var/log) tests=() name
	for name in "${other[@]}"; do
		tests+=(-path "./$name" -o)
	done
	tests=(-xdev '(' "${tests[@]}" -false ')' -prune -o)
	find . "${tests[@]}" -printf '%M %u:%g %p %l\n'
	find . "${tests[@]}" -type f -print0 | xargs -0 md5sum
)
