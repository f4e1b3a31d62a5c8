/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_recovery.c - recovery.h: what the dead held comes back. The dead here are child
 * processes that end holding things; to be killed at every instruction is tests/crash.
 */

#include "scene.h"

/* ---- nothing to do ---- */

Test(recovery, with_nobody_dead_it_does_nothing)
{
	struct evr_recovery_stats stats = { .freed = 99 };
	struct scene scene;

	make_scene(&scene);
	submit_family(&scene, 1);
	stats = recover_all(&scene);
	cr_assert_eq(stats.dead, 0);
	cr_assert_eq(stats.finished + stats.freed + stats.returned + stats.posted +
			     stats.orphaned + stats.postponed,
		     0);
	cr_assert_eq(evr_recover(&scene.peer.agent, NULL), 0);
	cr_assert_eq(evr_submitter_in_flight(scene.submitter), 1,
		     "it is still under way");
	evr_submitter_close(scene.submitter);
	scene.submitter = NULL;
	nothing_is_queued(&scene);
	end_scene(&scene);
}

/* ---- blocks ---- */

static void hold_some(struct peer *peer, void *argument)
{
	struct evr_block block;
	int i;

	(void)argument;
	for (i = 0; i < 12; i++)
		CHILD_MUST(evr_block_alloc(&peer->agent, i % 2 ? 64 : 1024, &block) == 0);
	CHILD_MUST(evr_block_free(&peer->agent, block.token) == 0);
}

Test(recovery, what_lay_in_hands_and_magazines_is_free_again, .timeout = 20)
{
	struct evr_recovery_stats stats;
	struct scene scene;

	make_scene(&scene);
	killed_child(&scene.peer, hold_some, NULL);
	cr_assert_lt(evr_pool_free_count(scene.peer.pool), FIXTURE_BLOCKS);
	stats = recover_all(&scene);
	cr_assert_eq(stats.dead, 1);
	cr_assert_eq(stats.finished, 1);
	cr_assert_geq(stats.freed, 12);
	cr_assert_eq(stats.postponed, 0);
	cr_assert_gt(stats.scanned, 0);
	cr_assert_eq(recover_all(&scene).dead, 0, "nothing is left to be found");
	end_scene(&scene);
}

Test(recovery, leaving_with_blocks_in_hand_is_dying)
{
	struct scene scene;
	struct peer other;
	int i;

	make_scene(&scene);
	peer_attach(&other, &scene.peer);
	for (i = 0; i < 7; i++)
		must_alloc(&other.agent, 64);
	peer_close(&other);
	cr_assert_eq(recover_all(&scene).freed, 7);
	end_scene(&scene);
}

static void push_three(struct peer *peer, void *argument)
{
	struct evr_ring ring;
	struct evr_block block;
	uint64_t i;

	(void)argument;
	CHILD_MUST(evr_ring_open(peer->region, "ring", &ring) == 0);
	for (i = 0; i < 3; i++) {
		CHILD_MUST(evr_block_alloc(&peer->agent, 64, &block) == 0);
		*(uint64_t *)block.payload = i;
		CHILD_MUST(evr_ring_try_push(&ring, &peer->agent, block.token) == 0);
	}
}

Test(recovery, what_the_dead_had_pushed_stays_in_the_ring_for_whoever_pops_it,
     .timeout = 20)
{
	struct evr_block block;
	struct scene scene;
	uint64_t i;

	make_scene(&scene);
	killed_child(&scene.peer, push_three, NULL);
	cr_assert_eq(recover_all(&scene).orphaned, 3);
	for (i = 0; i < 3; i++) {
		MUST(evr_ring_try_pop(&scene.ring, &scene.peer.agent, &block));
		cr_assert_eq(*(uint64_t *)block.payload, i);
		MUST(evr_block_free(&scene.peer.agent, block.token));
	}
	end_scene(&scene);
}

static void pop_three(struct peer *peer, void *argument)
{
	struct evr_ring ring;
	struct evr_block block;
	int i;

	(void)argument;
	CHILD_MUST(evr_ring_open(peer->region, "ring", &ring) == 0);
	for (i = 0; i < 3; i++)
		CHILD_MUST(evr_ring_try_pop(&ring, &peer->agent, &block) == 0);
}

Test(recovery, what_one_dead_pushed_and_another_dead_popped_is_freed, .timeout = 20)
{
	struct scene scene;
	int order;

	make_scene(&scene);
	for (order = 0; order < 2; order++) {
		killed_child(&scene.peer, push_three, NULL);
		if (order == 1)
			cr_assert_eq(recover_all(&scene).orphaned, 3);
		killed_child(&scene.peer, pop_three, NULL);
		recover_all(&scene);
	}
	end_scene(&scene);
}

/* ---- both, and several at once ---- */

/* The submitter's death may have been noticed, and its requests be freed on the way. */
static void receive_any_and_die(struct peer *peer, void *count)
{
	struct evr_completer *completer;
	struct evr_request request;
	int i;

	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, NULL, &completer) == 0);
	for (i = 0; i < *(int *)count; i++)
		(void)!evr_completer_try_receive(completer, &request);
}

Test(recovery, a_request_between_two_dead_is_freed, .timeout = 20)
{
	struct scene scene;
	int taken;
	int count = 3;

	for (taken = 0; taken <= count; taken++) {
		make_scene(&scene);
		killed_child(&scene.peer, submit_and_die, &count);
		killed_child(&scene.peer, receive_any_and_die, &taken);
		recover_all(&scene);
		nothing_is_queued(&scene);
		end_scene(&scene);
	}
}

