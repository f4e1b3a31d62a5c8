/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_roles.c - a ring with one pusher and one popper: push, pop, close, hanging
 * up, taking a role, leaving it; and whoever comes after one who died in it.
 *
 * The ring is one beside the usual one, which the workers go on with.
 */

#include "scenarios.h"

#include <errno.h>

#include <evering/ring_role.h>

#define LONE "lone"
#define LONE_ORDER 3
#define POPS_MAX 64

/* Messages go through the party's ring: let that be the lone one for a while. */
static void change_rings(struct party *party)
{
	struct evr_ring ring = party->ring;

	party->ring = party->lone;
	party->lone = ring;
}

static uint32_t send_some(struct party *party, uint32_t most)
{
	uint32_t sent = 0;

	change_rings(party);
	while (sent < most && message_send(party))
		sent++;
	change_rings(party);
	return sent;
}

static void take_all(struct party *party)
{
	struct evr_block block;
	int result;

	while ((result = evr_ring_try_pop(&party->lone, &party->agent, &block)) == 0) {
		message_verify(party, &block);
		MUST(party, evr_block_free(&party->agent, block.token));
	}
	if (result != -EAGAIN && result != -EPIPE)
		complain(party, "pop: %s", evr_strerror(result));
}

static int take(struct party *party, uint32_t role)
{
	return evr_ring_take_role(&party->lone, &party->agent, role);
}

static void leave(struct party *party, uint32_t role)
{
	MUST(party, evr_ring_leave_role(&party->lone, &party->agent, role));
}

static void open_lone(struct party *party)
{
	MUST(party, evr_ring_open(party->region, LONE, &party->lone));
}

/* In the middle of a lap, the hints behind, as one who was killed leaves them. */
static void prepare_lone(struct party *house)
{
	struct evr_ring_options options = {
		.size = sizeof(options),
		.name = LONE,
		.order = LONE_ORDER,
		.flags = EVR_RING_SINGLE_PUSHER | EVR_RING_SINGLE_POPPER,
	};

	MUST(house, evr_ring_create_with(house->region, &options, &house->lone));
	MUST(house, take(house, EVR_RING_PUSHER));
	MUST(house, take(house, EVR_RING_POPPER));
	for (uint32_t i = 0; i < 29; i++) {
		if (send_some(house, 1) != 1)
			complain(house, "message %u did not get through", i);
		take_all(house);
	}
	leave(house, EVR_RING_PUSHER);
	leave(house, EVR_RING_POPPER);
	evr_store_relaxed_u64(&house->lone.shared->tail_hint, house->lone.tail & ~15UL);
	evr_store_relaxed_u64(&house->lone.shared->head_hint, house->lone.head & ~15UL);
}

/* The others at the victim's side: let in if it is dead, and only then. */
static bool succeed(struct party *house, uint32_t role)
{
	int result = take(house, role);

	if (house->board->cut_short) {
		MUST(house, result);
		return result == 0;
	}
	if (result != -EBUSY)
		complain(house, "the role of one who is stopped could be taken: %s",
			 evr_strerror(result));
	return false;
}

/* One who was stopped on its way to the role, or from it, has it or not. */
static bool take_if_free(struct party *house, uint32_t role)
{
	int result = take(house, role);

	if (result != 0 && (result != -EBUSY || house->board->cut_short))
		complain(house, "take: %s", evr_strerror(result));
	return result == 0;
}

static void take_what_is_there(struct party *house)
{
	MUST(house, take(house, EVR_RING_POPPER));
	take_all(house);
	leave(house, EVR_RING_POPPER);
}

static void push_some_more(struct party *house)
{
	if (send_some(house, 2) != 2)
		complain(house, "a ring that is not full took no message");
	leave(house, EVR_RING_PUSHER);
}

/* Both sides work, and what is in the ring comes out of it. */
static void conclude_open(struct party *house)
{
	MUST(house, take(house, EVR_RING_PUSHER));
	take_what_is_there(house);
	push_some_more(house);
	take_what_is_there(house);
	for (uint64_t i = 0; i <= house->lone.mask; i++) {
		if (evri_slot_is_full(evr_load_acquire_u64(&house->lone.slots[i])))
			complain(house, "something still lies in the lone ring");
	}
}

