/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Peers: boost::lockfree::spsc_queue, one a call and by arrays, and lockfree::queue. With
 * their capacity known to the compiler they have no addresses in them: the sides are
 * processes, as Boost's documentation allows.
 */
#include <new>

#include "peer.h"

#ifndef EVR_BENCH_BOOST
const struct bench_subject bench_boost[] = {
	PEER_SKIPPED("boost_lockfree", "not found; apt-get install libboost-dev"),
	PEER_LIST_END,
};
#else

#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>

namespace
{

template <uint32_t words> struct value {
	uint64_t word[words];
};

using boost::lockfree::capacity;

template <uint32_t words>
using spsc = boost::lockfree::spsc_queue<value<words>, capacity<PEER_SLOTS>>;
using mpmc = boost::lockfree::queue<uint64_t, capacity<PEER_SLOTS>>;

template <class queue> struct alignas(EVR_CACHE_LINE_BYTES) placed {
	queue it;
};

template <class queue> void *create()
{
	void *memory = bench_shared_map(2 * sizeof(placed<queue>));

	new (memory) placed<queue>[2];
	return memory;
}

template <class queue> void *open_two(void *created, int side)
{
	auto *queues = static_cast<placed<queue> *>(created);

	return peer_end_new(&queues[side].it, &queues[1 - side].it, side);
}

template <class queue> void *open_one(void *created, int side)
{
	auto *queues = static_cast<placed<queue> *>(created);

	return peer_end_new(&queues[0].it, &queues[0].it, side);
}

template <class queue> void destroy(void *created)
{
	auto *queues = static_cast<placed<queue> *>(created);

	bench_check(queues[0].it.empty() && queues[1].it.empty());
	bench_shared_unmap(created, 2 * sizeof(placed<queue>));
}

template <uint32_t words>
PEER_INLINE uint32_t put(void *opened, uint64_t *values, uint32_t n)
{
	auto *queue = static_cast<spsc<words> *>(opened);
	auto *from = reinterpret_cast<value<words> *>(values);

	return n == 1 ? queue->push(*from) : static_cast<uint32_t>(queue->push(from, n));
}

template <uint32_t words>
PEER_INLINE uint32_t take(void *opened, uint64_t *values, uint32_t n)
{
	auto *queue = static_cast<spsc<words> *>(opened);
	auto *to = reinterpret_cast<value<words> *>(values);

	return n == 1 ? queue->pop(*to) : static_cast<uint32_t>(queue->pop(to, n));
}

PEER_INLINE uint32_t many_put(void *opened, uint64_t *values, uint32_t n)
{
	(void)n;
	return static_cast<mpmc *>(opened)->bounded_push(values[0]);
}

PEER_INLINE uint32_t many_take(void *opened, uint64_t *values, uint32_t n)
{
	(void)n;
	return static_cast<mpmc *>(opened)->pop(values[0]);
}

PEER_STREAM(spsc_1_ones, 1, 1, put<1>, take<1>)
PEER_STREAM(spsc_1_bursts, 1, 32, put<1>, take<1>)
PEER_STREAM(spsc_8_ones, 8, 1, put<8>, take<8>)
PEER_STREAM(spsc_8_bursts, 8, 32, put<8>, take<8>)
PEER_ROUNDTRIP(spsc_1, 1, put<1>, take<1>)
PEER_ROUNDTRIP(spsc_8, 8, put<8>, take<8>)
PEER_ROUNDTRIP(spsc_15, 15, put<15>, take<15>)
PEER_ROUNDS(many, 1, many_put, many_take)
PEER_TEAM(many, many_put, many_take)

} // namespace

#define STREAM(case_name, words, name)                                                   \
	PEER_STREAM_ROW(case_name, "boost_spsc_queue", name, create<spsc<words>>,        \
			open_one<spsc<words>>, destroy<spsc<words>>, false)
#define TRIPS(case_name, words, name)                                                    \
	PEER_ROUNDTRIP_ROW(case_name, "boost_spsc_queue", name, create<spsc<words>>,     \
			   open_two<spsc<words>>, destroy<spsc<words>>, false)

const struct bench_subject bench_boost[] = {
	STREAM("spsc_8", 1, spsc_1_ones),
	STREAM("spsc_8_burst_32", 1, spsc_1_bursts),
	STREAM("spsc_64", 8, spsc_8_ones),
	STREAM("spsc_64_burst_32", 8, spsc_8_bursts),
	TRIPS("roundtrip_inline_8", 1, spsc_1),
	TRIPS("roundtrip_inline_64", 8, spsc_8),
	TRIPS("roundtrip_inline_120", 15, spsc_15),
	PEER_ROUNDS_ROW("mpmc_1p1c", "boost_queue", many, create<mpmc>, open_two<mpmc>,
			destroy<mpmc>, false),
	PEER_TEAM_ROWS("boost_queue", many, create<mpmc>, open_one<mpmc>, destroy<mpmc>,
		       false),
	PEER_LIST_END,
};
#endif
