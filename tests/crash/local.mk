# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# The crash harness: one program, tests/crash/crash, which the groups "crash" and
# "mutants" of ./check run. Linked statically and at fixed addresses: it is forked a
# hundred thousand times, its instructions are counted, and its addresses are reported.

if !SANITIZED
check_PROGRAMS += tests/crash/crash
endif
tests_crash_crash_SOURCES = \
	tests/crash/crash.h \
	tests/crash/scenarios.h \
	tests/crash/main.c \
	tests/crash/options.c \
	tests/crash/experiment.c \
	tests/crash/experiment.h \
	tests/crash/others.c \
	tests/crash/geometry.c \
	tests/crash/step.c \
	tests/crash/symbols.c \
	tests/crash/party.c \
	tests/crash/worker.c \
	tests/crash/newcomer.c \
	tests/crash/audit.c \
	tests/crash/coverage.c \
	tests/crash/scenarios.c \
	tests/crash/scenarios_blocks.c \
	tests/crash/scenarios_create.c \
	tests/crash/scenarios_inline.h \
	tests/crash/scenarios_inline.c \
	tests/crash/scenarios_pool.c \
	tests/crash/scenarios_inline_roles.c \
	tests/crash/scenarios_lanes.c \
	tests/crash/scenarios_lanes.h \
	tests/crash/scenarios_objects.c \
	tests/crash/scenarios_parent.c \
	tests/crash/scenarios_region.c \
	tests/crash/scenarios_retire.c \
	tests/crash/scenarios_rings.c \
	tests/crash/scenarios_burst.c \
	tests/crash/scenarios_roles.c \
	tests/crash/scenarios_waiting.c \
	tests/crash/scenarios_channel.c \
	tests/crash/scenarios_recovery.c \
	tests/crash/scenarios_duets.c
tests_crash_crash_CFLAGS = $(AM_CFLAGS) -fno-pie
tests_crash_crash_LDFLAGS = -all-static -no-pie
tests_crash_crash_LDADD = $(evr_core)
EXTRA_DIST += tests/mutants
