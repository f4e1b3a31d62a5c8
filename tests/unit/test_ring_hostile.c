/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_ring_hostile.c - ring.h when a peer has scribbled: one poisoned hint must not
 * kill a ring, and garbage in the slots must not hang, crash, or touch other memory.
 */

#include "fixture.h"

struct queue {
	struct peer peer;
	struct evr_ring ring;
	uint64_t pushed;
	uint64_t popped;
};

static void make_queue(struct queue *queue, uint32_t order)
{
	*queue = (struct queue){ 0 };
	peer_create(&queue->peer, NULL);
	MUST(evr_ring_create(queue->peer.region, "ring", order, &queue->ring));
}

/* One number through the ring by fresh ends, which know nothing but what is shared. */
static void expect_it_works(struct queue *queue)
{
	struct evr_agent *agent = &queue->peer.agent;
	struct evr_block block = must_alloc(agent, 64);
	struct evr_ring ends[2];
	int i;

	MUST(evr_ring_open(queue->peer.region, "ring", &ends[0]));
	MUST(evr_ring_open(queue->peer.region, "ring", &ends[1]));
	*(uint64_t *)block.payload = queue->pushed++;
	MUST(evr_ring_try_push(&ends[0], agent, block.token));
	for (i = 0; queue->popped < queue->pushed; i++) {
		cr_assert_lt(i, 1000);
		MUST(evr_ring_try_pop(&ends[1], agent, &block));
		cr_assert_eq(*(uint64_t *)block.payload, queue->popped++);
		MUST(evr_block_free(agent, block.token));
	}
}

static const uint64_t lies[] = {
	0,    1, 2, 8, 9, 15, 16, 17, 1000, 1U << 16, UINT32_MAX, UINT64_C(1) << 48,
	UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX,
};

Test(ring_hostile, no_value_of_one_hint_stops_a_ring, .timeout = 60)
{
	int which;

	for (which = 0; which < 2; which++) {
		size_t i;

		for (i = 0; i < COUNT_OF(lies); i++) {
			struct queue queue;
			struct evr_atomic_u64 *hint;
			int k;

			make_queue(&queue, 3);
			hint = which ? &queue.ring.shared->tail_hint :
				       &queue.ring.shared->head_hint;
			for (k = 0; k < 30; k++) {
				evr_store_relaxed_u64(hint, lies[i]);
				expect_it_works(&queue);
			}
			peer_leaves_all_free(&queue.peer);
			peer_close(&queue.peer);
		}
	}
}

Test(ring_hostile, no_pair_of_hints_stops_a_ring_that_an_end_has_kept_up_with,
     .timeout = 60)
{
	struct queue queue;
	uint64_t seed = 5;
	int round;

	make_queue(&queue, 3);
	for (round = 0; round < 5000; round++) {
		struct evr_block block = must_alloc(&queue.peer.agent, 64);

		evr_store_relaxed_u64(&queue.ring.shared->tail_hint,
				      lies[next_random(&seed) % COUNT_OF(lies)]);
		evr_store_relaxed_u64(&queue.ring.shared->head_hint,
				      lies[next_random(&seed) % COUNT_OF(lies)]);
		*(uint64_t *)block.payload = (uint64_t)round;
		MUST(evr_ring_try_push(&queue.ring, &queue.peer.agent, block.token));
		MUST(evr_ring_try_pop(&queue.ring, &queue.peer.agent, &block));
		cr_assert_eq(*(uint64_t *)block.payload, (uint64_t)round);
		MUST(evr_block_free(&queue.peer.agent, block.token));
	}
	peer_leaves_all_free(&queue.peer);
	peer_close(&queue.peer);
}

/* Any answer but a crash, a hang, or a block that is not ours. */
static void use_it_somehow(struct queue *queue, struct evr_ring *end)
{
	struct evr_agent *agent = &queue->peer.agent;
	struct evr_block block;
	int error = evr_block_alloc(agent, 64, &block);

	if (error == 0) {
		error = evr_ring_try_push(end, agent, block.token);
		cr_assert(error == 0 || error == -EAGAIN || error == -EUCLEAN ||
				  error == -EPIPE,
			  "push: %d", error);
		if (error < 0)
			MUST(evr_block_free(agent, block.token));
	}
	error = evr_ring_try_pop(end, agent, &block);
	cr_assert(error == 0 || error == -EAGAIN || error == -EUCLEAN || error == -EPIPE,
		  "pop: %d", error);
	if (error == 0) {
		cr_assert_lt(evr_token_index(block.token), 200);
		MUST(evr_block_free(agent, block.token));
	}
	error = evr_ring_close(end);
	cr_assert(error == 0 || error == -EAGAIN || error == -EUCLEAN, "close: %d",
		  error);
}

