/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A whole message: one side allocates a block, fills its 64 bytes and pushes it; the
 * other pops it, reads it and frees it. Blocks find their way back through the pool.
 *
 * Compiled once as it is, and again by message_no_intent_clear.c.
 */
#include "region.h"

#include <evering/ring.h>
#include <evering/ring_role.h>

#ifndef BENCH_LIST
#define BENCH_LIST bench_message
#define BENCH_NAME "evering"
#define BENCH_WITH_UNTRACKED
#endif

#define RING_ORDER 10
#define BLOCKS_COUNT 4096
#define WORDS 8

struct end {
	struct bench_region home;
	struct evr_ring ring;
};

static void *create_with(uint32_t pool_flags, uint32_t ring_flags)
{
	static struct bench_region created;
	struct evr_ring_options options = {
		.size = sizeof(options),
		.name = "ring",
		.order = RING_ORDER,
		.flags = ring_flags,
	};
	struct evr_ring ring;

	bench_region_create(WORDS * 8, BLOCKS_COUNT, pool_flags, &created);
	bench_try(evr_ring_create_with(created.region, &options, &ring));
	return &created;
}

static void *create(void)
{
	return create_with(0, 0);
}

static void *create_single(void)
{
	return create_with(0, EVR_RING_SINGLE_PUSHER | EVR_RING_SINGLE_POPPER);
}

#ifdef BENCH_WITH_UNTRACKED
static void *create_untracked(void)
{
	return create_with(EVR_POOL_UNTRACKED, 0);
}
#endif

static void *open_side(void *created, int side)
{
	static struct end end;

	bench_region_open(created, &end.home);
	bench_try(evr_ring_open(end.home.region, "ring", &end.ring));
	if (evr_ring_flags(&end.ring))
		bench_try(evr_ring_take_role(&end.ring, &end.home.agent,
					     side == 0 ? EVR_RING_PUSHER :
							 EVR_RING_POPPER));
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

static void send_all(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_agent *agent = &end->home.agent;
	struct evr_block block;
	int error;

	for (uint64_t i = first; i < first + count; i++) {
		struct evr_backoff backoff = { 0 };

		while ((error = evr_block_alloc(agent, WORDS * 8, &block)) < 0) {
			bench_check(error == -ENOSPC);
			evr_backoff_wait(&backoff);
		}

		uint64_t *words = block.payload;
		for (uint64_t k = 0; k < WORDS; k++)
			evr_plain_store_u64(&words[k], i + k);
		backoff.pauses = 0;
		while ((error = evr_ring_try_push(&end->ring, agent, block.token)) < 0) {
			bench_check(error == -EAGAIN);
			evr_backoff_wait(&backoff);
		}
	}
}

static void take_all(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_agent *agent = &end->home.agent;
	struct evr_block block;
	int error;

	for (uint64_t i = first; i < first + count; i++) {
		struct evr_backoff backoff = { 0 };

		while ((error = evr_ring_try_pop(&end->ring, agent, &block)) < 0) {
			bench_check(error == -EAGAIN);
			evr_backoff_wait(&backoff);
		}

		const uint64_t *words = block.payload;
		for (uint64_t k = 0; k < WORDS; k++)
			bench_check(evr_plain_load_u64(&words[k]) == i + k);
		bench_check(evr_block_free(agent, block.token) == 0);
	}
}

const struct bench_subject BENCH_LIST[] = {
	{ "message_64", BENCH_NAME, 1 << 20, create, open_side, { send_all, take_all },
	  destroy },
	{ "message_64", BENCH_NAME ":sp_sc", 1 << 20, create_single, open_side,
	  { send_all, take_all }, destroy },
#ifdef BENCH_WITH_UNTRACKED
	{ "message_64", BENCH_NAME ":untracked", 1 << 20, create_untracked, open_side,
	  { send_all, take_all }, destroy },
#endif
	{ 0 },
};
