/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_pool_hostile.c - pool.h with words that no correct peer leaves: calls may fail
 * with -EUCLEAN and blocks may be lost, but nothing crashes, hangs, or has two owners.
 */

#include "fixture.h"
#include "pool_internal.h"

#include <string.h>

Test(pool_hostile, no_wrong_word_in_the_header_gets_past_the_check, .timeout = 30)
{
	static const uint64_t values[] = {
		0,	    1,		63,
		UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63,
		1U << 30,   0xffffffc0, UINT64_C(0xffffffffffffffc0)
	};
	struct peer peer = pool_peer();
	struct evr_region_shared *raw = scribble_map(peer.region);
	uint64_t *words = find_object(raw, EVR_POOL_MAGIC);
	size_t end =
		offsetof(struct evr_pool_shared, classes[COUNT_OF(fixture_classes)]) / 8;
	size_t at;
	size_t i;

	for (at = 0; at < end; at++) {
		for (i = 0; i < COUNT_OF(values); i++) {
			struct evr_pool *pool = NULL;
			uint64_t right = words[at];
			struct evr_agent agent;
			int error;

			words[at] = values[i];
			error = evr_pool_open(peer.region, &pool);
			words[at] = right;
			if (error < 0) {
				FAILS(-EUCLEAN, error);
				continue;
			}
			/* A word that is not looked at, or one that is possible too. */
			MUST(evr_agent_open(pool, &agent));
			evr_agent_close(&agent);
			evr_pool_close(pool);
		}
	}
	peer_close(&peer);
}

Test(pool_hostile, the_sizes_that_matter_are_refused_when_they_reach_beyond_the_region)
{
	struct peer peer = pool_peer();
	struct evr_region_shared *raw = scribble_map(peer.region);
	struct evr_pool_shared *shared = find_object(raw, EVR_POOL_MAGIC);
	struct evr_pool_shared right = *shared;
	struct evr_pool *pool;

	shared->classes[2].blocks_count = 4096;
	FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
	*shared = right;
	shared->classes[0].blocks_offset = FIXTURE_REGION_BYTES - 64;
	FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
	*shared = right;
	shared->classes[1].payload_bytes = UINT64_C(1) << 25;
	FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
	*shared = right;
	shared->bitmap_offset = FIXTURE_REGION_BYTES;
	FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
	*shared = right;
	shared->magic++;
	FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
	cr_assert(strstr(evr_error_detail(), "pool"), "%s", evr_error_detail());
	*shared = right;
	MUST(evr_pool_open(peer.region, &pool));
	evr_pool_close(pool);
	peer_close(&peer);
}

/* Allocates until it fails for good; every block must lie in its class, once. */
static uint32_t take_what_there_is(struct evr_agent *agent)
{
	static bool taken[FIXTURE_BLOCKS + 256];
	struct evr_block block;
	uint32_t count = 0;
	int failures = 0;
	int error;

	memset(taken, 0, sizeof(taken));
	while (failures < 1000) {
		error = evr_block_alloc(agent, 64, &block);
		if (error == -ENOSPC)
			return count;
		if (error < 0) {
			FAILS(-EUCLEAN, error);
			failures++;
			continue;
		}
		cr_assert_lt(evr_token_index(block.token), 200);
		cr_assert_not(taken[evr_token_index(block.token)], "given twice");
		taken[evr_token_index(block.token)] = true;
		count++;
	}
	cr_assert_fail("alloc neither gives nor ends");
	return count;
}

static struct evr_atomic_u64 *bitmap_of(struct evr_pool_shared *shared)
{
	return (struct evr_atomic_u64 *)((char *)shared + shared->bitmap_offset);
}

Test(pool_hostile, bits_of_blocks_that_do_not_exist_are_never_given_out, .timeout = 20)
{
	struct evr_pool_shared *shared;
	struct peer peer;

	peer_create(&peer, NULL);
	shared = find_object(scribble_map(peer.region), EVR_POOL_MAGIC);
	/* 200 blocks of the first class: the fourth chunk has 8. */
	evr_store_relaxed_u64(&bitmap_of(shared)[3], UINT64_MAX);
	cr_assert_eq(take_what_there_is(&peer.agent), 200);
	peer_close(&peer);
}

