/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Blocks through the MPMC ring in bursts: a stream, in rounds there and back, as ring.c
 * has it for single ones. The blocks that carry bursts come from the pusher's magazine
 * and go into the popper's; that is in the figure.
 */
#include "region.h"

#include <evering/ring_burst.h>

#define RING_ORDER 10
#define ROUND 4096
#define BURST_MAX 32

struct end {
	struct bench_region home;
	struct evr_ring out, in;
	int side;
	bool order_known;
	evr_token tokens[ROUND];
	uint32_t order[ROUND]; /* the indices, as the sender sends them every time */
};

static void *create(void)
{
	static struct bench_region created;
	static const struct evr_pool_class classes[] = {
		{ 64, ROUND + 1024 },
		{ 256, 1024 },
	};
	struct evr_ring ring;

	bench_region_create_classes(classes, 2, 0, &created);
	bench_try(evr_ring_create(created.region, "there", RING_ORDER, &ring));
	bench_try(evr_ring_create(created.region, "back", RING_ORDER, &ring));
	return &created;
}

static void *open_side(void *created, int side)
{
	static struct end end;
	struct evr_region *region;
	struct evr_block block = { 0 };

	bench_region_open(created, &end.home);
	region = end.home.region;
	bench_try(evr_ring_open(region, side == 0 ? "there" : "back", &end.out));
	bench_try(evr_ring_open(region, side == 0 ? "back" : "there", &end.in));
	end.side = side;
	for (uint32_t i = 0; side == 0 && i < ROUND; i++) {
		bench_try(evr_block_alloc(&end.home.agent, 64, &block));
		end.tokens[i] = block.token;
		end.order[i] = evr_token_index(block.token);
	}
	end.order_known = side == 0;
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

#define INLINE static inline __attribute__((always_inline))

INLINE void send_round(struct end *end, uint32_t burst)
{
	struct evr_backoff backoff = { 0 };

	for (uint32_t i = 0; i < ROUND;) {
		int pushed = evr_ring_try_push_burst(&end->out, &end->home.agent,
						     end->tokens + i, burst);

		if (EVR_LIKELY(pushed > 0)) {
			i += (uint32_t)pushed;
			backoff.pauses = 0;
			continue;
		}
		bench_check(pushed == -EAGAIN);
		evr_backoff_wait(&backoff);
	}
}

INLINE void take_round(struct end *end, uint32_t burst)
{
	struct evr_backoff backoff = { 0 };
	struct evr_block blocks[BURST_MAX];

	for (uint32_t i = 0; i < ROUND;) {
		int popped = evr_ring_try_pop_burst(&end->in, &end->home.agent, blocks,
						    burst);

		if (popped < 0) {
			bench_check(popped == -EAGAIN);
			evr_backoff_wait(&backoff);
			continue;
		}
		backoff.pauses = 0;
		for (int k = 0; k < popped; k++, i++) {
			end->tokens[i] = blocks[k].token;
			if (EVR_UNLIKELY(!end->order_known))
				end->order[i] = evr_token_index(end->tokens[i]);
			bench_check(evr_token_index(end->tokens[i]) == end->order[i]);
		}
	}
	end->order_known = true;
}

INLINE void stream(struct end *end, uint64_t count, uint32_t burst)
{
	bench_check(count % (2 * ROUND) == 0);
	for (uint64_t round = 0; round < count / ROUND; round++) {
		if ((round & 1) == (uint64_t)end->side)
			send_round(end, burst);
		else
			take_round(end, burst);
	}
}

static void stream_8(void *end, uint64_t first, uint64_t count)
{
	(void)first;
	stream(end, count, 8);
}

static void stream_32(void *end, uint64_t first, uint64_t count)
{
	(void)first;
	stream(end, count, 32);
}

const struct bench_subject bench_ring_burst[] = {
	{ "mpmc_burst_8", "evering", 1 << 21, create, open_side, { stream_8, stream_8 },
	  destroy },
	{ "mpmc_burst_32", "evering", 1 << 21, create, open_side,
	  { stream_32, stream_32 }, destroy },
	{ 0 },
};
