# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Tests of several processes: plain programs with a main(), which report in the lines of
# tests/lib/report.h. The group "process" of ./check runs every program here. A program
# that can do its work with threads of one process instead (argument --threads) is named
# in tsan_programs too: ThreadSanitizer sees nothing of other processes. The lines of one:
#
#	check_PROGRAMS += tests/process/round_trip
#	tests_process_round_trip_LDADD = $(evr_core)
#	tsan_programs += tests/process/round_trip

check_PROGRAMS += \
	tests/process/burst_chaos \
	tests/process/chaos \
	tests/process/grow \
	tests/process/history \
	tests/process/inline_chaos \
	tests/process/janitor \
	tests/process/lanes_chaos \
	tests/process/leftovers \
	tests/process/many_to_many \
	tests/process/named \
	tests/process/named_threads \
	tests/process/ring_chaos \
	tests/process/role_chaos \
	tests/process/round_trip \
	tests/process/storm \
	tests/process/strangers \
	tests/process/threads

tests_process_burst_chaos_LDADD = $(evr_core)
tests_process_chaos_LDADD = $(evr_core)
tests_process_grow_LDADD = $(evr_core)
tests_process_inline_chaos_LDADD = $(evr_core)
tests_process_history_SOURCES = \
	tests/process/history.c \
	tests/process/history.h \
	tests/process/history_check.c
tests_process_janitor_LDADD = $(evr_core)
tests_process_lanes_chaos_LDADD = $(evr_core)
tests_process_leftovers_LDADD = $(evr_core)
tests_process_many_to_many_LDADD = $(evr_core)
tests_process_named_LDADD = $(evr_core)
tests_process_named_threads_LDADD = $(evr_core)
tests_process_ring_chaos_LDADD = $(evr_core)
tests_process_role_chaos_LDADD = $(evr_core)
tests_process_round_trip_LDADD = $(evr_core)
tests_process_storm_SOURCES = \
	tests/process/storm.c \
	tests/process/storm.h \
	tests/process/storm_judge.c \
	tests/process/storm_member.c \
	tests/process/history.h \
	tests/process/history_check.c
tests_process_storm_LDADD = $(evr_core)
tests_process_strangers_LDADD = $(evr_core)
tests_process_threads_LDADD = $(evr_core)

# It uses threads with and without --threads.
tsan_programs += tests/process/janitor tests/process/threads

EXTRA_DIST += tests/process/chaos.h tests/process/machine.h tests/process/process.h
