# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR MIT
about="in an emulated machine with three memory nodes, on Debian's own kernel"
budget=150
packages="qemu-system-x86 seabios busybox-static cpio jq strace"

# tests/vm/steps.txt says what runs there. By hand, fewer of them and another kernel:
# EVR_VM_ONLY="numa_probe pin" EVR_VM_KERNEL=/boot/vmlinuz-6.12 ./check vm
run_group() {
	local kernel missing
	# shellcheck source=../vm/machine.sh
	. "$EVR_TOP/tests/vm/machine.sh"
	# shellcheck source=../vm/steps.sh
	. "$EVR_TOP/tests/vm/steps.sh"
	missing=$(vm_missing)
	if [ -n "$missing" ]; then
		group_skipped vm "${missing%; *}" "${missing#*; }"
		return
	fi
	mkdir -p "$vm_dir"
	if ! kernel=$(vm_fetch_kernel); then
		group_skipped vm "Debian's kernel is not here and could not be fetched" \
			"see $EVR_LOGS/vm.kernel.log; or set EVR_VM_KERNEL=FILE"
		return
	fi
	run_steps 140 "$kernel"
}
