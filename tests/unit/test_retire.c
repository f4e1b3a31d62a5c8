/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_retire.c - the pages of free blocks go back to the machine, and come again. */

#include "fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "pool_internal.h"

#define LARGE   (UINT64_C(64) << 10)
#define BLOCKS  20
#define PUNCHED (BLOCKS * (LARGE - 4096)) /* no payload begins at a page's start */

/* 8 small blocks from the beginning, and 20 of 64 KiB in a range of their own. */
static struct peer with_range(uint32_t *ret_range)
{
	struct evr_region_options options = {
		.size = sizeof(options),
		.bytes = UINT64_C(1) << 20,
		.bytes_max = UINT64_C(8) << 20,
		.participants = 8,
	};
	struct evr_pool_class classes[] = {
		{ .payload_bytes = 64, .blocks_count = 8 },
		{ .payload_bytes = LARGE, .blocks_count = 1 },
	};
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = classes,
		.classes_count = 2,
		.batch_count = 4,
	};
	struct evr_range_options range = {
		.size = sizeof(range),
		.bytes = UINT64_C(2) << 20,
	};
	struct peer peer = { 0 };

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_region_grow(peer.region, &range, ret_range));
	return peer;
}

static int put_blocks(struct peer *peer, uint32_t blocks, uint32_t range)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = LARGE,
		.blocks_count = blocks,
		.range = range,
	};

	return evr_pool_grow(peer->pool, &growth);
}

/* Bytes of the range that have pages, by the kernel's account of the file. */
static uint64_t bytes_real(const struct peer *peer)
{
	struct stat status;

	cr_assert_eq(fstat(evr_region_fd(peer->region), &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static struct peer with_blocks(uint32_t *ret_range)
{
	struct peer peer = with_range(ret_range);

	MUST(put_blocks(&peer, BLOCKS, *ret_range));
	return peer;
}

static uint32_t take_large(struct peer *peer, struct evr_block *blocks, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && evr_block_alloc(&peer->agent, LARGE, &blocks[count]) == 0) {
		memset(blocks[count].payload, (int)count, LARGE);
		count++;
	}
	return count;
}

static void give_large(struct peer *peer, const struct evr_block *blocks, uint32_t count)
{
	while (count > 0)
		MUST(evr_block_free(&peer->agent, blocks[--count].token));
	evr_agent_flush(&peer->agent);
}

Test(retire, pages_go_back_and_prefixes_stay)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	uint64_t before = bytes_real(&peer);
	struct evr_block blocks[BLOCKS + 1];
	uint64_t bytes;

	give_large(&peer, blocks, take_large(&peer, blocks, BLOCKS + 1));
	MUST(evr_pool_retire(&peer.agent, range, &bytes));
	cr_assert_eq(bytes, PUNCHED);
	cr_assert_eq(before - bytes_real(&peer), PUNCHED);
	cr_assert_eq(evr_pool_blocks(peer.pool), 9);
	cr_assert_eq(take_large(&peer, blocks, BLOCKS + 1), 1, "the one in range 0");
	FAILS(-ESTALE, evr_block_free(&peer.agent, blocks[5].token));
	MUST(evr_pool_retire(&peer.agent, range, &bytes));
	cr_assert_eq(bytes, 0, "nothing is left to give back");
	peer_close(&peer);
}

Test(retire, a_report_tells_what_was_given_back_and_leaves_it)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	uint64_t before = bytes_real(&peer);
	struct evr_report *report;

	MUST(evr_pool_retire(&peer.agent, range, NULL));
	MUST(evr_region_report(peer.region, &report));
	cr_assert_eq(report->ranges[range].returned_bytes, PUNCHED);
	cr_assert_eq(report->ranges[range].absent_bytes, 0);
	cr_assert_eq(report->ranges[0].returned_bytes, 0);
	cr_assert_eq(before - bytes_real(&peer), PUNCHED, "looking brings nothing back");
	evr_region_report_destroy(report);
	MUST(put_blocks(&peer, BLOCKS, range));
	MUST(evr_region_report(peer.region, &report));
	cr_assert_eq(report->ranges[range].returned_bytes, 0);
	evr_region_report_destroy(report);
	peer_close(&peer);
}

