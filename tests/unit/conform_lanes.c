/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * conform_lanes.c - bundles of lanes for the conformance suite. With one lane a bundle is
 * a ring for one and one; with several, each pusher has an order and room of its own, and
 * who comes after one that has left or died may be in another lane.
 */

#include "conform.h"

#define LANES 4

static int create_of(const struct kind *kind, struct peer *peer, const char *name,
		     uint32_t order, uint32_t lanes)
{
	struct evr_ring_lanes_options options = {
		.size = sizeof(options), .name = name, .order = order,
		.entry_bytes = kind->entry_bytes, .flags = kind->flags,
		.lanes_count = lanes,
	};

	return evr_ring_lanes_create(peer->region, &options);
}

static int create_one(const struct kind *kind, struct peer *peer, const char *name,
		      uint32_t order)
{
	return create_of(kind, peer, name, order, 1);
}

static int create_several(const struct kind *kind, struct peer *peer, const char *name,
			  uint32_t order)
{
	return create_of(kind, peer, name, order, LANES);
}

static int take(struct end *end)
{
	return end->side == EVR_RING_PUSHER ?
		       evr_ring_lane_open(end->peer->region, end->name,
					  end->kind->entry_bytes, &end->lane) :
		       evr_ring_lanes_open(end->peer->region, end->name,
					   end->kind->entry_bytes, &end->lanes);
}

static void leave_lane(struct end *end)
{
	evr_ring_lane_leave(&end->lane);
	end->lanes = evr_ring_lanes_leave(end->lanes);
}

static uint64_t capacity(const struct end *end)
{
	return evr_ring_lane_capacity(&end->lane);
}

/* Through a popper's end there is nothing to call, nor through one that has left. */
static int push(struct end *end, uint64_t number)
{
	uint32_t bytes = end->kind->entry_bytes;
	char entry[ENTRY_MAX];
	int error = -EAGAIN;

	if (!end->lane.shared)
		return -EINVAL;
	write_entries(entry, bytes, number, 1);
	UNTIL_FULL(error = evr_ring_lane_try_push(&end->lane, entry, bytes));
	return error;
}

static int pop(struct end *end, uint64_t *ret)
{
	uint32_t bytes = end->kind->entry_bytes;
	char entry[ENTRY_MAX];
	int error = end->lanes ? evr_ring_lanes_try_pop(end->lanes, entry, bytes) :
				 -EINVAL;

	if (error < 0)
		return error;
	return read_entries(entry, bytes, 1, ret) < 0 ? -EBADMSG : 0;
}

static int push_some(struct end *end, uint64_t first, uint32_t count)
{
	char entries[SOME_MAX * ENTRY_MAX];
	uint32_t bytes = end->kind->entry_bytes;
	uint32_t done = 0;
	int pushed = 0;

	write_entries(entries, bytes, first, count);
	while (done < count && pushed >= 0) {
		UNTIL_FULL(pushed = evr_ring_lane_push_burst(
				   &end->lane, entries + done * bytes, bytes,
				   count - done));
		done += pushed > 0 ? (uint32_t)pushed : 0;
	}
	return done ? (int)done : pushed;
}

static int pop_some(struct end *end, uint64_t *ret, uint32_t max)
{
	char entries[SOME_MAX * ENTRY_MAX];
	uint32_t bytes = end->kind->entry_bytes;

	return read_entries(entries, bytes,
			    evr_ring_lanes_pop_burst(end->lanes, entries, bytes, max),
			    ret);
}

static int reserve(struct end *end, uint64_t first, uint32_t count)
{
	uint32_t bytes = end->kind->entry_bytes;
	void *place = NULL;
	int room = -EAGAIN;

	UNTIL_FULL(room = evr_ring_lane_reserve(&end->lane, bytes, count, &place));
	if (room > 0)
		write_entries(place, bytes, first, (uint32_t)room);
	return room;
}

static int commit(struct end *end, uint32_t count)
{
	return evr_ring_lane_commit(&end->lane, end->kind->entry_bytes, count);
}

static int peek(struct end *end, uint64_t *ret, uint32_t max)
{
	uint32_t bytes = end->kind->entry_bytes;
	const void *entries = NULL;
	int shown = evr_ring_lanes_peek(end->lanes, bytes, max, &entries);

	return read_entries(entries, bytes, shown, ret);
}

static int release(struct end *end, uint32_t count)
{
	return evr_ring_lanes_release(end->lanes, end->kind->entry_bytes, count);
}

static int close_lane(struct end *end)
{
	return evr_ring_lane_close(&end->lane);
}

static int hang_up(struct end *end)
{
	end->lanes = evr_ring_lanes_hang_up(end->lanes);
	return 0;
}

static int hold(struct end *end)
{
	uint64_t number;
	int count = end->side == EVR_RING_PUSHER ? reserve(end, 99, 1) :
						   peek(end, &number, 1);

	return count < 0 ? count : 0;
}

#define LANE(bytes)                                                                      \
	.family = FAMILY_LANES, .entry_bytes = (bytes), .holds_no_block = true,          \
	.largest_order = 20, .stranger = -EINVAL, .pusher_died = -EAGAIN,                \
	.second_close = -EINVAL, .close_when_full = 0, .push_when_closed = -EINVAL,      \
	.take = take, .leave = leave_lane, .capacity = capacity, .push = push,           \
	.pop = pop, .push_some = push_some, .pop_some = pop_some, .reserve = reserve,    \
	.commit = commit, .peek = peek, .release = release, .hang_up = hang_up,          \
	.hold = hold

#define ONE .create = create_one, .close = close_lane,                                   \
	    .single = EVR_RING_PUSHER | EVR_RING_POPPER

#define SEVERAL                                                                          \
	.create = create_several, .single = EVR_RING_POPPER, .own_lane = true,           \
	.lacks = {                                                                       \
		[ASPECT_CLOSE] = "a pusher closes its lane, not those of others",        \
		[ASPECT_PUSHER] = "each pusher has a lane of its own",                   \
		[ASPECT_NEXT_PUSHER] = "the next one may be in another lane",            \
	}

#define AT_LEAST_ONCE .fate = FATE_AGAIN
#define AT_MOST_ONCE .fate = FATE_GONE, .flags = EVR_RING_AT_MOST_ONCE

const struct kind kind_lane_8 = { .name = "lane_8", LANE(8), ONE, AT_LEAST_ONCE };
const struct kind kind_lane_64 = { .name = "lane_64", LANE(64), ONE, AT_MOST_ONCE };
const struct kind kind_lanes_8 = { .name = "lanes_8", LANE(8), SEVERAL, AT_LEAST_ONCE };
const struct kind kind_lanes_64 = { .name = "lanes_64", LANE(64), SEVERAL, AT_MOST_ONCE };
