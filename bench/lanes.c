/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Several senders, each with a lane of its own, and one receiver, who takes from all of
 * them; 8 bytes an entry, one a call.
 */
#include "peer.h"
#include "region.h"

#include <evering/ring_lanes.h>

#define RING_ORDER 10

struct end {
	struct bench_region home;
	struct evr_ring_lane out;
	struct evr_ring_lanes *in;
};

static void *create(void)
{
	static struct bench_region created;
	struct evr_ring_lanes_options options = {
		.size = sizeof(options),
		.name = "lanes",
		.entry_bytes = sizeof(uint64_t),
		.order = RING_ORDER,
		.lanes_count = BENCH_PAIRS_MAX,
	};

	bench_region_create(64, 64, 0, &created);
	bench_try(evr_ring_lanes_create(created.region, &options));
	return &created;
}

static void *open_side(void *created, int side)
{
	static struct end end;

	bench_region_open(created, &end.home);
	if (side == 0)
		bench_try(evr_ring_lane_open(end.home.region, "lanes", sizeof(uint64_t),
					     &end.out));
	else
		bench_try(evr_ring_lanes_open(end.home.region, "lanes", sizeof(uint64_t),
					      &end.in));
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

PEER_INLINE uint32_t put(void *opened, uint64_t *values, uint32_t n)
{
	struct end *end = (struct end *)opened;
	int error = evr_ring_lane_try_push(&end->out, values, sizeof(uint64_t));

	(void)n;
	bench_check(error == 0 || error == -EAGAIN);
	return error == 0;
}

PEER_INLINE uint32_t take(void *opened, uint64_t *values, uint32_t n)
{
	struct end *end = (struct end *)opened;
	int error = evr_ring_lanes_try_pop(end->in, values, sizeof(uint64_t));

	(void)n;
	bench_check(error == 0 || error == -EAGAIN);
	return error == 0;
}

static void send_all(void *end, uint64_t sender, uint64_t pairs)
{
	struct peer_end peer = { .out = end };

	(void)pairs;
	peer_team_send(put, &peer, sender);
}

static void take_all(void *end, uint64_t receiver, uint64_t pairs)
{
	struct peer_end peer = { .in = end };

	peer_team_receive(take, &peer, receiver, pairs);
}

const struct bench_subject bench_lanes[] = {
	{ "lanes_4p", "evering:lanes", 0, create, open_side, { send_all, take_all },
	  destroy, .pairs = 4, .lone_receiver = true },
	{ 0 },
};
