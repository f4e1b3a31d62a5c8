/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BENCH_REGION_H
#define EVERING_BENCH_REGION_H

/**
 * region.h - a region with a pool of one class, for the subjects that are ours.
 */

#include <evering/pool.h>

#include "bench.h"

/** struct bench_region - a process's view: the creator's, or that of a side. */
struct bench_region {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_agent agent;
	int fd;
};

/** bench_region_create() - in the parent. @flags: of the pool. */
void bench_region_create(uint64_t payload_bytes, uint32_t blocks_count, uint32_t flags,
			 struct bench_region *ret);

/** bench_region_create_classes() - the same, with blocks of several sizes. */
void bench_region_create_classes(const struct evr_pool_class *classes,
				 uint32_t classes_count, uint32_t flags,
				 struct bench_region *ret);

/** bench_region_open() - in a child: attached anew, through the descriptor. */
void bench_region_open(const struct bench_region *created, struct bench_region *ret);

/** bench_region_destroy() - in the parent, after the death of the children: recovers, and
 * every block must be free. */
void bench_region_destroy(struct bench_region *created);

#endif
