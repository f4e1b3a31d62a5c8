/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whole messages, 32 a call: allocated, filled with 64 bytes and pushed; popped, read and
 * freed. The blocks that carry the bursts come from the pool and go back, too.
 */
#include "region.h"

#include <evering/pool_bulk.h>
#include <evering/ring_burst.h>

#define RING_ORDER 10
#define BURST 32
#define WORDS 8

struct end {
	struct bench_region home;
	struct evr_ring ring;
};

static void *create(void)
{
	static struct bench_region created;
	static const struct evr_pool_class classes[] = {
		{ WORDS * 8, 4096, 0 },
		{ 256, 1024, 0 },
	};
	struct evr_ring ring;

	bench_region_create_classes(classes, 2, 0, &created);
	bench_try(evr_ring_create(created.region, "ring", RING_ORDER, &ring));
	return &created;
}

static void *open_side(void *created, int side)
{
	static struct end end;

	(void)side;
	bench_region_open(created, &end.home);
	bench_try(evr_ring_open(end.home.region, "ring", &end.ring));
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

static uint32_t alloc_some(struct evr_agent *agent, struct evr_block *blocks)
{
	struct evr_backoff backoff = { 0 };
	int got;

	while ((got = evr_block_alloc_bulk(agent, WORDS * 8, blocks, BURST)) < 0) {
		bench_check(got == -ENOSPC);
		evr_backoff_wait(&backoff);
	}
	return (uint32_t)got;
}

static void send_all(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_agent *agent = &end->home.agent;
	struct evr_block blocks[BURST];
	evr_token tokens[BURST];

	bench_check(count % BURST == 0);
	for (uint64_t i = first; i < first + count;) {
		uint64_t left = first + count - i;
		uint32_t got = alloc_some(agent, blocks);
		struct evr_backoff backoff = { 0 };
		uint32_t sent = 0;

		/* No more than the other side waits for. */
		for (; got > left; got--)
			bench_check(evr_block_free(agent, blocks[got - 1].token) == 0);
		for (uint32_t k = 0; k < got; k++) {
			uint64_t *words = blocks[k].payload;

			for (uint64_t w = 0; w < WORDS; w++)
				evr_plain_store_u64(&words[w], i + k + w);
			tokens[k] = blocks[k].token;
		}
		while (sent < got) {
			int pushed = evr_ring_try_push_burst(&end->ring, agent,
							     tokens + sent, got - sent);

			if (pushed < 0) {
				bench_check(pushed == -EAGAIN);
				evr_backoff_wait(&backoff);
			} else {
				sent += (uint32_t)pushed;
				backoff.pauses = 0;
			}
		}
		i += got;
	}
}

static void take_all(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_agent *agent = &end->home.agent;
	struct evr_block blocks[BURST];
	evr_token tokens[BURST];
	struct evr_backoff backoff = { 0 };

	for (uint64_t i = first; i < first + count;) {
		int got = evr_ring_try_pop_burst(&end->ring, agent, blocks, BURST);

		if (got < 0) {
			bench_check(got == -EAGAIN);
			evr_backoff_wait(&backoff);
			continue;
		}
		backoff.pauses = 0;
		for (int k = 0; k < got; k++) {
			const uint64_t *words = blocks[k].payload;

			for (uint64_t w = 0; w < WORDS; w++)
				bench_check(evr_plain_load_u64(&words[w]) ==
					    i + (uint64_t)k + w);
			tokens[k] = blocks[k].token;
		}
		bench_check(evr_block_free_bulk(agent, tokens, (uint32_t)got) == got);
		i += (uint64_t)got;
	}
}

const struct bench_subject bench_message_burst[] = {
	{ "message_64_burst_32", "evering", 1 << 20, create, open_side,
	  { send_all, take_all }, destroy },
	{ 0 },
};
