/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A peer: moodycamel::ConcurrentQueue. Its blocks are on the heap: the sides are threads.
 *
 * As its documentation says is fastest: a token for each producer and consumer, and the
 * bulk calls for bursts. The try_ calls do not allocate, so the room made at the start is
 * what there is. First in, first out holds for each producer only.
 */
#include "peer.h"

#ifndef EVR_BENCH_MOODYCAMEL
const struct bench_subject bench_moodycamel[] = {
	PEER_SKIPPED("moodycamel", "not found; apt-get install libconcurrentqueue-dev"),
	PEER_LIST_END,
};
#else

#include <concurrentqueue/concurrentqueue.h>

namespace
{

using many = moodycamel::ConcurrentQueue<uint64_t>;

struct pair_of_queues {
	many queue[2] = { many(PEER_SLOTS, BENCH_PAIRS_MAX, 0),
			  many(PEER_SLOTS, BENCH_PAIRS_MAX, 0) };
};

/* A side's end of a queue: it sends or it receives. */
struct handle {
	many &queue;
	moodycamel::ProducerToken *producer = nullptr;
	moodycamel::ConsumerToken *consumer = nullptr;
};

void *create()
{
	return new pair_of_queues;
}

handle *sender_of(many &queue)
{
	return new handle{ queue, new moodycamel::ProducerToken(queue), nullptr };
}

handle *receiver_of(many &queue)
{
	return new handle{ queue, nullptr, new moodycamel::ConsumerToken(queue) };
}

void *open_two(void *created, int side)
{
	auto *queues = static_cast<pair_of_queues *>(created);

	return peer_end_new(sender_of(queues->queue[side]),
			    receiver_of(queues->queue[1 - side]), side);
}

void *open_one(void *created, int side)
{
	auto *queues = static_cast<pair_of_queues *>(created);

	return side == 0 ? peer_end_new(sender_of(queues->queue[0]), nullptr, side)
			 : peer_end_new(nullptr, receiver_of(queues->queue[0]), side);
}

/* The process ends with it. */
void destroy(void *created)
{
	auto *queues = static_cast<pair_of_queues *>(created);

	bench_check(queues->queue[0].size_approx() == 0);
	bench_check(queues->queue[1].size_approx() == 0);
}

PEER_INLINE uint32_t put(void *opened, uint64_t *values, uint32_t n)
{
	auto *end = static_cast<handle *>(opened);

	if (n == 1)
		return end->queue.try_enqueue(*end->producer, values[0]);
	return end->queue.try_enqueue_bulk(*end->producer, values, n) ? n : 0;
}

PEER_INLINE uint32_t take(void *opened, uint64_t *values, uint32_t n)
{
	auto *end = static_cast<handle *>(opened);

	if (n == 1)
		return end->queue.try_dequeue(*end->consumer, values[0]);
	return static_cast<uint32_t>(
		end->queue.try_dequeue_bulk(*end->consumer, values, n));
}

PEER_ROUNDS(ones, 1, put, take)
PEER_ROUNDS(bursts_8, 8, put, take)
PEER_ROUNDS(bursts_32, 32, put, take)
PEER_TEAM(team, put, take)

} // namespace

#define ROUNDS(case_name, name)                                                          \
	PEER_ROUNDS_ROW(case_name, "moodycamel", name, create, open_two, destroy, true)

const struct bench_subject bench_moodycamel[] = {
	ROUNDS("mpmc_1p1c", ones),
	ROUNDS("mpmc_burst_8", bursts_8),
	ROUNDS("mpmc_burst_32", bursts_32),
	PEER_TEAM_ROWS("moodycamel", team, create, open_one, destroy, true),
	PEER_LIST_END,
};
#endif
