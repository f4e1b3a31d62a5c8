/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* pool_stats.c - see <evering/pool_stats.h>. What a dump knows of one class. */

#include <evering/pool_stats.h>

#include <errno.h>

#include "dump_internal.h"
#include "internal_error.h"

static bool holds_any(const struct evr_pool_held *held)
{
	return held->cached | held->owned | held->requests | held->responses |
	       held->queued;
}

static void tell(const struct evri_dump *dump, uint32_t class_index,
		 struct evr_pool_class_stats *stats)
{
	const struct evri_dump_class *class = &dump->classes[class_index];

	stats->payload_bytes = dump->pool->classes[class_index].payload_bytes;
	stats->blocks = class->blocks;
	stats->free = class->bits;
	stats->cached = class->states[EVR_BLOCK_CACHED];
	stats->owned = class->states[EVR_BLOCK_OWNED] + class->states[EVR_BLOCK_BURST];
	stats->requests = class->states[EVR_BLOCK_REQ];
	stats->responses = class->states[EVR_BLOCK_RESP];
	stats->queued = class->queued;
	stats->contained = class->states[EVR_BLOCK_IN];
	stats->retired = class->states[EVR_BLOCK_RETIRED];
	stats->odd = class->odd;
	stats->held_count = 0;
	for (uint32_t i = 0; i < dump->participants_count; i++) {
		const struct evr_pool_held *held =
			evri_dump_held(dump, class_index, i);

		if (!holds_any(held))
			continue;
		if (stats->held && stats->held_count < stats->held_max)
			stats->held[stats->held_count] = *held;
		stats->held_count++;
	}
}

int evr_pool_stats(struct evr_pool *pool, uint32_t class_index,
		   struct evr_pool_class_stats *stats)
{
	struct evri_dump dump;
	int error;

	if (!stats || stats->size < sizeof(*stats))
		return evri_fail(-EINVAL, "the size of struct evr_pool_class_stats is "
					  "not set");
	if (stats->size > sizeof(*stats))
		return evri_fail(-E2BIG, "struct evr_pool_class_stats of a newer "
					 "release");
	if (class_index >= pool->classes_count)
		return evri_fail(-EINVAL, "the pool has %u classes", pool->classes_count);
	error = evri_dump_gather(pool->region, &dump);
	if (error == 0)
		error = dump.pool_error;
	if (error == 0)
		tell(&dump, class_index, stats);
	evri_dump_free(&dump);
	return error;
}
