# SPDX-License-Identifier: Apache-2.0 OR MIT
#
# Unit tests in C, with Criterion: one file per header, tests/unit/test_NAME.c (os.h,
# which is long, has one more for each of its larger parts). The group "unit" of ./check
# runs every program here whose name begins with test_, and conform_rings, the suite that
# all kinds of ring are tried with. A new one needs a line in unit_programs and one of
# this form below:
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
	tests/unit/conform_rings \
	tests/unit/test_atomic \
	tests/unit/test_backoff \
	tests/unit/test_base \
	tests/unit/test_block \
	tests/unit/test_channel \
	tests/unit/test_channel_leave \
	tests/unit/test_contain \
	tests/unit/test_cpu \
	tests/unit/test_directory \
	tests/unit/test_doorbell \
	tests/unit/test_doorbell_steps \
	tests/unit/test_dump \
	tests/unit/test_error \
	tests/unit/test_evering \
	tests/unit/test_grow \
	tests/unit/test_half_made \
	tests/unit/test_home \
	tests/unit/test_janitor \
	tests/unit/test_layout \
	tests/unit/test_meet \
	tests/unit/test_meet_death \
	tests/unit/test_meet_hostile \
	tests/unit/test_meet_liar \
	tests/unit/test_meet_name \
	tests/unit/test_meet_place \
	tests/unit/test_meet_serve \
	tests/unit/test_named \
	tests/unit/test_named_death \
	tests/unit/test_named_who \
	tests/unit/test_number_set \
	tests/unit/test_options \
	tests/unit/test_os \
	tests/unit/test_os_liveness \
	tests/unit/test_os_socket \
	tests/unit/test_participant \
	tests/unit/test_pool \
	tests/unit/test_pool_aligned \
	tests/unit/test_pool_bulk \
	tests/unit/test_pool_node \
	tests/unit/test_pool_stats \
	tests/unit/test_pool_hardened \
	tests/unit/test_pool_hostile \
	tests/unit/test_recovery \
	tests/unit/test_recovery_channel \
	tests/unit/test_recovery_steps \
	tests/unit/test_region \
	tests/unit/test_region_attach \
	tests/unit/test_region_pages \
	tests/unit/test_retire \
	tests/unit/test_ring \
	tests/unit/test_ring_burst \
	tests/unit/test_ring_hostile \
	tests/unit/test_ring_inline \
	tests/unit/test_ring_inline_hostile \
	tests/unit/test_ring_lanes \
	tests/unit/test_ring_lanes_hostile \
	tests/unit/test_ring_roles \
	tests/unit/test_ring_slot \
	tests/unit/test_sizes \
	tests/unit/test_token \
	tests/unit/test_turnover \
	tests/unit/test_uring \
	tests/unit/test_version \
	tests/unit/test_watch

# The conformance suite of all queues: its table, its properties, an adapter a family.
tests_unit_conform_rings_SOURCES = \
	tests/unit/conform.h \
	tests/unit/conform_rings.c \
	tests/unit/conform_order.c \
	tests/unit/conform_others.c \
	tests/unit/conform_tokens.c \
	tests/unit/conform_inline.c \
	tests/unit/conform_lanes.c \
	tests/unit/conform_channel.c
tests_unit_conform_rings_LDADD = $(unit_ldadd)

