/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_pool.c - pool.h: making a pool, allocating, freeing, and agents. Containers are
 * in test_contain.c, a scribbled pool in test_pool_hostile.c. */

#include "fixture.h"

#include <string.h>

/* Takes every block of a size, until there is none; returns how many. */
static uint32_t take_all(struct evr_agent *agent, uint64_t bytes,
			 struct evr_block *blocks, uint32_t max)
{
	uint32_t count = 0;
	int error;

	while ((error = evr_block_alloc(agent, bytes, &blocks[count])) == 0)
		cr_assert_lt(++count, max);
	cr_assert_eq(error, -ENOSPC, "%d", error);
	return count;
}

static void free_blocks(struct evr_agent *agent, const struct evr_block *blocks,
			uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		MUST(evr_block_free(agent, blocks[i].token));
}

/* ---- making and opening ---- */

Test(pool, a_new_pool_has_all_its_blocks_free)
{
	struct peer peer = pool_peer();

	cr_assert_eq(evr_pool_blocks(peer.pool), FIXTURE_BLOCKS);
	cr_assert_eq(evr_pool_free_count(peer.pool), FIXTURE_BLOCKS);
	cr_assert_eq(evr_pool_payload_max(peer.pool), 4096);
	cr_assert_eq(evr_pool_region(peer.pool), peer.region);
	all_blocks_are_free(peer.region);
	peer_close(&peer);
}

Test(pool, a_region_has_one_pool)
{
	struct evr_pool_options options = fixture_pool_options();
	struct peer peer = pool_peer();
	struct evr_pool *second;

	FAILS(-EEXIST, evr_pool_create(peer.region, &options, &second));
	peer_close(&peer);
}

Test(pool, a_region_without_a_pool_says_so)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	struct evr_pool *pool;

	FAILS(-ENOENT, evr_pool_open(region, &pool));
	evr_region_detach(region);
}

static int create_with(struct evr_pool_options options)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	struct evr_pool *untouched = (struct evr_pool *)0x5a5a;
	struct evr_pool *pool = untouched;
	int error;

	options.size = sizeof(options);
	error = evr_pool_create(region, &options, &pool);
	if (error == 0)
		evr_pool_close(pool);
	else
		cr_assert_eq(pool, untouched, "the result was touched");
	evr_region_detach(region);
	return error;
}

static int create_class(uint64_t payload_bytes, uint32_t blocks_count)
{
	struct evr_pool_class class = { payload_bytes, blocks_count, 0 };

	return create_with(
		(struct evr_pool_options){ .classes = &class, .classes_count = 1 });
}

Test(pool, options_out_of_range_are_the_callers_mistake)
{
	static const struct evr_pool_class good = { 64, 8, 0 };
	static const struct evr_pool_class descending[] = { { 128, 8, 0 }, { 64, 8, 0 } };
	static const struct evr_pool_class twice[] = { { 64, 8, 0 }, { 64, 8, 0 } };
	struct evr_pool_class many[EVR_POOL_CLASSES_MAX + 1];
	uint32_t i;

	for (i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct evr_pool_class){ 64 * (i + 1), 1, 0 };
	FAILS(-EINVAL, create_with((struct evr_pool_options){ 0 }));
	FAILS(-EINVAL, create_with((struct evr_pool_options){ .classes = &good }));
	FAILS(-EINVAL, create_with((struct evr_pool_options){ .classes = many,
							      .classes_count = 17 }));
	MUST(create_with(
		(struct evr_pool_options){ .classes = many, .classes_count = 16 }));
	FAILS(-EINVAL, create_with((struct evr_pool_options){ .classes = descending,
							      .classes_count = 2 }));
	FAILS(-EINVAL, create_with((struct evr_pool_options){ .classes = twice,
							      .classes_count = 2 }));
	FAILS(-EINVAL, create_with((struct evr_pool_options){ .classes = &good,
							      .classes_count = 1,
							      .batch_count = 33 }));
	FAILS(-E2BIG, create_with((struct evr_pool_options){ .classes = &good,
							     .classes_count = 1,
							     .flags = 1U << 31 }));
	FAILS(-EINVAL, create_class(0, 8));
	FAILS(-EINVAL, create_class(32, 8));
	FAILS(-EINVAL, create_class(65, 8));
	FAILS(-EINVAL, create_class(64, 0));
	FAILS(-EINVAL, create_class(EVR_POOL_PAYLOAD_MAX + 64, 1));
	FAILS(-EINVAL, create_class(64, UINT32_MAX));
	MUST(create_class(64, 1));
}

