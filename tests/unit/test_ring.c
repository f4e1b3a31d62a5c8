/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_ring.c - ring.h: making a queue of blocks, ends that come late or were idle, whose
 * a block is. What all queues have in common: conform_rings.c. */

#include "fixture.h"

#include <string.h>

#define ORDER 3
#define CAPACITY 8

struct queue {
	struct peer peer;
	struct evr_ring ring;
};

static void make_queue(struct queue *queue, uint32_t order)
{
	peer_create(&queue->peer, NULL);
	MUST(evr_ring_create(queue->peer.region, "ring", order, &queue->ring));
}

static void end_queue(struct queue *queue)
{
	peer_leaves_all_free(&queue->peer);
	peer_close(&queue->peer);
}

/* A block with a number in it, appended. */
static int push_number(struct evr_ring *ring, struct evr_agent *agent,
		       uint64_t number)
{
	struct evr_block block = must_alloc(agent, 64);
	int error;

	*(uint64_t *)block.payload = number;
	error = evr_ring_try_push(ring, agent, block.token);
	if (error < 0)
		MUST(evr_block_free(agent, block.token));
	return error;
}

/* The number in the oldest block, which is freed; or the negative errno of the pop. */
static int64_t pop_number(struct evr_ring *ring, struct evr_agent *agent)
{
	struct evr_block block;
	int64_t number;
	int error = evr_ring_try_pop(ring, agent, &block);

	if (error < 0)
		return error;
	number = *(int64_t *)block.payload;
	MUST(evr_block_free(agent, block.token));
	return number;
}

/* ---- making and opening ---- */

Test(ring, a_ring_is_found_by_its_name_and_shared_by_all_its_ends)
{
	struct evr_ring end;
	struct queue queue;

	make_queue(&queue, ORDER);
	MUST(evr_ring_open(queue.peer.region, "ring", &end));
	cr_assert_eq(evr_ring_capacity(&end), CAPACITY);
	MUST(push_number(&queue.ring, &queue.peer.agent, 42));
	cr_assert_eq(pop_number(&end, &queue.peer.agent), 42);
	end_queue(&queue);
}

Test(ring, names_and_orders_out_of_range_are_the_callers_mistake)
{
	char long_name[EVR_NAME_BYTES + 1];
	struct evr_ring ring;
	struct queue queue;

	make_queue(&queue, ORDER);
	memset(long_name, 'x', sizeof(long_name));
	long_name[EVR_NAME_BYTES] = '\0';
	FAILS(-EINVAL, evr_ring_create(queue.peer.region, long_name, ORDER, &ring));
	FAILS(-EINVAL, evr_ring_create(queue.peer.region, "", ORDER, &ring));
	FAILS(-EINVAL, evr_ring_create(queue.peer.region, NULL, ORDER, &ring));
	FAILS(-EINVAL, evr_ring_create(queue.peer.region, "r", 0, &ring));
	FAILS(-EINVAL, evr_ring_create(queue.peer.region, "r", 25, &ring));
	FAILS(-EINVAL, evr_ring_create(queue.peer.region, "r", UINT32_MAX, &ring));
	long_name[EVR_NAME_BYTES - 1] = '\0';
	MUST(evr_ring_create(queue.peer.region, long_name, ORDER, &ring));
	MUST(evr_ring_open(queue.peer.region, long_name, &ring));
	end_queue(&queue);
}

Test(ring, flags_and_sizes_out_of_range_are_the_callers_mistake)
{
	struct evr_ring_options options = { .size = sizeof(options), .name = "r",
					    .order = ORDER };
	struct evr_ring ring;
	struct peer peer;

	peer_create(&peer, NULL);
	FAILS(-EINVAL, evr_ring_create_with(peer.region, NULL, &ring));
	options.flags = 4;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	options.flags = UINT32_MAX;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	options.flags = 0;
	options.size = 1;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	options.size = sizeof(options);
	options.range = 99;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	FAILS(-ENOENT, evr_ring_open(peer.region, "r", &ring));
	/* One who knows no flags gets a ring for many. */
	options.range = 0;
	options.size = offsetof(struct evr_ring_options, flags);
	MUST(evr_ring_create_with(peer.region, &options, &ring));
	cr_assert_eq(evr_ring_flags(&ring), 0);
	peer_close(&peer);
}

