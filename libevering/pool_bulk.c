/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool_bulk.c - many blocks at once. See <evering/pool_bulk.h>.
 *
 * What is saved, per block: the search for the class, the count of the magazine, which is
 * stored once a run, and reading the agent anew after each store. (Fetching the prefixes
 * of many tokens before looking at the first was tried: it costs more than it gains, as
 * a core does the next ones of this loop while it waits for one.)
 */

#include <evering/pool_bulk.h>

#include <limits.h>

#include "pool_internal.h"

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The youngest @count of a magazine, as evr_block_alloc() takes one. Fewer: the one
 * behind them, left where it is, has a word that cannot be. */
static uint32_t take_run(struct evr_agent *agent, struct evri_magazine *magazine,
			 struct evr_block *ret, uint32_t count)
{
	const uint32_t *top = &magazine->index[magazine->count];
	bool tracked = !(agent->flags & EVR_POOL_UNTRACKED);
	uint32_t number = agent->number;
	uint32_t done;

	for (done = 0; done < count; done++) {
		uint32_t index = *--top;
		struct evr_block_shared *block = evri_block_known(agent, index);
		uint64_t word = evr_load_relaxed_u64(&block->word);

		if (EVR_LIKELY(tracked)) {
			if (EVR_UNLIKELY(!evri_block_word_is(word, EVR_BLOCK_CACHED,
							     number)))
				break;
			word += EVRI_WORD_TAKEN;
			/* Orders nothing, as in evr_block_alloc(). */
			evr_store_relaxed_u64(&block->word, word);
		}
		evri_block_handle(agent, index, block, word, &ret[done]);
		evri_prefetch_write(ret[done].payload);
	}
	magazine->count -= done;
	return done;
}

int evr_block_alloc_bulk(struct evr_agent *agent, uint64_t bytes, struct evr_block *ret,
			 uint32_t count)
{
	struct evri_magazine *magazine = agent->magazines;
	uint32_t class_index = 0;
	uint32_t done = 0;

	count = lesser(count, INT_MAX);
	while (magazine->payload_bytes < bytes) {
		magazine++;
		if (++class_index >= agent->classes_count)
			return -EINVAL;
	}
	while (done < count && EVR_UNLIKELY(agent->flags & EVR_POOL_HARDENED)) {
		int error = evr_block_alloc(agent, bytes, &ret[done]);

		if (error < 0)
			return done ? (int)done : error;
		done++;
	}
	while (done < count) {
		uint32_t run, taken;

		if (magazine->count == 0) {
			int error = evri_magazine_refill(agent, class_index);

			if (error < 0)
				return done ? (int)done : error;
		}
		run = lesser(count - done, magazine->count);
		taken = take_run(agent, magazine, ret + done, run);
		done += taken;
		if (EVR_UNLIKELY(taken < run)) {
			if (done)
				break;
			/* Given up, as by evr_block_alloc(). */
			magazine->count--;
			return -EUCLEAN;
		}
	}
	return (int)done;
}

/*
 * Frees blocks of one class until something else than that is to be done: the magazine
 * is full, a block is of another class, lists contents, or is not this participant's.
 * Returns how many were freed. What the loop needs stands in registers: the compiler
 * would read it anew after each store to a word.
 */
static uint32_t free_run(struct evr_agent *agent, const evr_token *tokens, uint32_t count,
			 uint32_t class_index)
{
	struct evri_magazine *magazine = &agent->magazines[class_index];
	const struct evri_chunk *chunks = agent->chunks;
	uint64_t mine = evr_block_word(0, EVR_BLOCK_OWNED, agent->number);
	uint64_t given = agent->flags & EVR_POOL_UNTRACKED ? 0 : EVRI_WORD_GIVEN;
	uint32_t chunks_count = agent->chunks_count;
	uint32_t *slot = &magazine->index[magazine->count];
	uint16_t tag = agent->tag;
	char *base = agent->base;
	uint32_t done;

	/* One by one where each is looked at. */
	if (EVR_UNLIKELY(agent->flags & EVR_POOL_HARDENED))
		return 0;
	count = lesser(count, magazine->capacity - magazine->count);
	for (done = 0; done < count; done++) {
		evr_token token = tokens[done];
		uint32_t index = evr_token_index(token);
		const struct evri_chunk *chunk = &chunks[index / EVR_POOL_CHUNK_BLOCKS];
		uint32_t within = index % EVR_POOL_CHUNK_BLOCKS;

		if (EVR_UNLIKELY(evr_token_tag(token) != tag ||
				 index / EVR_POOL_CHUNK_BLOCKS >= chunks_count ||
				 within >= evri_chunk_blocks(chunk) ||
				 evri_chunk_class(chunk) != class_index))
			break;

		struct evr_block_shared *block =
			(struct evr_block_shared *)(base + chunk->offset +
						    (uint64_t)within *
							    chunk->stride_bytes);
		uint64_t word = evr_load_relaxed_u64(&block->word);

		if (EVR_UNLIKELY(!evri_block_word_fits(word, token, mine) ||
				 evri_block_lists(block)))
			break;
		/* Before the next token is looked at: one that is there twice is refused
		 * the second time. */
		evr_store_relaxed_u64(&block->word, word + given);
		*slot++ = index;
	}
	magazine->count += done;
	return done;
}

int evr_block_free_bulk(struct evr_agent *agent, const evr_token *tokens, uint32_t count)
{
	uint32_t class_index = 0;
	uint32_t done = 0;

	count = lesser(count, INT_MAX);
	while (done < count) {
		int error;

		done += free_run(agent, tokens + done, count - done, class_index);
		if (done == count)
			break;
		/* What ended the run is done, or refused, as that of a single block. */
		error = evr_block_free(agent, tokens[done]);
		if (EVR_UNLIKELY(error < 0))
			return done ? (int)done : error;
		class_index = evri_chunk_class(&agent->chunks[evr_token_index(
							tokens[done]) /
							EVR_POOL_CHUNK_BLOCKS]);
		done++;
	}
	return (int)done;
}
