/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool_retire.c - giving the pages of an extent back, and making it serve again.
 *
 * Whether a block may be used is said by its word, here as everywhere. A retirement takes
 * all blocks of an extent off the bitmap, one word after the other: they say RETIRED and
 * by whom. Only when all do, the extent's word says so too:
 *
 *	SERVING, all blocks RETIRED by one        -> RETIRING
 *	RETIRING, all agents have acknowledged    -> PUNCHING, by its owner
 *	PUNCHING, the pages are gone              -> RETIRED
 *	RETIRED or RETIRING                       -> REVIVING, by its owner
 *	REVIVING, pages made and blocks freed     -> SERVING
 *
 * Blocks of one who died before the first step come back by recovery: they say RETIRED,
 * their extent SERVING, and nobody but the dead one had them. After it recovery leaves
 * them alone.
 *
 * Pages go and come in system calls, which a stopped one may be in the middle of, and
 * which know nothing of words. So PUNCHING and REVIVING have an owner, and are taken over
 * from the dead only: a call of theirs has ended.
 *
 * Prefixes and bitmap stay real, and generations go on counting. Nobody needs to know
 * for safety that pages are gone, for nobody who does not own a block touches its
 * payload. The acknowledgements are for those who do so all the same: see
 * evr_pool_retire().
 */

#include <evering/cpu.h>
#include <evering/pool_extent.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pool_internal.h"

#define VALUE_MASK ((UINT64_C(1) << 56) - 1)

static uint64_t word_value(uint64_t word)
{
	return word & VALUE_MASK;
}

/* ---- the blocks of an extent ---- */

static uint64_t all_bits(const struct evr_pool *pool, uint32_t chunk)
{
	uint32_t blocks = evri_chunk_blocks(&pool->chunks[chunk]);

	return blocks >= EVR_POOL_CHUNK_BLOCKS ? UINT64_MAX :
						 (UINT64_C(1) << blocks) - 1;
}

static uint32_t blocks_in_use(const struct evr_pool *pool, const struct evri_span *span)
{
	uint32_t count = 0;

	for (uint32_t k = 0; k < span->chunks_count; k++) {
		uint32_t chunk = span->first_chunk + k;
		uint64_t bits = evr_load_relaxed_u64(evri_pool_bits(pool, chunk));

		count += (uint32_t)__builtin_popcountll(all_bits(pool, chunk) & ~bits);
	}
	return count;
}

/* A block that says RETIRED is free again; one that says anything else is somebody's. */
static void free_retired(struct evr_agent *agent, uint32_t index)
{
	struct evr_block_shared *block = evri_block_at(agent, index);
	uint64_t word = evr_load_relaxed_u64(&block->word);

	if (evr_block_word_state(word) == EVR_BLOCK_RETIRED &&
	    evr_cas_acq_rel_u64(&block->word, &word,
				evr_block_word_next(word, EVR_BLOCK_OWNED,
						    agent->number)))
		evri_block_discard(agent, index);
}

static void put_back(struct evr_agent *agent, uint32_t chunk, uint64_t bits)
{
	for (; bits; bits &= bits - 1)
		free_retired(agent, chunk * EVR_POOL_CHUNK_BLOCKS +
					    (uint32_t)__builtin_ctzll(bits));
}

static void put_back_span(struct evr_agent *agent, const struct evri_span *span,
			  uint32_t chunks_count)
{
	for (uint32_t k = 0; k < chunks_count; k++)
		put_back(agent, span->first_chunk + k,
			 all_bits(agent->pool, span->first_chunk + k));
}

/* All blocks of the extent or none: what was taken before one is missing goes back. */
static bool take_span_out(struct evr_agent *agent, const struct evri_span *span)
{
	for (uint32_t k = 0; k < span->chunks_count; k++) {
		uint32_t chunk = span->first_chunk + k;
		uint64_t bits = evri_chunk_take(agent, chunk, EVR_POOL_CHUNK_BLOCKS,
						EVR_BLOCK_RETIRED);

		if (bits != all_bits(agent->pool, chunk)) {
			put_back(agent, chunk, bits);
			put_back_span(agent, span, k);
			return false;
		}
	}
	return true;
}

/* ---- the pages inside payloads ---- */

