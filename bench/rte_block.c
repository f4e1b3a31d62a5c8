/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Blocks, as one has them with rte_ring: fixed ones in shared memory, of which the ring
 * carries the indices. Free ones stand in a second ring, 32 of them moved at once into
 * and out of a cache of each process. (That is how rte_mempool works; itself it wants the
 * run-time environment.)
 */
#include "peer.h"

#ifndef EVR_BENCH_RTE
const struct bench_subject bench_rte_block[] = { PEER_LIST_END };
#else

#include <rte_config.h>
#include <rte_ring.h>

#define RING_SPACE 16384
#define BLOCKS_COUNT 4096
#define BATCH PEER_BURST_MAX
#define ROUNDTRIP_WORDS (256 / 8)
#define ANSWER UINT64_C(0x5555555555555555)

struct block {
	EVR_CACHE_ALIGNED uint64_t word[8];
};

struct shared {
	EVR_CACHE_ALIGNED char ring[2][RING_SPACE];
	EVR_CACHE_ALIGNED char free_ring[16 * RING_SPACE];
	struct block blocks[BLOCKS_COUNT];
};

struct end {
	struct rte_ring *out, *in, *free_ring;
	struct block *blocks;
	void *cached[2 * BATCH];
	uint32_t cached_count;
	int side;
};

static void *create(void)
{
	struct shared *shared = bench_shared_map(sizeof(*shared));
	struct rte_ring *free_ring = (struct rte_ring *)shared->free_ring;

	for (int i = 0; i < 2; i++)
		bench_check(rte_ring_init((struct rte_ring *)shared->ring[i],
					  i ? "back" : "there", PEER_SLOTS, 0) == 0);
	bench_check(rte_ring_get_memsize(2 * BLOCKS_COUNT) <= 16 * RING_SPACE);
	bench_check(rte_ring_init(free_ring, "free", 2 * BLOCKS_COUNT, 0) == 0);
	for (uintptr_t i = 0; i < BLOCKS_COUNT; i++)
		bench_check(rte_ring_mp_enqueue(free_ring, (void *)i) == 0);
	return shared;
}

static void *open_side(void *created, int side)
{
	static struct end end;
	struct shared *shared = created;

	end.out = (struct rte_ring *)shared->ring[side];
	end.in = (struct rte_ring *)shared->ring[1 - side];
	end.free_ring = (struct rte_ring *)shared->free_ring;
	end.blocks = shared->blocks;
	end.side = side;
	return &end;
}

static void destroy(void *created)
{
	struct shared *shared = created;

	for (int i = 0; i < 2; i++)
		bench_check(rte_ring_empty((struct rte_ring *)shared->ring[i]));
	bench_shared_unmap(created, sizeof(*shared));
}

PEER_INLINE uintptr_t block_alloc(struct end *end)
{
	struct evr_backoff backoff = { 0 };

	while (end->cached_count == 0) {
		end->cached_count = rte_ring_mc_dequeue_bulk(end->free_ring, end->cached,
							     BATCH, NULL);
		if (end->cached_count == 0)
			evr_backoff_wait(&backoff);
	}
	return (uintptr_t)end->cached[--end->cached_count];
}

PEER_INLINE void block_free(struct end *end, uintptr_t index)
{
	if (end->cached_count == 2 * BATCH) {
		bench_check(rte_ring_mp_enqueue_bulk(end->free_ring, end->cached + BATCH,
						     BATCH, NULL) == BATCH);
		end->cached_count = BATCH;
	}
	end->cached[end->cached_count++] = (void *)index;
}

PEER_INLINE void messages_send(struct end *end, uint32_t burst, uint64_t first,
			       uint64_t count)
{
	void *tokens[BATCH];

	for (uint64_t i = first; i < first + count; i += burst) {
		struct evr_backoff backoff = { 0 };

		for (uint32_t n = 0; n < burst; n++) {
			uintptr_t index = block_alloc(end);

			for (uint64_t k = 0; k < 8; k++)
				evr_plain_store_u64(&end->blocks[index].word[k],
						    i + n + k);
			tokens[n] = (void *)index;
		}
		while (rte_ring_mp_enqueue_bulk(end->out, tokens, burst, NULL) == 0)
			evr_backoff_wait(&backoff);
	}
}

