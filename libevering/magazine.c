/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * magazine.c - blocks between magazines and bitmap, and containers. See <evering/pool.h>.
 *
 * Taking bits and writing words are several steps. The agent's bitmap intent, "I am at
 * work in this bitmap word", is written before the first and cleared after the last, so
 * that recovery can tell a block that is on its way (word FREE, bit clear) from one that
 * somebody is working on:
 *
 *	refill: intent; bits cleared by one compare-and-swap; words CACHED; intent 0
 *	flush:  intent; words FREE; bits set by one fetch-or; intent 0
 *
 * Words before bits on the way back: with the bit first, the next owner's word could be
 * overwritten by ours.
 */

#include <evering/pool.h>

#include <string.h>

#include "pool_internal.h"

#define TAKE_TRIES_MAX 1024

/* SYNC pool/bitmap-intent (release), pairs with recovery's evri_recovery_intent_on().
 * Relaxed: it overwrites the intent of the chunk before, whose bit or marks could still
 * be on their way. */
static void set_bitmap_intent(struct evr_agent *agent, uint64_t value)
{
	evr_store_release_u64(&agent->shared->bitmap_intent, value);
}

/* Takes up to @wanted bits of one bitmap word; 0: it has none. */
static uint64_t take_bits(struct evr_atomic_u64 *word, uint32_t wanted)
{
	uint64_t seen = evr_load_relaxed_u64(word);
	uint64_t taken;

	/* Each failure is somebody else's success, or a scribbler's: bounded for him. */
	for (int tries = 0; tries < TAKE_TRIES_MAX; tries++) {
		uint64_t rest = seen;

		for (uint32_t i = 0; i < wanted && rest; i++)
			rest &= rest - 1;
		taken = seen & ~rest;
		if (!taken)
			return 0;
		/* SYNC pool/bit (acq_rel), pairs with give_chunk() and recovery's look at
		 * the bit. Without acquire the words read below could be older than the
		 * bits, without release a recoverer could miss our intent. */
		if (evr_cas_acq_rel_u64(word, &seen, seen & ~taken))
			return taken;
	}
	return 0;
}

/*
 * Neighbours in memory are kept apart in time: blocks are handed out in the order of
 * their numbers' bits read backwards. In a row they would teach their stride to the
 * prefetcher of the CPU that receives them, which then takes the next ones away while we
 * fill them.
 */
static void scatter(struct evri_magazine *magazine)
{
	static const uint8_t order[EVR_MAGAZINE_BATCH_MAX] = {
		0, 16, 8,  24, 4, 20, 12, 28, 2, 18, 10, 26, 6, 22, 14, 30,
		1, 17, 9,  25, 5, 21, 13, 29, 3, 19, 11, 27, 7, 23, 15, 31,
	};
	uint32_t in_a_row[EVR_MAGAZINE_BATCH_MAX];
	uint32_t count = 0;

	memcpy(in_a_row, magazine->index, magazine->count * sizeof(in_a_row[0]));
	for (uint32_t i = 0; i < EVR_MAGAZINE_BATCH_MAX; i++)
		if (order[i] < magazine->count)
			magazine->index[count++] = in_a_row[order[i]];
}

uint64_t evri_chunk_take(struct evr_agent *agent, uint32_t chunk, uint32_t wanted,
			 uint32_t state)
{
	uint64_t bits, taken = 0;

	set_bitmap_intent(agent, (uint64_t)chunk + 1);
	bits = take_bits(evri_pool_bits(agent->pool, chunk), wanted);
	for (uint64_t rest = bits; rest; rest &= rest - 1)
		evri_prefetch_write(
			evri_block_at(agent, chunk * EVR_POOL_CHUNK_BLOCKS +
						     (uint32_t)__builtin_ctzll(rest)));
	for (; bits; bits &= bits - 1) {
		uint32_t within = (uint32_t)__builtin_ctzll(bits);
		struct evr_block_shared *block =
			evri_block_at(agent, chunk * EVR_POOL_CHUNK_BLOCKS + within);
		uint64_t word;

		/* A bit or word that cannot be: a peer scribbled. Leave it. */
		if (!block)
			continue;
		word = evr_load_relaxed_u64(&block->word);
		if (evr_block_word_state(word) != EVR_BLOCK_FREE)
			continue;
		/* SYNC block/mark (release), pairs with evri_recovery_claim(). */
		evr_store_release_u64(&block->word,
				      evr_block_word_next(word, state, agent->number));
		taken |= UINT64_C(1) << within;
	}
	set_bitmap_intent(agent, 0);
	return taken;
}

