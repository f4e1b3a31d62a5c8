# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What runs in the machine with three memory nodes only, and what makes that machine,
# which the group "vm" of ./check boots. A new program: its name and _LDADD here, a line
# in steps.txt. It reports with tests/lib/report.h; as root of a machine of its own it may
# change all of that, and puts back what later steps need.

vm_programs = \
	tests/vm/growth \
	tests/vm/limits \
	tests/vm/meeting \
	tests/vm/members \
	tests/vm/near \
	tests/vm/numa_probe \
	tests/vm/placement

tests_vm_growth_LDADD = $(evr_lib) $(NUMA_LIBS)
tests_vm_limits_LDADD = $(evr_lib) $(NUMA_LIBS)
tests_vm_meeting_LDADD = $(evr_lib) $(NUMA_LIBS)
tests_vm_members_LDADD = $(evr_lib) $(NUMA_LIBS)
tests_vm_near_LDADD = $(evr_lib) $(NUMA_LIBS)
tests_vm_numa_probe_LDADD = $(evr_lib) $(NUMA_LIBS)
tests_vm_placement_LDADD = $(evr_lib) $(NUMA_LIBS)

if !SANITIZED
check_PROGRAMS += $(vm_programs)
endif

EXTRA_DIST += tests/vm/init tests/vm/machine.sh tests/vm/steps.sh tests/vm/steps.txt \
	tests/vm/pin.sh tests/vm/witness.h
