/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_retire.c - pages that go back to the machine, and come again. While the
 * victim is stopped or dead the house retires and grows in its stead as far as that goes,
 * and writes to whatever blocks it gets: they must keep what is written when the victim
 * goes on.
 */

#include "scenarios.h"

#include <errno.h>
#include <string.h>

#include "pool_internal.h"

#define EXTENT_BLOCKS 4
#define RANGE_BYTES   (UINT64_C(40) << 10)
#define RANGE         1

static int put_blocks(struct party *party)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = LARGE_BYTES,
		.blocks_count = EXTENT_BLOCKS,
		.range = RANGE,
	};

	return evr_pool_grow(party->pool, &growth);
}

static void prepare_range(struct party *house)
{
	struct evr_range_options range = {
		.size = sizeof(range),
		.bytes = RANGE_BYTES,
	};
	uint32_t index;

	MUST(house, evr_region_grow(house->region, &range, &index));
	MUST(house, put_blocks(house));
}

/* The others have acknowledged what is to come: without that nothing would be punched. */
static void let_all_acknowledge(struct party *party)
{
	for (uint32_t i = 0; i < party->region->agents_count; i++)
		evr_store_release_u64(&party->region->agents[i].acknowledged, 1000000);
}

static void do_retire(struct party *victim)
{
	victim->result = evr_pool_retire(&victim->agent, RANGE, NULL);
}

/* The house may have been there meanwhile. */
static void leave_retired(struct party *victim)
{
	if (victim->result != -EBUSY && victim->result != -EAGAIN)
		MUST(victim, victim->result);
}

static void enter_retired(struct party *victim)
{
	let_all_acknowledge(victim);
	do_retire(victim);
	MUST(victim, victim->result);
}

static void do_revive(struct party *victim)
{
	victim->result = put_blocks(victim);
}

static void leave_revived(struct party *victim)
{
	if (victim->result != -ENOSPC)
		MUST(victim, victim->result);
}

static uint8_t pattern_of(uint32_t held)
{
	return (uint8_t)(0xa0 + held);
}

static void beside_retired(struct party *house)
{
	struct evr_block block;
	int error;

	let_all_acknowledge(house);
	error = evr_pool_retire(&house->agent, RANGE, NULL);
	if (error < 0 && error != -EBUSY && error != -EAGAIN)
		MUST(house, error);
	error = put_blocks(house);
	if (error < 0 && error != -ENOSPC)
		MUST(house, error);
	while (evr_block_alloc(&house->agent, LARGE_BYTES, &block) == 0) {
		memset(block.payload, pattern_of(house->held_count), LARGE_BYTES);
		house->held[house->held_count++] = block;
	}
}

static void check_held(struct party *house)
{
	for (uint32_t i = 0; i < house->held_count; i++) {
		const uint8_t *bytes = house->held[i].payload;

		for (uint32_t k = 0; k < LARGE_BYTES; k++)
			if (bytes[k] != pattern_of(i)) {
				complain(house, "byte %u of a block in use says %u", k,
					 bytes[k]);
				break;
			}
		MUST(house, evr_block_free(&house->agent, house->held[i].token));
	}
	house->held_count = 0;
	evr_agent_flush(&house->agent);
}

/* Whoever died there: the range can be retired, and all its blocks serve again. */
static void conclude_retired(struct party *house)
{
	struct evr_block blocks[EXTENT_BLOCKS + 1];
	uint32_t count = 0;

	check_held(house);
	while (evr_recover(&house->agent, NULL) > 0)
		;
	MUST(house, evr_pool_retire(&house->agent, RANGE, NULL));
	if (evr_block_alloc(&house->agent, LARGE_BYTES, &blocks[0]) == 0)
		MUST(house, evr_block_free(&house->agent, blocks[0].token));
	else
		complain(house, "the block of the first range is gone");
	MUST(house, put_blocks(house));
	while (count <= EXTENT_BLOCKS &&
	       evr_block_alloc(&house->agent, LARGE_BYTES, &blocks[count]) == 0)
		memset(blocks[count++].payload, 0, LARGE_BYTES);
	if (count != EXTENT_BLOCKS + 1)
		complain(house, "%u blocks can be had, not %u", count, EXTENT_BLOCKS + 1);
	while (count > 0)
		MUST(house, evr_block_free(&house->agent, blocks[--count].token));
	evr_agent_flush(&house->agent);
}

static void enter_served(struct party *victim)
{
	let_all_acknowledge(victim);
	/* Known, so that the learning of it is not part of the operation. */
	MUST(victim, evri_pool_learn(victim->pool));
}

const struct scenario scenario_retire = {
	.name = "retire",
	.about = "pages of free blocks go back to the machine",
	.modes = MODES_ALONE,
	.geometry = &geometry_retiring,
	.prepare = prepare_range,
	.enter = enter_served,
	.operate = do_retire,
	.leave = leave_retired,
	.beside = beside_retired,
	.conclude = conclude_retired,
};

const struct scenario scenario_revive = {
	.name = "revive",
	.about = "retired blocks serve again",
	.stride = 43,
	.modes = MODES_ALONE,
	.geometry = &geometry_retiring,
	.prepare = prepare_range,
	.enter = enter_retired,
	.operate = do_revive,
	.leave = leave_revived,
	.beside = beside_retired,
	.conclude = conclude_retired,
};

const struct scenario scenario_retire_beside = {
	.name = "retire_beside",
	.about = "the same with prefixes beside the payloads",
	.modes = MODES_ALONE,
	.geometry = &geometry_retiring_beside,
	.prepare = prepare_range,
	.enter = enter_served,
	.operate = do_retire,
	.leave = leave_retired,
	.beside = beside_retired,
	.conclude = conclude_retired,
};

const struct scenario scenario_revive_beside = {
	.name = "revive_beside",
	.about = "the same with prefixes beside the payloads",
	.stride = 43,
	.modes = MODES_ALONE,
	.geometry = &geometry_retiring_beside,
	.prepare = prepare_range,
	.enter = enter_retired,
	.operate = do_revive,
	.leave = leave_revived,
	.beside = beside_retired,
	.conclude = conclude_retired,
};
