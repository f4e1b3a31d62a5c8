/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool.c - making the pool and giving it more blocks, and agents. See <evering/pool.h>;
 * a process's view of it is in pool_view.c, blocks moving between magazines and bitmap in
 * magazine.c.
 */

#include <evering/pool.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "pool_internal.h"

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
	if (known.flags & EVR_POOL_HARDENED ? known.flags & EVR_POOL_UNTRACKED :
					      known.flags & EVR_POOL_POISONED)
		return evri_fail(-EINVAL, "a hardened pool is not untracked, and only a "
					  "hardened one is poisoned");
	if (known.batch_count > EVR_MAGAZINE_BATCH_MAX)
		return evri_fail(-EINVAL, "batch_count %u: at most %d", known.batch_count,
				 EVR_MAGAZINE_BATCH_MAX);
	for (uint32_t i = 0; i < known.classes_count; i++) {
		const struct evr_pool_class *class = &known.classes[i];

		if (!evri_pool_payload_fits(class->payload_bytes) ||
		    class->blocks_count == 0)
			return evri_fail(-EINVAL,
					 "class %u: %u blocks of %" PRIu64
					 " bytes; payloads are "
					 "multiples of 64 up to %" PRIu64,
					 i, class->blocks_count, class->payload_bytes,
					 EVR_POOL_PAYLOAD_MAX);
		if (class->alignment &&
		    !evri_pool_alignment_fits(class->alignment, class->payload_bytes))
			return evri_fail(-EINVAL,
					 "class %u: alignment %u is not a power of two "
					 "from 64 on that divides %" PRIu64,
					 i, class->alignment, class->payload_bytes);
		if (i > 0 && class->payload_bytes <= class[-1].payload_bytes)
			return evri_fail(-EINVAL, "class %u: sizes must ascend", i);
		chunks += evri_pool_chunks_of(class->blocks_count);
	}
	if (chunks * EVR_POOL_CHUNK_BLOCKS > EVR_TOKEN_INDEX_MAX)
		return evri_fail(-EINVAL, "a pool has at most %u blocks",
				 EVR_TOKEN_INDEX_MAX);
	*ret = known;
	return 0;
}

static uint32_t alignment_of(const struct evr_pool_class *class)
{
	return class->alignment ? class->alignment : EVR_CACHE_LINE_BYTES;
}

static uint64_t room_of(uint32_t flags, const struct evr_pool_class_shared *class)
{
	return evri_pool_room(flags, class->payload_bytes, class->alignment);
}

/* Lays the classes out behind header and bitmap; returns the bytes of the whole. */
static uint64_t lay_out(const struct evr_pool_options *options, uint64_t object_offset,
			struct evr_pool_shared *header)
{
	uint64_t at = sizeof(struct evr_pool_shared);
	uint32_t chunks = 0;

	memset(header, 0, sizeof(*header));
	for (uint32_t i = 0; i < options->classes_count; i++)
		chunks += evri_pool_chunks_of(options->classes[i].blocks_count);
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
		class->alignment = alignment_of(&options->classes[i]);
		class->first_chunk = chunks;
		class->chunks_count = evri_pool_chunks_of(class->blocks_count);
		header->blocks_count += class->blocks_count;
		chunks += class->chunks_count;

		struct evri_place place =
			evri_pool_place(object_offset + at, room_of(header->flags, class),
					class->alignment, class->blocks_count);
		class->blocks_offset = place.blocks_offset;
		class->payloads_offset = place.payloads_offset;
		at = place.end - object_offset;
	}
	return at;
}

