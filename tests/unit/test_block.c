/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_block.c - block.h: the ownership word. */

#include "fixture.h"

Test(block, the_parts_of_a_word_come_out_as_they_went_in)
{
	uint64_t word = evr_block_word(UINT64_C(0xabcdef1), EVR_BLOCK_RESP, 0x89abcdef);

	cr_assert_eq(evr_block_word_generation(word), 0xabcdef1);
	cr_assert_eq(evr_block_word_state(word), EVR_BLOCK_RESP);
	cr_assert_eq(evr_block_word_owner(word), 0x89abcdef);
	cr_assert_eq(word, UINT64_C(0xabcdef1589abcdef));
}

Test(block, the_next_holder_has_the_next_generation)
{
	uint64_t word = evr_block_word(41, EVR_BLOCK_REQ, 7);

	cr_assert_eq(evr_block_word_next(word, EVR_BLOCK_OWNED, 9),
		     evr_block_word(42, EVR_BLOCK_OWNED, 9));
}

Test(block, a_generation_wraps_after_28_bits_and_touches_nothing_else)
{
	uint64_t word = evr_block_word(EVR_BLOCK_GENERATION_MASK, EVR_BLOCK_OWNED, 7);

	cr_assert_eq(evr_block_word_next(word, EVR_BLOCK_CACHED, 8),
		     evr_block_word(0, EVR_BLOCK_CACHED, 8));
}

Test(block, fresh_memory_is_in_no_state)
{
	uint32_t state = evr_block_word_state(0);

	cr_assert(state != EVR_BLOCK_FREE && state != EVR_BLOCK_CACHED &&
		  state != EVR_BLOCK_OWNED && state != EVR_BLOCK_REQ &&
		  state != EVR_BLOCK_RESP && state != EVR_BLOCK_IN);
}

Test(block, the_prefix_is_one_cache_line_and_the_payload_is_aligned_to_the_next)
{
	struct peer peer;
	struct evr_block block;

	peer_create(&peer, NULL);
	block = must_alloc(&peer.agent, 64);
	cr_assert_eq((uintptr_t)block.payload % EVR_CACHE_LINE_BYTES, 0);
	cr_assert_eq(
		(char *)block.payload -
			(char *)evri_block_at(&peer.agent, evr_token_index(block.token)),
		EVR_BLOCK_PREFIX_BYTES);
	MUST(evr_block_free(&peer.agent, block.token));
	peer_close(&peer);
}

/* A block's word through one round of its life, and what each change means to tokens. */
Test(block, each_change_of_holder_changes_the_generation)
{
	struct peer peer;
	struct evr_block block;
	const struct evr_block_shared *shared;
	uint64_t owned;

	peer_create(&peer, NULL);
	block = must_alloc(&peer.agent, 64);
	shared = evri_block_at(&peer.agent, evr_token_index(block.token));
	owned = evr_load_relaxed_u64(&shared->word);
	cr_assert_eq(evr_block_word_state(owned), EVR_BLOCK_OWNED);
	cr_assert_eq(evr_block_word_owner(owned), evr_region_number(peer.region));
	MUST(evr_block_free(&peer.agent, block.token));
	cr_assert_eq(evr_load_relaxed_u64(&shared->word),
		     evr_block_word_next(owned, EVR_BLOCK_CACHED,
					 evr_region_number(peer.region)));
	evr_agent_flush(&peer.agent);
	cr_assert_eq(evr_block_word_state(evr_load_relaxed_u64(&shared->word)),
		     EVR_BLOCK_FREE);
	peer_close(&peer);
}