Test(pool, one_that_does_not_fit_into_its_region_names_what_it_wants)
{
	FAILS(-ENOSPC, create_class(4096, 1000));
	cr_assert(strstr(evr_error_detail(), "4160"), "1000 x 4160 bytes: %s",
		  evr_error_detail());
	FAILS(-ENOSPC, create_class(EVR_POOL_PAYLOAD_MAX, 200000));
}

Test(pool, the_region_can_still_have_a_pool_after_one_that_did_not_fit)
{
	static const struct evr_pool_class huge = { UINT64_C(1) << 20, 100, 0 };
	struct evr_pool_options options = fixture_pool_options();
	struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
	struct evr_pool *pool;

	options.classes = &huge;
	options.classes_count = 1;
	FAILS(-ENOSPC, evr_pool_create(region, &options, &pool));
	options = fixture_pool_options();
	MUST(evr_pool_create(region, &options, &pool));
	evr_pool_close(pool);
	evr_region_detach(region);
}

static void create_pool(struct peer *peer, void *results)
{
	struct evr_pool_options options = fixture_pool_options();
	struct evr_atomic_u64 *counts = results;
	struct evr_pool *pool;
	int error;

	evr_fetch_add_acq_rel_u64(&counts[0], 1);
	while (evr_load_acquire_u64(&counts[0]) < 3)
		evr_pause();
	error = evr_pool_create(peer->region, &options, &pool);
	if (error == 0)
		evr_fetch_add_acq_rel_u64(&counts[1], 1);
	else
		CHILD_MUST(error == -EEXIST || error == -EBUSY);
}

Test(pool, of_three_processes_that_make_one_at_the_same_time_at_most_one_succeeds,
     .timeout = 60)
{
	int round;

	for (round = 0; round < 100; round++) {
		struct peer peer = { .region = region_of(FIXTURE_REGION_BYTES) };
		struct evr_atomic_u64 *counts = shared_memory(4096);
		pid_t children[3];
		int i;

		for (i = 0; i < 3; i++)
			children[i] = peer_child(&peer, create_pool, counts);
		for (i = 0; i < 3; i++)
			child_succeeds(children[i]);
		cr_assert_leq(counts[1].raw, 1);
		cr_assert_eq(evr_pool_open(peer.region, &peer.pool),
			     counts[1].raw ? 0 : -ENOENT);
		munmap(counts, 4096);
		peer_close(&peer);
	}
}

/* ---- allocating ---- */

Test(pool, a_block_has_the_smallest_class_that_holds_it, .timeout = 20)
{
	static const struct {
		uint64_t wanted;
		uint64_t given;
	} cases[] = { { 0, 64 },       { 1, 64 },       { 64, 64 },	{ 65, 1024 },
		      { 1024, 1024 },  { 1025, 4096 },  { 4096, 4096 } };
	struct peer peer;
	size_t i;

	peer_create(&peer, NULL);
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct evr_block block = must_alloc(&peer.agent, cases[i].wanted);

		cr_assert_eq(block.payload_bytes, cases[i].given, "%lu bytes wanted",
			     (unsigned long)cases[i].wanted);
		cr_assert_eq((uintptr_t)block.payload % 64, 0);
		MUST(evr_block_free(&peer.agent, block.token));
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, more_than_the_largest_class_is_the_callers_mistake)
{
	struct evr_block block = { .payload_bytes = 1 };
	struct peer peer;

	peer_create(&peer, NULL);
	FAILS(-EINVAL, evr_block_alloc(&peer.agent, 4097, &block));
	FAILS(-EINVAL, evr_block_alloc(&peer.agent, UINT64_MAX, &block));
	cr_assert_eq(block.payload_bytes, 1, "the result was touched");
	peer_close(&peer);
}