/* The chunks of a class are numbered through, span by span: some of them, in a row. */
struct stretch {
	uint32_t class_index;
	uint32_t begin;
	uint32_t end;
};

/* One batch from the first chunk of a span, of those from @begin on and before @end, that
 * has free blocks. How many chunks were passed over. */
static uint32_t refill_from_span(struct evr_agent *agent, const struct evri_span *span,
				 uint32_t begin, uint32_t end)
{
	struct evr_pool *pool = agent->pool;
	struct evri_magazine *magazine = &agent->magazines[span->class_index];
	uint32_t state = agent->flags & EVR_POOL_UNTRACKED ? (uint32_t)EVR_BLOCK_OWNED :
							     (uint32_t)EVR_BLOCK_CACHED;

	for (uint32_t within = begin; within < end; within++) {
		uint32_t chunk = span->first_chunk + within;
		uint64_t bits;

		if (evr_load_relaxed_u64(evri_pool_bits(pool, chunk)) == 0)
			continue;
		bits = evri_chunk_take(agent, chunk, magazine->batch_count, state);
		for (; bits; bits &= bits - 1)
			magazine->index[magazine->count++] =
				chunk * EVR_POOL_CHUNK_BLOCKS +
				(uint32_t)__builtin_ctzll(bits);
		if (magazine->count)
			return within;
	}
	return end;
}

/* The same from a stretch of the class. @distance: of its spans, those so far from @node
 * only; 0: from all. */
static void refill_from(struct evr_agent *agent, const struct stretch *stretch,
			uint32_t node, uint32_t distance)
{
	struct evr_pool *pool = agent->pool;
	struct evri_magazine *magazine = &agent->magazines[stretch->class_index];
	const struct evri_span *span = pool->spans;

	for (uint32_t at = 0; at < stretch->end && magazine->count == 0; span++) {
		uint32_t begin = stretch->begin > at ? stretch->begin - at : 0;
		uint32_t end = stretch->end - at;

		if (span->class_index != stretch->class_index)
			continue;
		if (end > span->chunks_count)
			end = span->chunks_count;
		if (begin < end && (distance == 0 || span->distance[node] == distance)) {
			begin = refill_from_span(agent, span, begin, end);
			if (magazine->count)
				magazine->next_chunk = at + begin;
			if (distance && span->nodes && !(span->nodes >> node & 1))
				agent->borrowed += magazine->count;
		}
		at += span->chunks_count;
	}
}

static int refill(struct evr_agent *agent, uint32_t class_index)
{
	struct evr_pool *pool = agent->pool;
	struct evri_magazine *magazine = &agent->magazines[class_index];
	uint32_t chunks_count = evri_pool_class_chunks(pool, class_index);
	/* From where there was something the last time, once around. */
	struct stretch rest = { class_index, magazine->next_chunk, chunks_count };
	struct stretch before = { class_index, 0, magazine->next_chunk };
	uint32_t node = 0, distance = 0;

	/* Near ones first, where that makes a difference. */
	if (evr_load_relaxed_u32(&pool->scattered)) {
		node = evri_agent_node(agent);
		distance = evri_pool_next_distance(pool, class_index, node, 0);
	}
	do {
		refill_from(agent, &rest, node, distance);
		refill_from(agent, &before, node, distance);
		if (distance)
			distance = evri_pool_next_distance(pool, class_index, node,
							   distance);
	} while (distance && magazine->count == 0);
	scatter(magazine);
	return magazine->count ? 0 : -ENOSPC;
}

