/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_region.c - joining and leaving a region, and making named objects in it. */

#include "scenarios.h"

#include <errno.h>

#include "region_internal.h"

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

/* With a message in the ring that still bears its sender's number. */
static void enter_attached(struct party *victim)
{
	struct evr_pool *pool;
	struct evr_ring_mpmc ring;
	struct evr_block block;

	do_attach(victim);
	MUST(victim, victim->result);
	MUST(victim, evr_pool_open(victim->second_region, &pool));
	MUST(victim, evr_agent_open(pool, &victim->second));
	MUST(victim, evr_ring_mpmc_open(victim->second_region, "ring", &ring));
	MUST(victim, evr_block_alloc(&victim->second, 64, &block));
	message_write(victim, &block);
	MUST(victim, evr_ring_mpmc_try_push(&ring, &victim->second, block.token));
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
	struct evr_ring_mpmc ring;

	victim->result = evr_ring_mpmc_create(victim->region, NAME, 2, &ring);
}

static void leave_created(struct party *victim)
{
	if (victim->result != -EEXIST && victim->result != -EBUSY)
		MUST(victim, victim->result);
}

/* Whoever stopped or died there: a name can be used, and is one object. */
static void conclude_ring(struct party *house)
{
	struct evr_ring_mpmc ring, again;
	int result = evr_ring_mpmc_create(house->region, NAME, 2, &ring);

	if (result != -EEXIST)
		MUST(house, result);
	MUST(house, evr_ring_mpmc_open(house->region, NAME, &ring));
	result = evr_ring_mpmc_create(house->region, NAME, 2, &again);
	if (result != -EEXIST)
		complain(house, "the name can be used twice (%d)", result);
}

/* One who stopped while making something keeps nobody from making something else. */
static void beside_ring(struct party *house)
{
	struct evr_ring_mpmc ring;

	MUST(house, evr_ring_mpmc_create(house->region, "beside", 2, &ring));
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
