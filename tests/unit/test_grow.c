/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_grow.c - a region and its pool grow while others are attached. */

#include "fixture.h"

#include <pthread.h>
#include <sys/wait.h>

#include "pool_internal.h"

#define MIB (UINT64_C(1) << 20)

/* A region of one MiB that may grow to @bytes_max, with a pool of 64 blocks of 1 KiB. */
static struct peer growable(uint64_t bytes_max)
{
	struct evr_region_options options = {
		.size = sizeof(options),
		.bytes = MIB,
		.bytes_max = bytes_max,
		.participants = 8,
	};
	struct evr_pool_class class = { .payload_bytes = 1024, .blocks_count = 64 };
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = &class,
		.classes_count = 1,
	};
	struct peer peer = { 0 };

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	return peer;
}

static int grow(struct evr_region *region, uint64_t bytes, uint32_t *ret)
{
	struct evr_range_options options = { .size = sizeof(options), .bytes = bytes };

	return evr_region_grow(region, &options, ret);
}

static int grow_pool(struct evr_pool *pool, uint32_t blocks, uint32_t range)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = 1024,
		.blocks_count = blocks,
		.range = range,
	};

	return evr_pool_grow(pool, &growth);
}

/* Takes blocks until there are none; returns how many. */
static uint32_t take_all(struct evr_agent *agent, struct evr_block *blocks, uint32_t max)
{
	uint32_t count = 0;

	while (count < max && evr_block_alloc(agent, 1024, &blocks[count]) == 0) {
		memset(blocks[count].payload, (int)count, 1024);
		count++;
	}
	return count;
}

Test(grow, a_region_says_what_it_has_and_what_it_may_have)
{
	struct peer peer = growable(4 * MIB);
	uint32_t range = 77;

	cr_assert_eq(evr_region_bytes(peer.region), MIB);
	cr_assert_eq(evr_region_bytes_max(peer.region), 4 * MIB);
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 1);
	MUST(grow(peer.region, MIB + 1, NULL));
	cr_assert_eq(evr_region_bytes(peer.region), 3 * MIB + 4096);
	FAILS(-ENOSPC, grow(peer.region, MIB, &range));
	cr_assert_not_null(strstr(evr_error_detail(), "may grow by"), "%s",
			   evr_error_detail());
	cr_assert_eq(range, 1, "the result was touched");
	peer_close(&peer);
}

Test(grow, a_region_that_was_not_made_to_grow_says_so)
{
	struct peer peer = growable(0);

	cr_assert_eq(evr_region_bytes_max(peer.region), MIB);
	FAILS(-ENOSPC, grow(peer.region, 4096, NULL));
	peer_close(&peer);
}

Test(grow, options_out_of_range_change_nothing)
{
	struct peer peer = growable(4 * MIB);
	struct evr_range_options options = { .size = sizeof(options), .bytes = 4096 };

	FAILS(-EINVAL, evr_region_grow(peer.region, NULL, NULL));
	FAILS(-EINVAL, grow(peer.region, 0, NULL));
	FAILS(-EINVAL, grow(peer.region, UINT64_MAX, NULL));
	FAILS(-EINVAL, grow(peer.region, 5 * MIB, NULL));
	options.flags = 1U << 31;
	FAILS(-E2BIG, evr_region_grow(peer.region, &options, NULL));
	options.flags = 0;
	options.placement.policy = 99;
	FAILS(-EINVAL, evr_region_grow(peer.region, &options, NULL));
	options.placement.policy = EVR_POLICY_BIND;
	FAILS(-EINVAL, evr_region_grow(peer.region, &options, NULL));
	FAILS(-EINVAL, grow_pool(peer.pool, 64, 1));
	FAILS(-EINVAL, grow_pool(peer.pool, 0, 0));
	cr_assert_eq(evr_region_bytes(peer.region), MIB);
	peer_close(&peer);
}