Test(ring_hostile, garbage_in_every_slot_is_an_error_at_worst, .timeout = 60)
{
	uint64_t seed = 11;
	int round;

	for (round = 0; round < 300; round++) {
		struct evr_ring late;
		struct queue queue;
		uint64_t i;
		int k;

		make_queue(&queue, 1 + (uint32_t)round % 8);
		MUST(evr_ring_open(queue.peer.region, "ring", &late));
		for (i = 0; i <= queue.ring.mask; i++)
			evr_store_relaxed_u64(&queue.ring.slots[i],
					      next_random(&seed) >> (round % 3 ? 0 : 14));
		if (round % 2) {
			evr_store_relaxed_u64(&queue.ring.shared->tail_hint,
					      next_random(&seed) >>
						      next_random(&seed) % 64);
			evr_store_relaxed_u64(&queue.ring.shared->head_hint,
					      next_random(&seed) >>
						      next_random(&seed) % 64);
		}
		for (k = 0; k < 20; k++) {
			use_it_somehow(&queue, &queue.ring);
			use_it_somehow(&queue, &late);
		}
		peer_close(&queue.peer);
	}
}

/* A full slot in the right lap that names no block, a free one, another's, the taken. */
Test(ring_hostile, a_slot_with_a_token_of_no_block_in_flight_gives_nobody_a_block,
     .timeout = 20)
{
	struct evr_block mine;
	struct evr_block block = { .payload_bytes = 3 };
	struct queue queue;
	struct peer other;
	uint64_t wires[6];
	size_t i;

	make_queue(&queue, 3);
	peer_attach(&other, &queue.peer);
	mine = must_alloc(&other.agent, 64);
	wires[0] = evr_token_wire(evr_token_make(0, 199, 1));       /* free */
	wires[1] = evr_token_wire(evr_token_make(0, 200, 1));       /* none */
	wires[2] = evr_token_wire(evr_token_make(0, EVR_TOKEN_INDEX_MAX, 1));
	wires[3] = evr_token_wire(mine.token) + 1; /* not this generation */
	wires[4] = 0;
	wires[5] = EVR_TOKEN_WIRE_MASK - 1;
	for (i = 0; i < COUNT_OF(wires); i++) {
		struct evr_atomic_u64 *slot = &queue.ring.slots[i];

		cr_assert_eq(evr_load_relaxed_u64(slot), evri_slot_empty(1));
		evr_store_relaxed_u64(slot, evri_slot_full(1, wires[i]));
		FAILS(-EUCLEAN,
		      evr_ring_try_pop(&queue.ring, &queue.peer.agent, &block));
		cr_assert_eq(block.payload_bytes, 3, "the result was touched");
	}
	MUST(evr_block_free(&other.agent, mine.token));
	peer_close(&other);
	peer_leaves_all_free(&queue.peer);
	peer_close(&queue.peer);
}

Test(ring_hostile, a_header_that_contradicts_itself_is_not_opened)
{
	static const uint32_t orders[] = { 0, 25, 31, 32, 64, UINT32_MAX, 20 };
	struct evr_ring end;
	struct queue queue;
	size_t i;

	make_queue(&queue, 3);
	for (i = 0; i < COUNT_OF(orders); i++) {
		queue.ring.shared->order = orders[i];
		FAILS(-EUCLEAN, evr_ring_open(queue.peer.region, "ring", &end));
	}
	queue.ring.shared->order = 3;
	queue.ring.shared->magic ^= 1;
	FAILS(-EUCLEAN, evr_ring_open(queue.peer.region, "ring", &end));
	queue.ring.shared->magic ^= 1;
	MUST(evr_ring_open(queue.peer.region, "ring", &end));
	peer_close(&queue.peer);
}

static void scribble(void *argument)
{
	struct evr_ring *ring = argument;
	uint64_t seed = 17;

	for (;;) {
		evr_store_relaxed_u64(&ring->slots[next_random(&seed) & ring->mask],
				      next_random(&seed));
		evr_store_relaxed_u64(&ring->shared->tail_hint, next_random(&seed));
		evr_store_relaxed_u64(&ring->shared->head_hint, next_random(&seed));
	}
}

Test(ring_hostile, a_peer_that_scribbles_all_the_time_hangs_nobody, .timeout = 60)
{
	struct evr_ring raw;
	struct queue queue;
	uint64_t end;
	char *base;
	pid_t child;

	make_queue(&queue, 3);
	base = (char *)scribble_map(queue.peer.region);
	raw = queue.ring;
	raw.shared = (struct evr_ring_shared *)(base +
						     ((char *)queue.ring.shared -
						      queue.peer.agent.base));
	raw.slots = (struct evr_atomic_u64 *)(raw.shared + 1);
	child = start_child(scribble, &raw);
	end = now_ns() + 1000 * MILLISECOND_NS;
	while (now_ns() < end)
		use_it_somehow(&queue, &queue.ring);
	end_child(child);
	peer_close(&queue.peer);
}
