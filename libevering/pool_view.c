/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool_view.c - a process's view of the pool: a checked copy of where its chunks are.
 *
 * Headers are read once, checked, and never asked again. What is learnt later, of extents
 * that were made since, is added while other threads use what is there: a chunk's place
 * first, then that it is known, then the counts.
 */

#include <evering/pool.h>

#include <stdlib.h>
#include <string.h>

#include "pool_internal.h"

/* Writes the chunks of a span down, checked already. Under the lock, or before anybody
 * else has the view. */
static void take_span(struct evr_pool *pool, const struct evri_span *span,
		      uint64_t blocks_offset, uint64_t payloads_offset,
		      struct evr_atomic_u64 *bitmap)
{
	const struct evr_pool_class_shared *class = &pool->classes[span->class_index];
	uint64_t room =
		evri_pool_room(pool->flags, class->payload_bytes, class->alignment);
	uint64_t stride = evri_pool_stride(room, class->alignment);
	uint64_t payload_stride = evri_pool_payload_stride(room, class->alignment);
	uint32_t end = span->first_chunk + span->chunks_count;
	uint32_t spans = evr_load_relaxed_u32(&pool->spans_count);

	for (uint32_t k = 0; k < span->chunks_count; k++) {
		struct evri_chunk *chunk = &pool->chunks[span->first_chunk + k];
		uint32_t left = span->blocks_count - k * EVR_POOL_CHUNK_BLOCKS;

		if (left > EVR_POOL_CHUNK_BLOCKS)
			left = EVR_POOL_CHUNK_BLOCKS;
		chunk->offset = blocks_offset + k * EVR_POOL_CHUNK_BLOCKS * stride;
		chunk->payload_ahead = payloads_offset +
				       k * EVR_POOL_CHUNK_BLOCKS * payload_stride -
				       chunk->offset;
		chunk->stride_bytes = (uint32_t)stride;
		chunk->payload_step = (uint32_t)(payload_stride - stride);
		chunk->payload_bytes = (uint32_t)class->payload_bytes;
		pool->bits[span->first_chunk + k] = &bitmap[k];
		/* SYNC pool/chunk (release), pairs with evri_chunk_blocks(): another
		 * thread may be at work with tokens of this very chunk. */
		evr_store_release_u32(&chunk->content, span->class_index << 16 | left);
	}
	pool->spans[spans] = *span;
	pool->spans[spans].beside = class->alignment > EVR_CACHE_LINE_BYTES;
	evri_span_place(&pool->spans[spans],
			evr_plain_load_u64(&pool->region->ranges[span->range].nodes));
	if (pool->spans[spans].nodes != pool->spans[0].nodes)
		evr_store_relaxed_u32(&pool->scattered, 1);
	/* SYNC pool/chunk (release), pairs with evri_pool_class_chunks(). */
	evr_store_release_u32(&pool->spans_count, spans + 1);
	evr_fetch_add_relaxed_u32(&pool->chunks_known, span->chunks_count);
	/* SYNC pool/chunk (release), pairs with evri_pool_chunks(). */
	if (end > evr_load_relaxed_u32(&pool->chunks_count))
		evr_store_release_u32(&pool->chunks_count, end);
}

uint32_t evri_pool_class_chunks(const struct evr_pool *pool, uint32_t class_index)
{
	/* SYNC pool/chunk (acquire), pairs with take_span(). */
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);
	uint32_t chunks = 0;

	for (uint32_t i = 0; i < spans; i++)
		if (pool->spans[i].class_index == class_index)
			chunks += pool->spans[i].chunks_count;
	return chunks;
}

/* Do @count blocks of this class lie inside an object, as evri_pool_place() puts them? */
static bool blocks_fit(const struct evri_object *object, uint32_t flags,
		       const struct evr_pool_class_shared *class, uint64_t blocks_offset,
		       uint64_t payloads_offset, uint32_t count)
{
	uint64_t room = evri_pool_room(flags, class->payload_bytes, class->alignment);
	uint64_t end = object->offset + object->bytes;

	if (blocks_offset % 64 != 0 || blocks_offset < object->offset ||
	    payloads_offset > end || payloads_offset % class->alignment != 0 ||
	    blocks_offset > payloads_offset)
		return false;
	if (class->alignment > EVR_CACHE_LINE_BYTES)
		return count <= (payloads_offset - blocks_offset) /
					EVR_BLOCK_PREFIX_BYTES &&
		       count <= (end - payloads_offset) / room;
	return payloads_offset == blocks_offset + EVR_BLOCK_PREFIX_BYTES &&
	       count <= (end - blocks_offset) / evri_pool_block_bytes(room);
}