PEER_INLINE void messages_take(struct end *end, uint32_t burst, uint64_t first,
			       uint64_t count)
{
	void *tokens[BATCH];

	for (uint64_t i = first; i < first + count; i += burst) {
		struct evr_backoff backoff = { 0 };

		while (rte_ring_mc_dequeue_bulk(end->in, tokens, burst, NULL) == 0)
			evr_backoff_wait(&backoff);
		for (uint32_t n = 0; burst > 1 && n < burst; n++)
			evri_prefetch_read(&end->blocks[(uintptr_t)tokens[n]]);
		for (uint32_t n = 0; n < burst; n++) {
			uintptr_t index = (uintptr_t)tokens[n];

			bench_check(index < BLOCKS_COUNT);
			for (uint64_t k = 0; k < 8; k++)
				bench_check(evr_plain_load_u64(
						    &end->blocks[index].word[k]) ==
					    i + n + k);
			block_free(end, index);
		}
	}
}

static void send_ones(void *end, uint64_t first, uint64_t count)
{
	messages_send(end, 1, first, count);
}

static void take_ones(void *end, uint64_t first, uint64_t count)
{
	messages_take(end, 1, first, count);
}

static void send_bursts(void *end, uint64_t first, uint64_t count)
{
	messages_send(end, BATCH, first, count);
}

static void take_bursts(void *end, uint64_t first, uint64_t count)
{
	messages_take(end, BATCH, first, count);
}

PEER_INLINE void pass(struct end *end, uintptr_t index)
{
	while (rte_ring_mp_enqueue(end->out, (void *)index) != 0)
		;
}

PEER_INLINE uint64_t *accept_block(struct end *end, uintptr_t *ret_index)
{
	void *object;

	while (rte_ring_mc_dequeue(end->in, &object) != 0)
		;
	*ret_index = (uintptr_t)object;
	bench_check(*ret_index < BLOCKS_COUNT);
	return end->blocks[*ret_index].word;
}

/* The same as ring_block.c: 256 bytes filled, checked and answered there in place,
 * checked here. */
static void there_and_back(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	uintptr_t index = 0;

	for (uint64_t i = first; i < first + count; i++) {
		uint64_t *words = end->blocks[index].word;

		if (end->side == 0) {
			for (uint64_t k = 0; k < ROUNDTRIP_WORDS; k++)
				evr_plain_store_u64(&words[k], i + k);
			pass(end, index);
		}
		words = accept_block(end, &index);
		if (end->side == 0) {
			for (uint64_t k = 0; k < ROUNDTRIP_WORDS; k++)
				bench_check(evr_plain_load_u64(&words[k]) ==
					    ((i + k) ^ ANSWER));
			continue;
		}
		for (uint64_t k = 0; k < ROUNDTRIP_WORDS; k++) {
			bench_check(evr_plain_load_u64(&words[k]) == i + k);
			evr_plain_store_u64(&words[k], (i + k) ^ ANSWER);
		}
		pass(end, index);
	}
}

const struct bench_subject bench_rte_block[] = {
	{ "message_64", "dpdk_rte_ring:mp_mc", 1 << 20, create, open_side,
	  { send_ones, take_ones }, destroy },
	{ "message_64_burst_32", "dpdk_rte_ring:mp_mc", 1 << 20, create, open_side,
	  { send_bursts, take_bursts }, destroy },
	{ "roundtrip_block_256", "dpdk_rte_ring:mp_mc", 1 << 17, create, open_side,
	  { there_and_back, there_and_back }, destroy },
	PEER_LIST_END,
};
#endif