Test(ring, a_name_is_given_once_and_says_which_kind_it_names)
{
	struct evr_ring ring;
	struct queue queue;

	make_queue(&queue, ORDER);
	FAILS(-EEXIST, evr_ring_create(queue.peer.region, "ring", ORDER, &ring));
	FAILS(-EEXIST, evr_ring_create(queue.peer.region, "uring", ORDER, &ring));
	FAILS(-ENOENT, evr_ring_open(queue.peer.region, "rin", &ring));
	FAILS(-EPROTO, evr_ring_open(queue.peer.region, "uring", &ring));
	end_queue(&queue);
}

Test(ring, one_that_does_not_fit_leaves_the_region_as_it_was)
{
	struct evr_ring ring;
	struct queue queue;

	make_queue(&queue, ORDER);
	FAILS(-ENOSPC, evr_ring_create(queue.peer.region, "big", 24, &ring));
	cr_assert(strstr(evr_error_detail(), "big"), "%s", evr_error_detail());
	FAILS(-ENOENT, evr_ring_open(queue.peer.region, "big", &ring));
	MUST(evr_ring_create(queue.peer.region, "big", ORDER, &ring));
	end_queue(&queue);
}

/* ---- ends that were idle ---- */

Test(ring, an_end_that_was_idle_for_many_laps_catches_up, .timeout = 30)
{
	struct evr_ring idle;
	struct queue queue;
	uint64_t i;

	make_queue(&queue, 1);
	MUST(evr_ring_open(queue.peer.region, "ring", &idle));
	for (i = 0; i < 12345; i++) {
		MUST(push_number(&queue.ring, &queue.peer.agent, i));
		cr_assert_eq(pop_number(&queue.ring, &queue.peer.agent), (int64_t)i);
	}
	cr_assert_eq(pop_number(&idle, &queue.peer.agent), -EAGAIN);
	MUST(push_number(&idle, &queue.peer.agent, 7));
	cr_assert_eq(pop_number(&idle, &queue.peer.agent), 7);
	end_queue(&queue);
}

/* The 15 bits of a lap in a full slot come round after 2^15 laps: an end that slept for
 * exactly so long sees a word that looks like the one it expects. */
Test(ring, an_end_that_was_idle_for_exactly_2_to_the_15_laps_is_not_fooled,
     .timeout = 60)
{
	uint64_t filled;

	for (filled = 0; filled <= 2; filled++) {
		struct evr_ring idle;
		struct queue queue;
		uint64_t i;
		uint64_t k;

		make_queue(&queue, 1);
		MUST(evr_ring_open(queue.peer.region, "ring", &idle));
		for (i = 0; i < UINT64_C(2) << EVR_SLOT_LAP_BITS; i++) {
			MUST(push_number(&queue.ring, &queue.peer.agent, i));
			cr_assert_eq(pop_number(&queue.ring, &queue.peer.agent),
				     (int64_t)i);
		}
		for (i = 0; i < filled; i++)
			MUST(push_number(&queue.ring, &queue.peer.agent, i));
		if (filled < 2)
			MUST(push_number(&idle, &queue.peer.agent, i++));
		else
			FAILS(-EAGAIN, push_number(&idle, &queue.peer.agent, 0));
		for (k = 0; k < i; k++)
			cr_assert_eq(pop_number(&idle, &queue.peer.agent), (int64_t)k);
		cr_assert_eq(pop_number(&idle, &queue.peer.agent), -EAGAIN);
		MUST(push_number(&queue.ring, &queue.peer.agent, 99));
		cr_assert_eq(pop_number(&queue.ring, &queue.peer.agent), 99);
		end_queue(&queue);
	}
}