Test(pool, blocks_in_use_never_overlap)
{
	static struct evr_block blocks[FIXTURE_BLOCKS + 1];
	static const uint64_t sizes[] = { 64, 1024, 4096 };
	uint32_t count = 0;
	struct peer peer;
	uint32_t i;

	peer_create(&peer, NULL);
	for (i = 0; i < 3; i++)
		count += take_all(&peer.agent, sizes[i], &blocks[count],
				  FIXTURE_BLOCKS + 1 - count);
	cr_assert_eq(count, FIXTURE_BLOCKS, "every block can be had: %u", count);
	for (i = 0; i < count; i++)
		memset(blocks[i].payload, (int)(i % 251), blocks[i].payload_bytes);
	for (i = 0; i < count; i++) {
		const unsigned char *payload = blocks[i].payload;
		uint64_t at;

		for (at = 0; at < blocks[i].payload_bytes; at++)
			cr_assert_eq(payload[at], i % 251, "block %u byte %lu", i,
				     (unsigned long)at);
	}
	free_blocks(&peer.agent, blocks, count);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, an_exhausted_class_gives_again_what_was_freed_and_leaks_nothing, .timeout = 20)
{
	static struct evr_block blocks[201];
	struct evr_block block;
	struct peer peer;
	int round;

	peer_create(&peer, NULL);
	for (round = 0; round < 50; round++) {
		cr_assert_eq(take_all(&peer.agent, 64, blocks, 201), 200);
		FAILS(-ENOSPC, evr_block_alloc(&peer.agent, 64, &block));
		MUST(evr_block_free(&peer.agent, blocks[round].token));
		MUST(evr_block_alloc(&peer.agent, 64, &blocks[round]));
		FAILS(-ENOSPC, evr_block_alloc(&peer.agent, 64, &block));
		free_blocks(&peer.agent, blocks, 200);
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, an_exhausted_class_does_not_take_from_a_larger_one)
{
	static struct evr_block blocks[201];
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	cr_assert_eq(take_all(&peer.agent, 64, blocks, 201), 200);
	FAILS(-ENOSPC, evr_block_alloc(&peer.agent, 1, &block));
	block = must_alloc(&peer.agent, 65);
	MUST(evr_block_free(&peer.agent, block.token));
	free_blocks(&peer.agent, blocks, 200);
	peer_close(&peer);
}

/* ---- freeing what is not to be freed: an error each, and nothing changed ---- */

/* The word of the block before and after a refused free. */
static void expect_refused(struct evr_agent *agent, evr_token token, int error)
{
	struct evr_block_shared *block = evri_block_at(agent, evr_token_index(token));
	uint64_t before = evr_load_relaxed_u64(&block->word);
	struct evr_block untouched = { .payload_bytes = 77 };

	FAILS(error, evr_block_free(agent, token));
	FAILS(error, evr_block_at(agent, token, &untouched));
	cr_assert_eq(untouched.payload_bytes, 77);
	cr_assert_eq(evr_load_relaxed_u64(&block->word), before, "the word changed");
}

Test(pool, a_double_free_is_stale)
{
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	block = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&peer.agent, block.token));
	expect_refused(&peer.agent, block.token, -ESTALE);
	evr_agent_flush(&peer.agent);
	expect_refused(&peer.agent, block.token, -ESTALE);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, a_token_stays_stale_when_the_block_is_in_use_again)
{
	struct evr_block first;
	struct evr_block again;
	struct peer peer;

	peer_create(&peer, NULL);
	first = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&peer.agent, first.token));
	again = must_alloc(&peer.agent, 64);
	cr_assert_eq(evr_token_index(again.token), evr_token_index(first.token));
	expect_refused(&peer.agent, first.token, -ESTALE);
	MUST(evr_block_free(&peer.agent, again.token));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, a_token_of_another_region_is_foreign)
{
	struct evr_block block;
	struct peer first;
	struct peer other;

	peer_create(&first, NULL);
	peer_create(&other, NULL);
	block = must_alloc(&first.agent, 64);
	FAILS(-EXDEV, evr_block_free(&other.agent, block.token));
	MUST(evr_block_free(&first.agent, block.token));
	peer_leaves_all_free(&first);
	peer_leaves_all_free(&other);
	peer_close(&other);
	peer_close(&first);
}

