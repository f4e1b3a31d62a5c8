/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_sizes.c - what a region and its pool take for themselves, read off real ones. */

#include "fixture.h"

#include "pool_internal.h"
#include "region_internal.h"

/* How much of an object is no block: neither payload nor prefix. */
static double bookkeeping_per_block(struct evr_region *region, const char *name,
				    uint32_t kind, uint64_t blocks_bytes, uint32_t count)
{
	struct evri_object object;

	MUST(evri_directory_find(region, name, kind, &object));
	cr_assert_gt(object.bytes, blocks_bytes);
	return (double)(object.bytes - blocks_bytes) / count;
}

static uint64_t bytes_of(const struct evr_pool_class *classes, uint32_t count)
{
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < count; i++)
		bytes += classes[i].blocks_count *
			 (EVR_BLOCK_PREFIX_BYTES + classes[i].payload_bytes);
	return bytes;
}

Test(sizes, the_tables_of_a_usual_region_take_less_than_64_kib)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	const struct evr_region_shared *shared = region->shared;
	const char *end = (const char *)(region->directory + shared->directory_count);
	struct evri_object object;

	cr_assert_eq(evr_participant_records(region), 64);
	cr_assert_geq(region->agents_count, 64);
	/* The directory is the last of the tables, and the first object follows. */
	cr_assert_geq(shared->directory_offset, shared->agents_offset);
	cr_assert_geq(shared->agents_offset, shared->participants_offset);
	cr_assert_geq(shared->participants_offset, shared->ranges_offset);
	cr_assert_leq(end, region->base + shared->objects_offset);
	cr_assert_lt(shared->objects_offset, 64 * 1024, "%lu bytes",
		     shared->objects_offset);
	MUST(evri_directory_reserve(region, "first", EVRI_OBJECT_RING, 1, 0, &object));
	cr_assert_eq(object.offset, shared->objects_offset);
	/* What docs/LAYOUT.md says. */
	cr_assert_eq(end - region->base, 38144, "%td bytes", end - region->base);
	cr_assert_eq(shared->objects_offset, 40960);
	evri_directory_abandon(region, &object);
	evr_region_detach(region);
}

static void expect_small(const struct evr_pool_class *classes, uint32_t count)
{
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = classes,
					    .classes_count = count };
	struct evr_region *region = region_of(UINT64_C(16) << 20);
	struct evr_pool *pool;
	double each;

	MUST(evr_pool_create(region, &options, &pool));
	each = bookkeeping_per_block(region, EVRI_POOL_NAME, EVRI_OBJECT_POOL,
				     bytes_of(classes, count), evr_pool_blocks(pool));
	cr_assert_leq(each, 8.0, "%.2f bytes a block, of %u", each,
		      evr_pool_blocks(pool));
	evr_pool_close(pool);
	evr_region_detach(region);
}

/* With the pool's own header, and with what is lost to whole chunks and whole units. */
Test(sizes, a_pool_of_1000_blocks_keeps_8_bytes_of_books_on_each_at_most)
{
	static const struct evr_pool_class small[] = { { 64, 1000, 0 } };
	static const struct evr_pool_class large[] = { { 8192, 1000, 0 } };
	static const struct evr_pool_class many[] = { { 64, 20000, 0 } };
	struct evr_pool_class all[EVR_POOL_CLASSES_MAX];
	uint32_t i;

	/* One more than fills a chunk, in as many classes as there can be. */
	for (i = 0; i < EVR_POOL_CLASSES_MAX; i++)
		all[i] = (struct evr_pool_class){ 64 * (i + 1), 65, 0 };
	expect_small(small, 1);
	expect_small(large, 1);
	expect_small(many, 1);
	expect_small(all, EVR_POOL_CLASSES_MAX);
}

Test(sizes, what_a_pool_grows_by_costs_no_more_a_block)
{
	static const struct evr_pool_class class = { 64, 64, 0 };
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = &class,
					    .classes_count = 1 };
	struct evr_region_options of = { .size = sizeof(of),
					 .bytes = 1 << 20,
					 .bytes_max = 16 << 20 };
	struct evr_range_options more = { .size = sizeof(more), .bytes = 1 << 20 };
	struct evr_pool_growth growth = { .size = sizeof(growth),
					  .payload_bytes = 64,
					  .blocks_count = 1000 };
	struct evri_directory_cursor cursor = { 0 };
	struct evri_object object;
	struct evr_region *region;
	struct evr_pool *pool;
	bool found = false;

	MUST(evr_region_create(&of, &region));
	MUST(evr_pool_create(region, &options, &pool));
	MUST(evr_region_grow(region, &more, &growth.range));
	MUST(evr_pool_grow(pool, &growth));
	while (evri_directory_next(region, &cursor, &object)) {
		double each = ((double)object.bytes - 1000.0 * 128) / 1000;

		if (object.kind != EVRI_OBJECT_EXTENT)
			continue;
		found = true;
		cr_assert_gt(each, 0);
		cr_assert_leq(each, 8.0, "%.2f bytes a block", each);
	}
	cr_assert(found);
	evr_pool_close(pool);
	evr_region_detach(region);
}
