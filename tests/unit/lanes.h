/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_LANES_H
#define EVERING_TESTS_LANES_H

/*
 * lanes.h - what the tests of lanes share (test_ring_lanes.c, test_ring_lanes_hostile.c).
 *
 * Lanes: many pushers of inline entries, one popper. What a lane does
 * by itself is in test_ring_inline.c; here is whose turn it is, who has which lane, and
 * that nothing depends on the hints.
 */

#include "inline.h"

#include <evering/ring_lanes.h>

#define LANES 5

struct stage {
	struct evr_region *region;
	struct evr_ring_lanes *out;
	struct evr_ring_lane in[LANES];
};

static inline void make_lanes(struct evr_region *region, uint32_t bytes, uint32_t order,
		       uint32_t count, uint32_t flags)
{
	struct evr_ring_lanes_options options = { .size = sizeof(options),
						  .name = "lanes",
						  .entry_bytes = bytes,
						  .order = order,
						  .lanes_count = count,
						  .flags = flags };

	MUST(evr_ring_lanes_create(region, &options));
}

static inline void open_stage(struct stage *stage, uint32_t bytes, uint32_t order,
		       uint32_t flags)
{
	stage->region = region_of(FIXTURE_REGION_BYTES);
	make_lanes(stage->region, bytes, order, LANES, flags);
	MUST(evr_ring_lanes_open(stage->region, "lanes", 0, &stage->out));
	for (uint32_t i = 0; i < LANES; i++) {
		MUST(evr_ring_lane_open(stage->region, "lanes", bytes, &stage->in[i]));
		cr_assert_eq(evr_ring_lane_index(&stage->in[i]), i);
	}
}

static inline void close_stage(struct stage *stage)
{
	for (uint32_t i = 0; i < LANES; i++)
		evr_ring_lane_leave(&stage->in[i]);
	evr_ring_lanes_leave(stage->out);
	evr_region_detach(stage->region);
}

/* As often as a pusher may be told "full" when it is not so any more, and once more. */
static inline int push_to(struct evr_ring_lane *lane, uint32_t bytes, uint64_t number)
{
	uint8_t entry[ENTRY_MAX];
	int error = -EAGAIN;

	fill(entry, bytes, number);
	for (int i = 0; i <= EVR_RING_INLINE_PATIENCE && error == -EAGAIN; i++)
		error = evr_ring_lane_try_push(lane, entry, bytes);
	return error;
}

/* Takes one: the next of its lane. */
static inline int pop_next(struct evr_ring_lanes *lanes, uint32_t bytes,
			   uint64_t next[LANES])
{
	uint8_t entry[ENTRY_MAX];
	int error = evr_ring_lanes_try_pop(lanes, entry, bytes);
	uint32_t lane;

	if (error)
		return error;
	lane = evr_ring_lanes_last(lanes);
	cr_assert(lane < LANES);
	cr_assert(is(entry, bytes, next[lane]), "lane %u: not entry %llu", lane,
		  (unsigned long long)next[lane]);
	next[lane]++;
	return 0;
}

#endif