static uint64_t payload_offset(const struct evr_pool *pool, const struct evri_span *span,
			       uint32_t block)
{
	const struct evri_chunk *chunk =
		&pool->chunks[span->first_chunk + block / EVR_POOL_CHUNK_BLOCKS];
	uint64_t within = block % EVR_POOL_CHUNK_BLOCKS;

	return chunk->offset + chunk->payload_ahead +
	       within * ((uint64_t)chunk->stride_bytes + chunk->payload_step);
}

/* Payloads without prefixes between them are one hole, all together. */
static uint32_t holes_count(const struct evri_span *span)
{
	return span->beside ? 1 : span->blocks_count;
}

static struct evri_hole hole_in(const struct evr_pool *pool, const struct evri_span *span,
				uint32_t block)
{
	uint64_t page_bytes = pool->region->page_bytes;
	uint64_t payload_bytes = pool->chunks[span->first_chunk].payload_bytes;
	uint64_t payload = payload_offset(pool, span, block);
	uint32_t last = span->beside ? span->blocks_count - 1 : block;
	uint64_t behind = payload_offset(pool, span, last) + payload_bytes;
	uint64_t begin = (payload + page_bytes - 1) / page_bytes * page_bytes;
	uint64_t end = behind / page_bytes * page_bytes;
	struct evri_hole hole = {
		.offset = begin,
		.bytes = end > begin ? end - begin : 0,
	};

	return hole;
}

static bool has_pages(const struct evr_pool *pool, const struct evri_span *span)
{
	for (uint32_t i = 0; i < holes_count(span); i++)
		if (hole_in(pool, span, i).bytes)
			return true;
	return false;
}

static int by_offset(const void *a, const void *b)
{
	const struct evri_hole *one = a, *other = b;

	return (one->offset > other->offset) - (one->offset < other->offset);
}

int evri_pool_holes(const struct evr_pool *pool, uint32_t range, struct evri_hole **ret,
		    uint32_t *ret_count)
{
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);
	struct evri_hole *holes = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; i < spans; i++) {
		const struct evri_span *span = &pool->spans[i];
		struct evri_hole *more;

		if (!span->word || span->range != range ||
		    evri_extent_state(evr_load_acquire_u64(span->word)) !=
			    EVR_EXTENT_RETIRED)
			continue;
		more = realloc(holes, (count + holes_count(span)) * sizeof(*holes));
		if (!more) {
			free(holes);
			return -ENOMEM;
		}
		holes = more;
		for (uint32_t k = 0; k < holes_count(span); k++) {
			holes[count] = hole_in(pool, span, k);
			count += holes[count].bytes != 0;
		}
	}
	if (count)
		qsort(holes, count, sizeof(*holes), by_offset);
	*ret = holes;
	*ret_count = count;
	return 0;
}

static int punch(const struct evr_pool *pool, const struct evri_span *span,
		 uint64_t *ret_bytes)
{
	for (uint32_t i = 0; i < holes_count(span); i++) {
		struct evri_hole hole = hole_in(pool, span, i);
		int error;

		if (hole.bytes == 0)
			continue;
		error = evri_os_memory_release(pool->region->fd, hole.offset, hole.bytes);
		if (error < 0)
			return evri_fail(error, "cannot give %" PRIu64 " bytes back: %s",
					 hole.bytes, strerror(-error));
		*ret_bytes += hole.bytes;
	}
	return 0;
}

/* ---- retiring ---- */

/* Has every agent that may be at work heard of retirement @number? */
static int acknowledged(struct evr_region *region, uint64_t number)
{
	int dead = evr_participant_find_dead(region);

	if (dead < 0)
		return dead;
	for (uint32_t i = 0; i < region->agents_count; i++) {
		const struct evr_agent_shared *agent = &region->agents[i];
		uint64_t word = evr_load_acquire_u64(&agent->word);
		uint32_t record = (uint32_t)(word >> 32) & 0xffffffU;

		if (word >> 56 != EVR_AGENT_USED ||
		    record >= region->participants_count ||
		    evr_load_acquire_u64(&region->participants[record].word) !=
			    evr_participant_word(EVR_PARTICIPANT_ALIVE, (uint32_t)word))
			continue;
		/* SYNC pool/acknowledged (acquire), pairs with evri_agent_acknowledge():
		 * what the agent did with a block before is done. */
		if ((int64_t)(evr_load_acquire_u64(&agent->acknowledged) - number) < 0)
			return evri_fail(-EAGAIN,
					 "participant %u, process %" PRIu64
					 ", has not acknowledged yet",
					 (uint32_t)word,
					 evr_plain_load_u64(
						 &region->participants[record].pid));
	}
	return 0;
}

