/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_POOL_INTERNAL_H
#define EVERINGI_POOL_INTERNAL_H

/* pool_internal.h - the process-local side of the pool, and what magazine.c offers to
 * recovery and channels. */

#include <evering/pool.h>
#include <evering/pool_extent.h>

#include "region_internal.h"

/* One for each class, and for each extent that the directory can have. */
#define EVRI_SPANS_MAX (EVR_POOL_CLASSES_MAX + EVRI_DIRECTORY_ENTRIES)

/* Nodes that are told apart, as in struct evr_range_shared. */
#define EVRI_NODES_MAX 64

/* Chunks of one class in a row: those the pool began with, or an extent's. */
struct evri_span {
	uint32_t class_index;
	uint32_t first_chunk;
	uint32_t chunks_count;
	uint32_t blocks_count;
	uint32_t range;
	bool beside; /* prefixes, not in front of the payloads */
	struct evr_atomic_u64 *word; /* of the extent's header; NULL: it always serves */
	uint64_t nodes;              /* that its range was placed on; 0: not known */
	uint8_t distance[EVRI_NODES_MAX]; /* from each node's CPUs, 10: its own memory */
};

struct evr_pool {
	struct evr_region *region;
	struct evr_pool_shared *shared;
	/* By number of chunk, @chunks_max of each: where it lies, and its word of the
	 * bitmap, a bit a free block. What is not known here yet is zero. */
	struct evri_chunk *chunks;
	struct evr_atomic_u64 **bits;
	uint32_t chunks_max;
	uint32_t classes_count;
	uint32_t flags;
	uint32_t batch_count;
	struct evr_pool_class_shared classes[EVR_POOL_CLASSES_MAX];
	/* What threads read while one of them learns of an extent. */
	struct evr_atomic_u32 chunks_count; /* known ones end here */
	struct evr_atomic_u32 chunks_known; /* how many they are */
	struct evr_atomic_u32 spans_count;
	struct evr_atomic_u32 scattered; /* not all spans are on the same nodes */
	struct evri_span spans[EVRI_SPANS_MAX];
	pthread_mutex_t learn_lock; /* of what follows */
	bool known[EVRI_DIRECTORY_ENTRIES];
};

/* ---- arithmetic of the layout ---- */

#define EVRI_POOL_NAME "evering.pool"

/* Where the blocks of a class lie, in the pool and in its extents. */
struct evri_place {
	uint64_t blocks_offset; /* first prefix */
	uint64_t payloads_offset;
	uint64_t end;
};

/* What a block costs, wherever its prefix stands. */
static inline uint64_t evri_pool_block_bytes(uint64_t payload_bytes)
{
	return EVR_BLOCK_PREFIX_BYTES + payload_bytes;
}

/* From prefix to prefix: in front of the payloads, or beside them. */
static inline uint64_t evri_pool_stride(uint64_t payload_bytes, uint32_t alignment)
{
	return alignment > EVR_CACHE_LINE_BYTES ? EVR_BLOCK_PREFIX_BYTES :
						  evri_pool_block_bytes(payload_bytes);
}

static inline uint64_t evri_pool_payload_stride(uint64_t payload_bytes,
						uint32_t alignment)
{
	return alignment > EVR_CACHE_LINE_BYTES ? payload_bytes :
						  evri_pool_block_bytes(payload_bytes);
}

/* From @offset in the region on. */
static inline struct evri_place evri_pool_place(uint64_t offset, uint64_t payload_bytes,
						uint32_t alignment, uint32_t count)
{
	struct evri_place place = { .blocks_offset = offset };
	uint64_t behind = alignment > EVR_CACHE_LINE_BYTES ?
				  offset + (uint64_t)count * EVR_BLOCK_PREFIX_BYTES :
				  offset + EVR_BLOCK_PREFIX_BYTES;

	place.payloads_offset = (behind + alignment - 1) / alignment * alignment;
	place.end = alignment > EVR_CACHE_LINE_BYTES ?
			    place.payloads_offset + count * payload_bytes :
			    offset + count * evri_pool_block_bytes(payload_bytes);
	return place;
}

