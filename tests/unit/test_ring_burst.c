/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_ring_burst.c - ring_burst.h: several blocks through one slot; lists that lie. */

#include "fixture.h"

#include <string.h>

#define ORDER 3
#define CAPACITY 8
#define MANY 40

struct queue {
	struct peer peer;
	struct evr_ring ring;
	struct evr_block popped[MANY];
	uint64_t next_number;
};

static void make_queue(struct queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	peer_create(&queue->peer, NULL);
	MUST(evr_ring_create(queue->peer.region, "ring", ORDER, &queue->ring));
}

static void end_queue(struct queue *queue)
{
	peer_leaves_all_free(&queue->peer);
	peer_close(&queue->peer);
}

/* Blocks with the next numbers in them. */
static void make_blocks(struct queue *queue, uint32_t count, evr_token *ret)
{
	for (uint32_t i = 0; i < count; i++) {
		struct evr_block block = must_alloc(&queue->peer.agent, 64);

		*(uint64_t *)block.payload = queue->next_number++;
		ret[i] = block.token;
	}
}

static int push_blocks(struct queue *queue, uint32_t count)
{
	evr_token tokens[MANY];

	make_blocks(queue, count, tokens);
	return evr_ring_try_push_burst(&queue->ring, &queue->peer.agent, tokens, count);
}

/* The blocks have numbers from @first on, are ours, and go. */
static void check_and_free(struct queue *queue, const struct evr_block *blocks,
			   int count, uint64_t first)
{
	for (int i = 0; i < count; i++) {
		cr_assert_eq(*(uint64_t *)blocks[i].payload, first + (uint64_t)i,
			     "place %d has number %llu, not %llu", i,
			     *(unsigned long long *)blocks[i].payload,
			     (unsigned long long)first + (unsigned int)i);
		MUST(evr_block_free(&queue->peer.agent, blocks[i].token));
	}
}

/* Pops up to @max; as many as there must be, with numbers from @first on. */
static void pop_blocks(struct queue *queue, uint32_t max, int wanted, uint64_t first)
{
	int count = evr_ring_try_pop_burst(&queue->ring, &queue->peer.agent,
					   queue->popped, max);

	cr_assert_eq(count, wanted, "%d were popped, not %d", count, wanted);
	check_and_free(queue, queue->popped, count, first);
}

static void pop_one(struct queue *queue, uint64_t number)
{
	struct evr_block block;

	MUST(evr_ring_try_pop(&queue->ring, &queue->peer.agent, &block));
	check_and_free(queue, &block, 1, number);
}

static uint32_t slots_filled(const struct evr_ring *ring)
{
	uint32_t filled = 0;

	for (uint64_t i = 0; i <= ring->mask; i++)
		filled += evri_slot_is_full(evr_load_acquire_u64(&ring->slots[i]));
	return filled;
}

static struct evr_block_shared *shared_of(const struct queue *queue, evr_token token)
{
	return evri_block_at(&queue->peer.agent, evr_token_index(token));
}

/* The block whose token lies in the first full slot. */
static struct evr_block_shared *first_queued(const struct queue *queue)
{
	for (uint64_t i = 0; i <= queue->ring.mask; i++) {
		uint64_t word = evr_load_acquire_u64(&queue->ring.slots[i]);

		if (evri_slot_is_full(word))
			return evri_block_at(&queue->peer.agent,
					     (uint32_t)((word & EVR_TOKEN_WIRE_MASK) >>
							EVR_TOKEN_GENERATION_BITS));
	}
	cr_assert_fail("the ring is empty");
	return NULL;
}

/* ---- through the ring ---- */

Test(ring_burst, a_burst_takes_one_slot_and_comes_out_in_order)
{
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 32), 32);
	cr_assert_eq(slots_filled(&queue.ring), 1);
	pop_blocks(&queue, MANY, 32, 0);
	FAILS(-EAGAIN, evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent,
					      queue.popped, MANY));
	end_queue(&queue);
}

