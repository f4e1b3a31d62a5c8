/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A peer: DPDK's rte_ring, in plain shared memory, without DPDK's run-time environment
 * (no huge pages, no rte_eal_init(): rte_ring_init() on our own mapping needs none).
 *
 *	sp_sc	one producer, one consumer
 *	mp_mc	many of both, the default
 *	rts	many, "relaxed tail sync": the last of those under way publishes
 *	hts	many, "head/tail sync": one at a time
 *
 * What it does not do: a process that is stopped between taking its place and publishing
 * it holds up everybody behind it; what a dead one held is lost. It is the speed to be
 * compared with, not the same service.
 */
#include "peer.h"

#ifndef EVR_BENCH_RTE
const struct bench_subject bench_rte[] = {
	PEER_SKIPPED("dpdk_rte_ring", "not found; apt-get install libdpdk-dev"),
	PEER_LIST_END,
};
#else

#include <rte_config.h>
#include <rte_ring.h>

/* Room for a ring of values of so many bytes. */
#define RING_SPACE(bytes) (4096 + PEER_SLOTS * (bytes))

struct shared {
	EVR_CACHE_ALIGNED char space[2][RING_SPACE(8 * PEER_WORDS_MAX)];
};

static void *create_with(unsigned int words, unsigned int flags)
{
	struct shared *shared = bench_shared_map(sizeof(*shared));

	bench_check((size_t)rte_ring_get_memsize_elem(8 * words, PEER_SLOTS) <=
		    sizeof(shared->space[0]));
	for (int i = 0; i < 2; i++)
		bench_check(rte_ring_init((struct rte_ring *)shared->space[i],
					  i ? "back" : "there", PEER_SLOTS, flags) == 0);
	return shared;
}

#define CREATE(name, words, flags)                                                       \
	static void *name##_create(void)                                                 \
	{                                                                                \
		return create_with(words, flags);                                        \
	}

CREATE(mp_mc, 1, 0)
CREATE(sp_sc, PEER_WORDS_MAX, RING_F_SP_ENQ | RING_F_SC_DEQ)
CREATE(rts, 1, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ)
CREATE(hts, 1, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)

static void *open_two(void *created, int side)
{
	struct shared *shared = created;

	return peer_end_new(shared->space[side], shared->space[1 - side], side);
}

static void *open_one(void *created, int side)
{
	struct shared *shared = created;

	return peer_end_new(shared->space[0], shared->space[0], side);
}

static void destroy(void *created)
{
	struct shared *shared = created;

	for (int i = 0; i < 2; i++)
		bench_check(rte_ring_empty((struct rte_ring *)shared->space[i]));
	bench_shared_unmap(created, sizeof(*shared));
}

/* All of a burst or nothing: the "bulk" calls. One at a time is a bulk of 1, as DPDK's
 * own rte_ring_enqueue() is. */
#define MOVES(name, words, enqueue, dequeue)                                             \
	PEER_INLINE uint32_t name##_put(void *ring, uint64_t *values, uint32_t n)        \
	{                                                                                \
		return enqueue(ring, values, 8 * (words), n, NULL);                      \
	}                                                                                \
	PEER_INLINE uint32_t name##_take(void *ring, uint64_t *values, uint32_t n)       \
	{                                                                                \
		return dequeue(ring, values, 8 * (words), n, NULL);                      \
	}

