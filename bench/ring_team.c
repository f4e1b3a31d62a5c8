/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Several senders and receivers at one MPMC ring. What crosses is a block, which belongs
 * to somebody at any moment: the sender takes it from the pool and writes the item into
 * it, the receiver reads it and gives it back. (The peers' values are made of nothing and
 * vanish: alloc and free are in our figure, and have no counterpart in theirs.)
 */
#include "peer.h"
#include "region.h"

#include <evering/ring.h>

#define RING_ORDER 10
#define BLOCKS_COUNT 8192

struct end {
	struct bench_region home;
	struct evr_ring ring;
};

static void *create(void)
{
	static struct bench_region created;
	struct evr_ring ring;

	bench_region_create(64, BLOCKS_COUNT, 0, &created);
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

static void send_all(void *opened, uint64_t sender, uint64_t pairs)
{
	struct end *end = opened;
	struct evr_agent *agent = &end->home.agent;
	uint64_t sum = 0, number = 0;

	(void)pairs;
	while (!team_stopped()) {
		uint64_t item = team_item(sender, number);
		struct evr_block block;
		uint32_t failures = 0;
		int error;

		error = evr_block_alloc(agent, 64, &block);
		if (EVR_UNLIKELY(error < 0)) {
			bench_check(error == -ENOSPC);
			sched_yield();
			continue;
		}
		evr_plain_store_u64(block.payload, item);
		while ((error = evr_ring_try_push(&end->ring, agent, block.token)) < 0) {
			bench_check(error == -EAGAIN);
			if (EVR_UNLIKELY(team_stopped()))
				goto done; /* recovery finds the block */
			team_wait(&failures);
		}
		sum += team_fingerprint(item);
		number++;
	}
done:
	team_sender_ends(sender, number, sum);
}

static void take_all(void *opened, uint64_t receiver, uint64_t pairs)
{
	struct end *end = opened;
	struct evr_agent *agent = &end->home.agent;
	uint64_t last[BENCH_PAIRS_MAX] = { 0 };
	uint64_t sum = 0, count = 0;
	uint32_t failures = 0;

	for (;;) {
		bool ending = evr_load_acquire_u64(&bench_team->senders_left) == 0;
		struct evr_block block;
		uint64_t item;
		int error = evr_ring_try_pop(&end->ring, agent, &block);

		if (EVR_UNLIKELY(error < 0)) {
			bench_check(error == -EAGAIN);
			if (ending)
				break;
			team_wait(&failures);
			continue;
		}
		failures = 0;
		item = evr_plain_load_u64(block.payload);
		team_verify(item, pairs, last);
		sum += team_fingerprint(item);
		count++;
		bench_check(evr_block_free(agent, block.token) == 0);
	}
	team_receiver_ends(receiver, pairs, count, sum);
}

const struct bench_subject bench_ring_team[] = {
	{ "mpmc_4p4c", "evering", 0, create, open_side, { send_all, take_all }, destroy,
	  .pairs = 4 },
	{ "mpmc_8p8c", "evering", 0, create, open_side, { send_all, take_all }, destroy,
	  .pairs = 8 },
	{ 0 },
};
