/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The peer: DPDK's rte_ring, in plain shared memory, without DPDK's run-time environment
 * (no huge pages, no rte_eal_init(): rte_ring_init() on our own mapping needs none).
 *
 * What it does not do: a process that is stopped between taking its place and publishing
 * it holds up everybody behind it; what a dead one held is lost. It is the speed to be
 * compared with, not the same service.
 */
#include "bench.h"

#ifndef EVR_BENCH_RTE
const struct bench_subject bench_rte[] = { { 0 } };
#else

#include <rte_config.h>
#include <rte_ring.h>

#define RING_SLOTS 1024
#define RING_SPACE 16384
#define ROUND 4096

struct shared {
	EVR_CACHE_ALIGNED char space[2][RING_SPACE];
};

struct end {
	struct rte_ring *out, *in;
	bool single; /* one producer, one consumer */
	int side;
};

static void *create_with(unsigned int flags)
{
	struct shared *shared = bench_shared_map(sizeof(*shared));

	bench_check(rte_ring_get_memsize(RING_SLOTS) <= RING_SPACE);
	for (int i = 0; i < 2; i++)
		bench_check(rte_ring_init((struct rte_ring *)shared->space[i],
					  i ? "back" : "there", RING_SLOTS, flags) == 0);
	return shared;
}

static void *create_mpmc(void)
{
	return create_with(0);
}

