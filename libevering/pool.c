/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool.c - making, opening and looking at the pool, and agents. See <evering/pool.h>;
 * blocks moving between magazines and bitmap are in magazine.c.
 */

#include <evering/pool.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "pool_internal.h"

#define POOL_NAME "evering.pool"

static uint64_t stride_of(uint64_t payload_bytes)
{
	return EVR_BLOCK_PREFIX_BYTES + payload_bytes;
}

static uint32_t chunks_of(uint32_t blocks)
{
	return blocks / EVR_POOL_CHUNK_BLOCKS + (blocks % EVR_POOL_CHUNK_BLOCKS != 0);
}

static bool payload_fits(uint64_t payload_bytes)
{
	return payload_bytes >= EVR_POOL_PAYLOAD_MIN &&
	       payload_bytes <= EVR_POOL_PAYLOAD_MAX && payload_bytes % 64 == 0;
}

static int check_options(const struct evr_pool_options *options,
			 struct evr_pool_options *ret)
{
	struct evr_pool_options known = { 0 };
	uint64_t chunks = 0;
	int error = evri_options_take(options, offsetof(struct evr_pool_options, flags),
				      &known, sizeof(known), "pool");

	if (error < 0)
		return error;
	if (!known.classes || known.classes_count == 0 ||
	    known.classes_count > EVR_POOL_CLASSES_MAX)
		return evri_fail(-EINVAL, "a pool has 1 to %d classes, not %u",
				 EVR_POOL_CLASSES_MAX, known.classes_count);
	if (known.flags & ~EVR_POOL_FLAGS_KNOWN)
		return evri_fail(-E2BIG, "pool flags %#x are not known here",
				 known.flags);
	if (known.batch_count > EVR_MAGAZINE_BATCH_MAX)
		return evri_fail(-EINVAL, "batch_count %u: at most %d", known.batch_count,
				 EVR_MAGAZINE_BATCH_MAX);
	for (uint32_t i = 0; i < known.classes_count; i++) {
		const struct evr_pool_class *class = &known.classes[i];

		if (!payload_fits(class->payload_bytes) || class->blocks_count == 0)
			return evri_fail(-EINVAL,
					 "class %u: %u blocks of %" PRIu64
					 " bytes; payloads are "
					 "multiples of 64 up to %" PRIu64,
					 i, class->blocks_count, class->payload_bytes,
					 EVR_POOL_PAYLOAD_MAX);
		if (i > 0 && class->payload_bytes <= class[-1].payload_bytes)
			return evri_fail(-EINVAL, "class %u: sizes must ascend", i);
		chunks += chunks_of(class->blocks_count);
	}
	if (chunks * EVR_POOL_CHUNK_BLOCKS > EVR_TOKEN_INDEX_MAX)
		return evri_fail(-EINVAL, "a pool has at most %u blocks",
				 EVR_TOKEN_INDEX_MAX);
	*ret = known;
	return 0;
}

/* Lays the classes out behind header and bitmap; returns the bytes of the whole. */
static uint64_t lay_out(const struct evr_pool_options *options, uint64_t object_offset,
			struct evr_pool_shared *header)
{
	uint64_t at = sizeof(struct evr_pool_shared);
	uint32_t chunks = 0;

	memset(header, 0, sizeof(*header));
	for (uint32_t i = 0; i < options->classes_count; i++)
		chunks += chunks_of(options->classes[i].blocks_count);
	header->magic = EVR_POOL_MAGIC;
	header->flags = options->flags;
	header->classes_count = options->classes_count;
	header->chunks_count = chunks;
	header->batch_count = options->batch_count;
	header->bitmap_offset = at;
	at += (chunks * sizeof(uint64_t) + 63) / 64 * 64;

	chunks = 0;
	for (uint32_t i = 0; i < options->classes_count; i++) {
		struct evr_pool_class_shared *class = &header->classes[i];

		class->payload_bytes = options->classes[i].payload_bytes;
		class->blocks_count = options->classes[i].blocks_count;
		class->blocks_offset = object_offset + at;
		class->first_chunk = chunks;
		class->chunks_count = chunks_of(class->blocks_count);
		header->blocks_count += class->blocks_count;
		chunks += class->chunks_count;
		at += class->blocks_count * stride_of(class->payload_bytes);
	}
	return at;
}

/* Every block free: word FREE and bit set. */
static void free_all(struct evr_region *region, const struct evr_pool_shared *header,
		     struct evr_atomic_u64 *bitmap)
{
	for (uint32_t i = 0; i < header->classes_count; i++) {
		const struct evr_pool_class_shared *class = &header->classes[i];
		char *at = region->base + class->blocks_offset;

		for (uint32_t k = 0; k < class->blocks_count; k++) {
			struct evr_block_shared *block = (struct evr_block_shared *)at;

			evr_store_relaxed_u64(&block->word,
					      evr_block_word(1, EVR_BLOCK_FREE, 0));
			at += stride_of(class->payload_bytes);
		}
		for (uint32_t k = 0; k < class->chunks_count; k++) {
			uint32_t left = class->blocks_count - k * EVR_POOL_CHUNK_BLOCKS;

			evr_store_relaxed_u64(&bitmap[class->first_chunk + k],
					      left >= EVR_POOL_CHUNK_BLOCKS ?
						      UINT64_MAX :
						      (UINT64_C(1) << left) - 1);
		}
	}
}