/* Objects begin at multiples of EVRI_OBJECT_UNIT_BYTES: so much more than from 0 on may
 * be needed until the first payload that is so aligned. */
static inline uint64_t evri_pool_slack(uint32_t alignment)
{
	return alignment > EVRI_OBJECT_UNIT_BYTES ? alignment - EVRI_OBJECT_UNIT_BYTES :
						    0;
}

static inline uint32_t evri_pool_chunks_of(uint32_t blocks)
{
	return blocks / EVR_POOL_CHUNK_BLOCKS + (blocks % EVR_POOL_CHUNK_BLOCKS != 0);
}

static inline bool evri_pool_payload_fits(uint64_t payload_bytes)
{
	return payload_bytes >= EVR_POOL_PAYLOAD_MIN &&
	       payload_bytes <= EVR_POOL_PAYLOAD_MAX && payload_bytes % 64 == 0;
}

static inline bool evri_pool_alignment_fits(uint32_t alignment, uint64_t payload_bytes)
{
	return alignment >= EVR_CACHE_LINE_BYTES && (alignment & (alignment - 1)) == 0 &&
	       payload_bytes % alignment == 0;
}

/* The bitmap of a pool or an extent, which begins @offset behind its object's start. */
static inline struct evr_atomic_u64 *
evri_pool_bitmap(const struct evri_object *object, uint64_t offset)
{
	return (struct evr_atomic_u64 *)((char *)object->address + offset);
}

/* ---- pool_hardened.c ---- */

/* What a payload takes of the layout: itself, and what the canary stands in. */
static inline uint64_t evri_pool_room(uint32_t flags, uint64_t payload_bytes,
				      uint32_t alignment)
{
	return payload_bytes + (flags & EVR_POOL_HARDENED ? alignment : 0);
}

/* Writes canary and poison of a block that becomes free, where flags want them. */
void evri_payload_arm(uint32_t flags, uint32_t index, void *payload, uint64_t bytes);
void evri_block_arm(const struct evr_agent *agent, uint32_t index);

/* ---- pool_view.c ---- */

/* Learns of the extents that were made since the last time. 1: there were some. */
int evri_pool_learn(struct evr_pool *pool);

/* The end of the chunks that are known; some before it may not be. */
static inline uint32_t evri_pool_chunks(const struct evr_pool *pool)
{
	/* SYNC pool/chunk (acquire), pairs with take_span(). */
	return evr_load_acquire_u32(&pool->chunks_count);
}

/* A known chunk's word of the bitmap. */
static inline struct evr_atomic_u64 *evri_pool_bits(const struct evr_pool *pool,
						    uint32_t chunk)
{
	return pool->bits[chunk];
}

/* How many chunks of a class are known. */
uint32_t evri_pool_class_chunks(const struct evr_pool *pool, uint32_t class_index);

/* What has become of the extent that a chunk lies in: enum evr_extent_state. */
uint32_t evri_pool_chunk_state(const struct evr_pool *pool, uint32_t chunk);

/* Frees the view's memory, without the looks of evr_pool_close(). */
void evri_pool_free(struct evr_pool *pool);

/* ---- pool_node.c ---- */

/* Fills in a span's nodes, bits as in struct evr_range_shared, and distances. */
void evri_span_place(struct evri_span *span, uint64_t nodes);

/* The node that the agent wants blocks of, now. */
uint32_t evri_agent_node(const struct evr_agent *agent);

/* The least distance beyond @distance that spans of the class have from a node; 0: there
 * is none. */
uint32_t evri_pool_next_distance(const struct evr_pool *pool, uint32_t class_index,
				 uint32_t node, uint32_t distance);

/* ---- pool_retire.c ---- */

