/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A peer: oneTBB's concurrent_bounded_queue. Its pages are on the heap: the sides are
 * threads. One value a call, it has no others; by try_push() and try_pop(), as everybody
 * here spins.
 */
#include "peer.h"

#ifndef EVR_BENCH_TBB
const struct bench_subject bench_tbb[] = {
	PEER_SKIPPED("tbb_bounded_queue", "not found; apt-get install libtbb-dev"),
	PEER_LIST_END,
};
#else

#include <oneapi/tbb/concurrent_queue.h>

namespace
{

using queue = oneapi::tbb::concurrent_bounded_queue<uint64_t>;

struct pair_of_queues {
	queue there, back;
};

void *create()
{
	auto *queues = new pair_of_queues;

	queues->there.set_capacity(PEER_SLOTS);
	queues->back.set_capacity(PEER_SLOTS);
	return queues;
}

void *open_two(void *created, int side)
{
	auto *queues = static_cast<pair_of_queues *>(created);

	return side == 0 ? peer_end_new(&queues->there, &queues->back, side)
			 : peer_end_new(&queues->back, &queues->there, side);
}

void *open_one(void *created, int side)
{
	auto *queues = static_cast<pair_of_queues *>(created);

	return peer_end_new(&queues->there, &queues->there, side);
}

void destroy(void *created)
{
	auto *queues = static_cast<pair_of_queues *>(created);

	bench_check(queues->there.empty() && queues->back.empty());
	delete queues;
}

PEER_INLINE uint32_t put(void *opened, uint64_t *values, uint32_t n)
{
	(void)n;
	return static_cast<queue *>(opened)->try_push(values[0]);
}

PEER_INLINE uint32_t take(void *opened, uint64_t *values, uint32_t n)
{
	(void)n;
	return static_cast<queue *>(opened)->try_pop(values[0]);
}

PEER_ROUNDS(ones, 1, put, take)
PEER_TEAM(team, put, take)

} // namespace

const struct bench_subject bench_tbb[] = {
	PEER_ROUNDS_ROW("mpmc_1p1c", "tbb_bounded_queue", ones, create, open_two, destroy,
			true),
	PEER_TEAM_ROWS("tbb_bounded_queue", team, create, open_one, destroy, true),
	PEER_LIST_END,
};
#endif
