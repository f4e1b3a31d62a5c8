/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_blocks.c - blocks: alloc, free, refill, flush, containers, agents. */

#include "scenarios.h"

#include <errno.h>
#include <string.h>

#include "pool_internal.h"

/* Takes @count blocks into held[]. */
void hold_blocks(struct party *party, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		MUST(party,
		     evr_block_alloc(&party->agent, 64, &party->held[party->held_count]));
		party->held_count++;
	}
}

void free_held(struct party *party)
{
	while (party->held_count > 0) {
		struct evr_block *block = &party->held[--party->held_count];

		expect_owned(party, block);
		MUST(party, evr_block_free(&party->agent, block->token));
	}
}

/*
 * Free blocks with prefixes as a former life left them: a home that looks real, and a
 * list of contents. Nobody may believe them until a word says that they count.
 */
void plant_stale_prefixes(struct party *house)
{
	uint32_t blocks = evr_pool_blocks(house->pool);

	for (uint32_t i = 0; i < blocks; i++) {
		struct evr_block_shared *block = evri_block_at(&house->agent, i);

		if (!block)
			continue;
		memset((char *)block + PREFIX_BEGIN, 1, PREFIX_END - PREFIX_BEGIN);
		block->home = evri_home_address(2, 2, 0);
		block->contents[0] = evri_block_content_entry(
			(i + 1) % blocks,
			evr_load_relaxed_u64(
				&evri_block_at(&house->agent, (i + 1) % blocks)->word));
	}
}

/* ---- alloc, from the magazine and past it ---- */

void enter_cached(struct party *victim)
{
	hold_blocks(victim, 1);
	free_held(victim);
}

void do_alloc(struct party *victim)
{
	victim->result = evr_block_alloc(&victim->agent, 64, &victim->block);
}

void leave_allocated(struct party *victim)
{
	MUST(victim, victim->result);
	expect_owned(victim, &victim->block);
	MUST(victim, evr_block_free(&victim->agent, victim->block.token));
}

const struct scenario scenario_alloc = {
	.name = "alloc",
	.about = "a block from the magazine",
	.modes = MODES_ALONE,
	.prepare = plant_stale_prefixes,
	.enter = enter_cached,
	.operate = do_alloc,
	.leave = leave_allocated,
};

/* Somebody who died at work in the same bitmap word, holding nothing of it. */
void leave_bitmap_intent(struct party *source)
{
	evr_store_release_u64(&source->agent.shared->bitmap_intent, 1);
}

const struct scenario scenario_refill = {
	.name = "refill",
	.about = "a block when the magazine is empty",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.operate = do_alloc,
	.leave = leave_allocated,
};

/* ---- free, into the magazine and past it ---- */

void enter_hold_two(struct party *victim)
{
	hold_blocks(victim, 2);
}

void do_free(struct party *victim)
{
	victim->held_count--;
	victim->result =
		evr_block_free(&victim->agent, victim->held[victim->held_count].token);
}

void leave_freed(struct party *victim)
{
	MUST(victim, victim->result);
	free_held(victim);
}

const struct scenario scenario_free = {
	.name = "free",
	.about = "a block into the magazine",
	.modes = MODES_ALONE,
	.prepare = plant_stale_prefixes,
	.enter = enter_hold_two,
	.operate = do_free,
	.leave = leave_freed,
};

/* A full magazine whose oldest batch lies in two bitmap words, and a block in hand. */
void enter_full_magazine(struct party *victim)
{
	const struct evri_magazine *magazine = victim->agent.magazines;
	struct evr_block kept[2][5];
	uint32_t counts[2] = {0, 0};

	/* Enough of both chunks; what is more than that goes back to the bitmap. */
	while (counts[0] < 5 || counts[1] < 4) {
		hold_blocks(victim, 1);
		struct evr_block *block = &victim->held[victim->held_count - 1];
		uint32_t chunk = evr_token_index(block->token) / EVR_POOL_CHUNK_BLOCKS;
		if (counts[chunk] < 5) {
			kept[chunk][counts[chunk]++] = *block;
			victim->held_count--;
		}
	}
	free_held(victim);
	evr_agent_flush(&victim->agent);
	for (uint32_t i = 0; i < 4; i++) {
		MUST(victim, evr_block_free(&victim->agent, kept[0][i].token));
		MUST(victim, evr_block_free(&victim->agent, kept[1][i].token));
	}
	victim->held[victim->held_count++] = kept[0][4];
	if (counts[1] == 5)
		victim->held[victim->held_count++] = kept[1][4];
	if (magazine->count != magazine->capacity)
		complain(victim, "the magazine holds %u of %u", magazine->count,
			 magazine->capacity);
}

const struct scenario scenario_flush = {
	.name = "flush",
	.about =
		"a block, the magazine being full: a batch of two bitmap words goes",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.enter = enter_full_magazine,
	.operate = do_free,
	.leave = leave_freed,
};

/* ---- containers ---- */