Test(grow, the_addresses_of_a_range_that_failed_are_used_again)
{
	struct peer peer = growable(4 * MIB);
	struct evr_range_options options = {
		.size = sizeof(options),
		.bytes = 2 * MIB,
		.placement = { .policy = EVR_POLICY_BIND },
	};
	uint32_t range = 0;

	FAILS(-EINVAL, evr_region_grow(peer.region, &options, NULL));
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 1, "range %u", range);
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 2);
	peer_close(&peer);
}

Test(grow, a_pool_gives_out_the_blocks_that_it_was_given)
{
	struct peer peer = growable(4 * MIB);
	struct evr_block blocks[400];
	uint32_t range;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	cr_assert_eq(take_all(&peer.agent, blocks, 400), 64);
	MUST(grow(peer.region, MIB, &range));
	MUST(grow_pool(peer.pool, 200, range));
	cr_assert_eq(evr_pool_blocks(peer.pool), 264);
	cr_assert_eq(take_all(&peer.agent, blocks + 64, 336), 200);
	for (uint32_t i = 0; i < 264; i++) {
		for (uint32_t k = 0; k < 1024; k++)
			cr_assert_eq(((uint8_t *)blocks[i].payload)[k],
				     (uint8_t)(i < 64 ? i : i - 64));
		MUST(evr_block_free(&peer.agent, blocks[i].token));
	}
	evr_agent_flush(&peer.agent);
	cr_assert_eq(evr_pool_free_count(peer.pool), 264);
	peer_close(&peer);
}

Test(grow, a_pool_says_what_is_missing)
{
	struct peer peer = growable(4 * MIB);
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = 2048,
		.blocks_count = 1,
	};

	FAILS(-EINVAL, evr_pool_grow(peer.pool, &growth));
	cr_assert_not_null(strstr(evr_error_detail(), "no class of 2048"));
	FAILS(-ENOSPC, grow_pool(peer.pool, 100000, 0));
	cr_assert_not_null(strstr(evr_error_detail(), "bytes_max"), "%s",
			   evr_error_detail());
	FAILS(-ENOSPC, grow_pool(peer.pool, 2000, 0));
	cr_assert_not_null(strstr(evr_error_detail(), "range 0"), "%s",
			   evr_error_detail());
	peer_close(&peer);
}

Test(grow, a_peer_that_was_attached_before_meets_a_token_from_the_new_range)
{
	struct evr_uring_options uring = { .size = sizeof(uring), .submitters = 1 };
	struct peer peer = growable(4 * MIB);
	struct peer other = { 0 };
	struct evr_submitter *submitter;
	struct evr_completer *completer;
	struct evr_request request = { 0 };
	struct evr_completion done;
	struct evr_block blocks[400];
	uint32_t range;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_uring_create(peer.pool, &uring, &peer.uring));
	peer_attach(&other, &peer);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	MUST(evr_completer_open(other.uring, &other.agent, NULL, &completer));

	MUST(grow(peer.region, MIB, &range));
	MUST(grow_pool(peer.pool, 100, range));
	cr_assert_eq(take_all(&peer.agent, blocks, 400), 164);
	cr_assert_eq(evr_pool_blocks(other.pool), 64, "nobody has told it yet");
	for (uint32_t i = 0; i < 164; i++) {
		request.block = blocks[i];
		request.length_bytes = 1024;
		MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
		MUST(evr_completer_try_receive(completer, &request));
		cr_assert_eq(((uint8_t *)request.block.payload)[1023], (uint8_t)i);
		MUST(evr_completer_complete(completer, request.block.token, 0, 1024));
		MUST(evr_submitter_try_reap(submitter, &done));
		MUST(evr_block_free(&peer.agent, done.block.token));
		evr_agent_flush(&peer.agent);
	}
	cr_assert_eq(evr_pool_blocks(other.pool), 164);
	evr_completer_close(completer);
	evr_submitter_close(submitter);
	peer_close(&other);
	peer_close(&peer);
}