int evr_pool_create(struct evr_region *region,
		    const struct evr_pool_options *user_options, struct evr_pool **ret)
{
	struct evr_pool_options options;
	struct evr_pool_shared header;
	struct evri_object object;
	int error = check_options(user_options, &options);

	if (error < 0)
		return error;

	uint64_t bytes = lay_out(&options, 0, &header);
	error = evri_directory_reserve(region, POOL_NAME, EVRI_OBJECT_POOL, bytes,
				       &object);
	if (error < 0)
		return error;

	struct evr_pool_shared *shared = object.address;
	lay_out(&options, object.offset, &header);
	free_all(
		region, &header,
		(struct evr_atomic_u64 *)((char *)object.address + header.bitmap_offset));
	memcpy(shared, &header, sizeof(header));
	error = evri_directory_publish(region, &object);
	if (error < 0)
		return error;
	return evr_pool_open(region, ret);
}

/* Checks a class of the copied header against its object, and writes its chunks down. */
static bool take_class(struct evr_pool *pool, const struct evri_object *object,
		       const struct evr_pool_class_shared *class, uint32_t index,
		       uint32_t *chunks)
{
	uint64_t end = object->offset + object->bytes;
	uint64_t stride = stride_of(class->payload_bytes);

	if (!payload_fits(class->payload_bytes) || class->blocks_count == 0 ||
	    class->first_chunk != *chunks ||
	    class->chunks_count != chunks_of(class->blocks_count) ||
	    class->chunks_count > pool->chunks_count - *chunks ||
	    class->blocks_offset % 64 != 0 || class->blocks_offset < object->offset ||
	    class->blocks_offset > end ||
	    class->blocks_count > (end - class->blocks_offset) / stride)
		return false;

	for (uint32_t k = 0; k < class->chunks_count; k++) {
		struct evri_chunk *chunk = &pool->chunks[*chunks + k];
		uint32_t left = class->blocks_count - k * EVR_POOL_CHUNK_BLOCKS;

		chunk->offset = class->blocks_offset + k * EVR_POOL_CHUNK_BLOCKS * stride;
		chunk->stride_bytes = (uint32_t)stride;
		chunk->blocks_count = left < EVR_POOL_CHUNK_BLOCKS
					      ? (uint16_t)left
					      : EVR_POOL_CHUNK_BLOCKS;
		chunk->class_index = (uint16_t)index;
	}
	*chunks += class->chunks_count;
	return true;
}

static int take_header(struct evr_pool *pool, const struct evri_object *object)
{
	struct evr_pool_shared header;
	uint32_t chunks = 0;

	if (object->bytes < sizeof(header))
		return -EUCLEAN;
	memcpy(&header, object->address, sizeof(header));
	if (header.magic != EVR_POOL_MAGIC || header.flags & ~EVR_POOL_FLAGS_KNOWN ||
	    header.classes_count == 0 || header.classes_count > EVR_POOL_CLASSES_MAX ||
	    header.chunks_count == 0 ||
	    header.chunks_count > EVR_TOKEN_INDEX_MAX / EVR_POOL_CHUNK_BLOCKS ||
	    header.batch_count > EVR_MAGAZINE_BATCH_MAX ||
	    header.bitmap_offset % 64 != 0 || header.bitmap_offset > object->bytes ||
	    header.chunks_count * sizeof(uint64_t) > object->bytes - header.bitmap_offset)
		return -EUCLEAN;

	pool->chunks = calloc(header.chunks_count, sizeof(*pool->chunks));
	if (!pool->chunks)
		return -ENOMEM;
	pool->shared = object->address;
	pool->bitmap =
		(struct evr_atomic_u64 *)((char *)object->address + header.bitmap_offset);
	pool->chunks_count = header.chunks_count;
	pool->classes_count = header.classes_count;
	pool->flags = header.flags;
	pool->batch_count = header.batch_count;
	memcpy(pool->classes, header.classes, sizeof(pool->classes));
	for (uint32_t i = 0; i < header.classes_count; i++) {
		if (!take_class(pool, object, &pool->classes[i], i, &chunks))
			return -EUCLEAN;
		pool->blocks_count += pool->classes[i].blocks_count;
	}
	return chunks == header.chunks_count ? 0 : -EUCLEAN;
}

