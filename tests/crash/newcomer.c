/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * newcomer.c - one who moves into a dead one's record while a recoverer of that dead one
 * is still stopped in mid-pass.
 *
 * It stands in the middle of everything that a late recoverer could mistake for the dead
 * one's: a home with a request under way, a block of its own, a message between slot and
 * mark, a block between bit and word. When the recoverer has come to its end, all of it
 * must be as it was.
 */

#include "scenarios.h"

#include "pool_internal.h"

static void expect_the_same_place(struct party *party)
{
	const struct board *board = party->board;
	uint32_t agent = (uint32_t)(party->agent.shared - party->region->agents);

	if (party->region->record != board->departed_record ||
	    agent != board->departed_agent)
		complain(party, "it has record %u, agent %u, the departed %u, %u",
			 party->region->record, agent, board->departed_record,
			 board->departed_agent);
}

/* Its record and its agent are its own. */
static void expect_still_here(struct party *party)
{
	const struct evr_region *region = party->region;
	uint64_t record =
		evr_load_acquire_u64(&region->participants[region->record].word);
	uint64_t agent = evr_load_acquire_u64(&party->agent.shared->word);

	if (record != evr_participant_word(EVR_PARTICIPANT_ALIVE, region->number))
		complain(party, "its record was taken from it: %016lx", record);
	if (agent != evr_agent_word(EVR_AGENT_USED, region->record, region->number))
		complain(party, "its agent was taken from it: %016lx", agent);
}

/* As a refill does, up to the bits; 64: none was set. */
static uint32_t take_a_bit(struct party *party)
{
	struct evr_atomic_u64 *bitmap = bitmap_word(party, 0);
	uint64_t bits = evr_load_relaxed_u64(bitmap);

	evr_store_release_u64(&party->agent.shared->bitmap_intent, 1);
	while (bits && !evr_cas_acq_rel_u64(bitmap, &bits, bits & (bits - 1)))
		;
	return bits ? (uint32_t)__builtin_ctzll(bits) : EVR_POOL_CHUNK_BLOCKS;
}

/* Back with it, as if it had never been taken: its word was left alone. */
static void give_the_bit_back(struct party *party, uint32_t index, uint64_t before)
{
	struct evr_atomic_u64 *bitmap = bitmap_word(party, 0);
	uint64_t bits = evr_load_relaxed_u64(bitmap);

	if (index < EVR_POOL_CHUNK_BLOCKS) {
		uint64_t word = evr_load_acquire_u64(
			&evri_block_at(&party->agent, index)->word);

		if (word != before)
			complain(party,
				 "block %u, which it was taking from the bitmap, says "
				 "%016lx instead of %016lx", index, word, before);
		while (!evr_cas_acq_rel_u64(bitmap, &bits, bits | UINT64_C(1) << index))
			;
	}
	evr_store_release_u64(&party->agent.shared->bitmap_intent, 0);
}

/* The rest of a pop: mark, and intent cleared. */
static void mark_taken(struct party *party)
{
	struct evr_agent_shared *agent = party->agent.shared;
	uint64_t wire = evr_load_relaxed_u64(&agent->intent[0]) & EVR_TOKEN_WIRE_MASK;
	uint32_t index = (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS);
	struct evr_block_shared *block = evri_block_at(&party->agent, index);
	uint64_t word;

	if (!evr_load_relaxed_u64(&agent->intent[0]))
		return; /* the ring was empty */
	word = evr_load_acquire_u64(&block->word);
	if ((evr_block_word_generation(word) ^ wire) & EVR_TOKEN_GENERATION_MASK)
		complain(party, "block %u, which it was taking, was claimed: %016lx",
			 index, word);
	word = evr_block_word_next(word, EVR_BLOCK_OWNED, party->agent.number);
	evr_store_release_u64(&block->word, word);
	evr_store_release_u64(&agent->intent[0], 0);
	evri_block_handle(&party->agent, index, block, word, &party->block);
	message_verify(party, &party->block);
	MUST(party, evr_block_free(&party->agent, party->block.token));
}

void newcomer_run(struct party *party)
{
	uint64_t before = 0;
	uint32_t bit;

	expect_the_same_place(party);
	party_open_submitter(party);
	request_send(party, 1);
	hold_blocks(party, 1);
	take_without_mark(party, &party->ring);
	bit = take_a_bit(party);
	if (bit < EVR_POOL_CHUNK_BLOCKS)
		before = evr_load_acquire_u64(&evri_block_at(&party->agent, bit)->word);
	announce(&party->board->moved_in);
	await(party, &party->board->go_on);
	expect_still_here(party);
	give_the_bit_back(party, bit, before);
	mark_taken(party);
	free_held(party);
	party_settle(party);
	party_close(party);
	party_rest(party);
}