/* Every block free: word FREE and bit set. */
static void free_all(char *base, const struct evr_pool_class_shared *class,
		     uint32_t flags, struct evr_atomic_u64 *bitmap)
{
	uint64_t room = room_of(flags, class);
	uint64_t stride_bytes = evri_pool_stride(room, class->alignment);
	char *first_block = base + class->blocks_offset;
	uint32_t blocks_count = class->blocks_count;

	for (uint32_t k = 0; k < blocks_count && flags & EVR_POOL_HARDENED; k++)
		evri_payload_arm(flags, class->first_chunk * EVR_POOL_CHUNK_BLOCKS + k,
				 base + class->payloads_offset +
					 k * evri_pool_payload_stride(room,
								      class->alignment),
				 class->payload_bytes);
	for (uint32_t k = 0; k < blocks_count; k++) {
		struct evr_block_shared *block =
			(struct evr_block_shared *)(first_block +
						    k * stride_bytes);

		evr_store_relaxed_u64(&block->word,
				      evr_block_word(1, EVR_BLOCK_FREE, 0));
	}
	for (uint32_t k = 0; k < evri_pool_chunks_of(blocks_count); k++) {
		uint32_t left = blocks_count - k * EVR_POOL_CHUNK_BLOCKS;

		evr_store_relaxed_u64(&bitmap[k], left >= EVR_POOL_CHUNK_BLOCKS ?
							  UINT64_MAX :
							  (UINT64_C(1) << left) - 1);
	}
}

/* Where the numbers of chunks end: what the region may grow by, all in small blocks. */
static uint32_t chunks_max_of(const struct evr_region *region,
			      const struct evr_pool_shared *header)
{
	uint64_t room = evr_region_bytes_max(region) - evr_region_bytes(region);
	uint64_t payload_room = room_of(header->flags, &header->classes[0]);
	uint64_t chunk_bytes =
		EVR_POOL_CHUNK_BLOCKS * evri_pool_block_bytes(payload_room);
	uint64_t chunks = header->chunks_count + (room + chunk_bytes - 1) / chunk_bytes;
	uint64_t limit = EVR_TOKEN_INDEX_MAX / EVR_POOL_CHUNK_BLOCKS;

	/* Room for extents of a few blocks, too. */
	if (room)
		chunks += EVRI_DIRECTORY_ENTRIES;
	return (uint32_t)(chunks < limit ? chunks : limit);
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
	uint32_t alignment = EVR_CACHE_LINE_BYTES;
	for (uint32_t i = 0; i < header.classes_count; i++)
		if (header.classes[i].alignment > alignment)
			alignment = header.classes[i].alignment;
	bytes += evri_pool_slack(alignment);
	error = evri_directory_reserve(region, EVRI_POOL_NAME, EVRI_OBJECT_POOL, bytes,
				       options.range, &object);
	if (error < 0)
		return error;

	struct evr_pool_shared *shared = object.address;
	lay_out(&options, object.offset, &header);
	header.chunks_max = chunks_max_of(region, &header);
	evr_store_relaxed_u64(&header.next_chunk, header.chunks_count);
	for (uint32_t i = 0; i < header.classes_count; i++) {
		const struct evr_pool_class_shared *class = &header.classes[i];

		free_all(region->base, class, header.flags,
			 (struct evr_atomic_u64 *)((char *)object.address +
						   header.bitmap_offset) +
				 class->first_chunk);
	}
	memcpy(shared, &header, sizeof(header));
	error = evri_directory_publish(region, &object);
	if (error < 0)
		return error;
	return evr_pool_open(region, ret);
}

/* Numbers that no other chunk has or will have. */
static int take_numbers(struct evr_pool *pool, uint32_t chunks_count, uint32_t *ret_first)
{
	struct evr_atomic_u64 *next = &pool->shared->next_chunk;
	uint64_t first = evr_load_relaxed_u64(next);

	do {
		if (first > pool->chunks_max || chunks_count > pool->chunks_max - first)
			return evri_fail(-ENOSPC,
					 "%u chunks of 64 blocks wanted, %" PRIu64
					 " of the %u numbers that the region's bytes_max "
					 "allows are left",
					 chunks_count,
					 first > pool->chunks_max ?
						 UINT64_C(0) :
						 pool->chunks_max - first,
					 pool->chunks_max);
	} while (!evr_cas_acq_rel_u64(next, &first, first + chunks_count));
	*ret_first = (uint32_t)first;
	return 0;
}

static int find_class(const struct evr_pool *pool, uint64_t payload_bytes,
		      uint32_t *ret_class)
{
	for (uint32_t i = 0; i < pool->classes_count; i++)
		if (pool->classes[i].payload_bytes == payload_bytes) {
			*ret_class = i;
			return 0;
		}
	return evri_fail(-EINVAL, "the pool has no class of %" PRIu64 " bytes",
			 payload_bytes);
}

