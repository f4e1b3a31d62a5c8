/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * region_ranges.c - the parts that a region grows by, and mapping them.
 *
 * Ranges follow each other; an entry of the table says how large its range is and how far
 * it is, in one word, so a compare-and-swap takes the addresses and the sizes before it
 * say where they begin. Sizes never change afterwards.
 *
 *	EMPTY -> BUILDING -> READY      a range is made real
 *	         BUILDING -> SPARE      there were no pages
 *	BUILDING of a dead builder, and SPARE -> BUILDING   taken over
 *
 * Each process keeps addresses for the whole region free and maps a range when it first
 * meets something that lies in it.
 */

#include <evering/cpu.h>
#include <evering/region.h>

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "options.h"
#include "region_internal.h"

#define UNIT_BYTES UINT64_C(4096)
#define UNITS_MASK ((UINT64_C(1) << 28) - 1)

uint64_t evri_range_word(uint32_t state, uint64_t bytes, uint32_t owner)
{
	return ((uint64_t)state << 60) | ((bytes / UNIT_BYTES & UNITS_MASK) << 32) |
	       owner;
}

static uint32_t word_state(uint64_t word)
{
	return (uint32_t)(word >> 60);
}

static uint64_t word_bytes(uint64_t word)
{
	return (word >> 32 & UNITS_MASK) * UNIT_BYTES;
}

static uint32_t word_owner(uint64_t word)
{
	return (uint32_t)word;
}

bool evri_range_next(const struct evr_region *region, struct evri_range_cursor *cursor,
		     struct evri_range *ret)
{
	if (cursor->index >= region->ranges_count)
		return false;

	/* SYNC range/word (acquire), pairs with evr_region_grow(): whoever reads READY
	 * finds pages there. */
	uint64_t word = evr_load_acquire_u64(&region->ranges[cursor->index].word);
	uint64_t bytes = word_bytes(word);

	if (word_state(word) == EVR_RANGE_EMPTY || bytes == 0 ||
	    bytes % region->page_bytes != 0 || bytes > region->bytes - cursor->offset)
		return false;
	ret->index = cursor->index++;
	ret->state = word_state(word);
	ret->owner = word_owner(word);
	ret->offset = cursor->offset;
	ret->bytes = bytes;
	cursor->offset += bytes;
	return true;
}

static unsigned map_flags(const struct evr_region *region, uint32_t index)
{
	uint32_t flags = evr_plain_load_u32(&region->ranges[index].flags);
	unsigned how = EVRI_OS_MAP_UNRESERVED;

	if (region->read_only)
		how |= EVRI_OS_MAP_READ_ONLY;
	if (flags & EVR_REGION_DUMPED)
		how |= EVRI_OS_MAP_DUMP;
	return how;
}

/* Under the region's lock: each thread that comes finds it done or does it. */
static int map_range(struct evr_region *region, const struct evri_range *range)
{
	int error;

	if (region->mapped[range->index].bytes)
		return 0;
	error = evri_os_memory_map_at(region->fd, range->offset, range->bytes,
				      map_flags(region, range->index),
				      region->base + range->offset);
	if (error < 0)
		return evri_fail(error,
				 "cannot map range %u, %" PRIu64 " bytes at %" PRIu64
				 ": %s",
				 range->index, range->bytes, range->offset,
				 strerror(-error));
	region->mapped[range->index].offset = range->offset;
	region->mapped[range->index].bytes = range->bytes;
	return 0;
}

static void unmap_range(struct evr_region *region, const struct evri_range *range)
{
	pthread_mutex_lock(&region->map_lock);
	evri_os_memory_unmap_at(region->base + range->offset, range->bytes);
	region->mapped[range->index].bytes = 0;
	pthread_mutex_unlock(&region->map_lock);
}

int evri_region_map_ranges(struct evr_region *region)
{
	struct evri_range_cursor cursor = { 0 };
	struct evri_range range;
	int error = 0;

	pthread_mutex_lock(&region->map_lock);
	while (error == 0 && evri_range_next(region, &cursor, &range))
		if (range.state == EVR_RANGE_READY)
			error = map_range(region, &range);
	pthread_mutex_unlock(&region->map_lock);
	return error;
}