/* By now nobody is there who could not be closed upon. */
static void conclude_closed(struct party *house)
{
	struct evr_block block;
	int result = -EAGAIN;

	MUST(house, take(house, EVR_RING_POPPER));
	for (uint32_t i = 0; i < POPS_MAX && result != -EPIPE; i++) {
		if (house->board->cut_short && i == 0)
			MUST(house, evr_ring_close(&house->lone));
		result = evr_ring_try_pop(&house->lone, &house->agent, &block);
		if (result == 0) {
			message_verify(house, &block);
			MUST(house, evr_block_free(&house->agent, block.token));
		}
	}
	if (result != -EPIPE)
		complain(house, "a ring that was closed is not: %s",
			 evr_strerror(result));
	if (take(house, EVR_RING_PUSHER) != -EPIPE)
		complain(house, "a ring that was closed has a new pusher");
	leave(house, EVR_RING_POPPER);
}

/* ---- push ---- */

static void enter_pusher(struct party *victim)
{
	open_lone(victim);
	MUST(victim, take(victim, EVR_RING_PUSHER));
	enter_message(victim);
}

static void do_lone_push(struct party *victim)
{
	victim->result = evr_ring_try_push(&victim->lone, &victim->agent,
					   victim->held[0].token);
}

static void leave_pusher(struct party *victim)
{
	leave_pushed(victim);
	send_some(victim, 1);
	leave(victim, EVR_RING_PUSHER);
}

static void beside_pusher(struct party *house)
{
	take_what_is_there(house);
	if (succeed(house, EVR_RING_PUSHER))
		push_some_more(house);
}

const struct scenario scenario_lone_push = {
	.name = "lone-push",
	.about = "a message, by a ring's only pusher",
	.modes = MODES_ALONE,
	.prepare = prepare_lone,
	.enter = enter_pusher,
	.operate = do_lone_push,
	.leave = leave_pusher,
	.beside = beside_pusher,
	.conclude = conclude_open,
};

static void prepare_full_lone(struct party *house)
{
	prepare_lone(house);
	MUST(house, take(house, EVR_RING_PUSHER));
	while (send_some(house, 1))
		;
	leave(house, EVR_RING_PUSHER);
}

const struct scenario scenario_lone_push_full = {
	.name = "lone-push-full",
	.about = "a message that does not fit, by a ring's only pusher",
	.modes = MODES_ALONE,
	.prepare = prepare_full_lone,
	.enter = enter_pusher,
	.operate = do_lone_push,
	.leave = leave_pusher,
	.beside = beside_pusher,
	.conclude = conclude_open,
};

/* ---- pop ---- */

static void supply_lone(struct party *source)
{
	open_lone(source);
	MUST(source, take(source, EVR_RING_PUSHER));
	if (send_some(source, 3) != 3)
		complain(source, "the messages could not be sent");
	leave(source, EVR_RING_PUSHER);
}

static void enter_popper(struct party *victim)
{
	open_lone(victim);
	MUST(victim, take(victim, EVR_RING_POPPER));
	enter_supplied(victim);
}

static void do_lone_pop(struct party *victim)
{
	victim->result =
		evr_ring_try_pop(&victim->lone, &victim->agent, &victim->block);
}

static void leave_popper(struct party *victim)
{
	leave_popped(victim);
	take_all(victim);
	leave(victim, EVR_RING_POPPER);
}

static void beside_popper(struct party *house)
{
	MUST(house, take(house, EVR_RING_PUSHER));
	push_some_more(house);
	if (succeed(house, EVR_RING_POPPER)) {
		take_all(house);
		leave(house, EVR_RING_POPPER);
	}
}

const struct scenario scenario_lone_pop = {
	.name = "lone-pop",
	.about = "a message, by a ring's only popper",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = prepare_lone,
	.supply = supply_lone,
	.enter = enter_popper,
	.operate = do_lone_pop,
	.leave = leave_popper,
	.beside = beside_popper,
	.conclude = conclude_open,
};

/* ---- taking a role, leaving it ---- */

static void do_take(struct party *victim)
{
	victim->result = take(victim, EVR_RING_PUSHER);
}

static void leave_taken(struct party *victim)
{
	MUST(victim, victim->result);
	if (send_some(victim, 1) != 1)
		complain(victim, "a ring that is not full took no message");
	leave(victim, EVR_RING_PUSHER);
}

static void beside_taker(struct party *house)
{
	if (take_if_free(house, EVR_RING_PUSHER))
		push_some_more(house);
	take_what_is_there(house);
}

