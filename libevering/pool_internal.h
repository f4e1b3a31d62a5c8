/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_POOL_INTERNAL_H
#define EVERINGI_POOL_INTERNAL_H

/* pool_internal.h - the process-local side of the pool, and what magazine.c offers to
 * recovery and channels. */

#include <evering/pool.h>

#include "region_internal.h"

struct evr_pool {
	struct evr_region *region;
	struct evr_pool_shared *shared;
	struct evr_atomic_u64 *bitmap; /* a word a chunk, a bit a free block */
	struct evri_chunk *chunks;
	uint32_t chunks_count;
	uint32_t blocks_count;
	uint32_t classes_count;
	uint32_t flags;
	uint32_t batch_count;
	struct evr_pool_class_shared classes[EVR_POOL_CLASSES_MAX];
};

/* Frees a block of the agent's, whatever its state, and its contents, past the magazines:
 * straight to the bitmap, where everybody finds it. For recovery and close. */
void evri_block_discard(struct evr_agent *agent, uint32_t index);

/* The content at @place of the container, if the words agree that it is one. */
struct evr_block_shared *evri_block_content_at(const struct evr_agent *agent,
					       uint32_t container_index, uint32_t place,
					       uint32_t *ret_index, uint64_t *ret_word);

#endif
