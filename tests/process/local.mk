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
