# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# A machine with three memory nodes, and Debian's kernel in it, emulated by qemu. Nothing
# of this computer is seen in it: not its kernel, not its topology, not its huge pages.
#
#	node 0  CPUs 0-1   256 MiB
#	node 1  CPUs 2-3   256 MiB
#	node 2  no CPU     256 MiB
#
# Sourced by tests/groups/vm.sh, after tests/lib/groups.sh.

vm_dir=$EVR_BUILD/vm
vm_node_mib=256
# 2 MiB pages that each node has.
vm_huge_pages=16

vm_machine=(-M q35 -cpu max -smp "4,sockets=2,cores=2,threads=1"
	-m $((3 * vm_node_mib))M
	-object "memory-backend-ram,id=m0,size=${vm_node_mib}M"
	-object "memory-backend-ram,id=m1,size=${vm_node_mib}M"
	-object "memory-backend-ram,id=m2,size=${vm_node_mib}M"
	-numa "node,nodeid=0,cpus=0-1,memdev=m0"
	-numa "node,nodeid=1,cpus=2-3,memdev=m1"
	-numa "node,nodeid=2,memdev=m2"
	-numa "dist,src=0,dst=1,val=21"
	-numa "dist,src=0,dst=2,val=17"
	-numa "dist,src=1,dst=2,val=28")

# Of this computer's programs, what tests use and busybox has not, or has differently.
# What is not installed is not there either; a test that wants it says so.
vm_tools=(bash getconf jq timeout taskset setpriv strace)

# What the machine cannot do without: one line, "REASON; CURE", when something is missing.
vm_missing() {
	if [ "$(uname -m)" != x86_64 ]; then
		echo "the machine is an amd64; run it on one"
	elif ! has_commands qemu-system-x86_64; then
		echo "qemu is not installed; apt-get install qemu-system-x86 seabios"
	elif ! has_commands busybox || ldd "$(command -v busybox)" >/dev/null 2>&1; then
		echo "a static busybox is not installed; apt-get install busybox-static"
	elif ! has_commands cpio; then
		echo "cpio is not installed; apt-get install cpio"
	fi
}

# vm_fetch_kernel: the name of the kernel's file on standard output. Its package is
# fetched when it is not the one that we have; without network, the one we have is used.
vm_fetch_kernel() {
	local package kernel
	if [ -n "${EVR_VM_KERNEL:-}" ]; then
		echo "$EVR_VM_KERNEL"
		return
	fi
	package=$(vm_kernel_package)
	kernel=$vm_dir/vmlinuz-${package#linux-image-}
	if [ -z "$package" ] || ! [ -s "$kernel" ]; then
		vm_download >"$EVR_LOGS/vm.kernel.log" 2>&1
		kernel=$(find "$vm_dir" -name 'vmlinuz-*' -size +0 -printf '%T@ %p\n' |
			sort -n | sed -n '$s/[^ ]* //p')
	fi
	[ -s "$kernel" ] && echo "$kernel"
}

# The package that Debian's kernel for virtual machines is in at present, if apt knows.
vm_kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1
}

# vm_download: of the package only the kernel is kept; the machine needs no module.
vm_download() (
	rm -rf "$vm_dir/download"
	mkdir -p "$vm_dir/download" && cd "$vm_dir/download" || return
	if ! vm_download_package; then
		# The lists are older than what the archive has, or there are none.
		[ "$(id -u)" -eq 0 ] || return
		timeout 60 apt-get update -q -o DPkg::Lock::Timeout=50
		vm_download_package || return
	fi
	dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './boot/vmlinuz-*' &&
		mv boot/vmlinuz-* "$vm_dir" && rm -rf "$vm_dir/download"
)

vm_download_package() {
	local package
	package=$(vm_kernel_package)
	[ -n "$package" ] && timeout 60 apt-get download "$package"
}

# vm_fill ROOT STEPS FILE...: what the machine has in its memory when it starts: busybox,
# our files where they are here, below /evering, and the libraries of all programs.
vm_fill() (
	local root=$1 steps=$2 file tool
	shift 2
	rm -rf "$root"
	mkdir -p "$root"/{bin,usr/bin,etc,evering/build} &&
		cp "$(command -v busybox)" "$root/bin/busybox" &&
		install -m 755 "$EVR_TOP/tests/vm/init" "$root/init" &&
		cp "$steps" "$root/steps" || return
	ln -s busybox "$root/bin/sh"
	printf 'root:x:0:0::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' \
		>"$root/etc/passwd"
	for file; do
		if [ -e "$EVR_BUILD/$file" ]; then
			cd "$EVR_BUILD" && cp -pr --parents "$file" "$root/evering/build"
		else
			cd "$EVR_TOP" && cp -pr --parents "$file" "$root/evering"
		fi || return
	done
	for tool in "${vm_tools[@]}"; do
		tool=$(command -v "$tool") && cp -L "$tool" "$root/usr/bin/"
	done
	# Not those that have none, and not the kernel's own, which has no file.
	find "$root/usr/bin" "$root/evering/build" -type f -perm -u+x -print0 |
		xargs -0 ldd 2>/dev/null | grep -oE '/[^ :]+ \(0x' | sed 's/ .*//' |
		sort -u | (cd / && xargs -r cp -L --parents -t "$root")
)

vm_kernel_line="console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off tsc=reliable"
vm_kernel_line+=" random.trust_cpu=on -- $vm_huge_pages"

# vm_boot SECONDS KERNEL ROOT: its two serial lines go to vm/console and vm/results,
# qemu's own words to the log. Never with KVM: what is emulated is the same everywhere.
vm_boot() {
	local seconds=$1 kernel=$2 root=$3
	(cd "$root" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) \
		>"$vm_dir/initramfs" || return
	run_logged "$seconds" "$EVR_LOGS/vm.qemu.log" qemu-system-x86_64 \
		"${vm_machine[@]}" -accel tcg,thread=multi \
		-nodefaults -no-user-config -nographic -no-reboot -monitor none \
		-serial "file:$vm_dir/console" -serial "file:$vm_dir/results" \
		-kernel "$kernel" -initrd "$vm_dir/initramfs" -append "$vm_kernel_line"
}