static void enter_container(struct party *victim)
{
	hold_blocks(victim, 3);
	MUST(victim, evr_block_contain(&victim->agent, victim->held[0].token,
				       victim->held[1].token));
	MUST(victim, evr_block_contain(&victim->agent, victim->held[0].token,
				       victim->held[2].token));
	victim->held_count = 1;
}

const struct scenario scenario_free_container = {
	.name = "free-container",
	.about = "a block that contains two others",
	.modes = MODES_ALONE,
	.prepare = plant_stale_prefixes,
	.enter = enter_container,
	.operate = do_free,
	.leave = leave_freed,
};

static void enter_hold_three(struct party *victim)
{
	hold_blocks(victim, 3);
}

static void do_contain(struct party *victim)
{
	victim->result = evr_block_contain(&victim->agent, victim->held[0].token,
					   victim->held[1].token);
	if (victim->result >= 0)
		victim->result = evr_block_contain(&victim->agent, victim->held[0].token,
						   victim->held[2].token);
}

static void leave_contained(struct party *victim)
{
	MUST(victim, victim->result);
	MUST(victim, evr_block_take_out(&victim->agent, victim->held[0].token, 0,
					&victim->block));
	expect_owned(victim, &victim->block);
	MUST(victim, evr_block_free(&victim->agent, victim->block.token));
	victim->held_count = 1;
	free_held(victim);
}

const struct scenario scenario_contain = {
	.name = "contain",
	.about = "two blocks into a third",
	.modes = MODES_ALONE,
	.prepare = plant_stale_prefixes,
	.enter = enter_hold_three,
	.operate = do_contain,
	.leave = leave_contained,
};

static void do_take_out(struct party *victim)
{
	victim->result = evr_block_take_out(&victim->agent, victim->held[0].token, 1,
					    &victim->block);
}

static void leave_taken_out(struct party *victim)
{
	leave_allocated(victim);
	free_held(victim);
}

const struct scenario scenario_take_out = {
	.name = "take-out",
	.about = "one of two contained blocks",
	.modes = MODES_ALONE,
	.prepare = plant_stale_prefixes,
	.enter = enter_container,
	.operate = do_take_out,
	.leave = leave_taken_out,
};

/* ---- the same in a pool that does not track ---- */

const struct scenario scenario_untracked_refill = {
	.name = "untracked-refill",
	.about = "a block when the magazine is empty, words left alone",
	.modes = MODES_ALONE | MODES_SENDER,
	.geometry = &geometry_untracked,
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.operate = do_alloc,
	.leave = leave_allocated,
};

const struct scenario scenario_untracked_flush = {
	.name = "untracked-flush",
	.about = "a block when the magazine is full, words left alone",
	.modes = MODES_ALONE | MODES_SENDER,
	.geometry = &geometry_untracked,
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.enter = enter_full_magazine,
	.operate = do_free,
	.leave = leave_freed,
};

const struct scenario scenario_untracked_container = {
	.name = "untracked-container",
	.about = "a block that contains two others is freed, words left alone",
	.modes = MODES_ALONE,
	.geometry = &geometry_untracked,
	.prepare = plant_stale_prefixes,
	.enter = enter_container,
	.operate = do_free,
	.leave = leave_freed,
};

/* ---- agents ---- */

static void do_agent_open(struct party *victim)
{
	victim->result = evr_agent_open(victim->pool, &victim->second);
}

static void leave_agent_open(struct party *victim)
{
	MUST(victim, victim->result);
	evr_agent_close(&victim->second);
}

const struct scenario scenario_agent_open = {
	.name = "agent-open",
	.about = "a working set for another thread",
	.modes = MODES_ALONE,
	.operate = do_agent_open,
	.leave = leave_agent_open,
};

static void enter_second_agent(struct party *victim)
{
	MUST(victim, evr_agent_open(victim->pool, &victim->second));
	MUST(victim, evr_block_alloc(&victim->second, 64, &victim->block));
	MUST(victim, evr_block_free(&victim->second, victim->block.token));
}

static void do_agent_close(struct party *victim)
{
	evr_agent_close(&victim->second);
}

const struct scenario scenario_agent_close = {
	.name = "agent-close",
	.about = "and its end, with a batch in its magazine",
	.modes = MODES_ALONE,
	.enter = enter_second_agent,
	.operate = do_agent_close,
};

/* ---- a magazine that goes back by itself ---- */

static void enter_magazine(struct party *victim)
{
	hold_blocks(victim, 5);
	free_held(victim);
}

static void do_agent_flush(struct party *victim)
{
	evr_agent_flush(&victim->agent);
}

static void leave_flushed(struct party *victim)
{
	if (victim->agent.magazines[0].count)
		complain(victim, "%u blocks are in a magazine that was flushed",
			 victim->agent.magazines[0].count);
}

const struct scenario scenario_agent_flush = {
	.name = "agent-flush",
	.about = "all of a magazine goes back",
	.modes = MODES_ALONE | MODES_SENDER,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.enter = enter_magazine,
	.operate = do_agent_flush,
	.leave = leave_flushed,
};
