/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A peer: Concurrency Kit's ck_ring, for one and one (spsc) and for many and many (mpmc),
 * and ck_fifo_spsc. One value a call: it has no others.
 *
 * A ck_ring has no addresses in it and its sides are processes. A ck_fifo is a list of
 * entries linked by addresses: its sides are threads. As its documentation has it, the
 * sender recycles entries that the receiver is done with; it has PEER_SLOTS of them.
 */
#include "peer.h"

#ifndef EVR_BENCH_CK
const struct bench_subject bench_ck[] = {
	PEER_SKIPPED("ck", "not found; apt-get install libck-dev"),
	PEER_LIST_END,
};
#else

#include <ck_fifo.h>
#include <ck_ring.h>

struct word {
	uint64_t words[1];
};

struct line {
	uint64_t words[8];
};

struct long_value {
	uint64_t words[PEER_WORDS_MAX];
};

CK_RING_PROTOTYPE(word, word)
CK_RING_PROTOTYPE(line, line)
CK_RING_PROTOTYPE(long_value, long_value)

/* Their header keeps both sides' indices on lines of their own, if it starts on one. */
struct queue {
	EVR_CACHE_ALIGNED struct ck_ring ring;
	EVR_CACHE_ALIGNED struct long_value values[PEER_SLOTS];
};

static void *create(void)
{
	struct queue *queues = bench_shared_map(2 * sizeof(*queues));

	ck_ring_init(&queues[0].ring, PEER_SLOTS);
	ck_ring_init(&queues[1].ring, PEER_SLOTS);
	return queues;
}

static void *open_two(void *created, int side)
{
	struct queue *queues = created;

	return peer_end_new(&queues[side], &queues[1 - side], side);
}

static void *open_one(void *created, int side)
{
	return peer_end_new(created, created, side);
}

static void destroy(void *created)
{
	struct queue *queues = created;

	bench_check(ck_ring_size(&queues[0].ring) == 0);
	bench_check(ck_ring_size(&queues[1].ring) == 0);
	bench_shared_unmap(created, 2 * sizeof(*queues));
}

#define MOVES(name, type, enqueue, dequeue)                                              \
	PEER_INLINE uint32_t name##_put(void *opened, uint64_t *values, uint32_t n)      \
	{                                                                                \
		struct queue *queue = opened;                                            \
                                                                                         \
		(void)n;                                                                 \
		return enqueue(&queue->ring, (struct type *)queue->values,               \
			       (struct type *)values);                                   \
	}                                                                                \
	PEER_INLINE uint32_t name##_take(void *opened, uint64_t *values, uint32_t n)     \
	{                                                                                \
		struct queue *queue = opened;                                            \
                                                                                         \
		(void)n;                                                                 \
		return dequeue(&queue->ring, (struct type *)queue->values,               \
			       (struct type *)values);                                   \
	}

MOVES(spsc_1, word, ck_ring_enqueue_spsc_word, ck_ring_dequeue_spsc_word)
MOVES(spsc_8, line, ck_ring_enqueue_spsc_line, ck_ring_dequeue_spsc_line)
MOVES(spsc_15, long_value, ck_ring_enqueue_spsc_long_value,
      ck_ring_dequeue_spsc_long_value)
MOVES(mpmc, word, ck_ring_enqueue_mpmc_word, ck_ring_dequeue_mpmc_word)

PEER_STREAM(spsc_1, 1, 1, spsc_1_put, spsc_1_take)
PEER_STREAM(spsc_8, 8, 1, spsc_8_put, spsc_8_take)
PEER_ROUNDTRIP(spsc_1, 1, spsc_1_put, spsc_1_take)
PEER_ROUNDTRIP(spsc_8, 8, spsc_8_put, spsc_8_take)
PEER_ROUNDTRIP(spsc_15, 15, spsc_15_put, spsc_15_take)
PEER_ROUNDS(mpmc, 1, mpmc_put, mpmc_take)
PEER_TEAM(mpmc, mpmc_put, mpmc_take)

struct fifo {
	EVR_CACHE_ALIGNED struct ck_fifo_spsc fifo;
	EVR_CACHE_ALIGNED struct ck_fifo_spsc_entry entries[PEER_SLOTS];
	EVR_CACHE_ALIGNED uint32_t entries_used; /* the sender's */
};

static void *fifo_create(void)
{
	struct fifo *fifo = bench_shared_map(sizeof(*fifo));

	ck_fifo_spsc_init(&fifo->fifo, &fifo->entries[0]);
	fifo->entries_used = 1;
	return fifo;
}

static void fifo_destroy(void *created)
{
	struct fifo *fifo = created;

	bench_check(ck_fifo_spsc_isempty(&fifo->fifo));
	bench_shared_unmap(created, sizeof(*fifo));
}

PEER_INLINE uint32_t fifo_put(void *opened, uint64_t *values, uint32_t n)
{
	struct fifo *fifo = opened;
	struct ck_fifo_spsc_entry *entry = ck_fifo_spsc_recycle(&fifo->fifo);

	(void)n;
	if (EVR_UNLIKELY(!entry)) {
		if (fifo->entries_used == PEER_SLOTS)
			return 0;
		entry = &fifo->entries[fifo->entries_used++];
	}
	ck_fifo_spsc_enqueue(&fifo->fifo, entry, (void *)(uintptr_t)values[0]);
	return 1;
}

PEER_INLINE uint32_t fifo_take(void *opened, uint64_t *values, uint32_t n)
{
	struct fifo *fifo = opened;
	void *value;

	(void)n;
	if (!ck_fifo_spsc_dequeue(&fifo->fifo, &value))
		return 0;
	values[0] = (uintptr_t)value;
	return 1;
}

PEER_STREAM(fifo, 1, 1, fifo_put, fifo_take)

const struct bench_subject bench_ck[] = {
	PEER_STREAM_ROW("spsc_8", "ck_ring:spsc", spsc_1, create, open_one, destroy,
			false),
	PEER_STREAM_ROW("spsc_8", "ck_fifo:spsc", fifo, fifo_create, open_one,
			fifo_destroy, true),
	PEER_STREAM_ROW("spsc_64", "ck_ring:spsc", spsc_8, create, open_one, destroy,
			false),
	PEER_ROUNDTRIP_ROW("roundtrip_inline_8", "ck_ring:spsc", spsc_1, create, open_two,
			   destroy, false),
	PEER_ROUNDTRIP_ROW("roundtrip_inline_64", "ck_ring:spsc", spsc_8, create,
			   open_two, destroy, false),
	PEER_ROUNDTRIP_ROW("roundtrip_inline_120", "ck_ring:spsc", spsc_15, create,
			   open_two, destroy, false),
	PEER_ROUNDS_ROW("mpmc_1p1c", "ck_ring:mpmc", mpmc, create, open_two, destroy,
			false),
	PEER_TEAM_ROWS("ck_ring:mpmc", mpmc, create, open_one, destroy, false),
	PEER_LIST_END,
};
#endif
