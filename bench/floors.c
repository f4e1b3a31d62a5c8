/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Textbook queues in a few lines each, in plain shared memory. None of them knows who
 * holds what: nothing is recovered. They are what a queue costs at least.
 *
 *	floor:lamport      one sender, one receiver; two indices, each side keeps a copy
 *	                   of the other's and looks again only when it says "full" or
 *	                   "empty". (Lamport 1983; the copies: Lee and others 2009)
 *	floor:fastforward  one sender, one receiver; a slot that is not 0 is full, there
 *	                   are no shared indices. (Giacomoni and others, PPoPP 2008)
 *	floor:vyukov       many of each; a number in each slot says whose turn it is.
 *	                   (Vyukov's bounded queue) Who is stopped between taking its
 *	                   turn and passing it on holds up everybody.
 */
#include "peer.h"

#define MASK (PEER_SLOTS - 1)

struct lamport {
	EVR_CACHE_ALIGNED struct evr_atomic_u64 tail;
	uint64_t head_seen; /* the sender's copy */
	EVR_CACHE_ALIGNED struct evr_atomic_u64 head;
	uint64_t tail_seen; /* the receiver's copy */
	EVR_CACHE_ALIGNED uint64_t slots[PEER_SLOTS * PEER_WORDS_MAX];
};

struct fastforward {
	EVR_CACHE_ALIGNED uint64_t tail; /* the sender's own */
	EVR_CACHE_ALIGNED uint64_t head; /* the receiver's own */
	EVR_CACHE_ALIGNED struct evr_atomic_u64 slots[PEER_SLOTS];
};

struct vyukov {
	EVR_CACHE_ALIGNED struct evr_atomic_u64 tail;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 head;
	EVR_CACHE_ALIGNED struct vyukov_slot {
		struct evr_atomic_u64 turn;
		uint64_t value;
	} slots[PEER_SLOTS];
};

#define TWO_QUEUES(type, init)                                                           \
	static void *type##_create(void)                                                 \
	{                                                                                \
		struct type *queues =                                                    \
			(struct type *)bench_shared_map(2 * sizeof(*queues));            \
                                                                                         \
		init(&queues[0]);                                                        \
		init(&queues[1]);                                                        \
		return queues;                                                           \
	}                                                                                \
	static void *type##_open(void *created, int side)                                \
	{                                                                                \
		struct type *queues = created;                                           \
                                                                                         \
		return peer_end_new(&queues[side], &queues[1 - side], side);             \
	}                                                                                \
	static void *type##_open_one(void *created, int side)                            \
	{                                                                                \
		return peer_end_new(created, created, side);                             \
	}                                                                                \
	static void type##_destroy(void *created)                                        \
	{                                                                                \
		bench_shared_unmap(created, 2 * sizeof(struct type));                    \
	}

PEER_INLINE uint32_t lamport_put(struct lamport *queue, const uint64_t *values,
				 uint32_t n, uint32_t words)
{
	uint64_t tail = evr_load_relaxed_u64(&queue->tail);
	uint64_t space = PEER_SLOTS - (tail - queue->head_seen);

	if (space < n) {
		queue->head_seen = evr_load_acquire_u64(&queue->head);
		space = PEER_SLOTS - (tail - queue->head_seen);
		if (space < n)
			n = (uint32_t)space;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < words; k++)
			queue->slots[((tail + i) & MASK) * words + k] =
				values[i * words + k];
	if (n)
		evr_store_release_u64(&queue->tail, tail + n);
	return n;
}

PEER_INLINE uint32_t lamport_take(struct lamport *queue, uint64_t *values, uint32_t n,
				  uint32_t words)
{
	uint64_t head = evr_load_relaxed_u64(&queue->head);
	uint64_t filled = queue->tail_seen - head;

	if (filled < n) {
		queue->tail_seen = evr_load_acquire_u64(&queue->tail);
		filled = queue->tail_seen - head;
		if (filled < n)
			n = (uint32_t)filled;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < words; k++)
			values[i * words + k] =
				queue->slots[((head + i) & MASK) * words + k];
	if (n)
		evr_store_release_u64(&queue->head, head + n);
	return n;
}

#define LAMPORT(words)                                                                   \
	PEER_INLINE uint32_t lamport_put_##words(void *queue, uint64_t *values,          \
						 uint32_t n)                             \
	{                                                                                \
		return lamport_put(queue, values, n, words);                             \
	}                                                                                \
	PEER_INLINE uint32_t lamport_take_##words(void *queue, uint64_t *values,         \
						  uint32_t n)                            \
	{                                                                                \
		return lamport_take(queue, values, n, words);                            \
	}                                                                                \
	PEER_ROUNDTRIP(lamport_##words, words, lamport_put_##words, lamport_take_##words)

#define NO_INIT(queue) (void)(queue)

TWO_QUEUES(lamport, NO_INIT)
LAMPORT(1)
LAMPORT(8)
LAMPORT(15)
PEER_STREAM(lamport_1_ones, 1, 1, lamport_put_1, lamport_take_1)
PEER_STREAM(lamport_1_bursts, 1, 32, lamport_put_1, lamport_take_1)
PEER_STREAM(lamport_8_ones, 8, 1, lamport_put_8, lamport_take_8)
PEER_STREAM(lamport_8_bursts, 8, 32, lamport_put_8, lamport_take_8)

PEER_INLINE uint32_t fastforward_put(void *opened, uint64_t *values, uint32_t n)
{
	struct fastforward *queue = opened;
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct evr_atomic_u64 *slot = &queue->slots[queue->tail & MASK];

		if (evr_load_acquire_u64(slot) != 0)
			break;
		evr_store_release_u64(slot, values[i] + 1);
		queue->tail++;
	}
	return i;
}