int evri_magazine_refill(struct evr_agent *agent, uint32_t class_index)
{
	struct evr_pool *pool = agent->pool;
	int error = refill(agent, class_index);

	evri_agent_acknowledge(agent);

	/* Has the pool grown since we looked? Numbers are taken before an extent is
	 * there, so this asks again until it is. */
	if (error == -ENOSPC &&
	    evr_load_relaxed_u64(&pool->shared->next_chunk) !=
		    evr_load_relaxed_u32(&pool->chunks_known) &&
	    evri_pool_learn(pool) > 0)
		error = refill(agent, class_index);
	return error;
}

/* Gives blocks of one chunk back: their words must be this participant's. */
static void give_chunk(struct evr_agent *agent, uint32_t chunk, uint64_t bits)
{
	set_bitmap_intent(agent, (uint64_t)chunk + 1);
	for (uint64_t rest = bits; rest; rest &= rest - 1) {
		struct evr_block_shared *block =
			evri_block_at(agent, chunk * EVR_POOL_CHUNK_BLOCKS +
						     (uint32_t)__builtin_ctzll(rest));
		uint64_t word = evr_load_relaxed_u64(&block->word);

		/* SYNC block/free (release), pairs with evri_recovery_limbo(). Relaxed: a
		 * recoverer could see FREE, miss the intent, and claim it under us. */
		evr_store_release_u64(&block->word,
				      evr_block_word_next(word, EVR_BLOCK_FREE, 0));
	}
	/* SYNC pool/bit (release), pairs with take_bits(): words and payloads are done
	 * with before anybody can take the blocks. */
	evr_fetch_or_acq_rel_u64(evri_pool_bits(agent->pool, chunk), bits);
	set_bitmap_intent(agent, 0);
}

/* The oldest @count blocks of a magazine, chunk by chunk. */
void evri_magazine_flush(struct evr_agent *agent, uint32_t class_index, uint32_t count)
{
	struct evri_magazine *magazine = &agent->magazines[class_index];

	evri_agent_acknowledge(agent);
	if (count > magazine->count)
		count = magazine->count;
	for (uint32_t left = count; left > 0;) {
		uint32_t chunk = magazine->index[0] / EVR_POOL_CHUNK_BLOCKS;
		uint32_t kept = 0;
		uint64_t bits = 0;

		for (uint32_t i = 0; i < magazine->count; i++) {
			uint32_t index = magazine->index[i];

			if (left > 0 && index / EVR_POOL_CHUNK_BLOCKS == chunk) {
				bits |= UINT64_C(1) << index % EVR_POOL_CHUNK_BLOCKS;
				left--;
			} else {
				magazine->index[kept++] = index;
			}
		}
		magazine->count = kept;
		give_chunk(agent, chunk, bits);
	}
}

void evr_agent_flush(struct evr_agent *agent)
{
	for (uint32_t i = 0; i < agent->classes_count; i++)
		evri_magazine_flush(agent, i, agent->magazines[i].count);
}

/* ---- containers ---- */

struct evr_block_shared *evri_block_content_at(const struct evr_agent *agent,
					       uint32_t container_index, uint32_t place,
					       uint32_t *ret_index, uint64_t *ret_word)
{
	struct evr_block_shared *container = evri_block_at(agent, container_index);
	uint64_t entry = evr_plain_load_u64(&container->contents[place]);

	if (entry == 0)
		return NULL;
	return evri_block_content_of(agent, container_index, entry, ret_index, ret_word);
}

