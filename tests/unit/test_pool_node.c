/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_pool_node.c - near blocks before far ones. This machine may have one node: ranges
 * are declared to be on nodes here, by writing into their entries what a placement would
 * have written. Real nodes are in tests/vm/near.c.
 */

#include "fixture.h"

#include <evering/cpu.h>

#include "pool_internal.h"

#define RANGES 3
#define CLASS_BYTES 1024
#define EACH 64 /* blocks of the class in each range */
#define ALL (RANGES * EACH)

/* A range and blocks on each of these nodes, bits of a mask each. */
static struct peer peer_on(const uint64_t nodes[RANGES])
{
	struct evr_region_options options = {
		.size = sizeof(options),
		.bytes = UINT64_C(1) << 20,
		.bytes_max = UINT64_C(4) << 20,
	};
	struct evr_pool_class class = { .payload_bytes = CLASS_BYTES,
					.blocks_count = EACH };
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = &class,
		.classes_count = 1,
		.batch_count = 8,
	};
	struct evr_range_options range = { .size = sizeof(range),
					   .bytes = UINT64_C(1) << 20 };
	struct peer peer = { 0 };

	MUST(evr_region_create(&options, &peer.region));
	peer.region->ranges[0].nodes = nodes[0];
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	for (uint32_t i = 1; i < RANGES; i++) {
		struct evr_pool_growth growth = { .size = sizeof(growth),
						  .payload_bytes = CLASS_BYTES,
						  .blocks_count = EACH };

		MUST(evr_region_grow(peer.region, &range, &growth.range));
		peer.region->ranges[growth.range].nodes = nodes[i];
		MUST(evr_pool_grow(peer.pool, &growth));
	}
	return peer;
}

/* Blocks of each range are a chunk, in the order in which they were made. */
static uint32_t range_of_block(const struct evr_block *block)
{
	return evr_token_index(block->token) / EVR_POOL_CHUNK_BLOCKS;
}

/* Takes all; that order of ranges, and -ENOSPC only then. */
static void expect_order(struct peer *peer, const uint32_t order[RANGES])
{
	struct evr_block blocks[ALL + 1];

	for (uint32_t i = 0; i < ALL; i++) {
		MUST(evr_block_alloc(&peer->agent, CLASS_BYTES, &blocks[i]));
		cr_assert_eq(range_of_block(&blocks[i]), order[i / EACH],
			     "block %u came from range %u", i,
			     range_of_block(&blocks[i]));
	}
	FAILS(-ENOSPC, evr_block_alloc(&peer->agent, CLASS_BYTES, &blocks[ALL]));
	for (uint32_t i = 0; i < ALL; i++)
		MUST(evr_block_free(&peer->agent, blocks[i].token));
	evr_agent_flush(&peer->agent);
	cr_assert_eq(evr_pool_free_count(peer->pool), ALL);
}

static void close_peer(struct peer *peer)
{
	evr_agent_close(&peer->agent);
	peer->pool = evr_pool_close(peer->pool);
	peer->region = evr_region_detach(peer->region);
}

static const uint64_t three_nodes[RANGES] = { 1 << 0, 1 << 1, 1 << 2 };

Test(pool_node, own_blocks_come_first_and_the_nearest_others_are_borrowed_next)
{
	struct peer peer = peer_on(three_nodes);

	/* As firmware may tell it, and the kernel of this machine does not. */
	peer.pool->spans[0].distance[1] = 31;
	peer.pool->spans[2].distance[1] = 17;
	peer.pool->spans[0].distance[2] = 17;
	peer.pool->spans[1].distance[2] = 31;
	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_agent_set_node(&peer.agent, 1));
	expect_order(&peer, (uint32_t[]){ 1, 2, 0 });
	cr_assert_eq(evr_agent_borrowed(&peer.agent), 2 * EACH);
	MUST(evr_agent_set_node(&peer.agent, 2));
	expect_order(&peer, (uint32_t[]){ 2, 0, 1 });
	cr_assert_eq(evr_agent_borrowed(&peer.agent), 4 * EACH);
	close_peer(&peer);
}