PEER_INLINE uint32_t fastforward_take(void *opened, uint64_t *values, uint32_t n)
{
	struct fastforward *queue = opened;
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct evr_atomic_u64 *slot = &queue->slots[queue->head & MASK];
		uint64_t value = evr_load_acquire_u64(slot);

		if (value == 0)
			break;
		values[i] = value - 1;
		evr_store_release_u64(slot, 0);
		queue->head++;
	}
	return i;
}

TWO_QUEUES(fastforward, NO_INIT)
PEER_STREAM(fastforward_ones, 1, 1, fastforward_put, fastforward_take)
PEER_STREAM(fastforward_bursts, 1, 32, fastforward_put, fastforward_take)
PEER_ROUNDTRIP(fastforward, 1, fastforward_put, fastforward_take)

static void vyukov_init(struct vyukov *queue)
{
	for (uint64_t i = 0; i < PEER_SLOTS; i++)
		evr_store_release_u64(&queue->slots[i].turn, i);
}

PEER_INLINE bool vyukov_put_one(struct vyukov *queue, uint64_t value)
{
	uint64_t tail = evr_load_relaxed_u64(&queue->tail);

	for (;;) {
		struct vyukov_slot *slot = &queue->slots[tail & MASK];
		uint64_t turn = evr_load_acquire_u64(&slot->turn);

		if (turn == tail) {
			if (!evr_cas_acq_rel_u64(&queue->tail, &tail, tail + 1))
				continue;
			slot->value = value;
			evr_store_release_u64(&slot->turn, tail + 1);
			return true;
		}
		if ((int64_t)(turn - tail) < 0)
			return false;
		tail = evr_load_relaxed_u64(&queue->tail);
	}
}

PEER_INLINE bool vyukov_take_one(struct vyukov *queue, uint64_t *ret)
{
	uint64_t head = evr_load_relaxed_u64(&queue->head);

	for (;;) {
		struct vyukov_slot *slot = &queue->slots[head & MASK];
		uint64_t turn = evr_load_acquire_u64(&slot->turn);

		if (turn == head + 1) {
			if (!evr_cas_acq_rel_u64(&queue->head, &head, head + 1))
				continue;
			*ret = slot->value;
			evr_store_release_u64(&slot->turn, head + PEER_SLOTS);
			return true;
		}
		if ((int64_t)(turn - (head + 1)) < 0)
			return false;
		head = evr_load_relaxed_u64(&queue->head);
	}
}

PEER_INLINE uint32_t vyukov_put(void *queue, uint64_t *values, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && vyukov_put_one(queue, values[i]); i++)
		;
	return i;
}

PEER_INLINE uint32_t vyukov_take(void *queue, uint64_t *values, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && vyukov_take_one(queue, &values[i]); i++)
		;
	return i;
}

TWO_QUEUES(vyukov, vyukov_init)
PEER_ROUNDS(vyukov_ones, 1, vyukov_put, vyukov_take)
PEER_ROUNDS(vyukov_8, 8, vyukov_put, vyukov_take)
PEER_ROUNDS(vyukov_32, 32, vyukov_put, vyukov_take)
PEER_TEAM(vyukov, vyukov_put, vyukov_take)

#define LAMPORT_STREAM(case_name, name)                                                  \
	PEER_STREAM_ROW(case_name, "floor:lamport", name, lamport_create,                \
			lamport_open_one, lamport_destroy, false)
#define LAMPORT_TRIPS(case_name, name)                                                   \
	PEER_ROUNDTRIP_ROW(case_name, "floor:lamport", name, lamport_create,             \
			   lamport_open, lamport_destroy, false)
#define FASTFORWARD_STREAM(case_name, name)                                              \
	PEER_STREAM_ROW(case_name, "floor:fastforward", name, fastforward_create,        \
			fastforward_open_one, fastforward_destroy, false)
#define VYUKOV_ROUNDS(case_name, name)                                                   \
	PEER_ROUNDS_ROW(case_name, "floor:vyukov", name, vyukov_create, vyukov_open,     \
			vyukov_destroy, false)

const struct bench_subject bench_floors[] = {
	LAMPORT_STREAM("spsc_8", lamport_1_ones),
	LAMPORT_STREAM("spsc_8_burst_32", lamport_1_bursts),
	LAMPORT_STREAM("spsc_64", lamport_8_ones),
	LAMPORT_STREAM("spsc_64_burst_32", lamport_8_bursts),
	FASTFORWARD_STREAM("spsc_8", fastforward_ones),
	FASTFORWARD_STREAM("spsc_8_burst_32", fastforward_bursts),
	LAMPORT_TRIPS("roundtrip_inline_8", lamport_1),
	LAMPORT_TRIPS("roundtrip_inline_64", lamport_8),
	LAMPORT_TRIPS("roundtrip_inline_120", lamport_15),
	PEER_ROUNDTRIP_ROW("roundtrip_inline_8", "floor:fastforward", fastforward,
			   fastforward_create, fastforward_open, fastforward_destroy,
			   false),
	VYUKOV_ROUNDS("mpmc_1p1c", vyukov_ones),
	VYUKOV_ROUNDS("mpmc_burst_8", vyukov_8),
	VYUKOV_ROUNDS("mpmc_burst_32", vyukov_32),
	PEER_TEAM_ROWS("floor:vyukov", vyukov, vyukov_create, vyukov_open_one,
		       vyukov_destroy, false),
	PEER_LIST_END,
};
