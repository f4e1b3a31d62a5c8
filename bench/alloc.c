/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One thread takes a block of 64 bytes and gives it back, again and again. The second
 * process looks on.
 */
#include <stdlib.h>

#include "region.h"

#define BLOCKS_COUNT 4096

static void *create_with(uint32_t flags)
{
	static struct bench_region created;

	bench_region_create(64, BLOCKS_COUNT, flags, &created);
	return &created;
}

static void *create(void)
{
	return create_with(0);
}

static void *create_untracked(void)
{
	return create_with(EVR_POOL_UNTRACKED);
}

static void *open_side(void *created, int side)
{
	static struct bench_region home;

	(void)side;
	bench_region_open(created, &home);
	return &home;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

static void alloc_and_free(void *opened, uint64_t first, uint64_t count)
{
	struct bench_region *home = opened;
	struct evr_block block;

	(void)first;
	for (uint64_t i = 0; i < count; i++) {
		bench_check(evr_block_alloc(&home->agent, 64, &block) == 0);
		bench_check(evr_block_free(&home->agent, block.token) == 0);
	}
}

static void *malloc_create(void)
{
	return bench_shared_map(1);
}

static void *malloc_open(void *created, int side)
{
	(void)side;
	return created;
}

static void malloc_and_free(void *opened, uint64_t first, uint64_t count)
{
	(void)opened;
	(void)first;
	for (uint64_t i = 0; i < count; i++) {
		void *memory = malloc(64);

		bench_check(memory);
		/* Or the compiler sees that nobody needs it. */
		__asm__ __volatile__("" ::"r"(memory) : "memory");
		free(memory);
	}
}

static void malloc_destroy(void *created)
{
	bench_shared_unmap(created, 1);
}

const struct bench_subject bench_alloc[] = {
	{ "alloc_free", "evering", 1 << 22, create, open_side, { alloc_and_free, NULL },
	  destroy },
	{ "alloc_free", "evering:untracked", 1 << 22, create_untracked, open_side,
	  { alloc_and_free, NULL }, destroy },
	{ "alloc_free", "libc_malloc", 1 << 22, malloc_create, malloc_open,
	  { malloc_and_free, NULL }, malloc_destroy },
	{ 0 },
};
