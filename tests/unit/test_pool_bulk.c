/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_pool_bulk.c - many blocks at once are what as many calls for one are. */

#include "fixture.h"

#include <string.h>

#define MANY 300

static uint32_t tokens_of(const struct evr_block *blocks, uint32_t count,
			  evr_token *ret_tokens)
{
	for (uint32_t i = 0; i < count; i++)
		ret_tokens[i] = blocks[i].token;
	return count;
}

Test(pool_bulk, each_block_is_given_once_and_is_as_large_as_its_class_says)
{
	struct peer peer = pool_peer();
	struct evr_block blocks[MANY];
	evr_token tokens[MANY];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 65, blocks, 50), 50);
	for (uint32_t i = 0; i < 50; i++) {
		struct evr_block same;

		cr_assert_eq(blocks[i].payload_bytes, 1024);
		memset(blocks[i].payload, (int)i, blocks[i].payload_bytes);
		MUST(evr_block_at(&peer.agent, blocks[i].token, &same));
		cr_assert_eq(same.payload, blocks[i].payload);
	}
	for (uint32_t i = 0; i < 50; i++)
		cr_assert_eq(((unsigned char *)blocks[i].payload)[1023], i,
			     "two blocks share memory");
	tokens_of(blocks, 50, tokens);
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 50), 50);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_bulk, a_class_with_too_few_gives_what_it_has_and_then_says_so)
{
	struct peer peer = pool_peer();
	struct evr_block blocks[MANY];
	struct evr_block untouched;
	evr_token tokens[MANY];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	memset(blocks, 0x5a, sizeof(blocks));
	memset(&untouched, 0x5a, sizeof(untouched));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks, MANY), 200);
	cr_assert_eq(memcmp(&blocks[200], &untouched, sizeof(untouched)), 0);
	FAILS(-ENOSPC, evr_block_alloc_bulk(&peer.agent, 64, &blocks[200], 1));
	FAILS(-EINVAL, evr_block_alloc_bulk(&peer.agent, 4097, &blocks[200], 1));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, NULL, 0), 0);
	cr_assert_eq(evr_block_free_bulk(&peer.agent, NULL, 0), 0);
	tokens_of(blocks, 200, tokens);
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 200), 200);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_bulk, blocks_of_all_classes_go_back_in_one_call)
{
	static const uint64_t sizes[] = { 64, 4096, 1024 };
	struct peer peer = pool_peer();
	struct evr_block block;
	evr_token tokens[45];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (uint32_t i = 0; i < COUNT_OF(tokens); i++) {
		block = must_alloc(&peer.agent, sizes[i * 7 / 5 % 3]);
		tokens[i] = block.token;
	}
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 45), 45);
	/* Each is in the magazine of its own class. */
	for (uint32_t i = 0; i < COUNT_OF(tokens); i++) {
		block = must_alloc(&peer.agent, sizes[i % 3]);
		cr_assert_eq(block.payload_bytes, sizes[i % 3]);
		tokens[i] = block.token;
	}
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 45), 45);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_bulk, what_the_blocks_contain_goes_back_with_them)
{
	struct peer peer = pool_peer();
	struct evr_block outer[8], inner;
	evr_token tokens[8];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, outer, 8), 8);
	inner = must_alloc(&peer.agent, 4096);
	MUST(evr_block_contain(&peer.agent, outer[3].token, inner.token));
	tokens_of(outer, 8, tokens);
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 8), 8);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

/* Tokens as no correct caller has them; the index of each stops the call. */
static evr_token bad_token(struct peer *peer, int which, evr_token good, evr_token first)
{
	uint16_t tag = evr_token_tag(good);

	(void)peer;
	switch (which) {
	case 0:
		return first; /* twice */
	case 1:
		return evr_token_make((uint16_t)(tag + 1), evr_token_index(good), 2);
	case 2:
		return evr_token_make(tag, 230, 2); /* behind the last of its class */
	case 3:
		return evr_token_make(tag, EVR_TOKEN_INDEX_MAX, 2);
	default:
		return evr_token_make(tag, evr_token_index(good),
				      evr_token_generation(good) + 1);
	}
}

Test(pool_bulk, the_first_token_that_is_refused_stops_the_call_and_is_told_by_its_index)
{
	static const int errors[] = { -ESTALE, -EXDEV, -EINVAL, -EINVAL, -ESTALE };
	struct peer peer = pool_peer();
	struct evr_block blocks[40];
	evr_token tokens[40];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (int which = 0; which < 5; which++) {
		for (uint32_t at = 1; at < 40; at += 19) {
			evr_token good;

			cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks, 40),
				     40);
			tokens_of(blocks, 40, tokens);
			good = tokens[at];
			tokens[at] = bad_token(&peer, which, good, tokens[0]);
			cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 40), at);
			FAILS(errors[which],
			      evr_block_free_bulk(&peer.agent, tokens + at, 40 - at));
			tokens[at] = good;
			cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens + at,
							 40 - at),
				     40 - at);
		}
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_bulk, a_block_of_another_participant_stays_his)
{
	struct peer peer = pool_peer(), other;
	struct evr_block blocks[4], his;
	evr_token tokens[5];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	peer_attach(&other, &peer);
	his = must_alloc(&other.agent, 64);
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks, 4), 4);
	tokens_of(blocks, 4, tokens);
	tokens[4] = his.token;
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 5), 4);
	FAILS(-EPERM, evr_block_free_bulk(&peer.agent, tokens + 4, 1));
	MUST(evr_block_free(&other.agent, his.token));
	peer_close(&other);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_bulk, a_scribbled_word_ends_the_call_before_it_and_is_told_by_the_next)
{
	struct peer peer = pool_peer();
	struct evr_block blocks[40];
	struct evr_block_shared *block;
	evr_token tokens[40];
	int got;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks, 6), 6);
	tokens_of(blocks, 6, tokens);
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 6), 6);
	/* The third from the top of the magazine. */
	block = evri_block_at(&peer.agent, evr_token_index(tokens[3]));
	evr_store_relaxed_u64(&block->word, UINT64_MAX);
	got = evr_block_alloc_bulk(&peer.agent, 64, blocks, 6);
	cr_assert_eq(got, 2, "%d", got);
	FAILS(-EUCLEAN, evr_block_alloc_bulk(&peer.agent, 64, blocks + 2, 4));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks + 2, 3), 3);
	for (int i = 0; i < 5; i++)
		cr_assert_neq(evr_token_index(blocks[i].token),
			      evr_token_index(tokens[3]));
	tokens_of(blocks, 5, tokens);
	cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 5), 5);
	peer_close(&peer);
}

static void alloc_and_die(struct peer *peer, void *unused)
{
	struct evr_block blocks[100];

	(void)unused;
	CHILD_MUST(evr_block_alloc_bulk(&peer->agent, 64, blocks, 100) == 100);
}

Test(pool_bulk, blocks_of_one_who_died_come_back)
{
	struct peer peer = pool_peer();

	MUST(evr_agent_open(peer.pool, &peer.agent));
	killed_child(&peer, alloc_and_die, NULL);
	cr_assert_eq(MUST(evr_recover(&peer.agent, NULL)), 0);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_bulk, an_untracked_pool_has_it_too)
{
	struct evr_pool_options options = fixture_pool_options();
	struct evr_block blocks[MANY];
	evr_token tokens[MANY];
	struct peer peer;

	options.flags = EVR_POOL_UNTRACKED;
	peer = pool_peer_with(&options);
	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks, MANY), 200);
		tokens_of(blocks, 200, tokens);
		cr_assert_eq(evr_block_free_bulk(&peer.agent, tokens, 200), 200);
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}