int evr_pool_open(struct evr_region *region, struct evr_pool **ret)
{
	struct evri_object object;
	int error = evri_directory_find(region, POOL_NAME, EVRI_OBJECT_POOL, &object);

	if (error < 0)
		return error;

	struct evr_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->region = region;
	error = take_header(pool, &object);
	if (error < 0) {
		free(pool->chunks);
		free(pool);
		return error == -EUCLEAN ?
			       evri_fail(error, "the pool's header contradicts itself") :
			       error;
	}
	*ret = pool;
	return 0;
}

/* Does any block's word name this participant? */
static bool holds_blocks(const struct evr_pool *pool)
{
	for (uint32_t i = 0; i < pool->chunks_count; i++) {
		const struct evri_chunk *chunk = &pool->chunks[i];
		const char *at = pool->region->base + chunk->offset;

		for (uint32_t k = 0; k < chunk->blocks_count; k++) {
			const struct evr_block_shared *block =
				(const struct evr_block_shared *)at;
			uint64_t word = evr_load_relaxed_u64(&block->word);
			uint32_t state = evr_block_word_state(word);

			if (evr_block_word_owner(word) == pool->region->number &&
			    state != EVR_BLOCK_FREE && state != EVR_BLOCK_IN)
				return true;
			at += chunk->stride_bytes;
		}
	}
	return false;
}

struct evr_pool *evr_pool_close(struct evr_pool *pool)
{
	if (!pool)
		return NULL;
	/* Asked only if an agent was ever open here: the look costs a line a block. */
	if (evri_region_is_here(pool->region) &&
	    evr_load_relaxed_u32(&pool->region->blocks_left))
		evr_store_relaxed_u32(&pool->region->blocks_left, holds_blocks(pool));
	free(pool->chunks);
	free(pool);
	return NULL;
}

struct evr_region *evr_pool_region(const struct evr_pool *pool)
{
	return pool->region;
}

uint32_t evr_pool_blocks(const struct evr_pool *pool)
{
	return pool->blocks_count;
}

uint64_t evr_pool_payload_max(const struct evr_pool *pool)
{
	return pool->classes[pool->classes_count - 1].payload_bytes;
}

uint32_t evr_pool_free_count(const struct evr_pool *pool)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < pool->chunks_count; i++)
		count += (uint32_t)__builtin_popcountll(
			evr_load_relaxed_u64(&pool->bitmap[i]));
	return count;
}

/* ---- agents ---- */

/* Few blocks in a class: a magazine must not hoard them. */
static uint32_t batch_of(const struct evr_pool *pool, uint32_t class_index)
{
	uint32_t blocks = pool->classes[class_index].blocks_count;
	uint32_t batch = pool->batch_count ? pool->batch_count : blocks / 32;

	if (batch > EVR_MAGAZINE_BATCH_MAX)
		batch = EVR_MAGAZINE_BATCH_MAX;
	return batch ? batch : 1;
}

int evr_agent_open(struct evr_pool *pool, struct evr_agent *ret)
{
	struct evr_region *region = pool->region;
	struct evr_agent_shared *shared;
	struct evri_magazine *magazines = calloc(pool->classes_count, sizeof(*magazines));

	if (!magazines)
		return -ENOMEM;
	int error = evri_agent_claim(region, &shared);
	if (error < 0) {
		free(magazines);
		return error;
	}
	for (uint32_t i = 0; i < pool->classes_count; i++) {
		magazines[i].payload_bytes = pool->classes[i].payload_bytes;
		magazines[i].batch_count = batch_of(pool, i);
		magazines[i].capacity = 2 * magazines[i].batch_count;
		/* Agents begin at different chunks, so that they meet less. */
		magazines[i].next_chunk = (uint32_t)(shared - region->agents) * 7 %
					  pool->classes[i].chunks_count;
	}
	memset(ret, 0, sizeof(*ret));
	ret->base = region->base;
	ret->chunks = pool->chunks;
	ret->shared = shared;
	ret->magazines = magazines;
	ret->pool = pool;
	ret->chunks_count = pool->chunks_count;
	ret->number = region->number;
	ret->flags = pool->flags;
	ret->classes_count = (uint16_t)pool->classes_count;
	ret->tag = region->tag;
	evr_fetch_add_relaxed_u32(&region->handles_open, 1);
	return 0;
}

void evr_agent_close(struct evr_agent *agent)
{
	if (!agent || !agent->pool)
		return;

	struct evr_region *region = agent->pool->region;
	if (evri_region_is_here(region)) {
		evr_agent_flush(agent);
		evri_agent_release(region, agent->shared);
		evr_fetch_add_relaxed_u32(&region->handles_open, UINT32_MAX);
		/* Until evr_pool_close() has looked, there may be blocks. */
		evr_store_relaxed_u32(&region->blocks_left, 1);
	}
	free(agent->magazines);
	memset(agent, 0, sizeof(*agent));
}
