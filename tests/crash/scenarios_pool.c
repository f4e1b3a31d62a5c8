/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_pool.c - the pool's other ways: many blocks at once, blocks that are looked
 * at, blocks whose prefixes stand beside. */

#include "scenarios.h"

#include <string.h>

#include <evering/pool_bulk.h>

/* ---- many at once ---- */

/* More than the magazine has and than one refill brings. */
#define BULK 7

static void do_alloc_bulk(struct party *victim)
{
	victim->result = evr_block_alloc_bulk(&victim->agent, PAYLOAD_BYTES,
					      victim->held, BULK);
}

static void leave_allocated_bulk(struct party *victim)
{
	MUST(victim, victim->result);
	if (victim->result != BULK)
		complain(victim, "%d of %d blocks were allocated", victim->result, BULK);
	victim->held_count = (uint32_t)victim->result;
	free_held(victim);
}

const struct scenario scenario_alloc_bulk = {
	.name = "alloc-bulk",
	.about = "seven blocks, four of them from the magazine",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_OTHER),
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.enter = enter_cached,
	.operate = do_alloc_bulk,
	.leave = leave_allocated_bulk,
};

/* A full magazine, and in hand at least five blocks, the second of which will have
 * contained two others. */
static void enter_full_with_container(struct party *victim)
{
	const struct evri_magazine *magazine = victim->agent.magazines;

	do
		hold_blocks(victim, 1);
	while (victim->held_count < magazine->capacity + 6 || magazine->count > 0);
	for (uint32_t i = 0; i < magazine->capacity; i++)
		MUST(victim,
		     evr_block_free(&victim->agent,
				    victim->held[--victim->held_count].token));
	if (magazine->count != magazine->capacity)
		complain(victim, "the magazine holds %u of %u", magazine->count,
			 magazine->capacity);
	for (uint32_t i = 0; i < 2; i++)
		MUST(victim,
		     evr_block_contain(&victim->agent, victim->held[1].token,
				       victim->held[--victim->held_count].token));
}

static void do_free_bulk(struct party *victim)
{
	evr_token tokens[80];

	for (uint32_t i = 0; i < victim->held_count; i++)
		tokens[i] = victim->held[i].token;
	victim->result =
		evr_block_free_bulk(&victim->agent, tokens, victim->held_count);
}

static void leave_freed_bulk(struct party *victim)
{
	MUST(victim, victim->result);
	if ((uint32_t)victim->result != victim->held_count)
		complain(victim, "%d of %u blocks were freed", victim->result,
			 victim->held_count);
	victim->held_count = 0;
}

const struct scenario scenario_free_bulk = {
	.name = "free-bulk",
	.about = "blocks, one with contents, the magazine being full",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_OTHER),
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.enter = enter_full_with_container,
	.operate = do_free_bulk,
	.leave = leave_freed_bulk,
};

const struct scenario scenario_untracked_alloc_bulk = {
	.name = "untracked-alloc-bulk",
	.about = "seven blocks, words left alone",
	.modes = MODES_ALONE,
	.geometry = &geometry_untracked,
	.prepare = plant_stale_prefixes,
	.enter = enter_cached,
	.operate = do_alloc_bulk,
	.leave = leave_allocated_bulk,
};

const struct scenario scenario_untracked_free_bulk = {
	.name = "untracked-free-bulk",
	.about = "blocks, one with contents, words left alone",
	.modes = MODES_ALONE,
	.geometry = &geometry_untracked,
	.prepare = plant_stale_prefixes,
	.enter = enter_full_with_container,
	.operate = do_free_bulk,
	.leave = leave_freed_bulk,
};

/* ---- canary and poison: what comes back from the dead has them, too ---- */

/* Blocks that were written to, unlike free ones. */
static void enter_written(struct party *victim)
{
	enter_hold_two(victim);
	for (uint32_t i = 0; i < victim->held_count; i++)
		memset(victim->held[i].payload, 1, PAYLOAD_BYTES);
}

static void enter_written_full(struct party *victim)
{
	enter_full_magazine(victim);
	for (uint32_t i = 0; i < victim->held_count; i++)
		memset(victim->held[i].payload, 1, PAYLOAD_BYTES);
}

const struct scenario scenario_hardened_alloc = {
	.name = "hardened-alloc",
	.about = "a block from the magazine, looked at",
	.modes = MODES_ALONE,
	.geometry = &geometry_hardened,
	.prepare = plant_stale_prefixes,
	.enter = enter_cached,
	.operate = do_alloc,
	.leave = leave_allocated,
};

const struct scenario scenario_hardened_refill = {
	.name = "hardened-refill",
	.about = "a block when the magazine is empty, looked at",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_OTHER),
	.geometry = &geometry_hardened,
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.operate = do_alloc,
	.leave = leave_allocated,
};

const struct scenario scenario_hardened_free = {
	.name = "hardened-free",
	.about = "a block into the magazine, looked at and poisoned",
	.modes = MODES_ALONE,
	.geometry = &geometry_hardened,
	.prepare = plant_stale_prefixes,
	.enter = enter_written,
	.operate = do_free,
	.leave = leave_freed,
};

const struct scenario scenario_hardened_flush = {
	.name = "hardened-flush",
	.about = "a block when the magazine is full, looked at and poisoned",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_OTHER),
	.geometry = &geometry_hardened,
	.prepare = plant_stale_prefixes,
	.supply = leave_bitmap_intent,
	.supplies_to_die = true,
	.enter = enter_written_full,
	.operate = do_free,
	.leave = leave_freed,
};