static bool bitmap_fits(const struct evri_object *object, uint64_t offset,
			uint32_t chunks_count)
{
	return offset % 64 == 0 && offset <= object->bytes &&
	       chunks_count * sizeof(uint64_t) <= object->bytes - offset;
}

/* Checks a class of the copied header against its object, and writes its chunks down. */
static bool take_class(struct evr_pool *pool, const struct evri_object *object,
		       const struct evr_pool_shared *header, uint32_t index,
		       uint32_t *chunks)
{
	const struct evr_pool_class_shared *class = &header->classes[index];
	struct evri_span span = {
		.class_index = index,
		.first_chunk = class->first_chunk,
		.chunks_count = class->chunks_count,
		.blocks_count = class->blocks_count,
		.range = object->range,
	};

	if (!evri_pool_payload_fits(class->payload_bytes) ||
	    !evri_pool_alignment_fits(class->alignment, class->payload_bytes) ||
	    class->blocks_count == 0 ||
	    class->first_chunk != *chunks ||
	    class->chunks_count != evri_pool_chunks_of(class->blocks_count) ||
	    class->chunks_count > header->chunks_count - *chunks ||
	    !blocks_fit(object, header->flags, class, class->blocks_offset,
			class->payloads_offset, class->blocks_count))
		return false;
	take_span(pool, &span, class->blocks_offset, class->payloads_offset,
		  evri_pool_bitmap(object, header->bitmap_offset) + class->first_chunk);
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
	    (header.flags & EVR_POOL_HARDENED && header.flags & EVR_POOL_UNTRACKED) ||
	    header.classes_count == 0 || header.classes_count > EVR_POOL_CLASSES_MAX ||
	    header.chunks_count == 0 || header.chunks_max < header.chunks_count ||
	    header.chunks_max > EVR_TOKEN_INDEX_MAX / EVR_POOL_CHUNK_BLOCKS ||
	    header.batch_count > EVR_MAGAZINE_BATCH_MAX ||
	    !bitmap_fits(object, header.bitmap_offset, header.chunks_count))
		return -EUCLEAN;

	/* Large for a region that may grow far; untouched, it takes no memory. */
	pool->chunks = calloc(header.chunks_max, sizeof(*pool->chunks));
	pool->bits = calloc(header.chunks_max, sizeof(*pool->bits));
	if (!pool->chunks || !pool->bits)
		return -ENOMEM;
	pool->shared = object->address;
	pool->chunks_max = header.chunks_max;
	pool->classes_count = header.classes_count;
	pool->flags = header.flags;
	pool->batch_count = header.batch_count;
	memcpy(pool->classes, header.classes, sizeof(pool->classes));
	for (uint32_t i = 0; i < header.classes_count; i++)
		if (!take_class(pool, object, &header, i, &chunks))
			return -EUCLEAN;
	return chunks == header.chunks_count ? 0 : -EUCLEAN;
}

/* ---- extents ---- */

static int take_extent(struct evr_pool *pool, const struct evri_object *object)
{
	struct evr_pool_extent_shared header;
	struct evri_span span = { 0 };

	if (object->bytes < sizeof(header))
		return -EUCLEAN;
	memcpy(&header, object->address, sizeof(header));
	if (header.magic != EVR_POOL_EXTENT_MAGIC ||
	    header.class_index >= pool->classes_count || header.blocks_count == 0 ||
	    header.payload_bytes != pool->classes[header.class_index].payload_bytes ||
	    header.chunks_count != evri_pool_chunks_of(header.blocks_count) ||
	    header.first_chunk > pool->chunks_max ||
	    header.chunks_count > pool->chunks_max - header.first_chunk ||
	    !bitmap_fits(object, header.bitmap_offset, header.chunks_count) ||
	    !blocks_fit(object, pool->flags, &pool->classes[header.class_index],
			header.blocks_offset, header.payloads_offset,
			header.blocks_count))
		return -EUCLEAN;
	for (uint32_t k = 0; k < header.chunks_count; k++)
		if (evri_chunk_blocks(&pool->chunks[header.first_chunk + k]))
			return -EUCLEAN;
	span.class_index = header.class_index;
	span.first_chunk = header.first_chunk;
	span.chunks_count = header.chunks_count;
	span.blocks_count = header.blocks_count;
	span.range = object->range;
	span.word = &((struct evr_pool_extent_shared *)object->address)->word;
	take_span(pool, &span, header.blocks_offset, header.payloads_offset,
		  evri_pool_bitmap(object, header.bitmap_offset));
	return 1;
}

