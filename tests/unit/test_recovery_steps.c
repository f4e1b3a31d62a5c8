/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_recovery_steps.c - recovery.h: recovery in steps does what recovery in one call
 * does, wherever a step ends and whatever happens before the next. The dead are other
 * attachments of this process, which leave holding things: that is dying.
 */

#include "scene.h"

#define REQUESTS 3

/* Few enough for a pass to have some hundreds of steps. */
#define LOOKS 48

/* ---- what there is to bring back ---- */

static void leave_with_blocks(const struct peer *to, uint32_t count)
{
	struct peer other;

	peer_attach(&other, to);
	for (uint32_t i = 0; i < count; i++)
		must_alloc(&other.agent, i % 2 ? 64 : 1024);
	peer_close(&other);
}

static void push(struct peer *peer, uint32_t count)
{
	struct evr_ring ring;

	MUST(evr_ring_open(peer->region, "ring", &ring));
	for (uint32_t i = 0; i < count; i++)
		MUST(evr_ring_try_push(&ring, &peer->agent,
				       must_alloc(&peer->agent, 64).token));
}

/* Takes a token as a popper does, and stops before its mark; or before its swap. */
static void take_half(struct peer *peer, bool swap)
{
	struct evr_ring ring;
	uint64_t word;

	MUST(evr_ring_open(peer->region, "ring", &ring));
	for (uint64_t i = 0; i <= ring.mask; i++) {
		word = evr_load_acquire_u64(&ring.slots[(ring.head + i) & ring.mask]);
		if (!evri_slot_is_full(word))
			continue;
		evr_store_release_u64(&peer->agent.shared->intent[0],
				      EVR_INTENT_SET | (word & EVR_TOKEN_WIRE_MASK));
		if (swap)
			evr_store_release_u64(
				&ring.slots[(ring.head + i) & ring.mask],
				evri_slot_empty(((ring.head + i) >> ring.order) + 1));
		return;
	}
	cr_assert_fail("the ring is empty");
}

/* As make_scene(), in a region that may grow. */
static void make_growing_scene(struct scene *scene)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = FIXTURE_REGION_BYTES,
					      .bytes_max = 4 * FIXTURE_REGION_BYTES };
	struct evr_pool_options pool = fixture_pool_options();
	struct peer *peer = &scene->peer;

	MUST(evr_region_create(&options, &peer->region));
	MUST(evr_pool_create(peer->region, &pool, &peer->pool));
	MUST(evr_agent_open(peer->pool, &peer->agent));
	MUST(evr_uring_create(peer->pool, NULL, &peer->uring));
	MUST(evr_submitter_open(peer->uring, &peer->agent, NULL, &scene->submitter));
	MUST(evr_ring_create(peer->region, "ring", 3, &scene->ring));
}

/*
 * Four dead ones: one with idle blocks, one with blocks in a ring, one with a token in
 * its registers and one in its sights, and one with requests, answered and not.
 */
static void make_dead(struct scene *scene)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct peer dead[3];

	make_growing_scene(scene);
	for (int i = 0; i < 3; i++)
		peer_attach(&dead[i], &scene->peer);
	push(&dead[0], 5);
	take_half(&dead[1], true);
	evr_store_release_u64(&dead[1].agent.shared->intent[1],
			      EVR_INTENT_SET | (evr_load_acquire_u64(
							&scene->ring.slots[3]) &
						EVR_TOKEN_WIRE_MASK));
	for (uint64_t i = 0; i < REQUESTS; i++)
		submit_family(scene, i);
	MUST(evr_completer_open(dead[2].uring, &dead[2].agent, NULL, &completer));
	for (int i = 0; i < 2; i++)
		MUST(evr_completer_try_receive(completer, &request));
	/* The completer stays open, the agents as well: they leave as the dead do. */
	for (int i = 0; i < 3; i++)
		evr_region_detach(dead[i].region);
	leave_with_blocks(&scene->peer, 9);
}

/* What came back is where it belongs, once. */
static void check_and_end(struct scene *scene)
{
	struct evr_completion completion;
	struct evr_request request;
	struct evr_completer *completer;
	struct evr_block block;
	int i;

	for (i = 0; i < 2; i++) {
		MUST(evr_submitter_try_reap(scene->submitter, &completion));
		cr_assert_eq(completion.status, -EOWNERDEAD);
		MUST(evr_block_free(&scene->peer.agent, completion.block.token));
	}
	FAILS(-EAGAIN, evr_submitter_try_reap(scene->submitter, &completion));
	MUST(evr_completer_open(scene->peer.uring, &scene->peer.agent, NULL, &completer));
	MUST(evr_completer_try_receive(completer, &request));
	MUST(evr_completer_complete(completer, request.block.token, 0, 0));
	FAILS(-EAGAIN, evr_completer_try_receive(completer, &request));
	evr_completer_close(completer);
	MUST(evr_submitter_try_reap(scene->submitter, &completion));
	MUST(evr_block_free(&scene->peer.agent, completion.block.token));
	for (i = 0; evr_ring_try_pop(&scene->ring, &scene->peer.agent, &block) == 0; i++)
		MUST(evr_block_free(&scene->peer.agent, block.token));
	cr_assert_eq(i, 4, "of five that were pushed, one had been taken");
	end_scene(scene);
}