int evr_block_contain(struct evr_agent *agent, evr_token container_token,
		      evr_token content_token)
{
	struct evr_block_shared *container, *content;
	uint64_t container_word, content_word, word;
	uint32_t index;
	int error = evri_block_mine(agent, container_token, &container, &container_word);

	if (error < 0)
		return error;
	error = evri_block_mine(agent, content_token, &content, &content_word);
	if (error < 0)
		return error;
	if (container == content)
		return -EINVAL;

	uint32_t container_index = evr_token_index(container_token);
	uint32_t content_index = evr_token_index(content_token);
	uint32_t place = EVR_BLOCK_CONTENTS_MAX;
	for (uint32_t i = EVR_BLOCK_CONTENTS_MAX; i-- > 0;) {
		if (evri_block_content_at(agent, content_index, i, &index, &word))
			return -EINVAL;
		if (!evri_block_content_at(agent, container_index, i, &index, &word))
			place = i;
	}
	if (place == EVR_BLOCK_CONTENTS_MAX)
		return -ENOSPC;

	/* The list first: one who dies between the two stores leaves a stale entry, not a
	 * content that no list names. SYNC block/content (release), pairs with the
	 * acquire in evri_recovery_claim() and the take that moves the container. */
	evr_plain_store_u64(&container->contents[place],
			    evri_block_content_entry(content_index, content_word));
	evr_store_release_u64(&content->word,
			      evr_block_word(evr_block_word_generation(content_word),
					     EVR_BLOCK_IN, container_index));
	return (int)place;
}

/* The container, if it is this participant's: idle, or a request it works on. */
static int held_container(const struct evr_agent *agent, evr_token token,
			  struct evr_block_shared **ret)
{
	uint64_t word;
	int error = evri_block_mine(agent, token, ret, &word);

	if (error != -EBUSY)
		return error;

	struct evr_block_shared *block = evri_block_at(agent, evr_token_index(token));
	word = evr_load_relaxed_u64(&block->word);
	if (evr_block_word_state(word) != EVR_BLOCK_REQ ||
	    evr_block_word_owner(word) != agent->number)
		return error;
	*ret = block;
	return 0;
}

int evr_block_content(const struct evr_agent *agent, evr_token container_token,
		      uint32_t place, struct evr_block *ret)
{
	struct evr_block_shared *container, *content;
	uint64_t word;
	uint32_t index;
	int error = held_container(agent, container_token, &container);

	if (error < 0)
		return error;
	if (place >= EVR_BLOCK_CONTENTS_MAX)
		return -ENOENT;
	content = evri_block_content_at(agent, evr_token_index(container_token), place,
					&index, &word);
	if (!content)
		return -ENOENT;
	evri_block_handle(agent, index, content, word, ret);
	return 0;
}

int evr_block_take_out(struct evr_agent *agent, evr_token container_token, uint32_t place,
		       struct evr_block *ret)
{
	struct evr_block_shared *container, *content;
	uint64_t word;
	uint32_t index;
	int error = evri_block_mine(agent, container_token, &container, &word);

	if (error < 0)
		return error;
	if (place >= EVR_BLOCK_CONTENTS_MAX)
		return -ENOENT;
	content = evri_block_content_at(agent, evr_token_index(container_token), place,
					&index, &word);
	if (!content)
		return -ENOENT;
	word = evr_block_word_next(word, EVR_BLOCK_OWNED, agent->number);
	/* The word first, as in evr_block_contain(): a list may name too much. */
	evr_store_release_u64(&content->word, word);
	evr_plain_store_u64(&container->contents[place], 0);
	evri_block_handle(agent, index, content, word, ret);
	return 0;
}

/*
 * Empties a container that is about to be freed. Contents have none themselves, so there
 * is one level, whatever a scribbler may have linked together.
 */
static void empty_container(struct evr_agent *agent, uint32_t container_index,
			    void (*put)(struct evr_agent *agent, uint32_t index))
{
	struct evr_block_shared *container = evri_block_at(agent, container_index);

	for (uint32_t place = 0; place < EVR_BLOCK_CONTENTS_MAX; place++) {
		uint64_t word;
		uint32_t index;
		struct evr_block_shared *content = evri_block_content_at(
			agent, container_index, place, &index, &word);

		if (content) {
			evr_store_release_u64(&content->word,
					      evr_block_word_next(word, EVR_BLOCK_OWNED,
								  agent->number));
			put(agent, index);
		}
		evr_plain_store_u64(&container->contents[place], 0);
	}
}