#define SINGLE(words)                                                                    \
	MOVES(sp_sc_##words, words, rte_ring_sp_enqueue_bulk_elem,                       \
	      rte_ring_sc_dequeue_bulk_elem)                                             \
	PEER_ROUNDTRIP(sp_sc_##words, words, sp_sc_##words##_put, sp_sc_##words##_take)

SINGLE(1)
SINGLE(8)
SINGLE(15)
PEER_STREAM(sp_sc_1_ones, 1, 1, sp_sc_1_put, sp_sc_1_take)
PEER_STREAM(sp_sc_1_bursts, 1, 32, sp_sc_1_put, sp_sc_1_take)
PEER_STREAM(sp_sc_8_ones, 8, 1, sp_sc_8_put, sp_sc_8_take)
PEER_STREAM(sp_sc_8_bursts, 8, 32, sp_sc_8_put, sp_sc_8_take)
PEER_ROUNDS(sp_sc_1, 1, sp_sc_1_put, sp_sc_1_take)

#define MANY(name, enqueue, dequeue)                                                     \
	MOVES(name, 1, enqueue, dequeue)                                                 \
	PEER_ROUNDS(name##_ones, 1, name##_put, name##_take)                             \
	PEER_ROUNDS(name##_8, 8, name##_put, name##_take)                                \
	PEER_ROUNDS(name##_32, 32, name##_put, name##_take)                              \
	PEER_TEAM(name, name##_put, name##_take)

MANY(mp_mc, rte_ring_mp_enqueue_bulk_elem, rte_ring_mc_dequeue_bulk_elem)
MANY(rts, rte_ring_mp_rts_enqueue_bulk_elem, rte_ring_mc_rts_dequeue_bulk_elem)
MANY(hts, rte_ring_mp_hts_enqueue_bulk_elem, rte_ring_mc_hts_dequeue_bulk_elem)
PEER_ROUNDTRIP(mp_mc, 1, mp_mc_put, mp_mc_take)

/* The zero-copy calls: values are made and looked at in the ring. */
static void zero_copy_send(void *opened, uint64_t first, uint64_t count)
{
	struct rte_ring *ring = ((struct peer_end *)opened)->out;
	struct rte_ring_zc_data room;

	for (uint64_t i = first; i < first + count; i += PEER_BURST_MAX) {
		struct evr_backoff backoff = { 0 };

		while (rte_ring_enqueue_zc_bulk_elem_start(ring, 64, PEER_BURST_MAX,
							   &room, NULL) == 0)
			evr_backoff_wait(&backoff);
		peer_fill(room.ptr1, 8, room.n1, i);
		if (room.n1 < PEER_BURST_MAX)
			peer_fill(room.ptr2, 8, PEER_BURST_MAX - room.n1, i + room.n1);
		rte_ring_enqueue_zc_elem_finish(ring, PEER_BURST_MAX);
	}
}

static void zero_copy_receive(void *opened, uint64_t first, uint64_t count)
{
	struct rte_ring *ring = ((struct peer_end *)opened)->in;
	struct rte_ring_zc_data there;

	for (uint64_t i = first; i < first + count; i += PEER_BURST_MAX) {
		struct evr_backoff backoff = { 0 };

		while (rte_ring_dequeue_zc_bulk_elem_start(ring, 64, PEER_BURST_MAX,
							   &there, NULL) == 0)
			evr_backoff_wait(&backoff);
		peer_verify(there.ptr1, 8, there.n1, i);
		if (there.n1 < PEER_BURST_MAX)
			peer_verify(there.ptr2, 8, PEER_BURST_MAX - there.n1,
				    i + there.n1);
		rte_ring_dequeue_zc_elem_finish(ring, PEER_BURST_MAX);
	}
}

#define SP_SC_STREAM(case_name, name)                                                    \
	PEER_STREAM_ROW(case_name, "dpdk_rte_ring:sp_sc", name, sp_sc_create, open_one,  \
			destroy, false)
#define SP_SC_TRIPS(case_name, name)                                                     \
	PEER_ROUNDTRIP_ROW(case_name, "dpdk_rte_ring:sp_sc", name, sp_sc_create,         \
			   open_two, destroy, false)
#define MANY_ROUNDS(case_name, subject, name, name_and_burst)                            \
	PEER_ROUNDS_ROW(case_name, subject, name_and_burst, name##_create, open_two,     \
			destroy, false)
#define MANY_ROWS(subject, name)                                                         \
	MANY_ROUNDS("mpmc_1p1c", subject, name, name##_ones),                            \
	MANY_ROUNDS("mpmc_burst_8", subject, name, name##_8),                            \
	MANY_ROUNDS("mpmc_burst_32", subject, name, name##_32),                          \
	PEER_TEAM_ROWS(subject, name, name##_create, open_one, destroy, false)

const struct bench_subject bench_rte[] = {
	SP_SC_STREAM("spsc_8", sp_sc_1_ones),
	SP_SC_STREAM("spsc_8_burst_32", sp_sc_1_bursts),
	SP_SC_STREAM("spsc_64", sp_sc_8_ones),
	SP_SC_STREAM("spsc_64_burst_32", sp_sc_8_bursts),
	PEER_STREAM_ROW("spsc_64_burst_32", "dpdk_rte_ring:sp_sc_zc", zero_copy,
			sp_sc_create, open_one, destroy, false),
	SP_SC_TRIPS("roundtrip_8", sp_sc_1),
	SP_SC_TRIPS("roundtrip_inline_8", sp_sc_1),
	SP_SC_TRIPS("roundtrip_inline_64", sp_sc_8),
	SP_SC_TRIPS("roundtrip_inline_120", sp_sc_15),
	PEER_ROUNDS_ROW("mpmc_1p1c", "dpdk_rte_ring:sp_sc", sp_sc_1, sp_sc_create,
			open_two, destroy, false),
	PEER_ROUNDTRIP_ROW("roundtrip_8", "dpdk_rte_ring:mp_mc", mp_mc, mp_mc_create,
			   open_two, destroy, false),
	MANY_ROWS("dpdk_rte_ring:mp_mc", mp_mc),
	MANY_ROWS("dpdk_rte_ring:rts", rts),
	MANY_ROWS("dpdk_rte_ring:hts", hts),
	PEER_LIST_END,
};
#endif
