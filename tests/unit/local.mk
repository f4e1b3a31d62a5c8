# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Unit tests in C, with Criterion: one file per header, tests/unit/test_NAME.c (os.h,
# which is long, has one more for each of its larger parts). The group "unit" of ./check
# runs every program here whose name begins with test_. A new one needs a line in
# unit_programs and one of this form below:
#
#	tests_unit_test_token_LDADD = $(unit_ldadd)
#
# The source is tests/unit/test_token.c unless _SOURCES says otherwise; $(evr_core) in
# unit_ldadd gives them the evri_ functions too. Programs for the build with short attach
# numbers (./configure --enable-stress-numbers) are named stress_NAME and stand in
# unit_stress_programs.

unit_ldadd = $(evr_core) $(CRITERION_LIBS)

# One a line, in alphabetical order.
unit_programs = \
	tests/unit/test_atomic \
	tests/unit/test_doorbell \
	tests/unit/test_doorbell_steps \
	tests/unit/test_error \
	tests/unit/test_os \
	tests/unit/test_os_liveness \
	tests/unit/test_os_socket

tests_unit_test_atomic_LDADD = $(unit_ldadd)
tests_unit_test_doorbell_LDADD = $(unit_ldadd)
# This one contains doorbell.c, on top of a kernel of its own.
tests_unit_test_doorbell_steps_LDADD = $(unit_ldadd)
tests_unit_test_error_LDADD = $(unit_ldadd)
tests_unit_test_os_LDADD = $(unit_ldadd)
tests_unit_test_os_liveness_LDADD = $(unit_ldadd)
tests_unit_test_os_socket_LDADD = $(unit_ldadd)

unit_stress_programs =

EXTRA_DIST += tests/unit/common.h

if HAVE_CRITERION
if STRESS_NUMBERS
check_PROGRAMS += $(unit_stress_programs)
else
check_PROGRAMS += $(unit_programs)
endif
endif