bool evri_region_is_mapped(struct evr_region *region, uint32_t index)
{
	bool mapped;

	pthread_mutex_lock(&region->map_lock);
	mapped = region->mapped[index].bytes != 0;
	pthread_mutex_unlock(&region->map_lock);
	return mapped;
}

uint64_t evr_region_bytes(const struct evr_region *region)
{
	struct evri_range_cursor cursor = { 0 };
	struct evri_range range;
	uint64_t bytes = 0;

	while (evri_range_next(region, &cursor, &range))
		if (range.state == EVR_RANGE_READY)
			bytes += range.bytes;
	return bytes;
}

/* ---- growing ---- */

void evri_range_describe(struct evr_region *region, uint32_t index,
			 const struct evri_settling *how, uint64_t settle_ns)
{
	struct evr_range_shared *shared = &region->ranges[index];
	uint64_t nodes = 0;

	for (int node = 0; how->placement.nodes && node < 64; node++)
		if (evr_number_set_has(how->placement.nodes, node))
			nodes |= UINT64_C(1) << node;
	if (how->placement.policy == EVR_POLICY_NEAR_CPU) {
		int node;

		if (evr_cpu_node(how->placement.cpu, &node) == 0 && node < 64)
			nodes = UINT64_C(1) << node;
	}
	evr_plain_store_u32(&shared->policy, how->placement.policy);
	evr_plain_store_u32(&shared->flags, how->flags);
	evr_plain_store_u64(&shared->nodes, nodes);
	evr_plain_store_u64(&shared->settle_ns, settle_ns);
}

int evri_range_recall(const struct evr_region *region, uint32_t index,
		      struct evr_number_set *nodes, struct evri_settling *ret)
{
	const struct evr_range_shared *shared = &region->ranges[index];
	uint64_t node_bits = evr_plain_load_u64(&shared->nodes);
	struct evri_settling how = {
		.flags = evr_plain_load_u32(&shared->flags) &
			 (EVR_REGION_PREFER_PAGES | EVR_REGION_TRANSPARENT |
			  EVR_REGION_LOCKED),
		.placement.policy = evr_plain_load_u32(&shared->policy),
		.placement.nodes = nodes,
	};
	int error = 0;

	for (int node = 0; error == 0 && node < 64; node++)
		if (node_bits >> node & 1)
			error = evr_number_set_add(nodes, node);
	/* Which CPU it was is forgotten, which node is not. */
	if (how.placement.policy == EVR_POLICY_NEAR_CPU)
		how.placement.policy = EVR_POLICY_BIND;
	/* Of nodes beyond the first 64 nothing is known. */
	if (node_bits == 0)
		how.placement.policy = EVR_POLICY_ANY;
	*ret = how;
	return error;
}

/* The addresses are there for whoever tries again. */
static void give_up_range(struct evr_region *region, const struct evri_range *range)
{
	uint64_t word = evri_range_word(EVR_RANGE_BUILDING, range->bytes, region->number);

	evr_cas_acq_rel_u64(&region->ranges[range->index].word, &word,
			    evri_range_word(EVR_RANGE_SPARE, range->bytes, 0));
}

/* Takes the addresses for a range of @bytes, or of @most at most: behind all others, or
 * from one who can never touch them again. */
static int take_range(struct evr_region *region, uint64_t bytes, uint64_t most,
		      struct evri_range *ret)
{
	uint64_t offset = 0;

	evr_participant_find_dead(region);
	for (uint32_t i = 0; i < region->ranges_count;) {
		struct evr_atomic_u64 *shared = &region->ranges[i].word;
		uint64_t word = evr_load_acquire_u64(shared);
		uint32_t state = word_state(word);
		uint64_t size = word_bytes(word);

		if (state == EVR_RANGE_EMPTY) {
			if (bytes > region->bytes - offset)
				return evri_fail(-ENOSPC,
						 "%" PRIu64 " bytes more wanted; the "
						 "region may grow by %" PRIu64
						 " (bytes_max %" PRIu64 ")",
						 bytes, region->bytes - offset,
						 region->bytes);
			size = bytes;
		} else {
			bool left = state == EVR_RANGE_SPARE ||
				    (state == EVR_RANGE_BUILDING &&
				     !evri_participant_alive(region, word_owner(word)));

			if (size == 0 || size > region->bytes - offset)
				return evri_fail(-EUCLEAN,
						 "range %u lies outside the region", i);
			if (!left || size < bytes || size > most) {
				offset += size;
				i++;
				continue;
			}
		}
		if (evr_cas_acq_rel_u64(shared, &word,
					evri_range_word(EVR_RANGE_BUILDING, size,
							region->number))) {
			ret->index = i;
			ret->state = EVR_RANGE_BUILDING;
			ret->owner = region->number;
			ret->offset = offset;
			ret->bytes = size;
			return 0;
		}
	}
	return evri_fail(-ENOSPC, "all %u ranges of the region are in use",
			 region->ranges_count);
}

