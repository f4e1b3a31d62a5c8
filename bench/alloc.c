/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One thread takes a block of 64 bytes and gives it back, again and again, or 32 of them.
 * The second process looks on.
 */
#include <stdlib.h>

#include <evering/pool_bulk.h>

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

static void *create_hardened(void)
{
	return create_with(EVR_POOL_HARDENED);
}

static void *create_poisoned(void)
{
	return create_with(EVR_POOL_HARDENED | EVR_POOL_POISONED);
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

/* Takes so many, then gives them back: one by one, or in one call. */
#define BURST 32

static void burst_one_by_one(void *opened, uint64_t first, uint64_t count)
{
	struct bench_region *home = opened;
	struct evr_block blocks[BURST];

	(void)first;
	for (uint64_t done = 0; done < count; done += BURST) {
		for (uint32_t i = 0; i < BURST; i++)
			bench_check(evr_block_alloc(&home->agent, 64, &blocks[i]) == 0);
		for (uint32_t i = 0; i < BURST; i++)
			bench_check(evr_block_free(&home->agent, blocks[i].token) == 0);
	}
}

static void burst_in_bulk(void *opened, uint64_t first, uint64_t count)
{
	struct bench_region *home = opened;
	struct evr_block blocks[BURST];
	evr_token tokens[BURST];

	(void)first;
	for (uint64_t done = 0; done < count; done += BURST) {
		bench_check(evr_block_alloc_bulk(&home->agent, 64, blocks, BURST) ==
			    BURST);
		for (uint32_t i = 0; i < BURST; i++)
			tokens[i] = blocks[i].token;
		bench_check(evr_block_free_bulk(&home->agent, tokens, BURST) == BURST);
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

static void malloc_burst(void *opened, uint64_t first, uint64_t count)
{
	void *memory[BURST];

	(void)opened;
	(void)first;
	for (uint64_t done = 0; done < count; done += BURST) {
		for (uint32_t i = 0; i < BURST; i++) {
			memory[i] = malloc(64);
			bench_check(memory[i]);
			__asm__ __volatile__("" ::"r"(memory[i]) : "memory");
		}
		for (uint32_t i = 0; i < BURST; i++)
			free(memory[i]);
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
	{ "alloc_free", "evering:hardened", 1 << 22, create_hardened, open_side,
	  { alloc_and_free, NULL }, destroy },
	{ "alloc_free", "evering:poisoned", 1 << 22, create_poisoned, open_side,
	  { alloc_and_free, NULL }, destroy },
	{ "alloc_free", "libc_malloc", 1 << 22, malloc_create, malloc_open,
	  { malloc_and_free, NULL }, malloc_destroy },
	{ "alloc_free_32", "evering", 1 << 22, create, open_side,
	  { burst_in_bulk, NULL }, destroy },
	{ "alloc_free_32", "evering:one_by_one", 1 << 22, create, open_side,
	  { burst_one_by_one, NULL }, destroy },
	{ "alloc_free_32", "libc_malloc", 1 << 22, malloc_create, malloc_open,
	  { malloc_burst, NULL }, malloc_destroy },
	{ 0 },
};