static void *create_spsc(void)
{
	return create_with(RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static void *open_side(void *created, int side)
{
	static struct end end;
	struct shared *shared = created;

	end.out = (struct rte_ring *)shared->space[side];
	end.in = (struct rte_ring *)shared->space[1 - side];
	end.single = rte_ring_is_prod_single(end.out);
	end.side = side;
	return &end;
}

static void destroy(void *created)
{
	struct shared *shared = created;

	for (int i = 0; i < 2; i++)
		bench_check(rte_ring_empty((struct rte_ring *)shared->space[i]));
	bench_shared_unmap(created, sizeof(*shared));
}

#define INLINE static inline __attribute__((always_inline))

INLINE void push(struct rte_ring *ring, bool single, uint64_t value, bool pause)
{
	void *object = (void *)(uintptr_t)value;

	while ((single ? rte_ring_sp_enqueue(ring, object)
		       : rte_ring_mp_enqueue(ring, object)) != 0)
		if (pause)
			evr_pause();
}

INLINE uint64_t pop(struct rte_ring *ring, bool single, bool pause)
{
	void *object = NULL;

	while ((single ? rte_ring_sc_dequeue(ring, &object)
		       : rte_ring_mc_dequeue(ring, &object)) != 0)
		if (pause)
			evr_pause();
	return (uintptr_t)object;
}

/* In rounds, one way through one ring, then back through the other: ring.c does it so
 * because its blocks have to come back. */
INLINE void stream(struct end *end, bool single, uint64_t first, uint64_t count)
{
	bench_check(count % (2 * ROUND) == 0);
	for (uint64_t round = 0; round < count / ROUND; round++) {
		uint64_t base = first + round * ROUND;

		for (uint64_t i = 0; i < ROUND; i++) {
			if ((round & 1) == (uint64_t)end->side)
				push(end->out, single, base + i, true);
			else
				bench_check(pop(end->in, single, true) == base + i);
		}
	}
}

static void stream_mpmc(void *end, uint64_t first, uint64_t count)
{
	stream(end, false, first, count);
}

static void stream_spsc(void *end, uint64_t first, uint64_t count)
{
	stream(end, true, first, count);
}

INLINE void there_and_back(struct end *end, bool single, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		if (end->side == 0)
			push(end->out, single, i, false);
		bench_check(pop(end->in, single, false) == i);
		if (end->side == 1)
			push(end->out, single, i, false);
	}
}

static void roundtrip_mpmc(void *end, uint64_t first, uint64_t count)
{
	there_and_back(end, false, first, count);
}

static void roundtrip_spsc(void *end, uint64_t first, uint64_t count)
{
	there_and_back(end, true, first, count);
}

/*
 * Whole messages: blocks of 64 bytes, free ones in a second ring, 32 of them moved at
 * once into and out of a cache of each process. (That is how rte_mempool works; itself it
 * wants the run-time environment.)
 */
#define BLOCKS_COUNT 4096
#define BATCH 32

struct block {
	EVR_CACHE_ALIGNED uint64_t word[8];
};

struct messages_shared {
	EVR_CACHE_ALIGNED char ring[RING_SPACE];
	EVR_CACHE_ALIGNED char free_ring[16 * RING_SPACE];
	struct block blocks[BLOCKS_COUNT];
};

struct messages_end {
	struct rte_ring *ring, *free_ring;
	struct block *blocks;
	void *cached[2 * BATCH];
	uint32_t cached_count;
};

static void *messages_create(void)
{
	struct messages_shared *shared = bench_shared_map(sizeof(*shared));
	struct rte_ring *ring = (struct rte_ring *)shared->ring;
	struct rte_ring *free_ring = (struct rte_ring *)shared->free_ring;

	bench_check(rte_ring_init(ring, "ring", RING_SLOTS, 0) == 0);
	bench_check(rte_ring_get_memsize(2 * BLOCKS_COUNT) <= 16 * RING_SPACE);
	bench_check(rte_ring_init(free_ring, "free", 2 * BLOCKS_COUNT, 0) == 0);
	for (uintptr_t i = 0; i < BLOCKS_COUNT; i++)
		bench_check(rte_ring_mp_enqueue(free_ring, (void *)i) == 0);
	return shared;
}

static void *messages_open(void *created, int side)
{
	static struct messages_end end;
	struct messages_shared *shared = created;

	(void)side;
	end.ring = (struct rte_ring *)shared->ring;
	end.free_ring = (struct rte_ring *)shared->free_ring;
	end.blocks = shared->blocks;
	return &end;
}

static void messages_send(void *opened, uint64_t first, uint64_t count)
{
	struct messages_end *end = opened;

	for (uint64_t i = first; i < first + count; i++) {
		while (end->cached_count == 0) {
			end->cached_count = rte_ring_mc_dequeue_bulk(
				end->free_ring, end->cached, BATCH, NULL);
			if (end->cached_count == 0)
				evr_pause();
		}

		uintptr_t index = (uintptr_t)end->cached[--end->cached_count];
		for (uint64_t k = 0; k < 8; k++)
			evr_plain_store_u64(&end->blocks[index].word[k], i + k);
		push(end->ring, false, index, true);
	}
}

static void messages_take(void *opened, uint64_t first, uint64_t count)
{
	struct messages_end *end = opened;

	for (uint64_t i = first; i < first + count; i++) {
		uintptr_t index = pop(end->ring, false, true);

		bench_check(index < BLOCKS_COUNT);
		for (uint64_t k = 0; k < 8; k++)
			bench_check(evr_plain_load_u64(&end->blocks[index].word[k]) ==
				    i + k);
		if (end->cached_count == 2 * BATCH) {
			bench_check(rte_ring_mp_enqueue_bulk(end->free_ring,
							     end->cached + BATCH, BATCH,
							     NULL) == BATCH);
			end->cached_count = BATCH;
		}
		end->cached[end->cached_count++] = (void *)index;
	}
}

static void messages_destroy(void *created)
{
	bench_shared_unmap(created, sizeof(struct messages_shared));
}

const struct bench_subject bench_rte[] = {
	{ "mpmc_1p1c", "dpdk_rte_ring:mp_mc", 1 << 20, create_mpmc, open_side,
	  { stream_mpmc, stream_mpmc }, destroy },
	{ "mpmc_1p1c", "dpdk_rte_ring:sp_sc", 1 << 20, create_spsc, open_side,
	  { stream_spsc, stream_spsc }, destroy },
	{ "roundtrip_8", "dpdk_rte_ring:mp_mc", 1 << 17, create_mpmc, open_side,
	  { roundtrip_mpmc, roundtrip_mpmc }, destroy },
	{ "roundtrip_8", "dpdk_rte_ring:sp_sc", 1 << 17, create_spsc, open_side,
	  { roundtrip_spsc, roundtrip_spsc }, destroy },
	{ "message_64", "dpdk_rte_ring:mp_mc", 1 << 20, messages_create, messages_open,
	  { messages_send, messages_take }, messages_destroy },
	{ 0 },
};
#endif