/* Everything that does not depend on time and steps. */
static void same(const struct evr_recovery_stats *a, const struct evr_recovery_stats *b,
		 uint64_t looks)
{
	cr_assert_eq(a->dead, b->dead, "%lu looks", looks);
	cr_assert_eq(a->finished, b->finished, "%lu looks", looks);
	cr_assert_eq(a->freed, b->freed, "%lu looks: %u, %u", looks, a->freed, b->freed);
	cr_assert_eq(a->returned, b->returned, "%lu looks", looks);
	cr_assert_eq(a->posted, b->posted, "%lu looks", looks);
	cr_assert_eq(a->orphaned, b->orphaned, "%lu looks", looks);
	cr_assert_eq(a->postponed, b->postponed, "%lu looks", looks);
	cr_assert_eq(a->passes, b->passes, "%lu looks", looks);
	cr_assert_eq(a->scanned, b->scanned, "%lu looks: %lu, %lu", looks, a->scanned,
		     b->scanned);
}

static struct evr_recovery_stats step_to_the_end(struct evr_recoverer *recoverer,
						 uint64_t looks, int expected)
{
	struct evr_recovery_stats stats;
	int result;

	do
		result = evr_recoverer_step(recoverer, looks, &stats);
	while (result == 1);
	cr_assert_eq(result, expected, "%lu looks gave %d (%s)", looks, result,
		     evr_error_detail());
	return stats;
}

/* ---- steps ---- */

Test(recovery_steps, every_number_of_looks_brings_back_what_one_call_does, .timeout = 60)
{
	static const uint64_t more[] = { 100, 333, 1000, 4096, 65536, UINT64_MAX };
	struct evr_recovery_stats one, stats;
	struct evr_recoverer *recoverer;
	struct scene scene;

	make_dead(&scene);
	one = recover_all(&scene);
	check_and_end(&scene);
	cr_assert_eq(one.dead, 4);
	cr_assert_eq(one.finished, 4);
	cr_assert_eq(one.orphaned, 4);
	cr_assert_eq(one.returned, 2);
	cr_assert_eq(one.passes, 1);
	cr_assert_eq(one.steps, 1);
	cr_assert_geq(one.freed, 10);
	for (uint64_t i = 1; i < 40 + COUNT_OF(more); i++) {
		uint64_t looks = i < 40 ? i : more[i - 40];

		make_dead(&scene);
		MUST(evr_recoverer_open(&scene.peer.agent, &recoverer));
		stats = step_to_the_end(recoverer, looks, 0);
		same(&stats, &one, looks);
		cr_assert(looks > 4096 ? stats.steps == 1 : stats.steps > 1,
			  "%lu looks: %u steps", looks, stats.steps);
		cr_assert_leq(stats.longest_step_ns, stats.elapsed_ns);
		cr_assert_gt(stats.longest_step_ns, 0);
		evr_recoverer_close(recoverer);
		check_and_end(&scene);
	}
}

Test(recovery_steps, one_that_is_left_in_mid_pass_leaves_the_rest_to_the_next,
     .timeout = 60)
{
	struct evr_recoverer *recoverer;
	struct scene scene;
	uint32_t steps = 0;
	int result;

	do {
		make_dead(&scene);
		MUST(evr_recoverer_open(&scene.peer.agent, &recoverer));
		steps++;
		result = 1;
		for (uint32_t i = 0; i < steps && result == 1; i++)
			result = evr_recoverer_step(recoverer, LOOKS, NULL);
		evr_recoverer_close(recoverer);
		cr_assert_eq(evr_recover(&scene.peer.agent, NULL), 0);
		check_and_end(&scene);
	} while (result == 1);
	cr_assert_eq(result, 0);
	cr_assert_gt(steps, 20);
}

Test(recovery_steps, no_looks_are_refused_and_nobody_dead_takes_one_step)
{
	struct evr_recoverer *recoverer;
	struct evr_recovery_stats stats;
	struct scene scene;

	make_scene(&scene);
	MUST(evr_recoverer_open(&scene.peer.agent, &recoverer));
	FAILS(-EINVAL, evr_recoverer_step(recoverer, 0, NULL));
	cr_assert_eq(evr_recoverer_step(recoverer, 1, &stats), 0);
	cr_assert_eq(stats.dead + stats.passes, 0);
	cr_assert_eq(evr_recoverer_close(recoverer), NULL);
	cr_assert_eq(evr_recoverer_close(NULL), NULL);
	end_scene(&scene);
}

