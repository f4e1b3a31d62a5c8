/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_layout.c - every byte of every shared structure, as docs/LAYOUT.md tells it.
 *
 * If a line here breaks, the layout changed: processes built before and after cannot
 * share a region, and EVR_LAYOUT_VERSION must grow. Sizes and offsets are compared as
 * numbers written down, and each structure must be covered without a gap.
 */

#include "fixture.h"

#include "region_internal.h"

struct field {
	const char *name;
	size_t offset;
	size_t bytes;
	size_t wanted_offset;
	size_t wanted_bytes;
};

#define FIELD(type, name, at, size)                                                      \
	{                                                                                \
		#type "." #name, offsetof(struct type, name),                            \
			sizeof(((struct type *)0)->name), at, size                       \
	}

static void expect_fields(const struct field *fields, size_t count, size_t bytes,
			  size_t wanted_bytes, const char *type)
{
	size_t end = 0;
	size_t i;

	cr_assert_eq(bytes, wanted_bytes, "%s has %zu bytes, not %zu", type, bytes,
		     wanted_bytes);
	for (i = 0; i < count; i++) {
		cr_assert_eq(fields[i].offset, fields[i].wanted_offset,
			     "%s is at %zu, not at %zu", fields[i].name, fields[i].offset,
			     fields[i].wanted_offset);
		cr_assert_eq(fields[i].bytes, fields[i].wanted_bytes,
			     "%s has %zu bytes, not %zu", fields[i].name, fields[i].bytes,
			     fields[i].wanted_bytes);
		cr_assert_leq(end, fields[i].offset);
		cr_assert_leq(fields[i].offset - end, 56, "a gap before %s",
			      fields[i].name);
		end = fields[i].offset + fields[i].bytes;
	}
	cr_assert_leq(end, wanted_bytes);
}

#define EXPECT(type, fields, wanted)                                                     \
	expect_fields(fields, COUNT_OF(fields), sizeof(struct type), wanted, #type)

Test(layout, every_byte_of_a_region_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_region_shared, magic, 0, 8),
		FIELD(evr_region_shared, status, 8, 4),
		FIELD(evr_region_shared, layout_version, 12, 4),
		FIELD(evr_region_shared, api_version, 16, 4),
		FIELD(evr_region_shared, abi_version, 20, 4),
		FIELD(evr_region_shared, features_compat, 24, 8),
		FIELD(evr_region_shared, features_ro_compat, 32, 8),
		FIELD(evr_region_shared, features_incompat, 40, 8),
		FIELD(evr_region_shared, id, 48, 16),
		FIELD(evr_region_shared, bytes, 64, 8),
		FIELD(evr_region_shared, page_bytes, 72, 8),
		FIELD(evr_region_shared, participants_offset, 80, 8),
		FIELD(evr_region_shared, agents_offset, 88, 8),
		FIELD(evr_region_shared, directory_offset, 96, 8),
		FIELD(evr_region_shared, objects_offset, 104, 8),
		FIELD(evr_region_shared, participants_count, 112, 4),
		FIELD(evr_region_shared, agents_count, 116, 4),
		FIELD(evr_region_shared, directory_count, 120, 4),
		FIELD(evr_region_shared, ranges_count, 124, 4),
		FIELD(evr_region_shared, ranges_offset, 128, 8),
		FIELD(evr_region_shared, arrivals, 136, 4),
		FIELD(evr_region_shared, deaths, 140, 4),
		FIELD(evr_region_shared, retirements, 144, 8),
		FIELD(evr_region_shared, pad, 152, 32),
		FIELD(evr_region_shared, next_number, 192, 8),
	};

	EXPECT(evr_region_shared, fields, 256);
	cr_assert_eq(EVR_REGION_MAGIC, UINT64_C(0x31676e6972657645));
	cr_assert_eq(EVR_REGION_INITIALIZING, 1);
	cr_assert_eq(EVR_REGION_INITIALIZED, 2);
	cr_assert_eq(EVR_REGION_CORRUPTED, 3);
}

Test(layout, every_byte_of_a_participant_record_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_participant_shared, word, 0, 8),
		FIELD(evr_participant_shared, pid, 8, 8),
		FIELD(evr_participant_shared, joined_ns, 16, 8),
		FIELD(evr_participant_shared, life, 24, 4),
		FIELD(evr_participant_shared, reserved32, 28, 4),
		FIELD(evr_participant_shared, reserved, 32, 32),
	};

	EXPECT(evr_participant_shared, fields, 64);
	cr_assert_eq(evr_participant_word(EVR_PARTICIPANT_ALIVE, 0x89abcdef),
		     UINT64_C(0x0000000289abcdef));
	cr_assert_eq(EVR_PARTICIPANT_FREE, 1);
	cr_assert_eq(EVR_PARTICIPANT_DEAD, 3);
}