Test(grow, a_peer_whose_class_has_run_out_finds_the_new_blocks)
{
	struct peer peer = growable(4 * MIB);
	struct peer other = { 0 };
	struct evr_block blocks[400];
	uint32_t range;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	peer_attach(&other, &peer);
	cr_assert_eq(take_all(&other.agent, blocks, 400), 64);
	MUST(grow(peer.region, MIB, &range));
	MUST(grow_pool(peer.pool, 70, range));
	cr_assert_eq(take_all(&other.agent, blocks + 64, 336), 70);
	peer_close(&other);
	peer_close(&peer);
}

static void take_from_everywhere(struct peer *peer, void *unused)
{
	struct evr_block blocks[400];

	(void)unused;
	CHILD_MUST(take_all(&peer->agent, blocks, 400) == 164);
}

Test(grow, what_a_dead_one_held_in_a_new_range_comes_back)
{
	struct peer peer = growable(4 * MIB);
	struct peer other = { 0 };
	struct evr_recovery_stats stats;
	uint32_t range;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	/* This one recovers, and has not heard of the extent. */
	peer_attach(&other, &peer);
	MUST(grow(peer.region, MIB, &range));
	MUST(grow_pool(peer.pool, 100, range));
	killed_child(&peer, take_from_everywhere, NULL);
	MUST(evr_recover(&other.agent, &stats));
	cr_assert_eq(stats.finished, 1);
	cr_assert_eq(evr_pool_free_count(peer.pool), 164);
	peer_close(&other);
	peer_close(&peer);
}

/* The one who grows dies in the middle, at each of these steps. */
static void die_over_a_range(struct peer *peer, void *unused)
{
	(void)unused;
	struct evr_range_shared *range = &peer->region->ranges[1];
	uint64_t word = evr_load_relaxed_u64(&range->word);

	CHILD_MUST(evr_cas_acq_rel_u64(&range->word, &word,
				       evri_range_word(EVR_RANGE_BUILDING, 2 * MIB,
						       peer->region->number)));
}

Test(grow, a_range_whose_maker_died_is_taken_over)
{
	struct peer peer = growable(4 * MIB);
	uint32_t range = 0;

	killed_child(&peer, die_over_a_range, NULL);
	cr_assert_eq(evr_region_bytes(peer.region), MIB);
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 2, "it is too large as long as there is room behind it");
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 1);
	cr_assert_eq(evr_region_bytes(peer.region), 4 * MIB, "its size is settled");
	peer_close(&peer);
}

static void stop_over_a_range(struct peer *peer, void *unused)
{
	die_over_a_range(peer, unused);
	raise(SIGSTOP);
	_exit(0);
}

Test(grow, a_range_whose_maker_is_stopped_delays_nobody)
{
	struct peer peer = growable(4 * MIB);
	uint32_t range = 0;
	pid_t child = peer_child(&peer, stop_over_a_range, NULL);
	int status;

	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status));
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 2);
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	MUST(grow(peer.region, MIB, &range));
	cr_assert_eq(range, 1, "what the dead one had taken comes back");
	peer_close(&peer);
}

Test(grow, an_object_can_be_made_in_a_range)
{
	struct peer peer = growable(8 * MIB);
	struct evri_object object;
	uint32_t range;

	MUST(grow(peer.region, 2 * MIB, &range));
	MUST(evri_directory_reserve(peer.region, "there", EVRI_OBJECT_RING, MIB, range,
				    &object));
	cr_assert_eq(object.offset, MIB, "the first range has one MiB");
	MUST(evri_directory_publish(peer.region, &object));
	/* In turn: each range has a place of its own to go on. */
	MUST(evri_directory_reserve(peer.region, "here", EVRI_OBJECT_RING, 4096, 0,
				    &object));
	cr_assert_lt(object.offset, MIB);
	MUST(evri_directory_publish(peer.region, &object));
	MUST(evri_directory_reserve(peer.region, "there too", EVRI_OBJECT_RING, MIB,
				    range, &object));
	cr_assert_eq(object.offset, 2 * MIB);
	FAILS(-ENOSPC, evri_directory_reserve(peer.region, "full", EVRI_OBJECT_RING, 4096,
					      range, &object));
	FAILS(-EINVAL, evri_directory_reserve(peer.region, "nowhere", EVRI_OBJECT_RING,
					      4096, 2, &object));
	MUST(evri_directory_find(peer.region, "there", EVRI_OBJECT_RING, &object));
	cr_assert_eq(object.range, 1);
	peer_close(&peer);
}