const struct scenario scenario_hardened_push = {
	.name = "hardened-push",
	.about = "a message, in a hardened pool",
	.modes = MODES_ALONE | IN(MODE_OTHER),
	.geometry = &geometry_hardened,
	.prepare = ring_traffic,
	.enter = enter_message,
	.operate = do_push,
	.leave = leave_pushed,
};

const struct scenario scenario_hardened_pop = {
	.name = "hardened-pop",
	.about = "a message, marked by compare-and-swap",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_OTHER) | IN(MODE_RIVAL),
	.geometry = &geometry_hardened,
	.prepare = ring_traffic,
	.supply = supply_messages,
	.rival = take_a_message,
	.enter = enter_supplied,
	.operate = do_pop,
	.leave = leave_popped,
};

/* ---- prefixes beside the payloads: nobody writes to another's ---- */

/* Of the large blocks, the victim's. */
#define LARGE_WANTED 6

static uint8_t pattern_of(const struct party *party, uint32_t held)
{
	return (uint8_t)(party->who * 16 + held + 1);
}

static void hold_large(struct party *party, uint32_t count)
{
	for (; count > 0; count--) {
		struct evr_block *block = &party->held[party->held_count];

		MUST(party, evr_block_alloc(&party->agent, LARGE_BYTES, block));
		memset(block->payload, pattern_of(party, party->held_count),
		       LARGE_BYTES);
		party->held_count++;
	}
}

static void free_large(struct party *party)
{
	for (uint32_t i = 0; i < party->held_count; i++) {
		const uint8_t *bytes = party->held[i].payload;

		expect_owned(party, &party->held[i]);
		if ((uintptr_t)bytes % geometry_aligned.alignment)
			complain(party, "a payload begins at %p", (const void *)bytes);
		for (uint32_t k = 0; k < LARGE_BYTES; k++)
			if (bytes[k] != pattern_of(party, i)) {
				complain(party, "byte %u of block %u says %u", k,
					 evr_token_index(party->held[i].token), bytes[k]);
				break;
			}
		MUST(party, evr_block_free(&party->agent, party->held[i].token));
	}
	party->held_count = 0;
}

static void enter_two_large(struct party *victim)
{
	hold_large(victim, 2);
}

static void do_alloc_large(struct party *victim)
{
	victim->result = evr_block_alloc(&victim->agent, LARGE_BYTES, &victim->block);
}

static void leave_allocated_large(struct party *victim)
{
	MUST(victim, victim->result);
	memset(victim->block.payload, pattern_of(victim, victim->held_count),
	       LARGE_BYTES);
	victim->held[victim->held_count++] = victim->block;
	free_large(victim);
}

/* What the others have left is taken, and written to; but the victim still needs some. */
static void beside_large(struct party *house)
{
	struct evr_block block;

	while (house->held_count < geometry_aligned.large - LARGE_WANTED &&
	       evr_block_alloc(&house->agent, LARGE_BYTES, &block) == 0) {
		memset(block.payload, pattern_of(house, house->held_count), LARGE_BYTES);
		house->held[house->held_count++] = block;
	}
	evr_agent_flush(&house->agent);
}

static void conclude_large(struct party *house)
{
	free_large(house);
	evr_agent_flush(&house->agent);
}

const struct scenario scenario_aligned_refill = {
	.name = "aligned-refill",
	.about = "a block whose prefix stands beside, the magazine being empty",
	.modes = MODES_ALONE,
	.geometry = &geometry_aligned,
	.enter = enter_two_large,
	.operate = do_alloc_large,
	.leave = leave_allocated_large,
	.beside = beside_large,
	.conclude = conclude_large,
};

/* A full magazine, and two blocks in hand. */
static void enter_full_of_large(struct party *victim)
{
	const struct evri_magazine *magazine = &victim->agent.magazines[1];

	hold_large(victim, magazine->capacity + 2);
	while (victim->held_count > 2)
		MUST(victim,
		     evr_block_free(&victim->agent,
				    victim->held[--victim->held_count].token));
	if (magazine->count != magazine->capacity)
		complain(victim, "the magazine holds %u of %u", magazine->count,
			 magazine->capacity);
}

const struct scenario scenario_aligned_flush = {
	.name = "aligned-flush",
	.about = "a block whose prefix stands beside, the magazine being full",
	.modes = MODES_ALONE,
	.geometry = &geometry_aligned,
	.enter = enter_full_of_large,
	.operate = do_free,
	.leave = leave_freed,
	.beside = beside_large,
	.conclude = conclude_large,
};

static void do_large_bulk(struct party *victim)
{
	victim->result = evr_block_alloc_bulk(&victim->agent, LARGE_BYTES,
					      victim->held + 2, 3);
	if (victim->result != 3)
		return;

	evr_token tokens[] = {
		victim->held[2].token,
		victim->held[0].token,
		victim->held[3].token,
	};
	victim->held[0] = victim->held[4];
	victim->result = evr_block_free_bulk(&victim->agent, tokens, 3);
}

static void leave_large_bulk(struct party *victim)
{
	MUST(victim, victim->result);
	if (victim->result != 3)
		complain(victim, "%d of 3 blocks", victim->result);
	memset(victim->held[0].payload, pattern_of(victim, 0), LARGE_BYTES);
	free_large(victim);
}

const struct scenario scenario_aligned_bulk = {
	.name = "aligned-bulk",
	.about = "blocks whose prefixes stand beside, many at once",
	.modes = MODES_ALONE,
	.geometry = &geometry_aligned,
	.enter = enter_two_large,
	.operate = do_large_bulk,
	.leave = leave_large_bulk,
	.beside = beside_large,
	.conclude = conclude_large,
};