Test(ring_burst, bursts_and_single_blocks_mix_in_one_ring)
{
	struct queue queue;
	evr_token token;

	make_queue(&queue);
	for (uint32_t round = 0; round < 5; round++) {
		uint64_t first = queue.next_number;

		cr_assert_eq(push_blocks(&queue, 5), 5);
		make_blocks(&queue, 1, &token);
		MUST(evr_ring_try_push(&queue.ring, &queue.peer.agent, token));
		cr_assert_eq(push_blocks(&queue, 2), 2);
		cr_assert_eq(push_blocks(&queue, 4), 4);
		cr_assert_eq(slots_filled(&queue.ring), 5);
		pop_one(&queue, first);
		pop_blocks(&queue, 3, 3, first + 1);
		pop_blocks(&queue, 3, 3, first + 4);
		pop_one(&queue, first + 7);
		pop_one(&queue, first + 8);
		pop_blocks(&queue, MANY, 3, first + 9);
	}
	end_queue(&queue);
}

Test(ring_burst, more_than_one_burst_carries_is_several)
{
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, MANY), MANY);
	cr_assert_eq(slots_filled(&queue.ring), 2);
	pop_blocks(&queue, MANY, MANY, 0);
	FAILS(-EINVAL, evr_ring_set_burst_max(&queue.ring, EVR_RING_BURST_LIMIT + 1));
	MUST(evr_ring_set_burst_max(&queue.ring, 8));
	cr_assert_eq(push_blocks(&queue, MANY), MANY);
	cr_assert_eq(slots_filled(&queue.ring), 5);
	pop_blocks(&queue, MANY, MANY, MANY);
	MUST(evr_ring_set_burst_max(&queue.ring, 1));
	cr_assert_eq(push_blocks(&queue, 5), 5);
	cr_assert_eq(slots_filled(&queue.ring), 5);
	pop_blocks(&queue, MANY, 5, 2 * MANY);
	end_queue(&queue);
}

static uint32_t hoard_all(struct queue *queue, uint64_t bytes, struct evr_block *ret)
{
	uint32_t held = 0;

	while (evr_block_alloc(&queue->peer.agent, bytes, &ret[held]) == 0)
		held++;
	return held;
}

Test(ring_burst, without_a_block_to_carry_them_blocks_travel_in_smaller_bursts_or_alone)
{
	struct evr_block hoard[FIXTURE_BLOCKS];
	evr_token tokens[16];
	struct queue queue;
	uint32_t held;

	make_queue(&queue);
	held = hoard_all(&queue, 1024, hoard);
	make_blocks(&queue, 16, tokens);
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 16), 16);
	cr_assert_eq(slots_filled(&queue.ring), 2, "64 bytes carry eight blocks");
	pop_blocks(&queue, MANY, 16, 0);
	make_blocks(&queue, 16, tokens);
	held += hoard_all(&queue, 64, hoard + held);
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 16),
		CAPACITY);
	cr_assert_eq(slots_filled(&queue.ring), CAPACITY);
	pop_blocks(&queue, MANY, CAPACITY, 16);
	for (uint32_t i = CAPACITY; i < 16; i++)
		MUST(evr_block_free(&queue.peer.agent, tokens[i]));
	while (held)
		MUST(evr_block_free(&queue.peer.agent, hoard[--held].token));
	end_queue(&queue);
}

Test(ring_burst, a_pool_of_small_blocks_has_small_bursts)
{
	struct evr_pool_class class = { 64, 128, 0 };
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = &class,
					    .classes_count = 1 };
	struct queue queue = { .peer = pool_peer_with(&options) };

	MUST(evr_agent_open(queue.peer.pool, &queue.peer.agent));
	MUST(evr_ring_create(queue.peer.region, "ring", ORDER, &queue.ring));
	cr_assert_eq(push_blocks(&queue, 32), 32);
	cr_assert_eq(slots_filled(&queue.ring), 4);
	pop_blocks(&queue, MANY, 32, 0);
	end_queue(&queue);
}

Test(ring_burst, a_block_with_contents_travels_by_itself_in_its_place)
{
	struct evr_block inner;
	evr_token tokens[8];
	struct queue queue;

	make_queue(&queue);
	make_blocks(&queue, 8, tokens);
	inner = must_alloc(&queue.peer.agent, 64);
	MUST(evr_block_contain(&queue.peer.agent, tokens[4], inner.token));
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 8), 8);
	cr_assert_eq(slots_filled(&queue.ring), 3);
	cr_assert_eq(evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent, queue.popped,
					    MANY),
		     8);
	MUST(evr_block_content(&queue.peer.agent, queue.popped[4].token, 0, &inner));
	check_and_free(&queue, queue.popped, 8, 0);
	end_queue(&queue);
}

