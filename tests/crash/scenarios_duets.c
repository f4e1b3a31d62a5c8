/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_duets.c - two in the middle of something at once. The partner is parked at
 * each of its stores, the victim at each instruction; main.c tells who goes on first.
 */

#include "scenarios.h"

#include "pool_internal.h"

#define MODES_DUET (IN(MODE_ENDS) | IN(MODE_BEGINS))

/* ---- recovery looks at a bitmap word while a living one works there ---- */

static void enter_batch(struct party *partner)
{
	hold_blocks(partner, 5);
	for (uint32_t i = 0; i < 4; i++) {
		partner->held_count--;
		MUST(partner, evr_block_free(&partner->agent,
					     partner->held[partner->held_count].token));
	}
}

static void do_flush(struct party *partner)
{
	evr_agent_flush(&partner->agent);
}

static const struct scenario flush = {
	.enter = enter_batch,
	.operate = do_flush,
	.leave = free_held,
};

const struct scenario scenario_recover_beside_flush = {
	.name = "recover-beside-flush",
	.about = "of one who died at work in a bitmap word, while another flushes there",
	.modes = MODES_DUET,
	.geometry = &geometry_tiny,
	.partner = &flush,
	.depart = leave_bitmap_intent,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 13,
};

static const struct scenario refill = {
	.operate = do_alloc,
	.leave = leave_allocated,
};

const struct scenario scenario_recover_beside_refill = {
	.name = "recover-beside-refill",
	.about = "of one who died at work in a bitmap word, while another refills there",
	.modes = MODES_DUET,
	.geometry = &geometry_tiny,
	.partner = &refill,
	.depart = leave_bitmap_intent,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 13,
};

/* ---- recovery of a sender while its message is being taken ---- */

static void depart_with_message_sent(struct party *departed)
{
	if (!message_send(departed))
		complain(departed, "the message could not be sent");
}

static const struct scenario pop = {
	.operate = do_pop,
	.leave = leave_popped,
};

const struct scenario scenario_recover_beside_pop = {
	.name = "recover-beside-pop",
	.about = "of the sender of a message, while another takes it",
	.modes = MODES_DUET,
	.geometry = &geometry_tiny,
	.partner = &pop,
	.depart = depart_with_message_sent,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 7,
};

/* The mark is a compare-and-swap there, and recovery may change the word under it. */
const struct scenario scenario_recover_beside_hardened_pop = {
	.name = "recover-beside-hardened-pop",
	.about = "of the sender of a message, while another takes it in a hardened pool",
	.modes = MODES_DUET,
	.geometry = &geometry_hardened,
	.partner = &pop,
	.depart = depart_with_message_sent,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 7,
};

/* ---- two recoverers of the same dead one ---- */

static void supply_a_request(struct party *source)
{
	if (!request_send(source, 1))
		complain(source, "the request could not be sent");
}

static const struct scenario recover = {
	.operate = do_recover,
	.leave = leave_recovered,
};

const struct scenario scenario_recover_beside_recover = {
	.name = "recover-beside-recover",
	.about = "of one who had a request in its registers, by two at once",
	.modes = MODES_DUET,
	.geometry = &geometry_tiny,
	.partner = &recover,
	.supply = supply_a_request,
	.depart = depart_with_request_taken,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 13,
};

/* ---- an answer, and a home that goes away ---- */

static void depart_with_request_sent(struct party *departed)
{
	party_open_submitter(departed);
	supply_a_request(departed);
	announce(&departed->board->supplied);
}

const struct scenario scenario_recover_beside_complete = {
	.name = "recover-beside-complete",
	.about = "of a submitter, while its request is being answered",
	.modes = MODES_DUET,
	.geometry = &geometry_tiny,
	.partner = &scenario_complete,
	.depart = depart_with_request_sent,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 7,
};

static void enter_to_leave(struct party *victim)
{
	party_open_submitter(victim);
	supply_a_request(victim);
	announce(&victim->board->supplied);
}

const struct scenario scenario_close_beside_complete = {
	.name = "close-beside-complete",
	.about = "a submitter leaves while its request is being answered",
	.modes = MODES_DUET,
	.partner = &scenario_complete,
	.gone_is_no_surprise = true,
	.enter = enter_to_leave,
	.operate = do_submitter_close,
	.leave = leave_submitter_closed,
};

/* ---- two at the same end of a ring ---- */

static void supply_a_message(struct party *source)
{
	if (!message_send(source))
		complain(source, "the message could not be sent");
}

const struct scenario scenario_pop_beside_pop = {
	.name = "pop-beside-pop",
	.about = "one message, and two who take it",
	.modes = MODES_DUET,
	.prepare = ring_traffic,
	.supply = supply_a_message,
	.partner = &pop,
	.enter = enter_supplied,
	.operate = do_pop,
	.leave = leave_popped,
};

const struct scenario scenario_pop_beside_push = {
	.name = "pop-beside-push",
	.about = "an empty ring, one who takes and one who sends",
	.modes = MODES_DUET,
	.prepare = ring_traffic,
	.partner = &scenario_push,
	.operate = do_pop,
	.leave = leave_popped,
};

static void leave_one_place(struct party *house)
{
	ring_traffic(house);
	for (uint32_t i = 0; i < (1U << geometry_usual.ring_order) - 1; i++)
		message_send(house);
}

const struct scenario scenario_push_beside_push = {
	.name = "push-beside-push",
	.about = "one free place, and two who want it",
	.modes = MODES_DUET,
	.prepare = leave_one_place,
	.partner = &scenario_push,
	.enter = enter_message,
	.operate = do_push,
	.leave = leave_pushed,
};