Test(pool_node, what_is_freed_goes_back_to_its_own_node)
{
	struct peer peer = peer_on(three_nodes);
	struct evr_pool_node_blocks stats = { .size = sizeof(stats) };
	struct evr_block blocks[EACH];
	struct evr_agent other;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_agent_open(peer.pool, &other));
	MUST(evr_agent_set_node(&peer.agent, 1));
	MUST(evr_agent_set_node(&other, 2));
	for (uint32_t i = 0; i < EACH; i++)
		MUST(evr_block_alloc(&peer.agent, CLASS_BYTES, &blocks[i]));
	MUST(evr_pool_node_stats(peer.pool, 0, 1, &stats));
	cr_assert_eq(stats.blocks, EACH);
	cr_assert_eq(stats.free, 0);
	for (uint32_t i = 0; i < EACH; i++)
		MUST(evr_block_free(&other, blocks[i].token));
	evr_agent_flush(&other);
	for (int node = 0; node < RANGES; node++) {
		MUST(evr_pool_node_stats(peer.pool, 0, node, &stats));
		cr_assert_eq(stats.free, EACH, "node %d has %u", node, stats.free);
	}
	evr_agent_close(&other);
	close_peer(&peer);
}

Test(pool_node, what_came_back_is_taken_before_more_is_borrowed)
{
	struct peer peer = peer_on(three_nodes);
	struct evr_block blocks[EACH + 8], again;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_agent_set_node(&peer.agent, 2));
	for (uint32_t i = 0; i < EACH + 8; i++)
		MUST(evr_block_alloc(&peer.agent, CLASS_BYTES, &blocks[i]));
	cr_assert_eq(evr_agent_borrowed(&peer.agent), 8);
	cr_assert_eq(range_of_block(&blocks[7]), 2);
	MUST(evr_block_free(&peer.agent, blocks[7].token));
	evr_agent_flush(&peer.agent);
	MUST(evr_block_alloc(&peer.agent, CLASS_BYTES, &again));
	cr_assert_eq(evr_token_index(again.token), evr_token_index(blocks[7].token));
	cr_assert_eq(evr_agent_borrowed(&peer.agent), 8);
	blocks[7] = again;
	for (uint32_t i = 0; i < EACH + 8; i++)
		MUST(evr_block_free(&peer.agent, blocks[i].token));
	close_peer(&peer);
}

Test(pool_node, blocks_without_a_placement_come_after_own_ones_and_are_not_borrowed)
{
	struct peer peer = peer_on((uint64_t[]){ 1 << 0, 0, 1 << 2 });

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_agent_set_node(&peer.agent, 2));
	expect_order(&peer, (uint32_t[]){ 2, 1, 0 });
	cr_assert_eq(evr_agent_borrowed(&peer.agent), EACH);
	close_peer(&peer);
}

Test(pool_node, an_interleaved_range_is_as_far_as_its_nodes_are_on_average)
{
	struct peer peer = peer_on((uint64_t[]){ 1 << 20, 1 << 20 | 1 << 1, 1 << 1 });

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_agent_set_node(&peer.agent, 1));
	cr_assert_eq(peer.pool->spans[0].distance[1], 20);
	cr_assert_eq(peer.pool->spans[1].distance[1], 15);
	cr_assert_eq(peer.pool->spans[2].distance[1], 10);
	expect_order(&peer, (uint32_t[]){ 2, 1, 0 });
	cr_assert_eq(evr_agent_borrowed(&peer.agent), EACH);
	close_peer(&peer);
}