int evr_pool_grow(struct evr_pool *pool, const struct evr_pool_growth *user_growth)
{
	struct evr_pool_growth growth = { 0 };
	struct evr_pool_extent_shared header = { .magic = EVR_POOL_EXTENT_MAGIC };
	struct evri_object object;
	char name[EVR_NAME_BYTES];
	int error = evri_options_take(user_growth,
				      offsetof(struct evr_pool_growth, range), &growth,
				      sizeof(growth), "pool growth");

	if (error == 0)
		error = find_class(pool, growth.payload_bytes, &header.class_index);
	if (error == 0 && growth.blocks_count == 0)
		error = evri_fail(-EINVAL, "an extent of no blocks");
	if (error == 0 && pool->region->read_only)
		error = evri_fail(-EROFS, "the region is attached for reading");
	if (error == 0)
		error = evri_pool_learn(pool);
	if (error < 0)
		return error;
	error = evri_pool_revive(pool, header.class_index, growth.blocks_count,
				 growth.range);
	if (error == -ENOENT)
		error = take_numbers(pool, evri_pool_chunks_of(growth.blocks_count),
				     &header.first_chunk);
	else
		return error;
	if (error < 0)
		return error;

	header.chunks_count = evri_pool_chunks_of(growth.blocks_count);
	header.blocks_count = growth.blocks_count;
	header.payload_bytes = growth.payload_bytes;
	header.bitmap_offset = sizeof(header);
	evr_store_relaxed_u64(&header.word, evri_extent_word(EVR_EXTENT_SERVING, 0));
	uint64_t blocks_at = header.bitmap_offset +
			     (header.chunks_count * sizeof(uint64_t) + 63) / 64 * 64;

	struct evr_pool_class_shared class = pool->classes[header.class_index];
	uint32_t alignment = class.alignment;
	uint64_t room_bytes = room_of(pool->flags, &class);
	struct evri_place place = evri_pool_place(blocks_at, room_bytes, alignment,
						  growth.blocks_count);

	snprintf(name, sizeof(name), EVRI_POOL_NAME "+%u", header.first_chunk);
	error = evri_directory_reserve(pool->region, name, EVRI_OBJECT_EXTENT,
				       place.end + evri_pool_slack(alignment),
				       growth.range, &object);
	if (error < 0)
		return error;
	place = evri_pool_place(object.offset + blocks_at, room_bytes, alignment,
				growth.blocks_count);
	header.blocks_offset = class.blocks_offset = place.blocks_offset;
	header.payloads_offset = class.payloads_offset = place.payloads_offset;
	class.first_chunk = header.first_chunk;
	class.blocks_count = header.blocks_count;
	free_all(pool->region->base, &class, pool->flags,
		 evri_pool_bitmap(&object, header.bitmap_offset));
	memcpy(object.address, &header, sizeof(header));
	error = evri_directory_publish(pool->region, &object);
	if (error < 0)
		return error;
	error = evri_pool_learn(pool);
	return error < 0 ? error : 0;
}

struct evr_region *evr_pool_region(const struct evr_pool *pool)
{
	return pool->region;
}

uint64_t evr_pool_payload_max(const struct evr_pool *pool)
{
	return pool->classes[pool->classes_count - 1].payload_bytes;
}

uint32_t evr_pool_free_count(const struct evr_pool *pool)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < evri_pool_chunks(pool); i++)
		if (evri_chunk_blocks(&pool->chunks[i]))
			count += (uint32_t)__builtin_popcountll(
				evr_load_relaxed_u64(evri_pool_bits(pool, i)));
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
	struct evri_magazine *magazines;

	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	magazines = calloc(pool->classes_count, sizeof(*magazines));
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
					  evri_pool_class_chunks(pool, i);
	}
	memset(ret, 0, sizeof(*ret));
	ret->base = region->base;
	ret->chunks = pool->chunks;
	ret->shared = shared;
	ret->magazines = magazines;
	ret->pool = pool;
	ret->chunks_count = pool->chunks_max;
	ret->number = region->number;
	ret->flags = pool->flags;
	ret->classes_count = (uint16_t)pool->classes_count;
	ret->tag = region->tag;
	ret->node = -1;
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