/* ---- threads of one process ---- */

struct worker {
	struct peer *peer;
	pthread_t thread;
	uint32_t taken;
};

static void *take_and_give(void *argument)
{
	struct worker *worker = argument;
	struct evr_agent agent;

	if (evr_agent_open(worker->peer->pool, &agent) < 0)
		return NULL;
	for (int round = 0; round < 20000; round++) {
		struct evr_block block;

		if (evr_block_alloc(&agent, 1024, &block) < 0)
			continue;
		memset(block.payload, round, 64);
		if (evr_block_free(&agent, block.token) < 0)
			return NULL;
		worker->taken++;
	}
	evr_agent_close(&agent);
	return worker;
}

Test(grow, threads_work_on_while_the_pool_grows)
{
	struct peer peer = growable(32 * MIB);
	struct worker workers[3];
	struct peer other = { 0 };

	/* Another view does the growing, so that this one has to learn of it. */
	MUST(evr_region_attach(evr_region_fd(peer.region), &other.region));
	MUST(evr_pool_open(other.region, &other.pool));
	for (int i = 0; i < 3; i++) {
		workers[i] = (struct worker){ .peer = &peer };
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, take_and_give,
					    &workers[i]),
			     0);
	}
	for (int i = 0; i < 10; i++) {
		uint32_t range;

		MUST(grow(other.region, MIB, &range));
		MUST(grow_pool(other.pool, 500, range));
	}
	for (int i = 0; i < 3; i++) {
		void *result;

		cr_assert_eq(pthread_join(workers[i].thread, &result), 0);
		cr_assert_not_null(result);
		cr_assert_gt(workers[i].taken, 0);
	}
	cr_assert_eq(evr_pool_free_count(other.pool), 5064);
	peer_close(&other);
	peer_close(&peer);
}

Test(grow, an_extent_that_contradicts_itself_is_left_out)
{
	struct peer peer = growable(4 * MIB);
	struct evr_pool_extent_shared *raw;
	struct evri_object object;
	struct evr_pool *pool;
	struct {
		size_t offset;
		uint64_t value;
	} lies[] = {
		{ offsetof(struct evr_pool_extent_shared, magic), 1 },
		{ offsetof(struct evr_pool_extent_shared, class_index), 9 },
		{ offsetof(struct evr_pool_extent_shared, class_index), 0 },
		{ offsetof(struct evr_pool_extent_shared, chunks_count), 0 },
		{ offsetof(struct evr_pool_extent_shared, chunks_count), UINT64_MAX },
		{ offsetof(struct evr_pool_extent_shared, bitmap_offset), MIB },
		{ offsetof(struct evr_pool_extent_shared, bitmap_offset), 1 },
		{ offsetof(struct evr_pool_extent_shared, blocks_offset), 64 },
		{ offsetof(struct evr_pool_extent_shared, blocks_offset), 1 << 30 },
		{ offsetof(struct evr_pool_extent_shared, payload_bytes), 64 },
	};

	MUST(grow_pool(peer.pool, 64, 0));
	MUST(evri_directory_find(peer.region, "evering.pool+1", EVRI_OBJECT_EXTENT,
				 &object));
	raw = object.address;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint64_t *field = (uint64_t *)((char *)raw + lies[i].offset);
		uint64_t right = *field;

		*field = lies[i].value;
		FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
		*field = right;
	}
	MUST(evr_pool_open(peer.region, &pool));
	cr_assert_eq(evr_pool_blocks(pool), 128);
	evr_pool_close(pool);
	peer_close(&peer);
}