static inline uint64_t evri_extent_word(uint32_t state, uint64_t value)
{
	return ((uint64_t)state << 56) | value;
}

static inline uint32_t evri_extent_state(uint64_t word)
{
	return (uint32_t)(word >> 56);
}

/* Lets retired blocks of a class serve again: at least @blocks_count, in this range.
 * -ENOENT: there are none. */
int evri_pool_revive(struct evr_pool *pool, uint32_t class_index, uint32_t blocks_count,
		     uint32_t range);

/* Bytes of the region, from its start. */
struct evri_hole {
	uint64_t offset;
	uint64_t bytes;
};

/* What is without pages in a range because it was given back, in ascending order; the
 * caller's to free. */
int evri_pool_holes(const struct evr_pool *pool, uint32_t range, struct evri_hole **ret,
		    uint32_t *ret_count);

/* The agent's thread has left whatever it did before: nothing that it does from here on
 * goes by what it knew. */
static inline void evri_agent_acknowledge(const struct evr_agent *agent)
{
	/* SYNC pool/retirements (acquire), pairs with commit(). */
	uint64_t now = evr_load_acquire_u64(&agent->pool->region->shared->retirements);

	/* SYNC pool/acknowledged (release), pairs with acknowledged(). */
	if (now != evr_load_relaxed_u64(&agent->shared->acknowledged))
		evr_store_release_u64(&agent->shared->acknowledged, now);
}

/* ---- magazine.c ---- */

/* Takes up to @wanted free blocks of a chunk: bits first, under the agent's bitmap
 * intent, then words that say @state. Returns which, as bits. */
uint64_t evri_chunk_take(struct evr_agent *agent, uint32_t chunk, uint32_t wanted,
			 uint32_t state);

/* Frees a block of the agent's, whatever its state, and its contents, past the magazines:
 * straight to the bitmap, where everybody finds it. For recovery and close. */
void evri_block_discard(struct evr_agent *agent, uint32_t index);

/* The block that an entry of a container's list names, if its own word agrees: an entry
 * may be stale. */
static inline struct evr_block_shared *
evri_block_content_of(const struct evr_agent *agent, uint32_t container_index,
		      uint64_t entry, uint32_t *ret_index, uint64_t *ret_word)
{
	struct evr_block_shared *content = evri_block_at(agent, (uint32_t)entry);

	if (!content || evr_block_word_state(entry) != EVR_BLOCK_IN)
		return NULL;

	uint64_t word = evr_load_relaxed_u64(&content->word);
	if (word != evr_block_word(entry >> EVR_BLOCK_GENERATION_SHIFT, EVR_BLOCK_IN,
				   container_index))
		return NULL;
	*ret_index = (uint32_t)entry;
	*ret_word = word;
	return content;
}

/* Never 0, which is no entry: the state sees to that, where block 0 is in its generation
 * 0 again. */
static inline uint64_t evri_block_content_entry(uint32_t index, uint64_t word)
{
	return evr_block_word(evr_block_word_generation(word), EVR_BLOCK_IN, index);
}

/* How many entries a burst has, no more than fit into its payload. Read once: a peer may
 * go on scribbling. */
static inline uint32_t evri_burst_count(const struct evr_agent *agent, uint32_t index,
					const struct evr_block_shared *block)
{
	uint32_t count = evr_plain_load_u32(&block->request_bytes) / sizeof(uint64_t);
	uint64_t room = evri_block_payload_bytes(agent, index) / sizeof(uint64_t);

	return count < room ? count : (uint32_t)room;
}

/* Frees the block that carried a burst, when all were taken out: into the magazine. */
void evri_burst_free(struct evr_agent *agent, uint32_t index);

/* The content at @place of the container, if the words agree that it is one. */
struct evr_block_shared *evri_block_content_at(const struct evr_agent *agent,
					       uint32_t container_index, uint32_t place,
					       uint32_t *ret_index, uint64_t *ret_word);

#endif