Test(retire, growing_makes_the_same_blocks_serve_again)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	uint64_t before = bytes_real(&peer);
	struct evr_block old[BLOCKS + 1], blocks[BLOCKS + 1];
	uint64_t next_chunk = evr_load_relaxed_u64(&peer.pool->shared->next_chunk);

	for (int round = 0; round < 3; round++) {
		cr_assert_eq(take_large(&peer, old, BLOCKS + 1), BLOCKS + 1);
		give_large(&peer, old, BLOCKS + 1);
		MUST(evr_pool_retire(&peer.agent, range, NULL));
		MUST(put_blocks(&peer, BLOCKS - 3, range));
		cr_assert_eq(bytes_real(&peer), before, "real before anybody has them");
		cr_assert_eq(evr_pool_blocks(peer.pool), BLOCKS + 9);
		cr_assert_eq(take_large(&peer, blocks, BLOCKS + 1), BLOCKS + 1);
		for (int i = 0; i <= BLOCKS; i++)
			FAILS(-ESTALE, evr_block_free(&peer.agent, old[i].token));
		give_large(&peer, blocks, BLOCKS + 1);
	}
	cr_assert_eq(evr_load_relaxed_u64(&peer.pool->shared->next_chunk), next_chunk,
		     "no numbers were used up");
	peer_close(&peer);
}

Test(retire, a_range_with_a_block_in_use_is_left_alone)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct evr_block blocks[BLOCKS + 1];

	cr_assert_eq(take_large(&peer, blocks, BLOCKS + 1), BLOCKS + 1);
	for (int i = 0; i < BLOCKS; i++)
		MUST(evr_block_free(&peer.agent, blocks[i].token));
	FAILS(-EBUSY, evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_not_null(strstr(evr_error_detail(), "1 blocks of range"), "%s",
			   evr_error_detail());
	cr_assert_eq(((uint8_t *)blocks[BLOCKS].payload)[LARGE - 1], BLOCKS);
	cr_assert_eq(evr_pool_blocks(peer.pool), BLOCKS + 9);
	MUST(evr_block_free(&peer.agent, blocks[BLOCKS].token));
	MUST(evr_pool_retire(&peer.agent, range, NULL));
	peer_close(&peer);
}

Test(retire, of_several_extents_all_go_or_none)
{
	uint32_t range;
	struct peer peer = with_range(&range);
	struct evr_block blocks[8];
	uint64_t bytes;

	MUST(put_blocks(&peer, 5, range));
	MUST(put_blocks(&peer, 6, range));
	cr_assert_eq(take_large(&peer, blocks, 8), 8);
	give_large(&peer, blocks, 7);
	FAILS(-EBUSY, evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_eq(evr_pool_free_count(peer.pool), 8 + 1 + 5 + 6 - 1);
	MUST(evr_block_free(&peer.agent, blocks[7].token));
	MUST(evr_pool_retire(&peer.agent, range, &bytes));
	cr_assert_eq(bytes, 11 * (LARGE - 4096));
	peer_close(&peer);
}

Test(retire, what_cannot_be_retired_says_why)
{
	uint32_t range;
	struct peer peer = with_range(&range);
	struct evr_pool_growth small = {
		.size = sizeof(small),
		.payload_bytes = 64,
		.blocks_count = 100,
		.range = range,
	};

	FAILS(-EINVAL, evr_pool_retire(&peer.agent, EVR_RANGES_MAX, NULL));
	FAILS(-ENOENT, evr_pool_retire(&peer.agent, range, NULL));
	FAILS(-ENOENT, evr_pool_retire(&peer.agent, 0, NULL));
	MUST(evr_pool_grow(peer.pool, &small));
	FAILS(-EOPNOTSUPP, evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_not_null(strstr(evr_error_detail(), "whole page"));
	cr_assert_eq(evr_pool_blocks(peer.pool), 109);
	peer_close(&peer);
}

Test(retire, every_agent_acknowledges_first)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct peer other = { 0 };
	struct evr_block block;
	uint64_t before = bytes_real(&peer);

	peer_attach(&other, &peer);
	for (int i = 0; i < 3; i++)
		FAILS(-EAGAIN, evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_not_null(strstr(evr_error_detail(), "has not acknowledged"));
	cr_assert_eq(bytes_real(&peer), before);
	/* Out of use they are at once, for everybody. */
	MUST(evr_block_alloc(&other.agent, LARGE, &block));
	MUST(evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_eq(before - bytes_real(&peer), PUNCHED);
	MUST(evr_block_free(&other.agent, block.token));
	peer_close(&other);
	peer_close(&peer);
}

Test(retire, an_agent_that_was_opened_later_has_nothing_to_acknowledge)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct peer other = { 0 }, late = { 0 };

	peer_attach(&other, &peer);
	FAILS(-EAGAIN, evr_pool_retire(&peer.agent, range, NULL));
	peer_attach(&late, &peer);
	FAILS(-EAGAIN, evr_pool_retire(&peer.agent, range, NULL));
	peer_close(&other);
	MUST(evr_pool_retire(&peer.agent, range, NULL));
	peer_close(&late);
	peer_close(&peer);
}

Test(retire, growing_takes_back_what_was_not_acknowledged)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct peer other = { 0 };
	struct evr_block blocks[BLOCKS + 1];

	peer_attach(&other, &peer);
	FAILS(-EAGAIN, evr_pool_retire(&peer.agent, range, NULL));
	MUST(put_blocks(&peer, BLOCKS, range));
	cr_assert_eq(take_large(&peer, blocks, BLOCKS + 1), BLOCKS + 1);
	peer_close(&other);
	peer_close(&peer);
}

static void stop_with_an_agent(struct peer *peer, void *unused)
{
	(void)peer;
	(void)unused;
	raise(SIGSTOP);
	pause();
}

Test(retire, a_stopped_one_keeps_the_pages_until_it_dies)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	uint64_t before = bytes_real(&peer);
	pid_t child = peer_child(&peer, stop_with_an_agent, NULL);
	int status;

	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status));
	FAILS(-EAGAIN, evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_eq(bytes_real(&peer), before);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	MUST(evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_eq(before - bytes_real(&peer), PUNCHED);
	peer_close(&peer);
}

/* Dies with some blocks of the range RETIRED, and the range still serving. */
static void die_half_way(struct peer *peer, void *unused)
{
	uint32_t extent = evri_pool_chunks(peer->pool) - 1;

	(void)unused;
	CHILD_MUST(evri_chunk_take(&peer->agent, extent, 7, EVR_BLOCK_RETIRED) != 0);
}

Test(retire, what_one_who_died_half_way_had_taken_comes_back)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct evr_recovery_stats stats;

	killed_child(&peer, die_half_way, NULL);
	FAILS(-EBUSY, evr_pool_retire(&peer.agent, range, NULL));
	MUST(evr_recover(&peer.agent, &stats));
	cr_assert_eq(stats.freed, 7);
	cr_assert_eq(evr_pool_free_count(peer.pool), BLOCKS + 9);
	MUST(evr_pool_retire(&peer.agent, range, NULL));
	peer_close(&peer);
}

