/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A request of 64 bytes is answered in place: alloc, fill, submit; receive, check,
 * answer, complete; reap, check, free. All busy, by try_ calls.
 *
 * Beside it the same over two bare rings. They know no home (where the answer goes), no
 * state (request, response) and no window: the difference is what these cost.
 */
#include "region.h"

#include <evering/channel.h>
#include <evering/ring.h>

#define RING_ORDER 10
#define BLOCKS_COUNT 4096
#define WORDS 8
#define ANSWER UINT64_C(0x5555555555555555)

struct end {
	struct bench_region home;
	struct evr_uring *uring;
	struct evr_submitter *submitter;
	struct evr_completer *completer;
	struct evr_ring out, in;
};

static void *create(void)
{
	static struct bench_region created;
	struct evr_uring *uring;

	bench_region_create(WORDS * 8, BLOCKS_COUNT, 0, &created);
	bench_try(evr_uring_create(created.pool, NULL, &uring));
	evr_uring_close(uring);
	return &created;
}

static void *open_side(void *created, int side)
{
	static struct end end;
	struct evr_agent *agent = &end.home.agent;

	bench_region_open(created, &end.home);
	bench_try(evr_uring_open(end.home.pool, NULL, 0, 0, &end.uring));
	if (side == 0)
		bench_try(evr_submitter_open(end.uring, agent, NULL, &end.submitter));
	else
		bench_try(evr_completer_open(end.uring, agent, NULL, &end.completer));
	return &end;
}

static void *rings_create(void)
{
	static struct bench_region created;
	struct evr_ring ring;

	bench_region_create(WORDS * 8, BLOCKS_COUNT, 0, &created);
	bench_try(evr_ring_create(created.region, "there", RING_ORDER, &ring));
	bench_try(evr_ring_create(created.region, "back", RING_ORDER, &ring));
	return &created;
}

static void *rings_open(void *created, int side)
{
	static struct end end;
	struct evr_region *region;

	bench_region_open(created, &end.home);
	region = end.home.region;
	bench_try(evr_ring_open(region, side == 0 ? "there" : "back", &end.out));
	bench_try(evr_ring_open(region, side == 0 ? "back" : "there", &end.in));
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

static inline void fill(void *payload, uint64_t number)
{
	uint64_t *words = payload;

	for (uint64_t k = 0; k < WORDS; k++)
		evr_plain_store_u64(&words[k], number + k);
}

static inline void check(const void *payload, uint64_t number)
{
	const uint64_t *words = payload;

	for (uint64_t k = 0; k < WORDS; k++)
		bench_check(evr_plain_load_u64(&words[k]) == number + k);
}

/* Sends request @number if it can be sent now. */
static inline void submit_one(struct end *end, uint64_t number)
{
	struct evr_request request = { .operation = number, .length_bytes = WORDS * 8 };

	bench_check(evr_block_alloc(&end->home.agent, WORDS * 8, &request.block) == 0);
	fill(request.block.payload, number);
	bench_check(evr_submitter_try_submit(end->submitter, &request) == 0);
}

static inline void reap_one(struct end *end, uint64_t number)
{
	struct evr_completion completion;
	int error;

	while ((error = evr_submitter_try_reap(end->submitter, &completion)) < 0)
		bench_check(error == -EAGAIN);
	bench_check(completion.operation == number && completion.status == 0);
	check(completion.block.payload, number ^ ANSWER);
	bench_check(evr_block_free(&end->home.agent, completion.block.token) == 0);
}

static inline __attribute__((always_inline)) void
submit_all(struct end *end, uint64_t first, uint64_t count, uint64_t window)
{
	for (uint64_t i = 0; i < count + window; i++) {
		if (i >= window)
			reap_one(end, first + i - window);
		if (i < count)
			submit_one(end, first + i);
	}
}

static void submit_1(void *opened, uint64_t first, uint64_t count)
{
	submit_all(opened, first, count, 1);
}

static void submit_8(void *opened, uint64_t first, uint64_t count)
{
	submit_all(opened, first, count, 8);
}

static void complete_all(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_request request;
	int error;

	for (uint64_t i = first; i < first + count; i++) {
		while ((error = evr_completer_try_receive(end->completer, &request)) < 0)
			bench_check(error == -EAGAIN);
		bench_check(request.operation == i && request.length_bytes == WORDS * 8);
		check(request.block.payload, i);
		fill(request.block.payload, i ^ ANSWER);
		bench_check(evr_completer_complete(end->completer, request.block.token, 0,
						   WORDS * 8) == 0);
	}
}

static inline void rings_push(struct end *end, evr_token token)
{
	bench_check(evr_ring_try_push(&end->out, &end->home.agent, token) == 0);
}

static inline void rings_pop(struct end *end, struct evr_block *ret)
{
	int error;

	while ((error = evr_ring_try_pop(&end->in, &end->home.agent, ret)) < 0)
		bench_check(error == -EAGAIN);
}

static inline __attribute__((always_inline)) void
rings_ask(struct end *end, uint64_t first, uint64_t count, uint64_t window)
{
	struct evr_block block;

	for (uint64_t i = 0; i < count + window; i++) {
		if (i >= window) {
			rings_pop(end, &block);
			check(block.payload, (first + i - window) ^ ANSWER);
			bench_check(evr_block_free(&end->home.agent, block.token) == 0);
		}
		if (i < count) {
			bench_try(evr_block_alloc(&end->home.agent, WORDS * 8, &block));
			fill(block.payload, first + i);
			rings_push(end, block.token);
		}
	}
}

static void rings_ask_1(void *opened, uint64_t first, uint64_t count)
{
	rings_ask(opened, first, count, 1);
}

static void rings_ask_8(void *opened, uint64_t first, uint64_t count)
{
	rings_ask(opened, first, count, 8);
}

static void rings_answer(void *opened, uint64_t first, uint64_t count)
{
	struct end *end = opened;
	struct evr_block block;

	for (uint64_t i = first; i < first + count; i++) {
		rings_pop(end, &block);
		check(block.payload, i);
		fill(block.payload, i ^ ANSWER);
		rings_push(end, block.token);
	}
}

const struct bench_subject bench_channel[] = {
	{ "channel_roundtrip_64", "evering", 1 << 17, create, open_side,
	  { submit_1, complete_all }, destroy },
	{ "channel_roundtrip_64", "evering:no-home", 1 << 17, rings_create, rings_open,
	  { rings_ask_1, rings_answer }, destroy },
	{ "channel_window_8", "evering", 1 << 19, create, open_side,
	  { submit_8, complete_all }, destroy },
	{ "channel_window_8", "evering:no-home", 1 << 19, rings_create, rings_open,
	  { rings_ask_8, rings_answer }, destroy },
	{ 0 },
};