Test(ring_burst, nothing_wanted_is_nothing_done)
{
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, NULL, 0), 0);
	cr_assert_eq(evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent, NULL, 0), 0);
	cr_assert_eq(evr_ring_give_back(&queue.ring, &queue.peer.agent), 0);
	end_queue(&queue);
}

Test(ring_burst, an_untracked_pool_gets_its_carriers_back_too)
{
	struct evr_pool_options options = fixture_pool_options();
	struct queue queue;

	memset(&queue, 0, sizeof(queue));
	options.flags = EVR_POOL_UNTRACKED;
	queue.peer = pool_peer_with(&options);
	MUST(evr_agent_open(queue.peer.pool, &queue.peer.agent));
	MUST(evr_ring_create(queue.peer.region, "ring", ORDER, &queue.ring));
	/* Of changing lengths, so that carriers become ordinary blocks and back. */
	for (uint32_t i = 0; i < 100; i++) {
		uint64_t first = queue.next_number;
		int count = 4 + (int)(i % 5);

		cr_assert_eq(push_blocks(&queue, (uint32_t)count), count);
		pop_blocks(&queue, MANY, count, first);
	}
	end_queue(&queue);
}

/* ---- what does not fit, and what is wrong ---- */

Test(ring_burst, what_does_not_fit_stays_the_callers_with_the_same_tokens)
{
	evr_token tokens[12];
	struct queue queue;

	make_queue(&queue);
	MUST(evr_ring_set_burst_max(&queue.ring, 4));
	for (uint32_t i = 0; i < CAPACITY - 2; i++)
		cr_assert_eq(push_blocks(&queue, 1), 1);
	make_blocks(&queue, 12, tokens);
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 12), 8);
	FAILS(-EAGAIN, evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens + 8,
					       4));
	pop_blocks(&queue, CAPACITY - 2, CAPACITY - 2, 0);
	cr_assert_eq(evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens + 8,
					     4),
		     4);
	pop_blocks(&queue, MANY, 12, CAPACITY - 2);
	end_queue(&queue);
}

Test(ring_burst, a_closed_ring_takes_no_burst_and_gives_what_is_in_hand_first)
{
	evr_token tokens[5];
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 5), 5);
	MUST(evr_ring_close(&queue.ring));
	pop_one(&queue, 0);
	cr_assert_eq(evr_ring_in_hand(&queue.ring), 4);
	make_blocks(&queue, 5, tokens);
	FAILS(-EPIPE, evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 5));
	FAILS(-EPIPE, evr_ring_give_back(&queue.ring, &queue.peer.agent));
	pop_blocks(&queue, MANY, 4, 1);
	FAILS(-EPIPE, evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent,
					     queue.popped, MANY));
	for (uint32_t i = 0; i < 5; i++)
		MUST(evr_block_free(&queue.peer.agent, tokens[i]));
	end_queue(&queue);
}

Test(ring_burst, a_token_that_is_no_good_ends_the_burst_before_it)
{
	evr_token tokens[6];
	struct queue queue;

	make_queue(&queue);
	make_blocks(&queue, 6, tokens);
	MUST(evr_block_free(&queue.peer.agent, tokens[4]));
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 6), 4);
	FAILS(-ESTALE, evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens + 4,
					       2));
	pop_blocks(&queue, MANY, 4, 0);
	MUST(evr_block_free(&queue.peer.agent, tokens[5]));
	end_queue(&queue);
}

Test(ring_burst, a_token_given_twice_is_pushed_once)
{
	evr_token tokens[6];
	struct queue queue;

	make_queue(&queue);
	make_blocks(&queue, 5, tokens);
	tokens[5] = tokens[4];
	tokens[4] = tokens[1];
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 6), 4);
	FAILS(-EBUSY, evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens + 4,
					      2));
	pop_blocks(&queue, MANY, 4, 0);
	MUST(evr_block_free(&queue.peer.agent, tokens[5]));
	end_queue(&queue);
}