Test(pool, a_token_of_no_block_is_invalid)
{
	static const uint32_t indices[] = {
		200, 255, 256 + 64, 100000, EVR_TOKEN_INDEX_MAX, EVR_TOKEN_INDEX_MAX + 1
	};
	struct peer peer;
	size_t i;

	peer_create(&peer, NULL);
	for (i = 0; i < COUNT_OF(indices); i++) {
		evr_token token = evr_token_make(peer.agent.tag, indices[i], 1);

		if (indices[i] == 256 + 64) /* the first of the third class: a block */
			FAILS(-ESTALE, evr_block_free(&peer.agent, token));
		else
			FAILS(-EINVAL, evr_block_free(&peer.agent, token));
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, a_block_of_another_participant_is_not_ours_to_free)
{
	struct evr_block block;
	struct peer owner;
	struct peer other;

	peer_create(&owner, NULL);
	peer_attach(&other, &owner);
	block = must_alloc(&owner.agent, 64);
	expect_refused(&other.agent, block.token, -EPERM);
	MUST(evr_block_free(&owner.agent, block.token));
	peer_close(&other);
	peer_leaves_all_free(&owner);
	peer_close(&owner);
}

/* ---- agents ---- */

Test(pool, any_agent_of_the_participant_may_free_its_block)
{
	struct evr_agent second;
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_agent_open(peer.pool, &second));
	block = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&second, block.token));
	evr_agent_close(&second);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, what_lies_in_a_magazine_is_the_agents_until_it_flushes)
{
	static struct evr_block blocks[201];
	struct evr_agent second;
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_agent_open(peer.pool, &second));
	cr_assert_eq(take_all(&peer.agent, 64, blocks, 201), 200);
	MUST(evr_block_free(&peer.agent, blocks[0].token));
	FAILS(-ENOSPC, evr_block_alloc(&second, 64, &block));
	evr_agent_flush(&peer.agent);
	MUST(evr_block_alloc(&second, 64, &block));
	MUST(evr_block_free(&second, block.token));
	evr_agent_close(&second);
	free_blocks(&peer.agent, &blocks[1], 199);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, a_closed_agent_has_given_its_magazines_back)
{
	struct evr_agent second;
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_agent_open(peer.pool, &second));
	block = must_alloc(&second, 64);
	MUST(evr_block_free(&second, block.token));
	cr_assert_lt(evr_pool_free_count(peer.pool), FIXTURE_BLOCKS);
	evr_agent_close(&second);
	cr_assert_eq(evr_pool_free_count(peer.pool), FIXTURE_BLOCKS);
	evr_agent_close(&second);
	evr_agent_close(&(struct evr_agent){ 0 });
	peer_close(&peer);
}

Test(pool, one_agent_too_many_is_refused_until_another_closes)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = FIXTURE_REGION_BYTES,
					      .agents = 2 };
	struct evr_pool_options pool_options = fixture_pool_options();
	struct evr_agent agents[3];
	struct peer peer = { 0 };

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool_options, &peer.pool));
	MUST(evr_agent_open(peer.pool, &agents[0]));
	MUST(evr_agent_open(peer.pool, &agents[1]));
	FAILS(-EMFILE, evr_agent_open(peer.pool, &agents[2]));
	evr_agent_close(&agents[0]);
	MUST(evr_agent_open(peer.pool, &agents[2]));
	evr_agent_close(&agents[1]);
	evr_agent_close(&agents[2]);
	peer_close(&peer);
}

