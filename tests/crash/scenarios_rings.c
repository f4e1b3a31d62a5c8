/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_rings.c - the bare ring: push, pop, full, empty, close. */

#include "scenarios.h"

#include <errno.h>
#include <string.h>

/*
 * Leaves the positions in the middle of a lap, and the shared hints behind them: whoever
 * opens the ring now has to walk, over slots that are laps ahead of where it looks.
 */
void ring_traffic(struct party *house)
{
	for (uint32_t i = 0; i < 29; i++) {
		if (!message_send(house) || !message_take(house))
			complain(house, "message %u did not get through", i);
	}
}

/* ---- push ---- */

void enter_message(struct party *victim)
{
	hold_blocks(victim, 1);
	message_write(victim, &victim->held[0]);
}

void do_push(struct party *victim)
{
	victim->result = evr_ring_try_push(&victim->ring, &victim->agent,
						victim->held[0].token);
}

void leave_pushed(struct party *victim)
{
	if (victim->result == -EAGAIN || victim->result == -EPIPE) {
		free_held(victim);
		return;
	}
	MUST(victim, victim->result);
	victim->next_message++;
	victim->board->sent[victim->who] = victim->next_message;
}

const struct scenario scenario_push = {
	.name = "push",
	.about = "a message, with a walk to the tail",
	.modes = MODES_ALONE,
	.prepare = ring_traffic,
	.enter = enter_message,
	.operate = do_push,
	.leave = leave_pushed,
};

static void fill_ring(struct party *house)
{
	ring_traffic(house);
	while (message_send(house))
		;
}

const struct scenario scenario_push_full = {
	.name = "push-full",
	.about = "a message that does not fit",
	.modes = MODES_ALONE,
	.prepare = fill_ring,
	.enter = enter_message,
	.operate = do_push,
	.leave = leave_pushed,
};

/* ---- pop ---- */

void supply_messages(struct party *source)
{
	for (uint32_t i = 0; i < 3; i++) {
		if (!message_send(source))
			complain(source, "message %u could not be sent", i);
	}
}

void enter_supplied(struct party *victim)
{
	await(victim, &victim->board->supplied);
}

void do_pop(struct party *victim)
{
	victim->result =
		evr_ring_try_pop(&victim->ring, &victim->agent, &victim->block);
}

void leave_popped(struct party *victim)
{
	if (victim->result == -EAGAIN || victim->result == -EPIPE)
		return;
	MUST(victim, victim->result);
	message_verify(victim, &victim->block);
	MUST(victim, evr_block_free(&victim->agent, victim->block.token));
}

void take_a_message(struct party *rival)
{
	take_without_mark(rival, &rival->ring);
}

const struct scenario scenario_pop = {
	.name = "pop",
	.about = "a message, with a walk to the head",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_RIVAL) | IN(MODE_ROUND),
	.prepare = ring_traffic,
	.supply = supply_messages,
	.rival = take_a_message,
	.enter = enter_supplied,
	.operate = do_pop,
	.leave = leave_popped,
};

const struct scenario scenario_pop_empty = {
	.name = "pop-empty",
	.about = "a message when there is none",
	.modes = MODES_ALONE,
	.prepare = ring_traffic,
	.operate = do_pop,
	.leave = leave_popped,
};

/* ---- from far behind: a handle that was opened long ago ---- */

static void supply_long_traffic(struct party *source)
{
	await(source, &source->board->received);
	for (uint32_t i = 0; i < 203; i++) {
		if (!message_send(source) || !message_take(source))
			complain(source, "message %u did not get through", i);
	}
	supply_messages(source);
}

static void enter_far(struct party *victim)
{
	announce(&victim->board->received);
	await(victim, &victim->board->supplied);
}

static void enter_message_far(struct party *victim)
{
	enter_far(victim);
	enter_message(victim);
}

const struct scenario scenario_push_far = {
	.name = "push-far",
	.about = "a message, by one who was last here many laps ago",
	.modes = MODES_ALONE,
	.supply = supply_long_traffic,
	.enter = enter_message_far,
	.operate = do_push,
	.leave = leave_pushed,
};

const struct scenario scenario_pop_far = {
	.name = "pop-far",
	.about = "a message, by one who was last here many laps ago",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_ROUND),
	.supply = supply_long_traffic,
	.enter = enter_far,
	.operate = do_pop,
	.leave = leave_popped,
};

/* ---- close ---- */

static void do_close(struct party *victim)
{
	victim->result = evr_ring_close(&victim->ring);
}

static void leave_closed(struct party *victim)
{
	while (victim->result == -EAGAIN) {
		message_take(victim);
		do_close(victim);
	}
	MUST(victim, victim->result);
}

const struct scenario scenario_ring_close = {
	.name = "ring-close",
	.about = "the end of a ring with messages in it",
	.modes = MODES_ALONE | IN(MODE_SENDER),
	.prepare = ring_traffic,
	.supply = supply_messages,
	.enter = enter_supplied,
	.operate = do_close,
	.leave = leave_closed,
	.closes_ring = true,
};
