/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_pool_aligned.c - payloads at multiples of what their class says. */

#include "fixture.h"

#include <string.h>
#include <sys/stat.h>

#include "pool_internal.h"

#define MIB (UINT64_C(1) << 20)

static struct peer peer_with(const struct evr_pool_class *classes, uint32_t count,
			     uint64_t page_bytes, uint64_t bytes)
{
	struct evr_region_options region = {
		.size = sizeof(region),
		.bytes = bytes,
		.bytes_max = bytes + 16 * MIB,
		.page_bytes = page_bytes,
		.participants = 8,
	};
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = classes,
		.classes_count = count,
		.batch_count = 4,
	};
	struct peer peer = { 0 };

	if (evr_region_create(&region, &peer.region) < 0)
		return peer;
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	MUST(evr_agent_open(peer.pool, &peer.agent));
	return peer;
}

static struct peer peer_of(uint64_t payload_bytes, uint32_t blocks, uint32_t alignment)
{
	struct evr_pool_class classes[] = {
		{ .payload_bytes = 64, .blocks_count = 3 },
		{ payload_bytes, blocks, alignment },
	};

	return peer_with(classes, 2, 0, 2 * blocks * payload_bytes + 3 * alignment + MIB);
}

/* Takes them all, and writes each to its last byte: none may reach into another, and
 * their words, which say who has them, must stay. */
static void expect_aligned(struct peer *peer, uint64_t bytes, uint32_t count,
			   uint64_t alignment)
{
	struct evr_block *blocks = calloc(count + 1, sizeof(*blocks));

	cr_assert_eq(evr_block_alloc_bulk(&peer->agent, bytes, blocks, count + 1),
		     count);
	for (uint32_t i = 0; i < count; i++) {
		cr_assert_eq((uintptr_t)blocks[i].payload % alignment, 0, "block %u: %p",
			     i, blocks[i].payload);
		cr_assert_eq(blocks[i].payload_bytes, bytes);
		memset(blocks[i].payload, (int)(i + 1), bytes);
	}
	for (uint32_t i = 0; i < count; i++) {
		const unsigned char *payload = blocks[i].payload;

		cr_assert_eq(payload[0], (unsigned char)(i + 1));
		cr_assert_eq(payload[bytes - 1], (unsigned char)(i + 1));
		MUST(evr_block_free(&peer->agent, blocks[i].token));
	}
	free(blocks);
}

Test(pool_aligned, every_payload_is_aligned_in_every_process, .timeout = 60)
{
	static const struct evr_pool_class cases[] = {
		{ 64, 70, 64 },     { 128, 70, 128 },     { 4096, 70, 512 },
		{ 4096, 70, 4096 }, { 12288, 20, 4096 },  { 2 << 20, 3, 2 << 20 },
		{ 4 << 20, 2, 4 << 20 },
	};

	for (uint32_t i = 1; i < COUNT_OF(cases); i++) {
		struct peer peer = peer_of(cases[i].payload_bytes, cases[i].blocks_count,
					   cases[i].alignment);
		struct peer other;

		peer_attach(&other, &peer);
		expect_aligned(&peer, cases[i].payload_bytes, cases[i].blocks_count,
			       cases[i].alignment);
		evr_agent_flush(&peer.agent);
		expect_aligned(&other, cases[i].payload_bytes, cases[i].blocks_count,
			       cases[i].alignment);
		peer_close(&other);
		peer_leaves_all_free(&peer);
		peer_close(&peer);
	}
}

Test(pool_aligned, classes_of_several_alignments_lie_beside_one_another)
{
	static const struct evr_pool_class classes[] = {
		{ 64, 65, 0 },	      { 256, 10, 256 },	  { 4096, 10, 64 },
		{ 8192, 10, 4096 },   { 65536, 3, 65536 }, { 131072, 2, 0 },
	};
	struct peer peer = peer_with(classes, COUNT_OF(classes), 0, 4 * MIB);

	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < COUNT_OF(classes); i++)
			expect_aligned(&peer, classes[i].payload_bytes,
				       classes[i].blocks_count,
				       classes[i].alignment ? classes[i].alignment : 64);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_aligned, an_alignment_that_does_not_divide_the_payload_is_refused)
{
	static const struct evr_pool_class wrong[] = {
		{ 4096, 1, 32 }, { 4096, 1, 96 }, { 4096, 1, 8192 }, { 192, 1, 128 },
		{ 4096, 1, 1 },
	};

	for (uint32_t i = 0; i < COUNT_OF(wrong); i++) {
		struct evr_pool_options options = {
			.size = sizeof(options),
			.classes = &wrong[i],
			.classes_count = 1,
		};
		struct evr_region *region = region_of(MIB);
		struct evr_pool *pool;

		FAILS(-EINVAL, evr_pool_create(region, &options, &pool));
		cr_assert(strstr(evr_error_detail(), "alignment"), "%s",
			  evr_error_detail());
		evr_region_detach(region);
	}
}

