/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_region.c - joining and leaving a region, and making named objects in it. */

#include "scenarios.h"

#include <errno.h>
#include <string.h>

#include "pool_internal.h"

/* ---- a second participant in the victim's process, so that one can come and go ---- */

static void do_attach(struct party *victim)
{
	victim->result =
		evr_region_attach(evr_region_fd(victim->region), &victim->second_region);
}

static void leave_attached(struct party *victim)
{
	MUST(victim, victim->result);
	victim->second_region = evr_region_detach(victim->second_region);
}

const struct scenario scenario_attach = {
	.name = "attach",
	.about = "becoming a participant",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.operate = do_attach,
	.leave = leave_attached,
};

static void do_attach_read_only(struct party *victim)
{
	victim->result = evr_region_attach_read_only(evr_region_fd(victim->region),
						     &victim->second_region);
}

/* It is no participant, so who dies there leaves nothing to recover. */
static void beside_read_only(struct party *house)
{
	if (evr_participant_find_dead(house->region) > !!house->board->cut_short)
		complain(house, "one who only looks left a participant");
}

const struct scenario scenario_attach_read_only = {
	.name = "attach-read-only",
	.about = "looking at a region",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.operate = do_attach_read_only,
	.leave = leave_attached,
	.beside = beside_read_only,
};

/* With a message in the ring that still bears its sender's number. */
static void enter_attached(struct party *victim)
{
	struct evr_pool *pool;
	struct evr_ring ring;
	struct evr_block block;

	do_attach(victim);
	MUST(victim, victim->result);
	MUST(victim, evr_pool_open(victim->second_region, &pool));
	MUST(victim, evr_agent_open(pool, &victim->second));
	MUST(victim, evr_ring_open(victim->second_region, "ring", &ring));
	MUST(victim, evr_block_alloc(&victim->second, 64, &block));
	message_write(victim, &block);
	MUST(victim, evr_ring_try_push(&ring, &victim->second, block.token));
	victim->next_message++;
	victim->board->sent[VICTIM] = 1;
	evr_agent_close(&victim->second);
	evr_pool_close(pool);
}

static void do_detach(struct party *victim)
{
	victim->second_region = evr_region_detach(victim->second_region);
}

const struct scenario scenario_detach = {
	.name = "detach",
	.about = "leaving, with a message of one's own still in a ring",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.enter = enter_attached,
	.operate = do_detach,
};

/* ---- named objects ---- */

#define NAME "late"

static void do_create_ring(struct party *victim)
{
	struct evr_ring ring;

	victim->result = evr_ring_create(victim->region, NAME, 2, &ring);
}

static void leave_created(struct party *victim)
{
	if (victim->result != -EEXIST && victim->result != -EBUSY)
		MUST(victim, victim->result);
}

/* Whoever stopped or died there: a name can be used, and is one object. */
static void conclude_ring(struct party *house)
{
	struct evr_ring ring, again;
	int result = evr_ring_create(house->region, NAME, 2, &ring);

	if (result != -EEXIST)
		MUST(house, result);
	MUST(house, evr_ring_open(house->region, NAME, &ring));
	result = evr_ring_create(house->region, NAME, 2, &again);
	if (result != -EEXIST)
		complain(house, "the name can be used twice (%d)", result);
}

/* One who stopped while making something keeps nobody from making something else. */
static void beside_ring(struct party *house)
{
	struct evr_ring ring;

	MUST(house, evr_ring_create(house->region, "beside", 2, &ring));
}

const struct scenario scenario_create_ring = {
	.name = "create-ring",
	.about = "a ring in the region's directory",
	.stride = 3,
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.operate = do_create_ring,
	.leave = leave_created,
	.beside = beside_ring,
	.conclude = conclude_ring,
};

static void do_create_uring(struct party *victim)
{
	struct evr_uring_options options = {
		.size = sizeof(options),
		.name = NAME,
		.submission_capacity = 2,
		.completion_capacity = 2,
		.submitters = 1,
	};

	victim->result = evr_uring_create(victim->pool, &options, &victim->second_uring);
}

