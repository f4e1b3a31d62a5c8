/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Blocks through a ring, one a call: a stream, and there and back. The ring is for many
 * at either side, or has one pusher and one popper.
 *
 * A pop makes the block the taker's own, so blocks run out on the sender's side. The
 * stream therefore goes in rounds, one way through one ring and back through the other;
 * no alloc and no free is in the figure.
 *
 * Compiled once as it is, and again by ring_VARIANT.c with something left out.
 */
#include "region.h"

#include <evering/ring.h>
#include <evering/ring_role.h>

#ifndef BENCH_LIST
#define BENCH_LIST bench_ring
#define BENCH_NAME "evering"
#endif

#define RING_ORDER 10
#define ROUND 4096

struct end {
	struct bench_region home;
	struct evr_ring out, in;
	int side;
	bool order_known;
	evr_token tokens[ROUND];
	uint32_t order[ROUND]; /* the indices, as the sender sends them every time */
};

static void *create_with(uint32_t flags)
{
	static struct bench_region created;
	struct evr_ring_options options = {
		.size = sizeof(options),
		.order = RING_ORDER,
		.flags = flags,
	};
	struct evr_ring ring;

	bench_region_create(64, ROUND, 0, &created);
	options.name = "there";
	bench_try(evr_ring_create_with(created.region, &options, &ring));
	options.name = "back";
	bench_try(evr_ring_create_with(created.region, &options, &ring));
	return &created;
}

static void *create(void)
{
	return create_with(0);
}

static void *create_single(void)
{
	return create_with(EVR_RING_SINGLE_PUSHER | EVR_RING_SINGLE_POPPER);
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
	if (evr_ring_flags(&end.out)) {
		bench_try(evr_ring_take_role(&end.out, &end.home.agent,
					     EVR_RING_PUSHER));
		bench_try(evr_ring_take_role(&end.in, &end.home.agent, EVR_RING_POPPER));
	}
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

/* The variant that does not mark blocks has no owners to ask: it uses what is below. */
#define INLINE static inline __attribute__((always_inline))

INLINE void push(struct end *end, evr_token token, bool pause)
{
	struct evr_backoff backoff = { 0 };
	int error;

	for (;;) {
#ifdef BENCH_NO_MARK
		error = evri_ring_push(&end->out, evr_token_wire(token));
#else
		error = evr_ring_try_push(&end->out, &end->home.agent, token);
#endif
		if (EVR_LIKELY(error == 0))
			return;
		bench_check(error == -EAGAIN);
		if (pause)
			evr_backoff_wait(&backoff);
	}
}

INLINE evr_token pop(struct end *end, bool pause)
{
	struct evr_backoff backoff = { 0 };
	int error;

	for (;;) {
#ifdef BENCH_NO_MARK
		uint32_t index;
		uint64_t word;

		error = evri_ring_pop(&end->in, &end->home.agent, true, NULL, 0,
					   &index, &word);
		if (EVR_LIKELY(error == 0))
			return evr_token_make(end->home.agent.tag, index, word);
#else
		struct evr_block block;

		error = evr_ring_try_pop(&end->in, &end->home.agent, &block);
		if (EVR_LIKELY(error == 0))
			return block.token;
#endif
		bench_check(error == -EAGAIN);
		if (pause)
			evr_backoff_wait(&backoff);
	}
}

static void send_round(struct end *end)
{
	for (uint32_t i = 0; i < ROUND; i++)
		push(end, end->tokens[i], true);
}

static void take_round(struct end *end)
{
	for (uint32_t i = 0; i < ROUND; i++) {
		end->tokens[i] = pop(end, true);
		if (EVR_UNLIKELY(!end->order_known))
			end->order[i] = evr_token_index(end->tokens[i]);
		bench_check(evr_token_index(end->tokens[i]) == end->order[i]);
	}
	end->order_known = true;
}

static void stream(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;

	(void)first;
	bench_check(count % (2 * ROUND) == 0);
	for (uint64_t round = 0; round < count / ROUND; round++) {
		if ((round & 1) == (uint64_t)end->side)
			send_round(end);
		else
			take_round(end);
	}
}

static void there_and_back(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	evr_token token = end->tokens[0];

	for (uint64_t i = first; i < first + count; i++) {
		evr_token sent = token;

		if (end->side == 0)
			push(end, token, false);
		token = pop(end, false);
		if (sent.raw != 0)
			bench_check(evr_token_index(token) == evr_token_index(sent));
#ifndef BENCH_NO_MARK
		/* Two holders later, whichever side looks. */
		if (sent.raw != 0)
			bench_check(evr_token_generation(token) ==
				    ((evr_token_generation(sent) + 2) &
				     EVR_TOKEN_GENERATION_MASK));
#endif
		if (end->side == 1)
			push(end, token, false);
	}
	end->tokens[0] = token;
}

const struct bench_subject BENCH_LIST[] = {
	{ "mpmc_1p1c", BENCH_NAME, 1 << 20, create, open_side, { stream, stream },
	  destroy },
	{ "mpmc_1p1c", BENCH_NAME ":sp_sc", 1 << 20, create_single, open_side,
	  { stream, stream }, destroy },
	{ "roundtrip_8", BENCH_NAME, 1 << 17, create, open_side,
	  { there_and_back, there_and_back }, destroy },
	{ "roundtrip_8", BENCH_NAME ":sp_sc", 1 << 17, create_single, open_side,
	  { there_and_back, there_and_back }, destroy },
	{ 0 },
};