/* From here on recovery leaves these blocks alone. */
static int commit(struct evr_agent *agent, const struct evri_span *span)
{
	uint64_t word = evri_extent_word(EVR_EXTENT_SERVING, 0);
	/* SYNC pool/retirements (release), pairs with evri_agent_acknowledge(). */
	uint64_t number =
		evr_fetch_add_acq_rel_u64(&agent->pool->region->shared->retirements, 1) +
		1;

	/* SYNC pool/extent (release), pairs with evri_pool_chunk_state(). */
	if (evr_cas_acq_rel_u64(span->word, &word,
				evri_extent_word(EVR_EXTENT_RETIRING,
						 number & VALUE_MASK)))
		return 0;
	put_back_span(agent, span, span->chunks_count);
	return evri_fail(-EUCLEAN, "an extent's word was overwritten: %#" PRIx64, word);
}

/* May a step of the owner in this word be gone on with? */
static bool is_left(const struct evr_pool *pool, uint64_t word)
{
	return !evri_participant_alive(pool->region, (uint32_t)word_value(word));
}

static int give_back(struct evr_agent *agent, const struct evri_span *span, uint64_t word,
		     uint64_t *ret_bytes)
{
	struct evr_pool *pool = agent->pool;
	uint64_t number = 0; /* acknowledged already, if one died after that */
	uint64_t mine = evri_extent_word(EVR_EXTENT_PUNCHING, agent->number);
	int error = 0;

	if (evri_extent_state(word) == EVR_EXTENT_RETIRING) {
		number = word_value(word);
		error = acknowledged(pool->region, number);
		if (error < 0)
			return error;
	} else if (!is_left(pool, word)) {
		return evri_fail(-EBUSY, "participant %" PRIu64 " is at work there",
				 word_value(word));
	}
	if (!evr_cas_acq_rel_u64(span->word, &word, mine))
		return evri_fail(-EBUSY, "another is at work there");
	error = punch(pool, span, ret_bytes);
	evr_cas_acq_rel_u64(span->word, &mine,
			    error < 0 ? evri_extent_word(EVR_EXTENT_RETIRING, number) :
					evri_extent_word(EVR_EXTENT_RETIRED, 0));
	return error;
}

/* The first steps, of all extents of the range that still serve. */
static int take_out(struct evr_agent *agent, uint32_t range)
{
	struct evr_pool *pool = agent->pool;
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);
	uint32_t found = 0, pages = 0, used = 0;
	int error = 0;
	uint32_t i;

	for (i = 0; i < spans; i++) {
		const struct evri_span *span = &pool->spans[i];

		if (!span->word || span->range != range)
			continue;
		found++;
		pages += has_pages(pool, span);
		if (evri_extent_state(evr_load_acquire_u64(span->word)) ==
		    EVR_EXTENT_SERVING)
			used += blocks_in_use(pool, span);
	}
	if (!found)
		return evri_fail(-ENOENT, "no blocks were put in range %u", range);
	if (!pages)
		return evri_fail(-EOPNOTSUPP,
				 "the payloads in range %u hold no whole page of "
				 "%" PRIu64 " bytes",
				 range, pool->region->page_bytes);
	if (used)
		return evri_fail(-EBUSY, "%u blocks of range %u are in use", used, range);
	for (i = 0; i < spans && error == 0; i++) {
		const struct evri_span *span = &pool->spans[i];

		if (!span->word || span->range != range ||
		    evri_extent_state(evr_load_acquire_u64(span->word)) !=
			    EVR_EXTENT_SERVING)
			continue;
		if (!take_span_out(agent, span))
			error = evri_fail(-EBUSY,
					  "blocks of range %u were taken at this moment",
					  range);
		else
			error = commit(agent, span);
	}
	return error;
}

int evr_pool_retire(struct evr_agent *agent, uint32_t range, uint64_t *ret_bytes)
{
	struct evr_pool *pool = agent->pool;
	uint64_t bytes = 0;
	int error;

	if (range >= pool->region->ranges_count)
		return evri_fail(-EINVAL, "there is no range %u", range);
	error = evri_pool_learn(pool);
	if (error < 0)
		return error;
	evr_agent_flush(agent);
	error = take_out(agent, range);
	evri_agent_acknowledge(agent);
	for (uint32_t i = 0;
	     error == 0 && i < evr_load_acquire_u32(&pool->spans_count); i++) {
		const struct evri_span *span = &pool->spans[i];
		uint64_t word;

		if (!span->word || span->range != range)
			continue;
		word = evr_load_acquire_u64(span->word);
		if (evri_extent_state(word) == EVR_EXTENT_RETIRING ||
		    evri_extent_state(word) == EVR_EXTENT_PUNCHING)
			error = give_back(agent, span, word, &bytes);
	}
	if (error == 0 && ret_bytes)
		*ret_bytes = bytes;
	return error;
}