Test(ring_burst, blocks_in_a_burst_cannot_be_freed_by_who_sent_them)
{
	evr_token tokens[4];
	struct queue queue;

	make_queue(&queue);
	make_blocks(&queue, 4, tokens);
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 4), 4);
	FAILS(-EBUSY, evr_block_free(&queue.peer.agent, tokens[0]));
	pop_one(&queue, 0);
	FAILS(-ESTALE, evr_block_free(&queue.peer.agent, tokens[0]));
	FAILS(-EBUSY, evr_block_free(&queue.peer.agent, tokens[1]));
	pop_blocks(&queue, MANY, 3, 1);
	end_queue(&queue);
}

/* ---- what is in hand ---- */

Test(ring_burst, what_is_given_back_comes_after_what_was_pushed_meanwhile)
{
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 6), 6);
	pop_blocks(&queue, 2, 2, 0);
	cr_assert_eq(push_blocks(&queue, 1), 1);
	cr_assert_eq(evr_ring_give_back(&queue.ring, &queue.peer.agent), 4);
	cr_assert_eq(evr_ring_in_hand(&queue.ring), 0);
	pop_one(&queue, 6);
	pop_blocks(&queue, 1, 1, 2);
	cr_assert_eq(evr_ring_give_back(&queue.ring, &queue.peer.agent), 3);
	pop_blocks(&queue, MANY, 3, 3);
	end_queue(&queue);
}

Test(ring_burst, another_agent_takes_out_what_a_closed_one_had_in_hand)
{
	struct evr_agent second;
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 6), 6);
	MUST(evr_agent_open(queue.peer.pool, &second));
	cr_assert_eq(evr_ring_try_pop_burst(&queue.ring, &second, queue.popped, 2), 2);
	evr_agent_close(&second);
	check_and_free(&queue, queue.popped, 2, 0);
	pop_blocks(&queue, MANY, 4, 2);
	end_queue(&queue);
}

/* ---- deaths ---- */

static void push_two_bursts(struct peer *peer, void *unused)
{
	struct evr_ring ring;

	(void)unused;
	CHILD_MUST(evr_ring_open(peer->region, "ring", &ring) == 0);
	for (uint64_t burst = 0; burst < 2; burst++) {
		evr_token tokens[5];

		for (uint64_t i = 0; i < 5; i++) {
			struct evr_block block;

			CHILD_MUST(evr_block_alloc(&peer->agent, 64, &block) == 0);
			*(uint64_t *)block.payload = 5 * burst + i;
			tokens[i] = block.token;
		}
		CHILD_MUST(evr_ring_try_push_burst(&ring, &peer->agent, tokens, 5) == 5);
	}
}

Test(ring_burst, the_bursts_of_a_dead_sender_arrive)
{
	struct queue queue;

	make_queue(&queue);
	killed_child(&queue.peer, push_two_bursts, NULL);
	cr_assert_eq(MUST(evr_recover(&queue.peer.agent, NULL)), 0);
	cr_assert_eq(evr_block_word_owner(evr_load_acquire_u64(
			     &first_queued(&queue)->word)),
		     EVR_OWNER_ORPHAN);
	pop_blocks(&queue, 7, 7, 0);
	pop_one(&queue, 7);
	pop_blocks(&queue, MANY, 2, 8);
	end_queue(&queue);
}

static void pop_two_of_a_burst(struct peer *peer, void *unused)
{
	struct evr_block blocks[2];
	struct evr_ring ring;

	(void)unused;
	CHILD_MUST(evr_ring_open(peer->region, "ring", &ring) == 0);
	CHILD_MUST(evr_ring_try_pop_burst(&ring, &peer->agent, blocks, 2) == 2);
	CHILD_MUST(evr_ring_in_hand(&ring) == 4);
}

Test(ring_burst, what_a_dead_popper_had_in_hand_is_freed)
{
	struct evr_recovery_stats stats;
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 6), 6);
	killed_child(&queue.peer, pop_two_of_a_burst, NULL);
	cr_assert_eq(MUST(evr_recover(&queue.peer.agent, &stats)), 0);
	cr_assert_eq(stats.finished, 1);
	end_queue(&queue);
}