/* ---- what one pass looks at ---- */

Test(recovery_steps, many_dead_at_once_cost_one_look_at_everything, .timeout = 20)
{
	struct evr_recovery_stats one, many;
	struct scene scene;

	make_scene(&scene);
	leave_with_blocks(&scene.peer, 4);
	one = recover_all(&scene);
	for (int i = 0; i < 10; i++)
		leave_with_blocks(&scene.peer, 4);
	many = recover_all(&scene);
	cr_assert_eq(one.freed, 4);
	cr_assert_eq(many.dead, 10);
	cr_assert_eq(many.finished, 10);
	cr_assert_eq(many.freed, 40);
	cr_assert_eq(many.passes, 1);
	/* The blocks of the other nine; not the rings and the bitmap nine times. */
	cr_assert_eq(many.scanned, one.scanned + 36);
	end_scene(&scene);
}

Test(recovery_steps, blocks_that_are_free_are_not_looked_at, .timeout = 20)
{
	struct evr_recovery_stats before, after;
	struct evr_block blocks[100];
	struct scene scene;

	make_scene(&scene);
	leave_with_blocks(&scene.peer, 1);
	before = recover_all(&scene);
	for (int i = 0; i < 100; i++)
		blocks[i] = must_alloc(&scene.peer.agent, 64);
	for (int i = 0; i < 100; i++)
		MUST(evr_block_free(&scene.peer.agent, blocks[i].token));
	leave_with_blocks(&scene.peer, 1);
	after = recover_all(&scene);
	cr_assert_gt(after.scanned, before.scanned, "some are in a magazine");
	evr_agent_flush(&scene.peer.agent);
	leave_with_blocks(&scene.peer, 1);
	after = recover_all(&scene);
	cr_assert_eq(after.scanned, before.scanned);
	end_scene(&scene);
}

/* ---- what happens between steps ---- */

/* Between any two steps of a pass; @between happens there. */
static void at_every_step(void (*between)(struct scene *scene, struct peer *other),
			  void (*at_the_end)(struct scene *scene, struct peer *other,
					     struct evr_recoverer *recoverer,
					     struct evr_recovery_stats *stats))
{
	for (uint32_t point = 1;; point++) {
		struct evr_recovery_stats stats;
		struct evr_recoverer *recoverer;
		struct peer other = { 0 };
		struct scene scene;
		int result = 1;

		make_dead(&scene);
		MUST(evr_recoverer_open(&scene.peer.agent, &recoverer));
		for (uint32_t i = 0; i < point && result == 1; i++)
			result = evr_recoverer_step(recoverer, LOOKS, NULL);
		if (result == 1) {
			between(&scene, &other);
			stats = step_to_the_end(recoverer, 1, 0);
			at_the_end(&scene, &other, recoverer, &stats);
		}
		evr_recoverer_close(recoverer);
		check_and_end(&scene);
		if (result != 1) {
			cr_assert_gt(point, 20);
			return;
		}
	}
}

static void one_more_dies(struct scene *scene, struct peer *other)
{
	(void)other;
	leave_with_blocks(&scene->peer, 7);
}

static void it_takes_another_pass(struct scene *scene, struct peer *other,
				  struct evr_recoverer *recoverer,
				  struct evr_recovery_stats *stats)
{
	(void)scene;
	(void)other;
	cr_assert_eq(stats->dead, 4, "who dies in mid-pass is not of this pass");
	cr_assert_eq(stats->finished, 4);
	uint32_t freed = stats->freed;
	*stats = step_to_the_end(recoverer, 5, 0);
	cr_assert_eq(stats->dead, 5);
	cr_assert_eq(stats->finished, 5);
	cr_assert_eq(stats->freed, freed + 7);
	cr_assert_eq(stats->passes, 2);
}

Test(recovery_steps, who_dies_in_mid_pass_is_found_by_the_next_pass, .timeout = 60)
{
	at_every_step(one_more_dies, it_takes_another_pass);
}

/* Others finish the dead, and new participants take their records and agents, take the
 * same tokens out of the same ring, and have the same blocks in hand. */
static void all_is_taken_over(struct scene *scene, struct peer *other)
{
	struct evr_block block;

	cr_assert_eq(evr_recover(&scene->peer.agent, NULL), 0);
	peer_attach(other, &scene->peer);
	for (int i = 0; i < 40; i++)
		must_alloc(&other->agent, 64);
	MUST(evr_ring_try_pop(&scene->ring, &other->agent, &block));
	MUST(evr_ring_try_push(&scene->ring, &other->agent, block.token));
	take_half(other, false);
}