/* ---- serving again ---- */

static bool all_retired(const struct evr_agent *agent, const struct evri_span *span)
{
	for (uint32_t i = 0; i < span->blocks_count; i++) {
		const struct evr_block_shared *block = evri_block_at(
			agent, span->first_chunk * EVR_POOL_CHUNK_BLOCKS + i);

		if (evr_block_word_state(evr_load_acquire_u64(&block->word)) !=
		    EVR_BLOCK_RETIRED)
			return false;
	}
	return true;
}

/* The pages of all payloads, where the range was asked to be. */
static int make_pages(struct evr_pool *pool, const struct evri_span *span)
{
	struct evr_region *region = pool->region;
	uint64_t page_bytes = region->page_bytes;
	uint64_t begin = payload_offset(pool, span, 0) / page_bytes * page_bytes;
	uint64_t end = payload_offset(pool, span, span->blocks_count - 1) +
		       pool->chunks[span->first_chunk].payload_bytes;
	struct evr_number_set *nodes;
	struct evri_settling how;
	int error = evr_number_set_create(&nodes);

	if (error < 0)
		return error;
	end = (end + page_bytes - 1) / page_bytes * page_bytes;
	error = evri_range_recall(region, span->range, nodes, &how);
	/* Prefixes lie among these pages, which a failure must leave alone. */
	how.keep_pages = true;
	if (error == 0)
		error = evri_settle_check(region, end - begin, &how);
	if (error == 0)
		error = evri_settle(region, begin, end - begin, &how);
	evr_number_set_destroy(nodes);
	return error;
}

static int revive(struct evr_agent *agent, const struct evri_span *span, uint64_t word)
{
	struct evr_pool *pool = agent->pool;
	uint64_t mine = evri_extent_word(EVR_EXTENT_REVIVING, agent->number);
	uint64_t before = word;
	uint64_t bytes = 0;
	int error = 0;

	if (!evr_cas_acq_rel_u64(span->word, &word, mine))
		return -ENOENT;
	/* If not, one who died here had made the pages. */
	if (all_retired(agent, span))
		error = make_pages(pool, span);
	if (error < 0) {
		/* Nobody had taken the pages yet, or those that came go again. */
		if (evri_extent_state(before) != EVR_EXTENT_RETIRING) {
			(void)punch(pool, span, &bytes);
			before = evri_extent_word(EVR_EXTENT_RETIRED, 0);
		}
		evr_cas_acq_rel_u64(span->word, &mine, before);
		return error;
	}
	for (uint32_t i = 0; i < span->blocks_count; i++)
		free_retired(agent, span->first_chunk * EVR_POOL_CHUNK_BLOCKS + i);
	evr_cas_acq_rel_u64(span->word, &mine, evri_extent_word(EVR_EXTENT_SERVING, 0));
	return 0;
}

/* Does this extent, whose word is @word, wait for somebody to make it serve again? */
static bool can_revive(const struct evr_pool *pool, uint64_t word)
{
	switch (evri_extent_state(word)) {
	case EVR_EXTENT_RETIRING:
	case EVR_EXTENT_RETIRED:
		return true;
	case EVR_EXTENT_PUNCHING:
	case EVR_EXTENT_REVIVING:
		return is_left(pool, word);
	default:
		return false;
	}
}

int evri_pool_revive(struct evr_pool *pool, uint32_t class_index, uint32_t blocks_count,
		     uint32_t range)
{
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);
	struct evr_agent agent;
	int result = -ENOENT;

	for (uint32_t i = 0; i < spans && result == -ENOENT; i++) {
		const struct evri_span *span = &pool->spans[i];
		uint64_t word;

		if (!span->word || span->range != range ||
		    span->class_index != class_index || span->blocks_count < blocks_count)
			continue;
		word = evr_load_acquire_u64(span->word);
		if (!can_revive(pool, word))
			continue;
		result = evr_agent_open(pool, &agent);
		if (result == 0) {
			result = revive(&agent, span, word);
			evr_agent_close(&agent);
		}
	}
	return result;
}