Test(pool_hostile, a_bit_that_says_free_of_a_block_in_use_does_not_give_it_a_second_owner,
     .timeout = 20)
{
	struct evr_pool_shared *shared;
	struct evr_block block;
	struct peer owner;
	struct peer other;
	uint32_t index;

	peer_create(&owner, NULL);
	peer_attach(&other, &owner);
	shared = find_object(scribble_map(owner.region), EVR_POOL_MAGIC);
	block = must_alloc(&owner.agent, 64);
	index = evr_token_index(block.token);
	evr_fetch_or_acq_rel_u64(&bitmap_of(shared)[index / 64], UINT64_C(1)
									 << index % 64);
	cr_assert_lt(take_what_there_is(&other.agent), 200);
	MUST(evr_block_at(&owner.agent, block.token, &block));
	peer_close(&other);
	peer_close(&owner);
}

Test(pool_hostile, a_word_scribbled_on_in_the_magazine_is_found_and_the_block_given_up,
     .timeout = 20)
{
	struct evr_block_shared *shared;
	struct evr_block block;
	struct peer peer;

	peer_create(&peer, NULL);
	block = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&peer.agent, block.token));
	shared = evri_block_at(&peer.agent, evr_token_index(block.token));
	evr_store_relaxed_u64(&shared->word, UINT64_MAX);
	FAILS(-EUCLEAN, evr_block_alloc(&peer.agent, 64, &block));
	MUST(evr_block_alloc(&peer.agent, 64, &block));
	peer_close(&peer);
}

Test(pool_hostile, every_word_of_the_pool_may_be_garbage, .timeout = 60)
{
	uint64_t seed = 1;
	int round;

	for (round = 0; round < 60; round++) {
		struct evr_pool_shared *shared;
		struct peer peer;
		uint32_t i;

		peer_create(&peer, NULL);
		shared = find_object(scribble_map(peer.region), EVR_POOL_MAGIC);
		for (i = 0; i < shared->chunks_count; i++)
			evr_store_relaxed_u64(&bitmap_of(shared)[i], next_random(&seed));
		for (i = 0; i < 200; i++) {
			struct evr_block_shared *block = evri_block_at(&peer.agent, i);
			uint64_t *words = (uint64_t *)block;
			int k;

			for (k = 0; k < 8; k++)
				if (next_random(&seed) % 4 == 0)
					words[k] = next_random(&seed) >>
						   (next_random(&seed) % 64);
		}
		take_what_there_is(&peer.agent);
		(void)evr_recover(&peer.agent, NULL);
		peer_close(&peer);
	}
}

/* The list of a container names garbage, blocks in use, itself, the end of the pool. */
Test(pool_hostile, a_container_that_lists_what_is_not_in_it_frees_nothing_of_it,
     .timeout = 20)
{
	struct evr_block_shared *shared;
	struct evr_block victim;
	struct evr_block seen;
	struct evr_block box;
	struct peer peer;
	uint64_t seed = 7;
	int round;

	peer_create(&peer, NULL);
	victim = must_alloc(&peer.agent, 64);
	for (round = 0; round < 1000; round++) {
		uint64_t word;
		int place;

		box = must_alloc(&peer.agent, 64);
		shared = evri_block_at(&peer.agent, evr_token_index(box.token));
		word = evr_load_relaxed_u64(&shared->word);
		shared->contents[0] = evri_block_content_entry(
			evr_token_index(box.token), word);
		shared->contents[1] = evri_block_content_entry(
			evr_token_index(victim.token),
			evr_load_relaxed_u64(
				&evri_block_at(&peer.agent, evr_token_index(victim.token))
					 ->word));
		shared->contents[2] = next_random(&seed) >> (round % 64);
		for (place = 0; place < EVR_BLOCK_CONTENTS_MAX; place++) {
			FAILS(-ENOENT, evr_block_content(&peer.agent, box.token,
							 (uint32_t)place, &seen));
			FAILS(-ENOENT, evr_block_take_out(&peer.agent, box.token,
							  (uint32_t)place, &seen));
		}
		MUST(evr_block_free(&peer.agent, box.token));
	}
	MUST(evr_block_free(&peer.agent, victim.token));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}
