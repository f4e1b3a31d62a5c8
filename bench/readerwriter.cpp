/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A peer: moodycamel::ReaderWriterQueue, for one sender and one receiver. Its blocks are
 * on the heap: the sides are threads. One value a call, it has no others. try_enqueue()
 * does not allocate, so the room made at the start is what there is.
 */
#include "peer.h"

#ifndef EVR_BENCH_READERWRITER
const struct bench_subject bench_readerwriter[] = {
	PEER_SKIPPED("readerwriterqueue",
		     "not found; apt-get install libreaderwriterqueue-dev"),
	PEER_LIST_END,
};
#else

#include <readerwriterqueue/readerwriterqueue.h>

namespace
{

template <uint32_t words> struct value {
	uint64_t word[words];
};

template <uint32_t words> using queue = moodycamel::ReaderWriterQueue<value<words>>;

template <uint32_t words> struct pair_of_queues {
	queue<words> there{ PEER_SLOTS }, back{ PEER_SLOTS };
};

template <uint32_t words> void *create()
{
	return new pair_of_queues<words>;
}

template <uint32_t words> void *open_two(void *created, int side)
{
	auto *queues = static_cast<pair_of_queues<words> *>(created);

	return side == 0 ? peer_end_new(&queues->there, &queues->back, side)
			 : peer_end_new(&queues->back, &queues->there, side);
}

template <uint32_t words> void *open_one(void *created, int side)
{
	auto *queues = static_cast<pair_of_queues<words> *>(created);

	return peer_end_new(&queues->there, &queues->there, side);
}

template <uint32_t words> void destroy(void *created)
{
	auto *queues = static_cast<pair_of_queues<words> *>(created);

	bench_check(queues->there.size_approx() == 0);
	bench_check(queues->back.size_approx() == 0);
	delete queues;
}

template <uint32_t words>
PEER_INLINE uint32_t put(void *opened, uint64_t *values, uint32_t n)
{
	(void)n;
	return static_cast<queue<words> *>(opened)->try_enqueue(
		*reinterpret_cast<value<words> *>(values));
}

template <uint32_t words>
PEER_INLINE uint32_t take(void *opened, uint64_t *values, uint32_t n)
{
	(void)n;
	return static_cast<queue<words> *>(opened)->try_dequeue(
		*reinterpret_cast<value<words> *>(values));
}

PEER_STREAM(ones_1, 1, 1, put<1>, take<1>)
PEER_STREAM(ones_8, 8, 1, put<8>, take<8>)
PEER_ROUNDTRIP(ones_1, 1, put<1>, take<1>)
PEER_ROUNDTRIP(ones_8, 8, put<8>, take<8>)
PEER_ROUNDTRIP(ones_15, 15, put<15>, take<15>)

} // namespace

#define STREAM(case_name, words)                                                         \
	PEER_STREAM_ROW(case_name, "readerwriterqueue", ones_##words, create<words>,     \
			open_one<words>, destroy<words>, true)
#define TRIPS(case_name, words)                                                          \
	PEER_ROUNDTRIP_ROW(case_name, "readerwriterqueue", ones_##words, create<words>,  \
			   open_two<words>, destroy<words>, true)

const struct bench_subject bench_readerwriter[] = {
	STREAM("spsc_8", 1),
	STREAM("spsc_64", 8),
	TRIPS("roundtrip_inline_8", 1),
	TRIPS("roundtrip_inline_64", 8),
	TRIPS("roundtrip_inline_120", 15),
	PEER_LIST_END,
};
#endif