Test(layout, every_byte_of_an_agent_record_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_agent_shared, word, 0, 8),
		FIELD(evr_agent_shared, bitmap_intent, 8, 8),
		FIELD(evr_agent_shared, intent, 16, 40),
		FIELD(evr_agent_shared, acknowledged, 56, 8),
	};

	EXPECT(evr_agent_shared, fields, 64);
	cr_assert_eq(evr_agent_word(EVR_AGENT_USED, 0xabcdef, 0x12345678),
		     UINT64_C(0x03abcdef12345678));
	cr_assert_eq(EVR_AGENT_FREE, 1);
	cr_assert_eq(EVR_AGENT_CLAIMED, 2);
	cr_assert_eq(EVR_INTENT_SET, UINT64_C(1) << 63);
}

Test(layout, every_byte_of_a_pool_class_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_pool_class_shared, payload_bytes, 0, 8),
		FIELD(evr_pool_class_shared, blocks_offset, 8, 8),
		FIELD(evr_pool_class_shared, payloads_offset, 16, 8),
		FIELD(evr_pool_class_shared, first_chunk, 24, 4),
		FIELD(evr_pool_class_shared, chunks_count, 28, 4),
		FIELD(evr_pool_class_shared, blocks_count, 32, 4),
		FIELD(evr_pool_class_shared, alignment, 36, 4),
	};

	EXPECT(evr_pool_class_shared, fields, 40);
}

Test(layout, every_byte_of_a_pool_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_pool_shared, magic, 0, 8),
		FIELD(evr_pool_shared, flags, 8, 4),
		FIELD(evr_pool_shared, classes_count, 12, 4),
		FIELD(evr_pool_shared, chunks_count, 16, 4),
		FIELD(evr_pool_shared, blocks_count, 20, 4),
		FIELD(evr_pool_shared, bitmap_offset, 24, 8),
		FIELD(evr_pool_shared, batch_count, 32, 4),
		FIELD(evr_pool_shared, chunks_max, 36, 4),
		FIELD(evr_pool_shared, next_chunk, 40, 8),
		FIELD(evr_pool_shared, reserved, 48, 16),
		FIELD(evr_pool_shared, classes, 64, 640),
	};

	EXPECT(evr_pool_shared, fields, 704);
	cr_assert_eq(EVR_POOL_MAGIC, UINT64_C(0x316c6f6f50727645));
	cr_assert_eq(EVR_POOL_UNTRACKED, 1);
	cr_assert_eq(EVR_POOL_HARDENED, 2);
	cr_assert_eq(EVR_POOL_POISONED, 4);
	cr_assert_eq(EVR_POOL_CHUNK_BLOCKS, 64);
}

Test(layout, every_byte_of_an_extent_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_pool_extent_shared, magic, 0, 8),
		FIELD(evr_pool_extent_shared, class_index, 8, 4),
		FIELD(evr_pool_extent_shared, first_chunk, 12, 4),
		FIELD(evr_pool_extent_shared, chunks_count, 16, 4),
		FIELD(evr_pool_extent_shared, blocks_count, 20, 4),
		FIELD(evr_pool_extent_shared, bitmap_offset, 24, 8),
		FIELD(evr_pool_extent_shared, blocks_offset, 32, 8),
		FIELD(evr_pool_extent_shared, payload_bytes, 40, 8),
		FIELD(evr_pool_extent_shared, word, 48, 8),
		FIELD(evr_pool_extent_shared, payloads_offset, 56, 8),
	};

	EXPECT(evr_pool_extent_shared, fields, 64);
	cr_assert_eq(EVR_POOL_EXTENT_MAGIC, UINT64_C(0x3174786550727645));
}

Test(layout, every_byte_of_a_range_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_range_shared, word, 0, 8),
		FIELD(evr_range_shared, policy, 8, 4),
		FIELD(evr_range_shared, flags, 12, 4),
		FIELD(evr_range_shared, nodes, 16, 8),
		FIELD(evr_range_shared, settle_ns, 24, 8),
		FIELD(evr_range_shared, reserved, 32, 32),
	};

	EXPECT(evr_range_shared, fields, 64);
	cr_assert_eq(evri_range_word(EVR_RANGE_READY, 8192, 7),
		     UINT64_C(0x3000000200000007));
	cr_assert_eq(evri_entry_word(EVRI_ENTRY_READY, 5, 3, 7),
		     UINT64_C(0x8a00000300000007));
}

