/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The floor: two lines, each written by one side and watched by the other. Nothing that
 * waits for an answer from another CPU can be faster than this on the same machine.
 */
#include "bench.h"

struct lines {
	EVR_CACHE_ALIGNED struct evr_atomic_u64 ping;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 pong;
};

static void *create(void)
{
	return bench_shared_map(sizeof(struct lines));
}

static void *open_side(void *created, int side)
{
	(void)side;
	return created;
}

static void destroy(void *created)
{
	bench_shared_unmap(created, sizeof(struct lines));
}

static void there(void *end, uint64_t first, uint64_t count)
{
	struct lines *lines = end;
	struct evr_atomic_u64 *both[2] = { &lines->ping, &lines->pong };

	bench_bounce_ns(both, 0, first, count);
}

static void back(void *end, uint64_t first, uint64_t count)
{
	struct lines *lines = end;
	struct evr_atomic_u64 *both[2] = { &lines->ping, &lines->pong };

	bench_bounce_ns(both, 1, first, count);
}

#define BOUNCE_ROW(case_name)                                                            \
	{ case_name, "floor:bounce", 200000, create, open_side, { there, back }, destroy }

const struct bench_subject bench_bounce[] = {
	BOUNCE_ROW("bounce"),
	BOUNCE_ROW("roundtrip_8"),
	BOUNCE_ROW("roundtrip_inline_8"),
	BOUNCE_ROW("roundtrip_inline_64"),
	BOUNCE_ROW("roundtrip_inline_120"),
	BOUNCE_ROW("roundtrip_block_256"),
	BOUNCE_ROW("channel_roundtrip_64"),
	{ 0 },
};