static void recover_when_told(struct peer *peer, void *go)
{
	evr_fetch_add_acq_rel_u64(go, 1);
	while (evr_load_acquire_u64(go) < 3)
		evr_pause();
	CHILD_MUST(evr_recover(&peer->agent, NULL) >= 0);
	peer_close(peer);
}

Test(recovery, three_recoverers_at_the_same_time_free_nothing_twice, .timeout = 60)
{
	struct service service = { .requests = 4 };
	struct evr_completion completion;
	struct scene scene;
	int round;

	make_scene(&scene);
	for (round = 0; round < 40; round++) {
		struct evr_atomic_u64 *go = shared_memory(4096);
		pid_t children[3];
		uint64_t i;

		for (i = 0; i < 4; i++)
			submit_family(&scene, i);
		killed_child(&scene.peer, receive_and_die, &service);
		killed_child(&scene.peer, hold_some, NULL);
		killed_child(&scene.peer, push_three, NULL);
		for (i = 0; i < 3; i++)
			children[i] = peer_child(&scene.peer, recover_when_told, go);
		for (i = 0; i < 3; i++)
			child_succeeds(children[i]);
		recover_all(&scene);
		for (i = 0; i < 4; i++) {
			MUST(evr_submitter_try_reap(scene.submitter, &completion));
			cr_assert_eq(completion.status, -EOWNERDEAD);
			MUST(evr_block_free(&scene.peer.agent, completion.block.token));
		}
		FAILS(-EAGAIN, evr_submitter_try_reap(scene.submitter, &completion));
		killed_child(&scene.peer, pop_three, NULL);
		recover_all(&scene);
		munmap(go, 4096);
	}
	end_scene(&scene);
}

/*
 * D pushed a block and died. Another participant has taken it from the slot, its intent
 * stands, and it is stopped before it could mark the block: the block is its own.
 */
Test(recovery, a_block_that_a_stopped_one_may_be_taking_is_left_for_a_later_pass,
     .timeout = 20)
{
	struct evr_recovery_stats stats;
	struct evr_block_shared *block;
	struct scene scene;
	struct peer taker;
	uint64_t slot;
	uint64_t wire;
	uint64_t word;
	int i;

	make_scene(&scene);
	killed_child(&scene.peer, push_three, NULL);
	peer_attach(&taker, &scene.peer);
	slot = evr_load_relaxed_u64(&scene.ring.slots[0]);
	wire = slot & EVR_TOKEN_WIRE_MASK;
	evr_store_release_u64(&taker.agent.shared->intent[0], EVR_INTENT_SET | wire);
	evr_store_release_u64(&scene.ring.slots[0], evri_slot_empty(2));

	cr_assert_eq(evr_recover(&scene.peer.agent, &stats), 1);
	cr_assert_eq(stats.postponed, 1);
	cr_assert_eq(stats.finished, 0);

	block = evri_block_at(&scene.peer.agent, (uint32_t)(wire >> 24));
	word = evr_load_relaxed_u64(&block->word);
	evr_store_release_u64(&block->word, evr_block_word_next(word, EVR_BLOCK_OWNED,
								taker.agent.number));
	evr_store_release_u64(&taker.agent.shared->intent[0], 0);
	stats = recover_all(&scene);
	cr_assert_eq(stats.finished, 1);
	cr_assert_eq(stats.freed, 0, "it is the taker's");
	MUST(evr_block_free(&taker.agent,
			    evr_token_make(taker.agent.tag, (uint32_t)(wire >> 24),
					   evr_block_word_generation(word) + 1)));
	peer_close(&taker);
	for (i = 0; i < 2; i++) {
		struct evr_block rest;

		MUST(evr_ring_try_pop(&scene.ring, &scene.peer.agent, &rest));
		MUST(evr_block_free(&scene.peer.agent, rest.token));
	}
	end_scene(&scene);
}

/* Bits cleared and words still FREE, under a bitmap intent: dead in the middle of a
 * refill or a flush. */
static void die_in_a_refill(struct peer *peer, void *bitmap_word)
{
	struct evr_pool_shared *pool =
		find_object(scribble_map(peer->region), EVR_POOL_MAGIC);
	struct evr_atomic_u64 *bitmap =
		(struct evr_atomic_u64 *)((char *)pool + pool->bitmap_offset);
	uint64_t word = *(uint64_t *)bitmap_word;

	evr_store_release_u64(&peer->agent.shared->bitmap_intent, word + 1);
	evr_store_release_u64(&bitmap[word],
			      evr_load_relaxed_u64(&bitmap[word]) & ~0xff0fULL);
}

Test(recovery, blocks_on_their_way_between_bitmap_and_magazine_are_free_again,
     .timeout = 20)
{
	struct scene scene;
	uint64_t word;

	for (word = 0; word < 3; word++) {
		make_scene(&scene);
		killed_child(&scene.peer, die_in_a_refill, &word);
		cr_assert_eq(evr_pool_free_count(scene.peer.pool), FIXTURE_BLOCKS - 12);
		cr_assert_eq(recover_all(&scene).freed, 12);
		end_scene(&scene);
	}
}

/* ---- the numbers ---- */

Test(recovery, every_dead_one_is_counted_and_finished, .timeout = 20)
{
	struct evr_recovery_stats stats;
	struct scene scene;
	int i;

	make_scene(&scene);
	for (i = 0; i < 6; i++)
		killed_child(&scene.peer, hold_some, NULL);
	stats = recover_all(&scene);
	cr_assert_eq(stats.dead, 6);
	cr_assert_eq(stats.finished, 6);
	cr_assert_eq(evr_pool_free_count(scene.peer.pool), FIXTURE_BLOCKS);
	end_scene(&scene);
}
