/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_ring_inline_hostile.c - rings of inline entries in which somebody has scribbled.
 * They may give wrong entries and refuse to work; nothing is touched outside of them, and
 * every call comes back.
 */

#include "inline.h"

/* ---- bytes that nobody of ours wrote ---- */

static struct evr_ring_inline_shared *scribble(struct evr_region *region)
{
	return find_object(scribble_map(region), EVR_RING_INLINE_MAGIC);
}

Test(ring_inline, a_control_word_that_no_pusher_writes_is_refused)
{
	static const uint64_t words[] = { 0, 1, 0x102, 0x1ff, 0x108, 0x200, 0x207,
					  UINT64_MAX, UINT64_C(1) << 63 };

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		struct evr_atomic_u64 *cell;
		struct pair pair;
		uint8_t entry[8];

		open_pair(&pair, 8, 5, 0);
		cell = (struct evr_atomic_u64 *)(scribble(pair.region) + 1);
		MUST(push(&pair.in, 8, 0));
		MUST(pop(&pair.out, 8, 0));
		evr_store_release_u64(cell, words[i]);
		if (words[i] == 0x102)
			MUST(evr_ring_inline_try_pop(&pair.out, entry, 8));
		else
			FAILS(-EUCLEAN, evr_ring_inline_try_pop(&pair.out, entry, 8));
		close_pair(&pair);
	}
}

Test(ring_inline, freed_words_that_no_popper_writes_are_refused)
{
	static const uint64_t words[] = { 0, 1, UINT64_MAX, UINT64_C(1) << 40 };

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		struct evr_ring_inline_shared *shared;
		struct evr_ring_inline second;
		struct pair pair;

		open_pair(&pair, 8, 3, 0);
		shared = scribble(pair.region);
		for (uint64_t n = 0; n < 8; n++)
			MUST(push(&pair.in, 8, n));
		evr_store_release_u64(&shared->head, words[i]);
		evr_store_release_u64(&shared->freed, words[i]);
		FAILS(-EUCLEAN, push(&pair.in, 8, 8));
		evr_ring_inline_leave(&pair.in);
		FAILS(-EUCLEAN, evr_ring_inline_open(pair.region, "ring", EVR_RING_PUSHER,
						     0, &second));
		close_pair(&pair);
	}
}

Test(ring_inline, no_bytes_in_a_ring_lead_out_of_it_or_to_a_hang, .timeout = 120)
{
	uint64_t seed = 42;

	for (int round = 0; round < 3000; round++) {
		uint32_t bytes = sizes[(uint32_t)round % COUNT_OF(sizes)];
		struct evr_ring_inline_shared *shared;
		static uint8_t many[40 * ENTRY_MAX];
		struct pair pair;
		uint64_t length;

		if (round % 13 == 0)
			bytes = 8;
		open_pair(&pair, bytes, 3, round % 2);
		shared = scribble(pair.region);
		length = evri_ring_inline_bytes(bytes, 3);
		for (int i = 0; i < 12; i++) {
			uint64_t at, value;

			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			at = 24 + (seed >> 20) % (length - 24);
			value = seed >> 56;
			((uint8_t *)shared)[at] = (uint8_t)value;
			(void)evr_ring_inline_push_burst(&pair.in, many, bytes, 5);
			(void)evr_ring_inline_pop_burst(&pair.out, many, bytes, 40);
			if (i % 4 == 3) {
				evr_ring_inline_leave(&pair.in);
				evr_ring_inline_leave(&pair.out);
				(void)!evr_ring_inline_open(pair.region, "ring",
							    EVR_RING_PUSHER, bytes,
							    &pair.in);
				(void)!evr_ring_inline_open(pair.region, "ring",
							    EVR_RING_POPPER, bytes,
							    &pair.out);
			}
			if (pair.in.push_bytes)
				cr_assert(pair.in.cell >= pair.in.cells &&
					  pair.in.cell < pair.in.cells_end);
			if (pair.out.pop_bytes)
				cr_assert(pair.out.cell >= pair.out.cells &&
					  pair.out.cell < pair.out.cells_end);
		}
		close_pair(&pair);
		munmap((void *)((uintptr_t)shared & ~(uintptr_t)4095), 4096);
	}
}

Test(ring_inline, zeroed_memory_and_headers_that_lie_are_no_ring)
{
	struct evr_ring_inline_shared good, *shared;
	struct evr_ring_inline second;
	struct pair pair;

	open_pair(&pair, 8, 3, 0);
	evr_ring_inline_leave(&pair.in);
	shared = scribble(pair.region);
	good = *shared;
#define LIES(expected, field, value)                                                     \
	do {                                                                             \
		shared->field = (value);                                                 \
		FAILS(expected, evr_ring_inline_open(pair.region, "ring",                \
						     EVR_RING_PUSHER, 0, &second));      \
		shared->field = good.field;                                              \
	} while (0)
	LIES(-EUCLEAN, magic, 0);
	LIES(-EUCLEAN, entry_bytes, 0);
	LIES(-EUCLEAN, entry_bytes, 65537);
	LIES(-EUCLEAN, entry_bytes, 65536);
	LIES(-EUCLEAN, order, 0);
	LIES(-EUCLEAN, order, 25);
	LIES(-EUCLEAN, order, 24);
	LIES(-EPROTO, flags, 4);
	memset(shared, 0, sizeof(*shared));
	FAILS(-EUCLEAN,
	      evr_ring_inline_open(pair.region, "ring", EVR_RING_PUSHER, 0, &second));
	*shared = good;
	close_pair(&pair);
}