static void the_new_ones_keep_it(struct scene *scene, struct peer *other,
				 struct evr_recoverer *recoverer,
				 struct evr_recovery_stats *stats)
{
	struct evr_participant_info info;
	uint32_t held = 0;

	(void)recoverer;
	(void)stats;
	for (uint32_t i = 0; i < FIXTURE_BLOCKS; i++) {
		struct evr_block_shared *block = evri_block_at(&other->agent, i);

		held += block && evr_block_word_owner(evr_load_relaxed_u64(
					 &block->word)) == other->agent.number &&
			evr_block_word_state(evr_load_relaxed_u64(&block->word)) ==
				EVR_BLOCK_OWNED;
	}
	cr_assert_eq(held, 41, "40 in hand and one in the ring, not %u", held);
	evr_store_release_u64(&other->agent.shared->intent[0], 0);
	for (uint32_t i = 0; i < evr_participant_records(other->region); i++) {
		MUST(evr_participant_get(other->region, i, &info));
		if (info.number == other->agent.number)
			break;
	}
	cr_assert_eq(info.state, EVR_PARTICIPANT_ALIVE);
	cr_assert_lt(info.record, 5, "it has the record of one of the dead");
	peer_close(other);
	cr_assert_eq(evr_recover(&scene->peer.agent, NULL), 0);
}

Test(recovery_steps, a_record_that_is_used_again_in_mid_pass_is_left_alone, .timeout = 60)
{
	at_every_step(all_is_taken_over, the_new_ones_keep_it);
}

/* More blocks, and the newcomer has some of them. */
static void the_pool_grows(struct scene *scene, struct peer *other)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = 64,
		.blocks_count = 128,
	};

	peer_attach(other, &scene->peer);
	MUST(evr_pool_grow(other->pool, &growth));
	for (int i = 0; i < 200; i++)
		must_alloc(&other->agent, 64);
	push(other, 1);
}

static void what_is_new_is_left_alone(struct scene *scene, struct peer *other,
				      struct evr_recoverer *recoverer,
				      struct evr_recovery_stats *stats)
{
	struct evr_block block;

	cr_assert_eq(stats->dead, 4);
	cr_assert_eq(stats->finished, 4);
	for (int i = 0; i < 5; i++) {
		MUST(evr_ring_try_pop(&scene->ring, &scene->peer.agent, &block));
		MUST(evr_ring_try_push(&scene->ring, &scene->peer.agent, block.token));
	}
	/* It dies in turn, with blocks that were not there when the last pass began. */
	peer_close(other);
	uint32_t freed = stats->freed;
	*stats = step_to_the_end(recoverer, 7, 0);
	cr_assert_eq(stats->freed, freed + 200);
	for (int i = 0; i < 4; i++) {
		MUST(evr_ring_try_pop(&scene->ring, &scene->peer.agent, &block));
		MUST(evr_ring_try_push(&scene->ring, &scene->peer.agent, block.token));
	}
	MUST(evr_ring_try_pop(&scene->ring, &scene->peer.agent, &block));
	MUST(evr_block_free(&scene->peer.agent, block.token));
}

Test(recovery_steps, a_pool_that_grows_in_mid_pass_changes_nothing, .timeout = 60)
{
	at_every_step(the_pool_grows, what_is_new_is_left_alone);
}

/* ---- what is postponed ---- */

Test(recovery_steps, what_a_living_one_is_taking_waits_for_a_later_pass, .timeout = 20)
{
	struct evr_recovery_stats stats;
	struct evr_recoverer *recoverer;
	struct scene scene;
	struct peer sender, taker;

	make_scene(&scene);
	peer_attach(&sender, &scene.peer);
	push(&sender, 1);
	peer_attach(&taker, &scene.peer);
	take_half(&taker, true);
	peer_close(&sender);
	leave_with_blocks(&scene.peer, 3);

	MUST(evr_recoverer_open(&scene.peer.agent, &recoverer));
	stats = step_to_the_end(recoverer, 1, -EAGAIN);
	cr_assert_eq(stats.postponed, 1);
	cr_assert_eq(stats.dead, 2);
	cr_assert_eq(stats.finished, 1, "the other one need not wait");
	stats = step_to_the_end(recoverer, 1000, -EAGAIN);
	cr_assert_eq(stats.passes, 2);
	/* The taker dies before it could mark the block. */
	evr_region_detach(taker.region);
	stats = step_to_the_end(recoverer, 1, 0);
	cr_assert_eq(stats.finished, 3);
	cr_assert_eq(stats.freed, 4);
	evr_recoverer_close(recoverer);
	end_scene(&scene);
}