static void leave_created_uring(struct party *victim)
{
	leave_created(victim);
	victim->second_uring = evr_uring_close(victim->second_uring);
}

static void conclude_uring(struct party *house)
{
	do_create_uring(house);
	if (house->result == -EEXIST)
		house->result =
			evr_uring_open(house->pool, NAME, 0, 0, &house->second_uring);
	MUST(house, house->result);
	evr_uring_close(house->second_uring);
}

const struct scenario scenario_create_uring = {
	.name = "create-uring",
	.about = "a uring in the region's directory",
	.stride = 7,
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.operate = do_create_uring,
	.leave = leave_created_uring,
	.beside = beside_ring,
	.conclude = conclude_uring,
};

static const struct scenario create = {
	.operate = do_create_ring,
	.leave = leave_created,
};

const struct scenario scenario_create_beside_create = {
	.name = "create-beside-create",
	.about = "one name, and two who make something of it",
	.stride = 29,
	.modes = IN(MODE_ENDS) | IN(MODE_BEGINS),
	.geometry = &geometry_small,
	.partner = &create,
	.operate = do_create_ring,
	.leave = leave_created,
	.conclude = conclude_ring,
};

/* ---- growing ---- */

#define RANGE_BYTES 8192
#define EXTENT_BLOCKS 10

static int grow_region(struct party *party, uint32_t *ret_range)
{
	struct evr_range_options options = {
		.size = sizeof(options),
		.bytes = RANGE_BYTES,
	};

	return evr_region_grow(party->region, &options, ret_range);
}

static int grow_pool(struct party *party, uint32_t range)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = PAYLOAD_BYTES,
		.blocks_count = EXTENT_BLOCKS,
		.range = range,
	};

	return evr_pool_grow(party->pool, &growth);
}

static void do_grow_region(struct party *victim)
{
	victim->result = grow_region(victim, NULL);
}

static void leave_grown(struct party *victim)
{
	MUST(victim, victim->result);
}

/* One who stopped while growing keeps nobody from growing. */
static void beside_grow(struct party *house)
{
	uint32_t range;

	MUST(house, grow_region(house, &range));
	MUST(house, grow_pool(house, range));
}

/* Whoever died there: what he had taken is used by the next one, and nothing is lost. */
static void conclude_grow(struct party *house)
{
	struct evri_range_cursor cursor = { 0 };
	struct evri_range found;
	uint32_t range;
	char *memory;

	MUST(house, grow_region(house, &range));
	while (evri_range_next(house->region, &cursor, &found)) {
		if (found.state == EVR_RANGE_BUILDING &&
		    !evri_participant_alive(house->region, found.owner))
			complain(house, "range %u is still the dead one's", found.index);
		if (found.index != range)
			continue;
		memory = house->region->base + found.offset;
		memset(memory, 0, found.bytes);
	}
}

const struct scenario scenario_grow_region = {
	.name = "grow-region",
	.about = "the next range of a region",
	.stride = 101,
	.modes = MODES_ALONE,
	.geometry = &geometry_growing,
	.operate = do_grow_region,
	.leave = leave_grown,
	.beside = beside_grow,
	.conclude = conclude_grow,
};

static void enter_grow_pool(struct party *victim)
{
	MUST(victim, grow_region(victim, &victim->range));
}

static void do_grow_pool(struct party *victim)
{
	victim->result = grow_pool(victim, victim->range);
}

/* A class can be given more blocks, and all there are can be had and given back. */
static void conclude_grow_pool(struct party *house)
{
	struct evr_block blocks[256];
	uint32_t before = evr_pool_blocks(house->pool);
	uint32_t count = 0;
	uint32_t range;

	MUST(house, grow_region(house, &range));
	MUST(house, grow_pool(house, range));
	if (evr_pool_blocks(house->pool) < before + EXTENT_BLOCKS)
		complain(house, "%u blocks, and %u after growing", before,
			 evr_pool_blocks(house->pool));
	while (count < 256 &&
	       evr_block_alloc(&house->agent, PAYLOAD_BYTES, &blocks[count]) == 0)
		memset(blocks[count++].payload, 0, PAYLOAD_BYTES);
	if (count < EXTENT_BLOCKS)
		complain(house, "only %u blocks can be had", count);
	while (count > 0)
		MUST(house, evr_block_free(&house->agent, blocks[--count].token));
	evr_agent_flush(&house->agent);
}

