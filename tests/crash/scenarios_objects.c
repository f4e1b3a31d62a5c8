/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_objects.c - making a pool, and a ring of inline entries. */

#include "scenarios.h"

#include <errno.h>

#include <evering/ring_inline.h>

#include "region_internal.h"

/* ---- a pool, in a region that has none ---- */

#define BARE_BYTES (32 * 1024)
#define BARE_BLOCKS 6

/* The house makes it; the victim, its child, has the descriptor. */
static struct evr_region *bare;

static int make_pool(struct evr_region *region, struct evr_pool **ret)
{
	struct evr_pool_class class = { PAYLOAD_BYTES, BARE_BLOCKS, 0 };
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = &class,
					    .classes_count = 1,
					    .batch_count = 1 };

	return evr_pool_create(region, &options, ret);
}

static void prepare_bare(struct party *house)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = BARE_BYTES,
					      .participants = 3,
					      .agents = 3 };

	MUST(house, evr_region_create(&options, &bare));
}

static const void *look_at_bare(struct party *house, pid_t victim, size_t *ret_bytes)
{
	(void)house;
	(void)victim;
	*ret_bytes = bare->mapped[0].bytes;
	return bare->base;
}

static void enter_bare(struct party *victim)
{
	MUST(victim, evr_region_attach(evr_region_fd(bare), &victim->second_region));
}

static void do_create_pool(struct party *victim)
{
	struct evr_pool *pool;

	victim->result = make_pool(victim->second_region, &pool);
	if (victim->result == 0)
		evr_pool_close(pool);
}

/* The house may have been quicker. */
static void leave_pool_created(struct party *victim)
{
	if (victim->result != -EEXIST && victim->result != -EBUSY)
		MUST(victim, victim->result);
	victim->second_region = evr_region_detach(victim->second_region);
}

/* There is one pool, or the next one who wants one makes it; and all of it can be had. */
static void conclude_bare(struct party *house)
{
	struct evr_block blocks[BARE_BLOCKS + 1];
	struct evr_pool *pool;
	struct evr_agent agent;
	uint32_t count = 0;
	int result = make_pool(bare, &pool);

	if (result == -EEXIST)
		result = evr_pool_open(bare, &pool);
	MUST(house, result);
	if (result < 0)
		return;
	MUST(house, evr_agent_open(pool, &agent));
	while (count <= BARE_BLOCKS &&
	       evr_block_alloc(&agent, PAYLOAD_BYTES, &blocks[count]) == 0)
		count++;
	if (count != BARE_BLOCKS)
		complain(house, "%u blocks can be had, not %u", count, BARE_BLOCKS);
	while (count > 0)
		MUST(house, evr_block_free(&agent, blocks[--count].token));
	evr_agent_close(&agent);
	evr_pool_close(pool);
	bare = evr_region_detach(bare);
}

const struct scenario scenario_create_pool = {
	.name = "create-pool",
	.about = "the pool of a region",
	.stride = 7,
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.prepare = prepare_bare,
	.look = look_at_bare,
	.enter = enter_bare,
	.operate = do_create_pool,
	.leave = leave_pool_created,
	.conclude = conclude_bare,
};

/* ---- a ring of inline entries, in the directory ---- */

#define NAME "late"
#define ENTRY_BYTES 8

static int make_inline(struct evr_region *region)
{
	struct evr_ring_inline_options options = {
		.size = sizeof(options),
		.name = NAME,
		.entry_bytes = ENTRY_BYTES,
		.order = 3,
	};

	return evr_ring_inline_create(region, &options);
}

static void do_create_inline(struct party *victim)
{
	victim->result = make_inline(victim->region);
}

static void leave_inline_created(struct party *victim)
{
	if (victim->result != -EEXIST && victim->result != -EBUSY)
		MUST(victim, victim->result);
}

/* Whoever stopped or died there: the name can be used, and what it names works. */
static void conclude_inline(struct party *house)
{
	struct evr_ring_inline in, out;
	uint64_t entry = 7;
	int result = make_inline(house->region);

	if (result != -EEXIST)
		MUST(house, result);
	MUST(house, evr_ring_inline_open(house->region, NAME, EVR_RING_PUSHER,
					 ENTRY_BYTES, &in));
	MUST(house, evr_ring_inline_open(house->region, NAME, EVR_RING_POPPER,
					 ENTRY_BYTES, &out));
	MUST(house, evr_ring_inline_try_push(&in, &entry, sizeof(entry)));
	entry = 0;
	MUST(house, evr_ring_inline_try_pop(&out, &entry, sizeof(entry)));
	if (entry != 7)
		complain(house, "what was pushed as 7 came out as %lu", entry);
	evr_ring_inline_leave(&in);
	evr_ring_inline_leave(&out);
}

const struct scenario scenario_create_inline = {
	.name = "create-inline",
	.about = "a ring of inline entries in the region's directory",
	.stride = 5,
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.operate = do_create_inline,
	.leave = leave_inline_created,
	.conclude = conclude_inline,
};