/* Into the magazine, as evr_block_free() does it. */
static void put_in_magazine(struct evr_agent *agent, uint32_t index)
{
	uint32_t class_index =
		evri_chunk_class(&agent->chunks[index / EVR_POOL_CHUNK_BLOCKS]);
	struct evri_magazine *magazine = &agent->magazines[class_index];
	struct evr_block_shared *block = evri_block_at(agent, index);
	uint64_t word = evr_load_relaxed_u64(&block->word);

	evri_block_arm(agent, index);
	if (magazine->count == magazine->capacity)
		evri_magazine_flush(agent, class_index, magazine->batch_count);
	if (!(agent->flags & EVR_POOL_UNTRACKED))
		evr_store_relaxed_u64(&block->word,
				      evr_block_word_next(word, EVR_BLOCK_CACHED,
							  agent->number));
	magazine->index[magazine->count++] = index;
}

int evri_block_refusal(const struct evr_agent *agent, evr_token token, uint64_t word)
{
	if ((evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK) !=
	    evr_token_generation(token))
		return -ESTALE;
	switch (evr_block_word_state(word)) {
	case EVR_BLOCK_FREE:
	case EVR_BLOCK_CACHED:
	case EVR_BLOCK_RETIRED:
		return -ESTALE;
	case EVR_BLOCK_IN:
		return -EBUSY;
	default:
		return evr_block_word_owner(word) == agent->number ? -EBUSY : -EPERM;
	}
}

void evri_block_free_contents(struct evr_agent *agent, uint32_t index)
{
	empty_container(agent, index, put_in_magazine);
}

static void put_in_bitmap(struct evr_agent *agent, uint32_t index)
{
	evri_block_arm(agent, index);
	give_chunk(agent, index / EVR_POOL_CHUNK_BLOCKS,
		   UINT64_C(1) << index % EVR_POOL_CHUNK_BLOCKS);
}

/* What is still in a burst: its list lies in the payload. */
static void empty_burst(struct evr_agent *agent, uint32_t index)
{
	struct evr_block_shared *block = evri_block_at(agent, index);
	const uint64_t *entries = evri_block_payload(agent, index, block);
	uint32_t count = evri_burst_count(agent, index, block);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t content_index;
		uint64_t word;
		struct evr_block_shared *content = evri_block_content_of(
			agent, index, evr_plain_load_u64(&entries[i]), &content_index,
			&word);

		if (!content)
			continue;
		evr_store_release_u64(&content->word,
				      evr_block_word_next(word, EVR_BLOCK_OWNED,
							  agent->number));
		put_in_bitmap(agent, content_index);
	}
}

void evri_burst_free(struct evr_agent *agent, uint32_t index)
{
	struct evri_magazine *magazine = &agent->magazines[evri_chunk_class(
		&agent->chunks[index / EVR_POOL_CHUNK_BLOCKS])];
	struct evr_block_shared *block = evri_block_at(agent, index);
	uint32_t state = agent->flags & EVR_POOL_UNTRACKED ? (uint32_t)EVR_BLOCK_OWNED :
							     (uint32_t)EVR_BLOCK_CACHED;

	if (magazine->count == magazine->capacity)
		evri_magazine_flush(agent, (uint32_t)(magazine - agent->magazines),
				    magazine->batch_count);
	/* SYNC block/content (release), pairs with evri_recovery_claim(): whoever sees
	 * that it is no burst any more sees that its contents are out. */
	evr_store_release_u64(&block->word,
			      evr_block_word_next(evr_load_relaxed_u64(&block->word),
						  state, agent->number));
	magazine->index[magazine->count++] = index;
}

void evri_block_discard(struct evr_agent *agent, uint32_t index)
{
	uint64_t word = evr_load_relaxed_u64(&evri_block_at(agent, index)->word);

	if (evr_block_word_state(word) == EVR_BLOCK_BURST)
		empty_burst(agent, index);
	empty_container(agent, index, put_in_bitmap);
	put_in_bitmap(agent, index);
}