Test(layout, every_byte_of_a_block_prefix_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_block_shared, word, 0, 8),
		FIELD(evr_block_shared, home, 8, 8),
		FIELD(evr_block_shared, operation, 16, 8),
		FIELD(evr_block_shared, delivery, 24, 4),
		FIELD(evr_block_shared, status, 28, 4),
		FIELD(evr_block_shared, request_bytes, 32, 4),
		FIELD(evr_block_shared, response_bytes, 36, 4),
		FIELD(evr_block_shared, contents, 40, 24),
	};

	EXPECT(evr_block_shared, fields, 64);
	cr_assert_eq(EVR_BLOCK_FREE, 1);
	cr_assert_eq(EVR_BLOCK_CACHED, 2);
	cr_assert_eq(EVR_BLOCK_OWNED, 3);
	cr_assert_eq(EVR_BLOCK_REQ, 4);
	cr_assert_eq(EVR_BLOCK_RESP, 5);
	cr_assert_eq(EVR_BLOCK_IN, 6);
	cr_assert_eq(EVR_OWNER_ORPHAN, UINT32_MAX);
}

Test(layout, every_byte_of_a_ring_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_ring_shared, magic, 0, 8),
		FIELD(evr_ring_shared, order, 8, 4),
		FIELD(evr_ring_shared, flags, 12, 4),
		FIELD(evr_ring_shared, hangup, 16, 4),
		FIELD(evr_ring_shared, reserved32, 20, 4),
		FIELD(evr_ring_shared, reserved, 24, 40),
		FIELD(evr_ring_shared, tail_hint, 64, 8),
		FIELD(evr_ring_shared, pusher, 72, 8),
		FIELD(evr_ring_shared, head_hint, 128, 8),
		FIELD(evr_ring_shared, popper, 136, 8),
	};

	EXPECT(evr_ring_shared, fields, 192);
	cr_assert_eq(EVR_RING_MAGIC, UINT64_C(0x314d4d5052727645));
	cr_assert_eq(EVR_RING_SINGLE_PUSHER, 1);
	cr_assert_eq(EVR_RING_SINGLE_POPPER, 2);
	cr_assert_eq(evr_ring_role_word(0x12345678, 9), UINT64_C(0x1234567800000009));
	cr_assert_eq(evri_ring_bytes(1), 192 + 64);
	cr_assert_eq(evri_ring_bytes(10), 192 + 8192);
}

Test(layout, every_byte_of_an_inline_rings_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_ring_inline_shared, magic, 0, 8),
		FIELD(evr_ring_inline_shared, entry_bytes, 8, 4),
		FIELD(evr_ring_inline_shared, order, 12, 4),
		FIELD(evr_ring_inline_shared, flags, 16, 4),
		FIELD(evr_ring_inline_shared, reserved32, 20, 4),
		FIELD(evr_ring_inline_shared, pusher, 24, 8),
		FIELD(evr_ring_inline_shared, popper, 32, 8),
		FIELD(evr_ring_inline_shared, reserved, 40, 24),
		FIELD(evr_ring_inline_shared, freed, 64, 8),
		FIELD(evr_ring_inline_shared, shown, 72, 8),
		FIELD(evr_ring_inline_shared, head, 128, 8),
	};

	EXPECT(evr_ring_inline_shared, fields, 192);
	cr_assert_eq(EVR_RING_INLINE_MAGIC, UINT64_C(0x314c4e4952727645));
	cr_assert_eq(evri_ring_inline_bytes(8, 10), 192 + 148 * 64);
	cr_assert_eq(evri_ring_inline_bytes(64, 10), 192 + 1024 * 128);
}

Test(layout, every_byte_of_the_lanes_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_ring_lanes_shared, magic, 0, 8),
		FIELD(evr_ring_lanes_shared, entry_bytes, 8, 4),
		FIELD(evr_ring_lanes_shared, order, 12, 4),
		FIELD(evr_ring_lanes_shared, flags, 16, 4),
		FIELD(evr_ring_lanes_shared, lanes_count, 20, 4),
		FIELD(evr_ring_lanes_shared, popper, 24, 8),
		FIELD(evr_ring_lanes_shared, intake, 32, 8),
		FIELD(evr_ring_lanes_shared, used, 40, 8),
		FIELD(evr_ring_lanes_shared, reserved, 48, 16),
		FIELD(evr_ring_lanes_shared, hints, 64, 128),
	};

	EXPECT(evr_ring_lanes_shared, fields, 192);
	cr_assert_eq(EVR_RING_LANES_MAGIC, UINT64_C(0x314e414c52727645));
	cr_assert_eq(evri_ring_lanes_bytes(8, 10, 4),
		     192 + 4 * evri_ring_inline_bytes(8, 10));
}

