# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# What the tests of evering-pin start through it: a program that says what it was given.
# The tests are scripts; the group "pin" of ./check runs them.

check_PROGRAMS += tests/pin/witness
tests_pin_witness_LDADD = $(evr_core) $(NUMA_LIBS)

EXTRA_DIST += tests/pin/common.bash tests/pin/expected tests/pin/topologies \
	tests/pin/golden.txt tests/pin/properties.jq \
	tests/pin/command.sh tests/pin/cpuset.sh tests/pin/errors.sh tests/pin/golden.sh \
	tests/pin/pid.sh tests/pin/properties.sh tests/pin/show.sh