static void die_after_retiring(struct peer *peer, void *range)
{
	int error = evr_pool_retire(&peer->agent, *(uint32_t *)range, NULL);

	CHILD_MUST(error == -EAGAIN);
}

Test(retire, what_one_who_died_after_it_had_retired_stays_retired)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	uint64_t before = bytes_real(&peer);
	struct evr_recovery_stats stats;

	killed_child(&peer, die_after_retiring, &range);
	MUST(evr_recover(&peer.agent, &stats));
	cr_assert_eq(stats.finished, 1);
	cr_assert_eq(evr_pool_blocks(peer.pool), 9);
	cr_assert_eq(evr_pool_free_count(peer.pool), 9, "recovery leaves them alone");
	MUST(evr_pool_retire(&peer.agent, range, NULL));
	cr_assert_eq(before - bytes_real(&peer), PUNCHED);
	peer_close(&peer);
}

/* Who owns a step of the kernel's may be in it: nobody goes on before it is dead. */
Test(retire, a_step_is_taken_over_from_the_dead_only)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct peer other = { 0 };
	struct evr_atomic_u64 *word;

	MUST(evr_pool_retire(&peer.agent, range, NULL));
	word = peer.pool->spans[evr_load_relaxed_u32(&peer.pool->spans_count) - 1].word;
	peer_attach(&other, &peer);
	for (uint32_t state = EVR_EXTENT_PUNCHING; state <= EVR_EXTENT_REVIVING;
	     state += EVR_EXTENT_REVIVING - EVR_EXTENT_PUNCHING) {
		evr_store_relaxed_u64(
			word, evri_extent_word(state, evr_region_number(other.region)));
		FAILS(-ENOSPC, put_blocks(&peer, BLOCKS, range));
		if (state == EVR_EXTENT_PUNCHING)
			FAILS(-EBUSY, evr_pool_retire(&peer.agent, range, NULL));
	}
	evr_store_relaxed_u64(word,
			      evri_extent_word(EVR_EXTENT_REVIVING, UINT32_C(4000)));
	MUST(put_blocks(&peer, BLOCKS, range));
	cr_assert_eq(evr_pool_blocks(peer.pool), BLOCKS + 9);
	peer_close(&other);
	peer_close(&peer);
}

Test(retire, one_who_only_reads_sees_it_and_cannot_change_it)
{
	uint32_t range;
	struct peer peer = with_blocks(&range);
	struct evr_region *reader;
	struct evr_pool *pool;
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = LARGE,
		.blocks_count = 1,
		.range = range,
	};

	MUST(evr_pool_retire(&peer.agent, range, NULL));
	MUST(evr_region_attach_read_only(evr_region_fd(peer.region), &reader));
	MUST(evr_pool_open(reader, &pool));
	cr_assert_eq(evr_pool_blocks(pool), 9);
	FAILS(-EROFS, evr_pool_grow(pool, &growth));
	evr_pool_close(pool);
	evr_region_detach(reader);
	peer_close(&peer);
}