Test(pool, a_class_of_one_block_works)
{
	static const struct evr_pool_class one = { 64, 1, 0 };
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = &one,
					    .classes_count = 1 };
	struct peer peer = pool_peer_with(&options);
	struct evr_block block;
	struct evr_block second;
	int i;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (i = 0; i < 100; i++) {
		block = must_alloc(&peer.agent, 64);
		FAILS(-ENOSPC, evr_block_alloc(&peer.agent, 64, &second));
		MUST(evr_block_free(&peer.agent, block.token));
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool, every_batch_size_gives_every_block, .timeout = 60)
{
	static struct evr_block blocks[201];
	uint32_t batch;

	for (batch = 1; batch <= EVR_MAGAZINE_BATCH_MAX; batch++) {
		struct evr_pool_options options = fixture_pool_options();
		struct peer peer;

		options.batch_count = batch;
		peer = pool_peer_with(&options);
		MUST(evr_agent_open(peer.pool, &peer.agent));
		cr_assert_eq(take_all(&peer.agent, 64, blocks, 201), 200, "batch %u",
			     batch);
		free_blocks(&peer.agent, blocks, 200);
		peer_leaves_all_free(&peer);
		peer_close(&peer);
	}
}

/* ---- untracked ---- */

Test(pool, an_untracked_pool_gives_and_takes_every_block, .timeout = 20)
{
	static struct evr_block blocks[201];
	struct evr_pool_options options = fixture_pool_options();
	struct peer peer;
	int round;

	options.flags = EVR_POOL_UNTRACKED;
	peer = pool_peer_with(&options);
	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (round = 0; round < 10; round++) {
		cr_assert_eq(take_all(&peer.agent, 64, blocks, 201), 200);
		free_blocks(&peer.agent, blocks, 200);
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

static void hold_ten(struct peer *peer, void *argument)
{
	struct evr_block block;
	int i;

	(void)argument;
	for (i = 0; i < 10; i++)
		CHILD_MUST(evr_block_alloc(&peer->agent, 64, &block) == 0);
}

Test(pool, an_untracked_pool_loses_nothing_when_a_holder_dies, .timeout = 20)
{
	struct evr_pool_options options = fixture_pool_options();
	struct peer peer;

	options.flags = EVR_POOL_UNTRACKED;
	peer = pool_peer_with(&options);
	MUST(evr_agent_open(peer.pool, &peer.agent));
	killed_child(&peer, hold_ten, NULL);
	cr_assert_eq(evr_recover(&peer.agent, NULL), 0);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

/* ---- several processes ---- */

#define STORM_ROUNDS 20000

/* Allocates and frees at random, and looks whether anybody wrote into what it holds. */
static void storm(struct peer *peer, void *argument)
{
	struct evr_block held[24] = { 0 };
	uint64_t mark[24] = { 0 };
	uint64_t seed = evr_region_number(peer->region);
	int i;

	(void)argument;
	for (i = 0; i < STORM_ROUNDS; i++) {
		uint64_t random = next_random(&seed);
		unsigned int k = random % COUNT_OF(held);

		if (mark[k]) {
			CHILD_MUST(*(uint64_t *)held[k].payload == mark[k]);
			CHILD_MUST(evr_block_free(&peer->agent, held[k].token) == 0);
			mark[k] = 0;
		} else if (evr_block_alloc(&peer->agent, random & 64 ? 4096 : 64,
					   &held[k]) == 0) {
			mark[k] = random | 1;
			*(uint64_t *)held[k].payload = mark[k];
		}
	}
	for (i = 0; i < (int)COUNT_OF(held); i++)
		if (mark[i])
			CHILD_MUST(evr_block_free(&peer->agent, held[i].token) == 0);
	peer_close(peer);
}

Test(pool, four_processes_at_the_end_of_a_pool_never_share_a_block, .timeout = 60)
{
	struct peer peer;
	pid_t children[4];
	size_t i;

	peer_create(&peer, NULL);
	for (i = 0; i < COUNT_OF(children); i++)
		children[i] = peer_child(&peer, storm, NULL);
	for (i = 0; i < COUNT_OF(children); i++)
		child_succeeds(children[i]);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}