Test(grow, a_table_of_ranges_that_contradicts_itself_is_refused)
{
	struct peer peer = growable(4 * MIB);
	uint64_t words[] = {
		0,
		evri_range_word(EVR_RANGE_READY, 8 * MIB, 0),
		evri_range_word(EVR_RANGE_READY, 0, 0),
		evri_range_word(EVR_RANGE_SPARE, MIB, 0),
		evri_range_word(EVR_RANGE_READY, 4096, 0),
		UINT64_MAX,
	};
	struct evr_region_shared *raw = scribble_map(peer.region);
	struct evr_range_shared *ranges =
		(struct evr_range_shared *)((char *)raw + raw->ranges_offset);
	uint64_t right = evr_load_relaxed_u64(&ranges[0].word);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		evr_store_relaxed_u64(&ranges[0].word, words[i]);
		FAILS(-EUCLEAN, attach_to(evr_region_fd(peer.region)));
	}
	evr_store_relaxed_u64(&ranges[0].word, right);
	MUST(attach_to(evr_region_fd(peer.region)));
	peer_close(&peer);
}

static void lies_in_range(struct evr_region *region, const char *name, uint32_t kind,
			  uint32_t range)
{
	struct evri_range_cursor cursor = { 0 };
	struct evri_object object;
	struct evri_range found;

	MUST(evri_directory_find(region, name, kind, &object));
	while (evri_range_next(region, &cursor, &found) && found.index < range)
		;
	cr_assert_eq(found.index, range);
	cr_assert_geq(object.offset, found.offset);
	cr_assert_leq(object.offset + object.bytes, found.offset + found.bytes);
}

Test(grow, a_uring_with_all_its_homes_lies_in_the_range_that_was_asked_for)
{
	struct evr_uring_options options = {
		.size = sizeof(options), .name = "far", .submitters = 2
	};
	struct peer peer = growable(4 * MIB);
	struct evr_submitter *submitter;
	struct evr_uring *uring;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(grow(peer.region, MIB, &options.range));
	MUST(evr_uring_create(peer.pool, &options, &uring));
	lies_in_range(peer.region, "far", EVRI_OBJECT_URING, 1);
	MUST(evr_submitter_open(uring, &peer.agent, NULL, &submitter));
	evr_submitter_close(submitter);
	evr_uring_close(uring);

	/* As a caller from before there were ranges: its size ends earlier. */
	options.size = offsetof(struct evr_uring_options, range);
	options.name = "near";
	MUST(evr_uring_create(peer.pool, &options, &uring));
	lies_in_range(peer.region, "near", EVRI_OBJECT_URING, 0);
	evr_uring_close(uring);

	options.size = sizeof(options);
	options.name = "nowhere";
	options.range = 2;
	FAILS(-EINVAL, evr_uring_create(peer.pool, &options, &uring));
	peer_close(&peer);
}

Test(grow, a_ring_lies_in_the_range_that_was_asked_for)
{
	struct peer peer = growable(4 * MIB);
	struct evr_ring ring;
	uint32_t range;

	MUST(grow(peer.region, MIB, &range));
	MUST(evr_ring_create_in(peer.region, range, "far", 4, &ring));
	lies_in_range(peer.region, "far", EVRI_OBJECT_RING, 1);
	MUST(evr_ring_create(peer.region, "near", 4, &ring));
	lies_in_range(peer.region, "near", EVRI_OBJECT_RING, 0);
	FAILS(-EINVAL, evr_ring_create_in(peer.region, 2, "nowhere", 4, &ring));
	FAILS(-ENOSPC, evr_ring_create_in(peer.region, range, "big", 18, &ring));
	peer_close(&peer);
}