Test(pool_aligned, a_block_and_its_content_go_through_a_ring)
{
	struct peer peer = peer_of(4096, 10, 4096);
	struct evr_block block, inner, got = { 0 };
	struct evr_ring ring, end;
	struct peer other;

	peer_attach(&other, &peer);
	MUST(evr_ring_create(peer.region, "ring", 4, &ring));
	MUST(evr_ring_open(other.region, "ring", &end));
	block = must_alloc(&peer.agent, 4096);
	inner = must_alloc(&peer.agent, 4096);
	memset(block.payload, 7, 4096);
	memset(inner.payload, 9, 4096);
	MUST(evr_block_contain(&peer.agent, block.token, inner.token));
	MUST(evr_ring_try_push(&ring, &peer.agent, block.token));
	MUST(evr_ring_try_pop(&end, &other.agent, &got));
	cr_assert_eq((uintptr_t)got.payload % 4096, 0);
	cr_assert_eq(((char *)got.payload)[4095], 7);
	MUST(evr_block_take_out(&other.agent, got.token, 0, &inner));
	cr_assert_eq(((char *)inner.payload)[4095], 9);
	MUST(evr_block_free(&other.agent, inner.token));
	MUST(evr_block_free(&other.agent, got.token));
	peer_close(&other);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

static void take_and_die(struct peer *peer, void *unused)
{
	struct evr_block block;

	(void)unused;
	for (int i = 0; i < 6; i++) {
		CHILD_MUST(evr_block_alloc(&peer->agent, 4096, &block) == 0);
		memset(block.payload, 0xff, block.payload_bytes);
	}
}

Test(pool_aligned, what_a_dead_one_held_comes_back)
{
	struct peer peer = peer_of(4096, 10, 4096);

	killed_child(&peer, take_and_die, NULL);
	cr_assert_eq(MUST(evr_recover(&peer.agent, NULL)), 0);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_aligned, a_header_that_says_otherwise_is_refused)
{
	struct peer peer = peer_of(4096, 10, 4096);
	struct evr_region_shared *raw = scribble_map(peer.region);
	struct evr_pool_shared *shared = find_object(raw, EVR_POOL_MAGIC);
	struct evr_pool_class_shared *class = &shared->classes[1];
	const struct evr_pool_class_shared right = *class;
	const struct {
		uint32_t alignment;
		uint64_t blocks_offset, payloads_offset;
	} lies[] = {
		{ 0, right.blocks_offset, right.payloads_offset },
		{ 32, right.blocks_offset, right.payloads_offset },
		{ 64, right.blocks_offset, right.payloads_offset },
		{ 96, right.blocks_offset, right.payloads_offset },
		{ 8192, right.blocks_offset, right.payloads_offset },
		{ UINT32_C(1) << 31, right.blocks_offset, right.payloads_offset },
		{ 4096, right.blocks_offset, right.payloads_offset + 64 },
		{ 4096, right.blocks_offset, right.payloads_offset - 64 },
		{ 4096, right.blocks_offset, right.payloads_offset + 4096 },
		{ 4096, right.blocks_offset, right.payloads_offset + (4 << 20) },
		{ 4096, right.blocks_offset, 0 },
		{ 4096, right.blocks_offset, UINT64_MAX - 4095 },
		{ 4096, right.payloads_offset - 9 * 64, right.payloads_offset },
		{ 4096, right.payloads_offset + 64, right.payloads_offset },
		{ 4096, 0, right.payloads_offset },
		{ 4096, right.blocks_offset + 1, right.payloads_offset },
	};
	struct evr_pool *pool;

	for (uint32_t i = 0; i < COUNT_OF(lies); i++) {
		class->alignment = lies[i].alignment;
		class->blocks_offset = lies[i].blocks_offset;
		class->payloads_offset = lies[i].payloads_offset;
		FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
		*class = right;
	}
	MUST(evr_pool_open(peer.region, &pool));
	evr_pool_close(pool);
	peer_close(&peer);
}

/* ---- extents ---- */

static int grow(struct peer *peer, uint64_t payload_bytes, uint32_t blocks,
		uint32_t range)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = payload_bytes,
		.blocks_count = blocks,
		.range = range,
	};

	return evr_pool_grow(peer->pool, &growth);
}

