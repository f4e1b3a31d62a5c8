/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_ring_slot.c - ring_slot.h: the slot word, and how it steps through its laps. */

#include "fixture.h"

#include <evering/ring_slot.h>

Test(ring, a_slot_steps_from_empty_to_full_to_the_next_empty)
{
	uint64_t lap;

	for (lap = 1; lap < 200000; lap += 7) {
		uint64_t empty = evri_slot_empty(lap);
		uint64_t full = evri_slot_full(lap, 0x123456789abc);

		cr_assert_not(evri_slot_is_full(empty));
		cr_assert(evri_slot_is_full(full));
		cr_assert_eq(evri_slot_ahead(empty, lap), 0);
		cr_assert_eq(evri_slot_ahead(full, lap), 1);
		cr_assert_eq(evri_slot_ahead(evri_slot_empty(lap + 1), lap), 2);
		cr_assert_eq(evri_slot_ahead(empty, lap + 1), -2);
		cr_assert_eq(evri_slot_ahead(full, lap + 1), -1);
	}
}

Test(ring, a_full_slot_holds_all_48_bits_of_a_token)
{
	cr_assert_eq(evri_slot_full(3, EVR_TOKEN_WIRE_MASK - 1) & EVR_TOKEN_WIRE_MASK,
		     EVR_TOKEN_WIRE_MASK - 1);
	cr_assert_eq(evri_slot_full(3, 0) & EVR_TOKEN_WIRE_MASK, 0);
}

Test(ring, empty_slots_of_different_laps_are_different_words)
{
	const uint64_t lap = 12345;
	int bit;

	/* Laps that agree in the 15 bits on top: no full slot tells them apart. */
	for (bit = EVR_SLOT_LAP_BITS; bit < 62; bit++)
		cr_assert_neq(evri_slot_empty(lap),
			      evri_slot_empty(lap + (UINT64_C(1) << bit)),
			      "laps 2^%d apart", bit);
}

Test(ring, distances_are_exact_up_to_2_to_the_14_laps)
{
	const uint64_t far = (1 << 14) - 1;

	cr_assert_eq(evri_slot_ahead(evri_slot_empty(1 + far), 1), (int)(2 * far));
	cr_assert_eq(evri_slot_ahead(evri_slot_empty(1), 1 + far), -(int)(2 * far));
}

Test(ring, fresh_memory_is_no_slot_of_the_first_lap)
{
	cr_assert_neq(evri_slot_ahead(0, EVR_RING_FIRST_LAP), 0);
	cr_assert_neq(evri_slot_ahead(0, EVR_RING_FIRST_LAP), 1);
	cr_assert_neq(evri_slot_empty(EVR_RING_FIRST_LAP), 0);
}

Test(ring, closed_is_full_of_a_token_that_no_block_has)
{
	cr_assert(evri_slot_is_full(evri_slot_full(9, EVR_SLOT_CLOSED)));
	cr_assert_gt(EVR_SLOT_CLOSED >> EVR_TOKEN_GENERATION_BITS, EVR_TOKEN_INDEX_MAX);
}