Test(layout, every_byte_of_a_slot_word_is_where_it_was)
{
	cr_assert_eq(evri_slot_empty(1), UINT64_C(0x0002000000000000));
	cr_assert_eq(evri_slot_full(1, 0x123456789abc), UINT64_C(0x0003123456789abc));
	cr_assert_eq(evri_slot_empty(0x18001), UINT64_C(0x0002000000000003));
	cr_assert_eq(evri_slot_full(0x18001, 5), UINT64_C(0x0003000000000005));
}

Test(layout, every_byte_of_a_uring_header_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_uring_shared, magic, 0, 8),
		FIELD(evr_uring_shared, request_bytes, 8, 4),
		FIELD(evr_uring_shared, response_bytes, 12, 4),
		FIELD(evr_uring_shared, submission_order, 16, 4),
		FIELD(evr_uring_shared, completion_order, 20, 4),
		FIELD(evr_uring_shared, homes_count, 24, 4),
		FIELD(evr_uring_shared, reserved32, 28, 4),
		FIELD(evr_uring_shared, submission_offset, 32, 8),
		FIELD(evr_uring_shared, homes_offset, 40, 8),
		FIELD(evr_uring_shared, home_stride_bytes, 48, 8),
		FIELD(evr_uring_shared, reserved, 56, 8),
		FIELD(evr_uring_shared, bell, 64, 64),
	};

	EXPECT(evr_uring_shared, fields, 128);
	cr_assert_eq(EVR_URING_MAGIC, UINT64_C(0x31676e6972557645));
}

Test(layout, every_byte_of_a_home_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_home_shared, word, 0, 8),
		FIELD(evr_home_shared, reserved, 8, 56),
		FIELD(evr_home_shared, bell, 64, 64),
	};

	EXPECT(evr_home_shared, fields, 128);
	cr_assert_eq(evri_home_word(EVR_HOME_OPEN, 1, 2), UINT64_C(0x8000000100000002));
	cr_assert_eq(EVR_HOME_FREE, 1);
	cr_assert_eq(EVR_HOME_OPEN, 2);
}

Test(layout, every_byte_of_a_doorbell_is_where_it_was)
{
	static const struct field fields[] = {
		FIELD(evr_doorbell_shared, word, 0, 8),
		FIELD(evr_doorbell_shared, backstops, 8, 8),
		FIELD(evr_doorbell_shared, reserved, 16, 48),
	};

	EXPECT(evr_doorbell_shared, fields, 64);
	cr_assert_eq(EVR_DOORBELL_SLEEPER, 1);
	cr_assert_eq(EVR_DOORBELL_EVENTFD, 2);
	cr_assert_eq(EVR_DOORBELL_EPOCH_ONE, 4);
	cr_assert_eq(EVR_DOORBELL_ARM_ONE, UINT64_C(1) << 32);
}

Test(layout, every_byte_of_a_token_is_where_it_was)
{
	cr_assert_eq(sizeof(evr_token), 8);
	cr_assert_eq(evr_token_make(0x1122, 0x334455, 0x667788).raw,
		     UINT64_C(0x1122334455667788));
}

/* What the numbers in a header lead to lies where the text says. */
Test(layout, a_fresh_region_has_its_tables_and_objects_in_order)
{
	struct evr_region_shared *base;
	struct peer peer;

	peer_create(&peer, NULL);
	base = scribble_map(peer.region);
	cr_assert_eq(base->bytes, FIXTURE_REGION_BYTES);
	cr_assert_eq(base->page_bytes, EVR_PAGE_4K);
	cr_assert_geq(base->participants_offset, sizeof(*base));
	cr_assert_geq(base->agents_offset,
		      base->participants_offset +
			      base->participants_count * UINT64_C(64));
	cr_assert_geq(base->directory_offset,
		      base->agents_offset + base->agents_count * UINT64_C(64));
	cr_assert_gt(base->objects_offset, base->directory_offset);
	cr_assert_lt(base->objects_offset, base->bytes);
	cr_assert_geq((char *)find_object(base, EVR_POOL_MAGIC),
		      (char *)base + base->objects_offset);
	cr_assert_eq(base->participants_offset % 64 | base->agents_offset % 64 |
			     base->directory_offset % 64 | base->objects_offset % 64,
		     0);
	peer_close(&peer);
}