const struct scenario scenario_grow_pool = {
	.name = "grow-pool",
	.about = "more blocks for a class",
	.stride = 13,
	.modes = MODES_ALONE,
	.geometry = &geometry_growing,
	.enter = enter_grow_pool,
	.operate = do_grow_pool,
	.leave = leave_grown,
	.beside = beside_grow,
	.conclude = conclude_grow_pool,
};

/* Somebody, who is the victim under another number, has grown the pool; the victim has
 * not heard of it, and has run out. */
static void enter_run_out(struct party *victim)
{
	struct party other = { .who = victim->who, .board = victim->board };
	uint32_t range;

	MUST(victim, evr_region_attach(evr_region_fd(victim->region), &other.region));
	MUST(victim, evr_pool_open(other.region, &other.pool));
	MUST(victim, grow_region(&other, &range));
	MUST(victim, grow_pool(&other, range));
	evr_pool_close(other.pool);
	evr_region_detach(other.region);
	while (evr_pool_free_count(victim->pool) > 0 && victim->held_count < 64) {
		MUST(victim, evr_block_alloc(&victim->agent, PAYLOAD_BYTES,
					     &victim->held[victim->held_count]));
		victim->held_count++;
	}
	while (victim->agent.magazines[0].count > 0) {
		MUST(victim, evr_block_alloc(&victim->agent, PAYLOAD_BYTES,
					     &victim->held[victim->held_count]));
		victim->held_count++;
	}
}

static void do_alloc_beyond(struct party *victim)
{
	victim->result = evr_block_alloc(&victim->agent, PAYLOAD_BYTES, &victim->block);
}

static void leave_beyond(struct party *victim)
{
	MUST(victim, victim->result);
	MUST(victim, evr_block_free(&victim->agent, victim->block.token));
	while (victim->held_count > 0)
		MUST(victim, evr_block_free(&victim->agent,
					    victim->held[--victim->held_count].token));
}

const struct scenario scenario_meet_extent = {
	.name = "meet-extent",
	.about = "a class that has run out, and was given more by somebody else",
	.stride = 7,
	.modes = MODES_ALONE,
	.geometry = &geometry_growing,
	.enter = enter_run_out,
	.operate = do_alloc_beyond,
	.leave = leave_beyond,
	.conclude = conclude_grow_pool,
};

/* ---- a block from where the popper has never been ---- */

static void supply_from_extent(struct party *source)
{
	uint32_t range, known = evr_pool_blocks(source->pool);
	struct evr_block *last;

	await(source, &source->board->received);
	MUST(source, grow_region(source, &range));
	MUST(source, grow_pool(source, range));
	do {
		MUST(source, evr_block_alloc(&source->agent, PAYLOAD_BYTES,
					     &source->held[source->held_count]));
		last = &source->held[source->held_count++];
	} while (evr_token_index(last->token) < known);
	message_write(source, last);
	MUST(source, evr_ring_try_push(&source->ring, &source->agent, last->token));
	source->held_count--;
	source->next_message++;
	source->board->sent[SOURCE] = source->next_message;
	while (source->held_count > 0)
		MUST(source, evr_block_free(&source->agent,
					    source->held[--source->held_count].token));
	evr_agent_flush(&source->agent);
}

static void enter_stranger(struct party *victim)
{
	announce(&victim->board->received);
	await(victim, &victim->board->supplied);
}

const struct scenario scenario_pop_extent = {
	.name = "pop-extent",
	.about = "a message in a block of an extent that one has not heard of",
	.stride = 7,
	.modes = MODES_ALONE | MODES_SENDER,
	.geometry = &geometry_growing,
	.supply = supply_from_extent,
	.enter = enter_stranger,
	.operate = do_pop,
	.leave = leave_popped,
};