tests_unit_test_atomic_LDADD = $(unit_ldadd)
tests_unit_test_backoff_LDADD = $(unit_ldadd)
tests_unit_test_cpu_LDADD = $(unit_ldadd)
tests_unit_test_doorbell_LDADD = $(unit_ldadd)
# This one contains doorbell.c, on top of a kernel of its own.
tests_unit_test_doorbell_steps_LDADD = $(unit_ldadd)
tests_unit_test_error_LDADD = $(unit_ldadd)
tests_unit_test_number_set_LDADD = $(unit_ldadd)
tests_unit_test_options_LDADD = $(unit_ldadd)
tests_unit_test_os_LDADD = $(unit_ldadd)
tests_unit_test_os_liveness_LDADD = $(unit_ldadd)
tests_unit_test_os_socket_LDADD = $(unit_ldadd)
tests_unit_test_base_LDADD = $(unit_ldadd)
tests_unit_test_block_LDADD = $(unit_ldadd)
tests_unit_test_channel_LDADD = $(unit_ldadd)
tests_unit_test_channel_leave_LDADD = $(unit_ldadd)
tests_unit_test_contain_LDADD = $(unit_ldadd)
tests_unit_test_directory_LDADD = $(unit_ldadd)
tests_unit_test_dump_LDADD = $(unit_ldadd)
tests_unit_test_evering_LDADD = $(unit_ldadd)
tests_unit_test_grow_LDADD = $(unit_ldadd)
tests_unit_test_half_made_LDADD = $(unit_ldadd)
tests_unit_test_home_LDADD = $(unit_ldadd)
tests_unit_test_janitor_LDADD = $(unit_ldadd)
tests_unit_test_layout_LDADD = $(unit_ldadd)
tests_unit_test_meet_LDADD = $(unit_ldadd)
tests_unit_test_meet_death_LDADD = $(unit_ldadd)
tests_unit_test_meet_hostile_LDADD = $(unit_ldadd)
tests_unit_test_meet_liar_LDADD = $(unit_ldadd)
tests_unit_test_meet_name_LDADD = $(unit_ldadd)
tests_unit_test_meet_place_LDADD = $(unit_ldadd)
tests_unit_test_meet_serve_LDADD = $(unit_ldadd)
tests_unit_test_named_LDADD = $(unit_ldadd)
tests_unit_test_named_death_LDADD = $(unit_ldadd)
tests_unit_test_named_who_LDADD = $(unit_ldadd)
tests_unit_test_participant_LDADD = $(unit_ldadd)
tests_unit_test_pool_LDADD = $(unit_ldadd)
tests_unit_test_pool_aligned_LDADD = $(unit_ldadd)
tests_unit_test_pool_bulk_LDADD = $(unit_ldadd)
tests_unit_test_pool_node_LDADD = $(unit_ldadd)
tests_unit_test_pool_stats_LDADD = $(unit_ldadd)
tests_unit_test_pool_hardened_LDADD = $(unit_ldadd)
tests_unit_test_pool_hostile_LDADD = $(unit_ldadd)
tests_unit_test_recovery_LDADD = $(unit_ldadd)
tests_unit_test_recovery_channel_LDADD = $(unit_ldadd)
tests_unit_test_recovery_steps_LDADD = $(unit_ldadd)
tests_unit_test_region_LDADD = $(unit_ldadd)
tests_unit_test_region_pages_LDADD = $(unit_ldadd)
tests_unit_test_retire_LDADD = $(unit_ldadd)
tests_unit_test_region_attach_LDADD = $(unit_ldadd)
tests_unit_test_ring_LDADD = $(unit_ldadd)
tests_unit_test_ring_burst_LDADD = $(unit_ldadd)
tests_unit_test_ring_hostile_LDADD = $(unit_ldadd)
tests_unit_test_ring_inline_LDADD = $(unit_ldadd)
tests_unit_test_ring_inline_hostile_LDADD = $(unit_ldadd)
tests_unit_test_ring_lanes_LDADD = $(unit_ldadd)
tests_unit_test_ring_lanes_hostile_LDADD = $(unit_ldadd)
tests_unit_test_ring_roles_LDADD = $(unit_ldadd)
tests_unit_test_ring_slot_LDADD = $(unit_ldadd)
tests_unit_test_sizes_LDADD = $(unit_ldadd)
tests_unit_test_token_LDADD = $(unit_ldadd)
tests_unit_test_turnover_LDADD = $(unit_ldadd)
tests_unit_test_uring_LDADD = $(unit_ldadd)
tests_unit_test_version_LDADD = $(unit_ldadd)
tests_unit_test_watch_LDADD = $(unit_ldadd)

unit_stress_programs = tests/unit/stress_participant

tests_unit_stress_participant_LDADD = $(unit_ldadd)

EXTRA_DIST += tests/unit/common.h tests/unit/duo.h tests/unit/fixture.h \
	tests/unit/inline.h tests/unit/lanes.h tests/unit/meet.h tests/unit/named.h \
	tests/unit/scene.h

if HAVE_CRITERION
if STRESS_NUMBERS
check_PROGRAMS += $(unit_stress_programs)
else
check_PROGRAMS += $(unit_programs)
endif
endif
