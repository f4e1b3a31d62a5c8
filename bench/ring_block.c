/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A block of 256 bytes there and back over two MPMC rings: filled; checked and answered
 * there in place; checked here. All 256 bytes, both ways.
 */
#include "region.h"

#include <evering/ring.h>

#define RING_ORDER 10
#define BLOCKS_COUNT 64
#define WORDS (256 / 8)
#define ANSWER UINT64_C(0x5555555555555555)

struct end {
	struct bench_region home;
	struct evr_ring out, in;
	int side;
};

static void *create(void)
{
	static struct bench_region created;
	struct evr_ring ring;

	bench_region_create(WORDS * 8, BLOCKS_COUNT, 0, &created);
	bench_try(evr_ring_create(created.region, "there", RING_ORDER, &ring));
	bench_try(evr_ring_create(created.region, "back", RING_ORDER, &ring));
	return &created;
}

static void *open_side(void *created, int side)
{
	static struct end end;

	bench_region_open(created, &end.home);
	bench_try(evr_ring_open(end.home.region, side == 0 ? "there" : "back", &end.out));
	bench_try(evr_ring_open(end.home.region, side == 0 ? "back" : "there", &end.in));
	end.side = side;
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

static inline void push(struct end *end, evr_token token)
{
	int error;

	while ((error = evr_ring_try_push(&end->out, &end->home.agent, token)) < 0)
		bench_check(error == -EAGAIN);
}

static inline void pop(struct end *end, struct evr_block *ret)
{
	int error;

	while ((error = evr_ring_try_pop(&end->in, &end->home.agent, ret)) < 0)
		bench_check(error == -EAGAIN);
}

static void ask(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_block block;

	bench_try(evr_block_alloc(&end->home.agent, WORDS * 8, &block));
	for (uint64_t i = first; i < first + count; i++) {
		uint64_t *words = block.payload;

		for (uint64_t k = 0; k < WORDS; k++)
			evr_plain_store_u64(&words[k], i + k);
		push(end, block.token);
		pop(end, &block);
		words = block.payload;
		for (uint64_t k = 0; k < WORDS; k++)
			bench_check(evr_plain_load_u64(&words[k]) == ((i + k) ^ ANSWER));
	}
	bench_try(evr_block_free(&end->home.agent, block.token));
}

static void answer(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;

	for (uint64_t i = first; i < first + count; i++) {
		struct evr_block block;
		uint64_t *words;

		pop(end, &block);
		words = block.payload;
		for (uint64_t k = 0; k < WORDS; k++) {
			bench_check(evr_plain_load_u64(&words[k]) == i + k);
			evr_plain_store_u64(&words[k], (i + k) ^ ANSWER);
		}
		push(end, block.token);
	}
}

const struct bench_subject bench_ring_block[] = {
	{ "roundtrip_block_256", "evering", 1 << 17, create, open_side, { ask, answer },
	  destroy },
	{ 0 },
};