/* ---- whose a block is ---- */

Test(ring, a_block_that_was_popped_is_the_poppers_under_a_new_token)
{
	struct evr_ring end;
	struct evr_block block;
	struct evr_block popped;
	struct queue queue;
	struct peer other;

	make_queue(&queue, ORDER);
	peer_attach(&other, &queue.peer);
	MUST(evr_ring_open(other.region, "ring", &end));
	block = must_alloc(&queue.peer.agent, 64);
	MUST(evr_ring_try_push(&queue.ring, &queue.peer.agent, block.token));
	MUST(evr_ring_try_pop(&end, &other.agent, &popped));
	cr_assert_neq(popped.token.raw, block.token.raw);
	cr_assert_neq(popped.payload, block.payload, "another mapping, another address");
	FAILS(-ESTALE, evr_block_free(&queue.peer.agent, block.token));
	FAILS(-ESTALE,
	      evr_ring_try_push(&queue.ring, &queue.peer.agent, block.token));
	MUST(evr_block_free(&other.agent, popped.token));
	peer_close(&other);
	end_queue(&queue);
}

Test(ring, a_push_that_fails_leaves_the_block_with_its_owner)
{
	struct evr_block block;
	struct queue queue;
	int i;

	make_queue(&queue, 1);
	for (i = 0; i < 2; i++)
		MUST(push_number(&queue.ring, &queue.peer.agent, 0));
	block = must_alloc(&queue.peer.agent, 64);
	FAILS(-EAGAIN,
	      evr_ring_try_push(&queue.ring, &queue.peer.agent, block.token));
	MUST(evr_block_free(&queue.peer.agent, block.token));
	for (i = 0; i < 2; i++)
		cr_assert_eq(pop_number(&queue.ring, &queue.peer.agent), 0);
	end_queue(&queue);
}

Test(ring, only_a_block_in_this_participants_hands_is_pushed)
{
	struct evr_block stale;
	struct evr_block its;
	struct queue queue;
	struct queue foreign;
	struct peer other;

	make_queue(&queue, ORDER);
	make_queue(&foreign, ORDER);
	peer_attach(&other, &queue.peer);
	stale = must_alloc(&queue.peer.agent, 64);
	MUST(evr_block_free(&queue.peer.agent, stale.token));
	its = must_alloc(&other.agent, 64);
	FAILS(-ESTALE,
	      evr_ring_try_push(&queue.ring, &queue.peer.agent, stale.token));
	FAILS(-EPERM, evr_ring_try_push(&queue.ring, &queue.peer.agent, its.token));
	FAILS(-EXDEV,
	      evr_ring_try_push(&foreign.ring, &foreign.peer.agent, its.token));
	FAILS(-EXDEV, evr_ring_try_push(&queue.ring, &queue.peer.agent,
					     (evr_token){ 0 }));
	cr_assert_eq(pop_number(&queue.ring, &queue.peer.agent), -EAGAIN);
	MUST(evr_block_free(&other.agent, its.token));
	peer_close(&other);
	end_queue(&foreign);
	end_queue(&queue);
}

/* ---- close ---- */

Test(ring, an_end_that_was_opened_after_the_close_sees_it)
{
	struct evr_ring late;
	struct queue queue;
	uint64_t i;

	make_queue(&queue, ORDER);
	for (i = 0; i < 1000; i++) {
		MUST(push_number(&queue.ring, &queue.peer.agent, i));
		cr_assert_eq(pop_number(&queue.ring, &queue.peer.agent), (int64_t)i);
	}
	MUST(evr_ring_close(&queue.ring));
	MUST(evr_ring_open(queue.peer.region, "ring", &late));
	FAILS(-EPIPE, push_number(&late, &queue.peer.agent, 1));
	cr_assert_eq(pop_number(&late, &queue.peer.agent), -EPIPE);
	end_queue(&queue);
}
