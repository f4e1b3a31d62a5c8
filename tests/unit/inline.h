/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_INLINE_H
#define EVERING_TESTS_UNIT_INLINE_H

/*
 * inline.h - a ring of inline entries with both its ends. Every byte of an entry tells
 * its number, so one that is torn, stale or shifted is seen.
 */

#include "fixture.h"

#include <evering/ring_inline.h>

#define ENTRY_MAX 4096

static const uint32_t sizes[] UNUSED = { 1, 3, 8, 16, 28, 29, 56, 57, 64, 120, 248, 256,
				       4096 };

UNUSED static uint8_t byte_of(uint64_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at * 7 + (number >> 5));
}

UNUSED static void fill(uint8_t *entry, uint32_t bytes, uint64_t number)
{
	for (uint32_t i = 0; i < bytes; i++)
		entry[i] = byte_of(number, i);
}

UNUSED static bool is(const uint8_t *entry, uint32_t bytes, uint64_t number)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (entry[i] != byte_of(number, i))
			return false;
	return true;
}

/* As often as a pusher may be told "full" when it is not so any more, and once more. */
UNUSED static int push(struct evr_ring_inline *ring, uint32_t bytes, uint64_t number)
{
	uint8_t entry[ENTRY_MAX];
	int error = -EAGAIN;

	fill(entry, bytes, number);
	for (int i = 0; i <= EVR_RING_INLINE_PATIENCE && error; i++)
		error = evr_ring_inline_try_push(ring, entry, bytes);
	return error;
}

/* Takes one, which must be this. */
UNUSED static int pop(struct evr_ring_inline *ring, uint32_t bytes, uint64_t number)
{
	uint8_t entry[ENTRY_MAX];
	int error = evr_ring_inline_try_pop(ring, entry, bytes);

	if (error == 0)
		cr_assert(is(entry, bytes, number), "entry %llu of %u bytes is another",
			  (unsigned long long)number, bytes);
	return error;
}

UNUSED static void make(struct evr_region *region, const char *name, uint32_t bytes,
		 uint32_t order, uint32_t flags)
{
	struct evr_ring_inline_options options = { .size = sizeof(options),
						   .name = name,
						   .entry_bytes = bytes,
						   .order = order,
						   .flags = flags };

	MUST(evr_ring_inline_create(region, &options));
}

struct pair {
	struct evr_region *region;
	struct evr_ring_inline in, out;
};

UNUSED static void open_pair(struct pair *pair, uint32_t bytes, uint32_t order,
			     uint32_t flags)
{
	pair->region = region_of(FIXTURE_REGION_BYTES);
	make(pair->region, "ring", bytes, order, flags);
	MUST(evr_ring_inline_open(pair->region, "ring", EVR_RING_PUSHER, bytes,
				  &pair->in));
	MUST(evr_ring_inline_open(pair->region, "ring", EVR_RING_POPPER, 0, &pair->out));
}

UNUSED static void close_pair(struct pair *pair)
{
	evr_ring_inline_leave(&pair->in);
	evr_ring_inline_leave(&pair->out);
	evr_region_detach(pair->region);
}

#endif