static uint32_t grow_range(struct peer *peer, uint64_t bytes)
{
	struct evr_range_options range = { .size = sizeof(range), .bytes = bytes };
	uint32_t index;

	MUST(evr_region_grow(peer->region, &range, &index));
	return index;
}

Test(pool_aligned, blocks_of_an_extent_are_aligned_as_their_class_is)
{
	struct peer peer = peer_of(8192, 2, 4096);
	struct evr_pool_extent_shared *shared;
	struct evri_object object;
	struct evr_pool *pool;
	uint64_t right;

	MUST(grow(&peer, 8192, 100, grow_range(&peer, 2 * MIB)));
	expect_aligned(&peer, 8192, 102, 4096);
	peer_leaves_all_free(&peer);
	MUST(evri_directory_find(peer.region, "evering.pool+2", EVRI_OBJECT_EXTENT,
				 &object));
	shared = object.address;
	right = shared->payloads_offset;
	const uint64_t wrong[] = {
		0, 64, UINT64_MAX - 4095, right + 64, right - 8192, right + 4 * MIB,
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		shared->payloads_offset = wrong[i];
		FAILS(-EUCLEAN, evr_pool_open(peer.region, &pool));
	}
	shared->payloads_offset = right;
	peer_close(&peer);
}

Test(pool_aligned, an_extent_fits_wherever_it_begins)
{
	struct peer peer = peer_of(8192, 1, 8192);
	uint32_t range = grow_range(&peer, 4 * MIB);

	for (int i = 0; i < 3; i++) {
		struct evr_ring ring;
		char name[8];

		/* One page: what follows begins a page further than the last time. */
		snprintf(name, sizeof(name), "%d", i);
		MUST(evr_ring_create_in(peer.region, range, name, 1, &ring));
		/* So many that their prefixes nearly fill what goes before. */
		MUST(grow(&peer, 8192, 120, range));
	}
	expect_aligned(&peer, 8192, 361, 8192);
	peer_close(&peer);
}

static uint64_t bytes_real(const struct peer *peer)
{
	struct stat status;

	cr_assert_eq(fstat(evr_region_fd(peer->region), &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

/* Nothing but prefixes, bitmap and header keeps its pages, and all comes again. */
static void retire_and_revive(struct peer *peer, uint64_t payload_bytes, uint32_t blocks,
			      uint32_t range, uint64_t alignment)
{
	uint64_t before = bytes_real(peer);
	uint64_t bytes;

	MUST(evr_pool_retire(&peer->agent, range, &bytes));
	cr_assert_eq(bytes, blocks * payload_bytes);
	cr_assert_eq(before - bytes_real(peer), blocks * payload_bytes);
	MUST(grow(peer, payload_bytes, blocks, range));
	cr_assert_eq(before, bytes_real(peer));
	expect_aligned(peer, payload_bytes, blocks + 1, alignment);
	peer_leaves_all_free(peer);
}

Test(pool_aligned, whole_payloads_are_given_back_by_a_retirement)
{
	struct peer peer = peer_of(8192, 1, 4096);
	uint32_t range = grow_range(&peer, 2 * MIB);

	MUST(grow(&peer, 8192, 100, range));
	retire_and_revive(&peer, 8192, 100, range, 4096);
	peer_close(&peer);
}

Test(pool_aligned, payloads_smaller_than_a_page_are_given_back_together)
{
	struct peer peer = peer_of(512, 1, 512);
	uint32_t range = grow_range(&peer, MIB);
	uint64_t bytes;

	MUST(grow(&peer, 512, 800, range));
	MUST(evr_pool_retire(&peer.agent, range, &bytes));
	cr_assert_gt(bytes, 800 * 512 - 2 * 4096);
	MUST(grow(&peer, 512, 800, range));
	expect_aligned(&peer, 512, 801, 512);
	peer_close(&peer);
}

Test(pool_aligned, pages_of_2_mib_are_payloads_and_go_back_whole)
{
	static const struct evr_pool_class classes[] = {
		{ 64, 8, 0 },
		{ 2 << 20, 1, 2 << 20 },
	};
	struct peer peer = peer_with(classes, 2, EVR_PAGE_2M, 8 * MIB);
	struct evr_range_options options = { .size = sizeof(options), .bytes = 8 * MIB };
	uint32_t range;

	if (!peer.region || evr_region_grow(peer.region, &options, &range) < 0)
		cr_skip_test("8 pages of 2 MiB wanted: %s; "
			     "echo 8 > /proc/sys/vm/nr_hugepages",
			     evr_error_detail());
	MUST(grow(&peer, 2 << 20, 2, range));
	retire_and_revive(&peer, 2 << 20, 2, range, 2 << 20);
	peer_close(&peer);
}