const struct scenario scenario_lone_take = {
	.name = "lone-take",
	.about = "the role of the only pusher, with a walk to the tail",
	.modes = MODES_ALONE,
	.prepare = prepare_lone,
	.enter = open_lone,
	.operate = do_take,
	.leave = leave_taken,
	.beside = beside_taker,
	.conclude = conclude_open,
};

static void depart_with_role(struct party *departed)
{
	open_lone(departed);
	MUST(departed, take(departed, EVR_RING_PUSHER));
	if (send_some(departed, 2) != 2)
		complain(departed, "the messages could not be sent");
}

const struct scenario scenario_lone_take_over = {
	.name = "lone-take-over",
	.about = "the role of a pusher that is dead, and not recovered",
	.modes = MODES_ALONE,
	.prepare = prepare_lone,
	.depart = depart_with_role,
	.enter = open_lone,
	.operate = do_take,
	.leave = leave_taken,
	.beside = beside_taker,
	.conclude = conclude_open,
};

static void enter_to_leave(struct party *victim)
{
	open_lone(victim);
	MUST(victim, take(victim, EVR_RING_PUSHER));
	send_some(victim, 2);
}

static void do_leave(struct party *victim)
{
	victim->result =
		evr_ring_leave_role(&victim->lone, &victim->agent, EVR_RING_PUSHER);
}

static void leave_left(struct party *victim)
{
	MUST(victim, victim->result);
}

const struct scenario scenario_lone_leave = {
	.name = "lone-leave",
	.about = "the end of being the only pusher",
	.modes = MODES_ALONE,
	.prepare = prepare_lone,
	.enter = enter_to_leave,
	.operate = do_leave,
	.leave = leave_left,
	.beside = beside_taker,
	.conclude = conclude_open,
};

/* ---- close ---- */

static void do_lone_close(struct party *victim)
{
	victim->result = evr_ring_close(&victim->lone);
}

static void leave_lone_closed(struct party *victim)
{
	MUST(victim, victim->result);
	if (victim->lone.push_side == EVRI_RING_SIDE_MINE)
		leave(victim, EVR_RING_PUSHER);
}

const struct scenario scenario_lone_close = {
	.name = "lone-close",
	.about = "the end of a ring, by its only pusher",
	.modes = MODES_ALONE,
	.prepare = prepare_lone,
	.enter = enter_to_leave,
	.operate = do_lone_close,
	.leave = leave_lone_closed,
	.beside = take_what_is_there,
	.conclude = conclude_closed,
};

/* A new pusher comes while somebody hangs up on the last one. */
static void beside_hanging_up(struct party *house)
{
	int result = take(house, EVR_RING_PUSHER);

	if (result == 0) {
		send_some(house, 1);
		leave(house, EVR_RING_PUSHER);
	} else if (result != -EPIPE) {
		complain(house, "take: %s", evr_strerror(result));
	}
}

const struct scenario scenario_lone_hang_up = {
	.name = "lone-hang-up",
	.about = "the end of a ring without a pusher, by somebody else",
	.modes = MODES_ALONE,
	.prepare = prepare_lone,
	.enter = open_lone,
	.operate = do_lone_close,
	.leave = leave_lone_closed,
	.beside = beside_hanging_up,
	.conclude = conclude_closed,
};

/*
 * Hung up on by one who was stopped before it closed, upon a pusher who had left before
 * it looked: whoever drains the ring closes it. (The house has the only role that is
 * left free here, and stores what such a one leaves.)
 */
static void prepare_hung_up(struct party *house)
{
	prepare_lone(house);
	evr_store_release_u32(&house->lone.shared->hangup, 1);
}

static void enter_drainer(struct party *victim)
{
	open_lone(victim);
	MUST(victim, take(victim, EVR_RING_POPPER));
}

static void leave_drained(struct party *victim)
{
	int again = evr_ring_try_pop(&victim->lone, &victim->agent, &victim->block);

	if (again != -EPIPE)
		complain(victim, "drained, and a pop says %s", evr_strerror(again));
	leave(victim, EVR_RING_POPPER);
}

const struct scenario scenario_lone_drain = {
	.name = "lone-drain",
	.about = "the last pop of a ring that is hung up on and not closed",
	.modes = MODES_ALONE,
	.prepare = prepare_hung_up,
	.enter = enter_drainer,
	.operate = do_lone_pop,
	.leave = leave_drained,
	.conclude = conclude_closed,
};

