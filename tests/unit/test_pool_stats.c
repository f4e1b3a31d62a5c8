/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_pool_stats.c - where the blocks of a class are, read off their words. */

#include "fixture.h"

#include <string.h>

static struct evr_pool_class_stats stats_of(const struct peer *peer, uint32_t class_index,
					    struct evr_pool_held *held, uint32_t held_max)
{
	struct evr_pool_class_stats stats = {
		.size = sizeof(stats),
		.held = held,
		.held_max = held_max,
	};

	MUST(evr_pool_stats(peer->pool, class_index, &stats));
	return stats;
}

static uint32_t sum_of(const struct evr_pool_class_stats *stats)
{
	return stats->free + stats->cached + stats->owned + stats->requests +
	       stats->responses + stats->queued + stats->contained + stats->retired +
	       stats->odd;
}

Test(pool_stats, each_block_is_counted_where_it_is_and_nowhere_else)
{
	struct evr_pool_held held[4];
	struct evr_pool_class_stats stats;
	struct evr_block blocks[10];
	struct evr_ring ring;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_ring_create(peer.region, "ring", 4, &ring));
	cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 64, blocks, 10), 10);
	MUST(evr_ring_try_push(&ring, &peer.agent, blocks[0].token));
	MUST(evr_ring_try_push(&ring, &peer.agent, blocks[1].token));
	MUST(evr_ring_try_push(&ring, &peer.agent, blocks[2].token));
	MUST(evr_block_contain(&peer.agent, blocks[3].token, blocks[4].token));
	MUST(evr_block_contain(&peer.agent, blocks[3].token, blocks[5].token));

	stats = stats_of(&peer, 0, held, COUNT_OF(held));
	cr_assert_eq(stats.payload_bytes, 64);
	cr_assert_eq(stats.blocks, 200);
	cr_assert_eq(stats.free, evr_pool_free_count(peer.pool) - 64 - 16);
	cr_assert_eq(stats.queued, 3);
	cr_assert_eq(stats.contained, 2);
	cr_assert_eq(stats.owned, 5);
	cr_assert_eq(stats.cached, 200 - 10 - stats.free);
	cr_assert_eq(sum_of(&stats), 200);
	cr_assert_eq(stats.held_count, 1);
	cr_assert_eq(held[0].queued, 3);
	cr_assert_eq(held[0].owned, 5);
	cr_assert_eq(held[0].cached, stats.cached);

	stats = stats_of(&peer, 1, held, COUNT_OF(held));
	cr_assert_eq(stats.free, 64);
	cr_assert_eq(sum_of(&stats), 64);
	cr_assert_eq(stats.held_count, 0);
	peer_close(&peer);
}

Test(pool_stats, who_has_how_many_is_told_as_far_as_there_is_room)
{
	struct evr_pool_held held[3];
	struct evr_pool_class_stats stats;
	struct peer peers[3];
	uint32_t owned = 0;

	memset(held, 0x5a, sizeof(held));
	peers[0] = pool_peer();
	MUST(evr_agent_open(peers[0].pool, &peers[0].agent));
	peer_attach(&peers[1], &peers[0]);
	peer_attach(&peers[2], &peers[0]);
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t k = 0; k <= i; k++)
			must_alloc(&peers[i].agent, 4096);
	stats = stats_of(&peers[1], 2, held, 2);
	cr_assert_eq(stats.held_count, 3);
	cr_assert_eq(stats.owned, 6);
	cr_assert_eq(held[2].number, 0x5a5a5a5a, "written behind the room there is");
	stats = stats_of(&peers[1], 2, NULL, 0);
	cr_assert_eq(stats.held_count, 3);
	stats = stats_of(&peers[1], 2, held, 3);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(held[i].owned, i + 1);
		owned += held[i].owned;
	}
	cr_assert_eq(owned, stats.owned);
	peer_close(&peers[2]);
	peer_close(&peers[1]);
	peer_close(&peers[0]);
}

Test(pool_stats, an_overwritten_word_is_counted_as_odd)
{
	struct evr_pool_class_stats stats;
	struct peer peer = pool_peer();

	MUST(evr_agent_open(peer.pool, &peer.agent));
	evr_store_relaxed_u64(&evri_block_at(&peer.agent, 7)->word, UINT64_MAX);
	stats = stats_of(&peer, 0, NULL, 0);
	cr_assert_eq(stats.odd, 1);
	peer_close(&peer);
}

Test(pool_stats, wrong_questions_are_the_callers_mistake)
{
	struct evr_pool_class_stats stats = { .size = sizeof(stats) };
	struct peer peer = pool_peer();

	FAILS(-EINVAL, evr_pool_stats(peer.pool, COUNT_OF(fixture_classes), &stats));
	stats.size = 0;
	FAILS(-EINVAL, evr_pool_stats(peer.pool, 0, &stats));
	stats.size = sizeof(stats) + 8;
	FAILS(-E2BIG, evr_pool_stats(peer.pool, 0, &stats));
	peer_close(&peer);
}