/* One of just this size; a larger one, all of which would have pages, only when there are
 * no other addresses. What was checked for @bytes is checked again for that. */
static int take_good_range(struct evr_region *region, uint64_t bytes,
			   const struct evri_settling *how, struct evri_range *ret)
{
	int error = take_range(region, bytes, bytes, ret);

	if (error != -ENOSPC)
		return error;
	error = take_range(region, bytes, region->bytes, ret);
	if (error < 0)
		return error;
	error = evri_settle_check(region, ret->bytes, how);
	if (error < 0)
		give_up_range(region, ret);
	return error;
}

static int check_range_options(const struct evr_region *region,
			       const struct evr_range_options *options,
			       struct evr_range_options *ret)
{
	const uint32_t known_flags = EVR_REGION_PREFER_PAGES | EVR_REGION_TRANSPARENT |
				     EVR_REGION_LOCKED | EVR_REGION_DUMPED;
	struct evr_range_options known = { 0 };
	int error = evri_options_take(options, offsetof(struct evr_range_options, flags),
				      &known, sizeof(known), "range");

	if (error < 0)
		return error;
	if (known.flags & ~known_flags || known.reserved)
		return evri_fail(-E2BIG, "range flags %#x are not known here",
				 known.flags);
	if (known.bytes == 0 || known.bytes > region->bytes)
		return evri_fail(-EINVAL,
				 "bytes %" PRIu64 ": 1 to %" PRIu64 " possible",
				 known.bytes, region->bytes);
	known.bytes = (known.bytes + region->page_bytes - 1) / region->page_bytes *
		      region->page_bytes;
	*ret = known;
	return 0;
}

int evr_region_grow(struct evr_region *region,
		    const struct evr_range_options *user_options, uint32_t *ret_range)
{
	struct evr_range_options options;
	uint64_t begun = evri_os_now_ns();
	struct evri_range range;
	uint64_t word;
	int error;

	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	error = check_range_options(region, user_options, &options);
	if (error < 0)
		return error;

	struct evri_settling how = {
		.flags = options.flags,
		.placement = options.placement,
		.progress = options.progress,
		.context = options.context,
	};

	error = evri_settle_check(region, options.bytes, &how);
	if (error < 0)
		return error;
	error = take_good_range(region, options.bytes, &how, &range);
	if (error < 0)
		return error;
	/* Its flags decide how it is mapped. */
	evri_range_describe(region, range.index, &how, 0);
	word = evri_range_word(EVR_RANGE_BUILDING, range.bytes, region->number);

	/* One who died over it may have left pages, on other nodes. */
	(void)evri_os_memory_release(region->fd, range.offset, range.bytes);
	pthread_mutex_lock(&region->map_lock);
	error = map_range(region, &range);
	pthread_mutex_unlock(&region->map_lock);
	if (error == 0)
		error = evri_settle(region, range.offset, range.bytes, &how);
	if (error < 0) {
		/* The pages go back, and what this mapping was told to be. Nobody else
		 * has heard of the addresses. */
		(void)evri_os_memory_release(region->fd, range.offset, range.bytes);
		unmap_range(region, &range);
		give_up_range(region, &range);
		return error;
	}
	evri_range_describe(region, range.index, &how, evri_os_now_ns() - begun);
	/* SYNC range/word (release), pairs with evri_range_next(). */
	if (!evr_cas_acq_rel_u64(&region->ranges[range.index].word, &word,
				 evri_range_word(EVR_RANGE_READY, range.bytes, 0)))
		return evri_fail(-EUCLEAN, "range %u was overwritten", range.index);
	if (ret_range)
		*ret_range = range.index;
	return 0;
}