/* ---- recovery ---- */

/* Dead, it owes the closing too. */
static void depart_hung_up_on(struct party *departed)
{
	struct evr_ring other;

	depart_with_role(departed);
	MUST(departed, evr_ring_open(departed->region, LONE, &other));
	if (evr_ring_close(&other) != -EINPROGRESS)
		complain(departed, "a pusher that lives was closed upon");
}

static void conclude_recovered(struct party *house)
{
	while (evr_recover(&house->agent, NULL) > 0)
		;
	if (evr_load_acquire_u64(&house->lone.shared->pusher) != 0)
		complain(house, "the role of a dead one was not given back");
	conclude_closed(house);
}

const struct scenario scenario_recover_role = {
	.name = "recover-role",
	.about = "of a ring's only pusher, which somebody had hung up on",
	.modes = IN(MODE_KILL) | IN(MODE_STOP),
	.geometry = &geometry_tiny,
	.prepare = prepare_lone,
	.depart = depart_hung_up_on,
	.enter = open_lone,
	.operate = do_recover,
	.leave = leave_recovered,
	.conclude = conclude_recovered,
};

/* ---- two at once ---- */

static void leave_hung_up(struct party *partner)
{
	if (partner->result != -EINPROGRESS)
		MUST(partner, partner->result);
}

static const struct scenario hang_up_partner = {
	.enter = open_lone,
	.operate = do_lone_close,
	.leave = leave_hung_up,
};

/* Its pusher is there until both have ended. */
static void leave_told(struct party *partner)
{
	if (partner->result != -EINPROGRESS)
		complain(partner, "closing upon a pusher that lives gave %d",
			 partner->result);
}

static const struct scenario tell_partner = {
	.enter = open_lone,
	.operate = do_lone_close,
	.leave = leave_told,
};

static void leave_pusher_hung_up_on(struct party *victim)
{
	leave_pushed(victim);
	leave(victim, EVR_RING_PUSHER);
}

const struct scenario scenario_lone_push_beside_hang_up = {
	.name = "lone-push+hang-up",
	.about = "a message, by a ring's only pusher, while somebody hangs up",
	.modes = IN(MODE_ENDS) | IN(MODE_BEGINS),
	.partner = &tell_partner,
	.prepare = prepare_lone,
	.enter = enter_pusher,
	.operate = do_lone_push,
	.leave = leave_pusher_hung_up_on,
	.conclude = conclude_closed,
};

static void enter_to_take_and_push(struct party *victim)
{
	open_lone(victim);
	enter_message(victim);
}

static void do_take_and_push(struct party *victim)
{
	victim->result = take(victim, EVR_RING_PUSHER);
	if (victim->result == 0)
		do_lone_push(victim);
}

static void leave_taken_or_not(struct party *victim)
{
	leave_pushed(victim);
	if (victim->lone.push_side == EVRI_RING_SIDE_MINE)
		leave(victim, EVR_RING_PUSHER);
}

const struct scenario scenario_lone_take_beside_hang_up = {
	.name = "lone-take+hang-up",
	.about = "a role and a message, while somebody hangs up on nobody",
	.modes = IN(MODE_ENDS) | IN(MODE_BEGINS),
	.partner = &hang_up_partner,
	.prepare = prepare_lone,
	.enter = enter_to_take_and_push,
	.operate = do_take_and_push,
	.leave = leave_taken_or_not,
	.conclude = conclude_closed,
};

static void leave_role_if_taken(struct party *party)
{
	if (party->result == -EBUSY)
		return;
	MUST(party, party->result);
	if (send_some(party, 1) != 1)
		complain(party, "a ring that is not full took no message");
	leave(party, EVR_RING_PUSHER);
}

static const struct scenario take_partner = {
	.enter = open_lone,
	.operate = do_take,
	.leave = leave_role_if_taken,
};

const struct scenario scenario_lone_take_beside_take = {
	.name = "lone-take+take",
	.about = "the role of the only pusher, for two at once",
	.modes = IN(MODE_ENDS) | IN(MODE_BEGINS),
	.stride = 3,
	.partner = &take_partner,
	.prepare = prepare_lone,
	.enter = open_lone,
	.operate = do_take,
	.leave = leave_role_if_taken,
	.conclude = conclude_open,
};