int evri_pool_learn(struct evr_pool *pool)
{
	struct evri_directory_cursor cursor = { 0 };
	struct evri_object object;
	int result = 0;

	pthread_mutex_lock(&pool->learn_lock);
	while (result >= 0 && evri_directory_next(pool->region, &cursor, &object)) {
		int taken;

		if (object.state != EVRI_ENTRY_READY ||
		    object.kind != EVRI_OBJECT_EXTENT || pool->known[object.index])
			continue;
		/* What contradicts itself is left out for good, and looked at once. */
		pool->known[object.index] = true;
		taken = take_extent(pool, &object);
		if (taken < 0)
			result = evri_fail(taken,
					   "the header of extent \"%s\" contradicts "
					   "itself",
					   object.name);
		else
			result = 1;
	}
	if (result >= 0 && cursor.error < 0)
		result = cursor.error;
	pthread_mutex_unlock(&pool->learn_lock);
	return result;
}

struct evr_block_shared *evri_pool_meet(const struct evr_agent *agent, uint32_t index)
{
	const struct evri_chunk *chunk = &agent->chunks[index / EVR_POOL_CHUNK_BLOCKS];
	uint32_t within = index % EVR_POOL_CHUNK_BLOCKS;
	uint32_t blocks = evri_chunk_blocks(chunk);

	/* A chunk that is known has no more blocks than it has; and what no extent can
	 * have taken yet is a number that somebody made up. */
	if (blocks == 0 && index / EVR_POOL_CHUNK_BLOCKS <
				   evr_load_relaxed_u64(&agent->pool->shared->next_chunk))
		(void)evri_pool_learn(agent->pool);
	if (within >= evri_chunk_blocks(chunk))
		return NULL;
	return (struct evr_block_shared *)(agent->base + chunk->offset +
					   (uint64_t)within * chunk->stride_bytes);
}

uint32_t evri_pool_chunk_state(const struct evr_pool *pool, uint32_t chunk)
{
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);

	for (uint32_t i = 0; i < spans; i++) {
		const struct evri_span *span = &pool->spans[i];

		if (chunk - span->first_chunk >= span->chunks_count)
			continue;
		/* SYNC pool/extent (acquire), pairs with commit(). */
		return span->word ? evri_extent_state(evr_load_acquire_u64(span->word)) :
				    (uint32_t)EVR_EXTENT_SERVING;
	}
	return EVR_EXTENT_SERVING;
}

uint32_t evr_pool_blocks(const struct evr_pool *pool)
{
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);
	uint32_t count = 0;

	for (uint32_t i = 0; i < spans; i++)
		if (evri_pool_chunk_state(pool, pool->spans[i].first_chunk) ==
		    EVR_EXTENT_SERVING)
			count += pool->spans[i].blocks_count;
	return count;
}

/* ---- opening and closing ---- */

void evri_pool_free(struct evr_pool *pool)
{
	pthread_mutex_destroy(&pool->learn_lock);
	free(pool->chunks);
	free(pool->bits);
	free(pool);
}

int evr_pool_open(struct evr_region *region, struct evr_pool **ret)
{
	struct evri_object object;
	int error =
		evri_directory_find(region, EVRI_POOL_NAME, EVRI_OBJECT_POOL, &object);

	if (error < 0)
		return error;

	struct evr_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->region = region;
	pthread_mutex_init(&pool->learn_lock, NULL);
	error = take_header(pool, &object);
	if (error == -EUCLEAN)
		evri_fail_detail("the pool's header contradicts itself");
	if (error == 0)
		error = evri_pool_learn(pool);
	if (error < 0) {
		evri_pool_free(pool);
		return error;
	}
	*ret = pool;
	return 0;
}

/* Does any block's word name this participant? */
static bool holds_blocks(const struct evr_pool *pool)
{
	for (uint32_t i = 0; i < evri_pool_chunks(pool); i++) {
		const struct evri_chunk *chunk = &pool->chunks[i];
		uint32_t blocks = evri_chunk_blocks(chunk);
		const char *at = pool->region->base + chunk->offset;

		for (uint32_t k = 0; k < blocks; k++) {
			const struct evr_block_shared *block =
				(const struct evr_block_shared *)at;
			uint64_t word = evr_load_relaxed_u64(&block->word);
			uint32_t state = evr_block_word_state(word);

			if (evr_block_word_owner(word) == pool->region->number &&
			    state != EVR_BLOCK_FREE && state != EVR_BLOCK_IN &&
			    state != EVR_BLOCK_RETIRED)
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
	evri_pool_free(pool);
	return NULL;
}