Test(pool_node, the_node_is_that_of_the_cpu_unless_one_is_asked_for)
{
	uint64_t nodes[RANGES] = { 1 << 8, 1 << 9, 1 << 10 };
	struct peer peer;
	int node;

	MUST(evr_cpu_current(NULL, &node));
	nodes[1] = UINT64_C(1) << node;
	peer = peer_on(nodes);
	MUST(evr_agent_open(peer.pool, &peer.agent));
	expect_order(&peer, (uint32_t[]){ 1, 2, 0 });
	MUST(evr_agent_set_node(&peer.agent, 10));
	expect_order(&peer, (uint32_t[]){ 2, 0, 1 });
	MUST(evr_agent_set_node(&peer.agent, -1));
	expect_order(&peer, (uint32_t[]){ 1, 2, 0 });
	close_peer(&peer);
}

Test(pool_node, another_process_sees_the_same_nodes)
{
	struct peer peer = peer_on(three_nodes);
	struct peer other = { 0 };

	MUST(evr_region_attach(evr_region_fd(peer.region), &other.region));
	MUST(evr_pool_open(other.region, &other.pool));
	MUST(evr_agent_open(other.pool, &other.agent));
	MUST(evr_agent_set_node(&other.agent, 2));
	expect_order(&other, (uint32_t[]){ 2, 0, 1 });
	close_peer(&other);
	close_peer(&peer);
}

Test(pool_node, retired_blocks_of_a_node_are_not_counted)
{
	struct peer peer = peer_on(three_nodes);
	struct evr_pool_node_blocks stats = { .size = sizeof(stats) };
	uint64_t word = evri_extent_word(EVR_EXTENT_RETIRED, 0);

	evr_store_release_u64(peer.pool->spans[1].word, word);
	MUST(evr_pool_node_stats(peer.pool, 0, 1, &stats));
	cr_assert_eq(stats.blocks, 0);
	close_peer(&peer);
}

Test(pool_node, on_one_node_nobody_asks_where_anything_is)
{
	struct peer peer = peer_on((uint64_t[]){ 1 << 1, 1 << 1, 1 << 1 });
	struct evr_pool_node_blocks stats = { .size = sizeof(stats) };

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_agent_set_node(&peer.agent, 0));
	cr_assert_eq(evr_load_relaxed_u32(&peer.pool->scattered), 0);
	expect_order(&peer, (uint32_t[]){ 0, 1, 2 });
	cr_assert_eq(evr_agent_borrowed(&peer.agent), 0);
	MUST(evr_pool_node_stats(peer.pool, 0, 1, &stats));
	cr_assert_eq(stats.blocks, ALL);
	cr_assert_eq(stats.free, ALL);
	MUST(evr_pool_node_stats(peer.pool, 0, -1, &stats));
	cr_assert_eq(stats.blocks, 0);
	close_peer(&peer);
}

Test(pool_node, nodes_that_cannot_be_are_refused)
{
	struct peer peer = peer_on(three_nodes);
	struct evr_pool_node_blocks stats = { .size = sizeof(stats) };
	struct evr_pool_node_blocks newer = { .size = sizeof(newer) + 8 };

	MUST(evr_agent_open(peer.pool, &peer.agent));
	FAILS(-EINVAL, evr_agent_set_node(&peer.agent, -2));
	FAILS(-EINVAL, evr_agent_set_node(&peer.agent, 64));
	MUST(evr_agent_set_node(&peer.agent, 63));
	expect_order(&peer, (uint32_t[]){ 0, 1, 2 });
	FAILS(-EINVAL, evr_pool_node_stats(peer.pool, 0, 64, &stats));
	FAILS(-EINVAL, evr_pool_node_stats(peer.pool, 0, -2, &stats));
	FAILS(-EINVAL, evr_pool_node_stats(peer.pool, 1, 0, &stats));
	FAILS(-E2BIG, evr_pool_node_stats(peer.pool, 0, 0, &newer));
	newer.size = 0;
	FAILS(-EINVAL, evr_pool_node_stats(peer.pool, 0, 0, &newer));
	close_peer(&peer);
}