Test(ring_burst, a_burst_in_hand_is_back_when_its_popper_leaves)
{
	struct evr_ring ring;
	struct queue queue;
	struct peer other;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 6), 6);
	peer_attach(&other, &queue.peer);
	MUST(evr_ring_open(other.region, "ring", &ring));
	cr_assert_eq(evr_ring_try_pop_burst(&ring, &other.agent, queue.popped, 2), 2);
	peer_close(&other);
	cr_assert_eq(MUST(evr_recover(&queue.peer.agent, NULL)), 0);
	end_queue(&queue);
}

/* ---- lists that lie ---- */

Test(ring_burst, a_list_longer_than_its_block_is_cut)
{
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 5), 5);
	evr_plain_store_u32(&first_queued(&queue)->request_bytes, UINT32_MAX);
	pop_blocks(&queue, 5, 5, 0);
	FAILS(-EUCLEAN, evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent,
					       queue.popped, MANY));
	cr_assert_eq(evr_ring_in_hand(&queue.ring), 0);
	FAILS(-EAGAIN, evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent,
					      queue.popped, MANY));
	end_queue(&queue);
}

Test(ring_burst, entries_that_name_no_content_are_passed_by)
{
	struct evr_block stranger;
	evr_token tokens[5];
	uint64_t *entries;
	struct queue queue;

	make_queue(&queue);
	stranger = must_alloc(&queue.peer.agent, 64);
	make_blocks(&queue, 5, tokens);
	cr_assert_eq(
		evr_ring_try_push_burst(&queue.ring, &queue.peer.agent, tokens, 5), 5);
	entries = (uint64_t *)(first_queued(&queue) + 1);
	evr_plain_store_u64(&entries[0], UINT64_MAX);
	evr_plain_store_u64(&entries[2], entries[1]); /* twice */
	evr_plain_store_u64(
		&entries[3],
		(uint64_t)evr_token_generation(stranger.token)
				<< EVR_BLOCK_GENERATION_SHIFT |
			evr_token_index(stranger.token));
	cr_assert_eq(evr_ring_try_pop_burst(&queue.ring, &queue.peer.agent, queue.popped,
					    MANY),
		     2);
	check_and_free(&queue, &queue.popped[0], 1, 1);
	check_and_free(&queue, &queue.popped[1], 1, 4);
	MUST(evr_block_free(&queue.peer.agent, stranger.token));
	/* What the list does not name any more is the scribbler's loss. */
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(evr_block_word_state(evr_load_acquire_u64(
				     &shared_of(&queue, tokens[i])->word)) ==
				     EVR_BLOCK_IN,
			     i == 0 || i == 2 || i == 3);
}

static void pop_one_and_scribble(struct peer *peer, void *unused)
{
	struct evr_block block;
	struct evr_ring ring;

	(void)unused;
	CHILD_MUST(evr_ring_open(peer->region, "ring", &ring) == 0);
	CHILD_MUST(evr_ring_try_pop(&ring, &peer->agent, &block) == 0);
	evr_plain_store_u32(&evri_block_at(&peer->agent, ring.burst - 1)->request_bytes,
			    UINT32_MAX);
}

Test(ring_burst, recovery_reads_no_list_beyond_its_block)
{
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 6), 6);
	killed_child(&queue.peer, pop_one_and_scribble, NULL);
	cr_assert_eq(MUST(evr_recover(&queue.peer.agent, NULL)), 0);
	end_queue(&queue);
}

Test(ring_burst, a_burst_of_nothing_is_no_block)
{
	struct evr_block block;
	struct queue queue;

	make_queue(&queue);
	cr_assert_eq(push_blocks(&queue, 4), 4);
	evr_plain_store_u32(&first_queued(&queue)->request_bytes, 0);
	FAILS(-EUCLEAN, evr_ring_try_pop(&queue.ring, &queue.peer.agent, &block));
	cr_assert_eq(evr_ring_in_hand(&queue.ring), 0);
	FAILS(-EAGAIN, evr_ring_try_pop(&queue.ring, &queue.peer.agent, &block));
}
