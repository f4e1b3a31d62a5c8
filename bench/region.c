/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "region.h"

#include <evering/recovery.h>

void bench_region_create(uint64_t payload_bytes, uint32_t blocks_count, uint32_t flags,
			 struct bench_region *ret)
{
	struct evr_pool_class class = { payload_bytes, blocks_count, 0 };

	bench_region_create_classes(&class, 1, flags, ret);
}

void bench_region_create_classes(const struct evr_pool_class *classes,
				 uint32_t classes_count, uint32_t flags,
				 struct bench_region *ret)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < classes_count; i++)
		bytes += classes[i].blocks_count *
			 (classes[i].payload_bytes + EVR_BLOCK_PREFIX_BYTES +
			  (flags & EVR_POOL_HARDENED ? 64 : 0));

	struct evr_region_options region_options = {
		.size = sizeof(region_options),
		/* A megabyte for tables and rings. */
		.bytes = bytes + (1 << 20),
		.participants = BENCH_SIDES_MAX + 2,
	};
	struct evr_pool_options pool_options = {
		.size = sizeof(pool_options),
		.classes = classes,
		.classes_count = classes_count,
		.flags = flags,
	};

	bench_try(evr_region_create(&region_options, &ret->region));
	bench_try(evr_pool_create(ret->region, &pool_options, &ret->pool));
	ret->fd = evr_region_fd(ret->region);
}

void bench_region_open(const struct bench_region *created, struct bench_region *ret)
{
	ret->fd = created->fd;
	bench_try(evr_region_attach(created->fd, &ret->region));
	bench_try(evr_pool_open(ret->region, &ret->pool));
	bench_try(evr_agent_open(ret->pool, &ret->agent));
}

void bench_region_destroy(struct bench_region *created)
{
	bench_try(evr_agent_open(created->pool, &created->agent));
	bench_check(bench_try(evr_recover(&created->agent, NULL)) == 0);
	evr_agent_close(&created->agent);
	bench_check(evr_pool_free_count(created->pool) == evr_pool_blocks(created->pool));
	evr_pool_close(created->pool);
	evr_region_detach(created->region);
}
