/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_burst.c - several messages through one slot of the ring. */

#include "scenarios.h"

#include <errno.h>

#define BURST 4

/* Messages numbered on from the last; sent when the push says so. */
static void enter_messages(struct party *party)
{
	hold_blocks(party, BURST);
	for (uint32_t i = 0; i < BURST; i++) {
		message_write(party, &party->held[i]);
		party->next_message++;
	}
	party->next_message -= BURST;
}

static void do_push_burst(struct party *party)
{
	evr_token tokens[BURST];

	for (uint32_t i = 0; i < BURST; i++)
		tokens[i] = party->held[i].token;
	party->result =
		evr_ring_try_push_burst(&party->ring, &party->agent, tokens, BURST);
}

static void leave_pushed_burst(struct party *party)
{
	if (party->result == -EAGAIN || party->result == -EPIPE) {
		for (uint32_t i = 0; i < BURST; i++)
			expect_owned(party, &party->held[i]);
		free_held(party);
		return;
	}
	MUST(party, party->result);
	if (party->result != BURST)
		complain(party, "%d of %d were pushed", party->result, BURST);
	party->next_message += BURST;
	party->board->sent[party->who] = party->next_message;
}

/* The same, for those who are not stepped. */
static void send_burst(struct party *party)
{
	party->held_count = 0;
	enter_messages(party);
	do_push_burst(party);
	leave_pushed_burst(party);
	party->held_count = 0;
}

const struct scenario scenario_push_burst = {
	.name = "push-burst",
	.about = "four messages in a block",
	.modes = MODES_ALONE,
	.prepare = ring_traffic,
	.enter = enter_messages,
	.operate = do_push_burst,
	.leave = leave_pushed_burst,
};

static void close_ring(struct party *house)
{
	ring_traffic(house);
	MUST(house, evr_ring_close(&house->ring));
}

const struct scenario scenario_push_burst_closed = {
	.name = "push-burst-closed",
	.about = "four messages in a block, which comes back",
	.modes = MODES_ALONE,
	.prepare = close_ring,
	.enter = enter_messages,
	.operate = do_push_burst,
	.leave = leave_pushed_burst,
	.closes_ring = true,
};

/* ---- pop ---- */

static void supply_bursts(struct party *source)
{
	for (uint32_t i = 0; i < 2; i++) {
		send_burst(source);
		if (!message_send(source))
			complain(source, "the message could not be sent");
	}
}

/* Pops more than a burst has: the second, too, is begun. */
static void do_pop_burst(struct party *victim)
{
	victim->result = evr_ring_try_pop_burst(&victim->ring, &victim->agent,
						victim->held, BURST + 2);
}

static void verify_and_free(struct party *victim, const struct evr_block *block)
{
	message_verify(victim, block);
	MUST(victim, evr_block_free(&victim->agent, block->token));
}

/* What this end has in hand nobody else can take. */
static void take_rest(struct party *victim)
{
	while (evr_ring_in_hand(&victim->ring))
		if (!message_take(victim))
			complain(victim, "what is in hand cannot be popped");
}

static void leave_popped_burst(struct party *victim)
{
	if (victim->result == -EAGAIN)
		return;
	MUST(victim, victim->result);
	for (int i = 0; i < victim->result; i++)
		verify_and_free(victim, &victim->held[i]);
	take_rest(victim);
}

static void take_a_burst(struct party *rival)
{
	take_without_mark(rival, &rival->ring);
}

const struct scenario scenario_pop_burst = {
	.name = "pop-burst",
	.about = "a burst, a message, and a part of a burst",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_RIVAL) | IN(MODE_ROUND),
	.prepare = ring_traffic,
	.supply = supply_bursts,
	.rival = take_a_burst,
	.enter = enter_supplied,
	.operate = do_pop_burst,
	.leave = leave_popped_burst,
	.burst_lost = 2 * BURST + 1,
};

/* The first of a burst and the second, which is in hand by then. */
static void do_pop_twice(struct party *victim)
{
	for (victim->held_count = 0; victim->held_count < 2; victim->held_count++) {
		victim->result = evr_ring_try_pop(&victim->ring, &victim->agent,
						  &victim->held[victim->held_count]);
		if (victim->result < 0)
			break;
	}
}

static void leave_popped_twice(struct party *victim)
{
	for (uint32_t i = 0; i < victim->held_count; i++)
		verify_and_free(victim, &victim->held[i]);
	victim->held_count = 0;
	take_rest(victim);
}

const struct scenario scenario_pop_one_of_burst = {
	.name = "pop-one-of-burst",
	.about = "one message and another, of the four in a block",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_RIVAL),
	.prepare = ring_traffic,
	.supply = supply_bursts,
	.rival = take_a_burst,
	.enter = enter_supplied,
	.operate = do_pop_twice,
	.leave = leave_popped_twice,
	.burst_lost = 2 * BURST + 1,
};

/* The last of a burst: the block that carried it is freed. */
static void enter_with_last(struct party *victim)
{
	enter_supplied(victim);
	for (uint32_t i = 1; i < BURST; i++)
		if (!message_take(victim))
			complain(victim, "message %u of the burst is missing", i);
}

const struct scenario scenario_pop_last_of_burst = {
	.name = "pop-last-of-burst",
	.about = "the last message of the four in a block",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = ring_traffic,
	.supply = supply_bursts,
	.enter = enter_with_last,
	.operate = do_pop,
	.leave = leave_popped,
	.burst_lost = BURST,
};

/* ---- what is in hand ---- */

static void enter_with_rest(struct party *victim)
{
	enter_supplied(victim);
	if (!message_take(victim))
		complain(victim, "there is no burst");
}

static void do_give_back(struct party *victim)
{
	victim->result = evr_ring_give_back(&victim->ring, &victim->agent);
}

static void leave_given_back(struct party *victim)
{
	MUST(victim, victim->result);
	if (victim->result != BURST - 1 || evr_ring_in_hand(&victim->ring) != 0)
		complain(victim, "%d were given back", victim->result);
	while (message_take(victim))
		;
}

static void supply_a_burst(struct party *source)
{
	send_burst(source);
}

const struct scenario scenario_give_back = {
	.name = "give-back",
	.about = "the rest of a burst into the ring",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = ring_traffic,
	.supply = supply_a_burst,
	.enter = enter_with_rest,
	.operate = do_give_back,
	.leave = leave_given_back,
	.burst_lost = BURST,
};

/* ---- recovery ---- */

/* Dies with a burst in the ring, and with the rest of another in hand. */
static void depart_with_bursts(struct party *departed)
{
	struct evr_block block;

	send_burst(departed);
	send_burst(departed);
	MUST(departed, evr_ring_try_pop(&departed->ring, &departed->agent, &block));
}

const struct scenario scenario_recover_burst = {
	.name = "recover-burst",
	.about = "of one who had a burst in hand and another in the ring",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.depart = depart_with_bursts,
	.operate = do_recover,
	.leave = leave_recovered,
	.messages_lost = BURST,
};

/* Dies with a burst taken out of the ring, and not marked. */
static void depart_with_burst_taken(struct party *departed)
{
	send_burst(departed);
	take_without_mark(departed, &departed->ring);
}

const struct scenario scenario_recover_burst_taken = {
	.name = "recover-burst-taken",
	.about = "of one who had a burst in its registers",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.depart = depart_with_burst_taken,
	.operate = do_recover,
	.leave = leave_recovered,
	.messages_lost = BURST,
};

/* ---- the sender is recovered while its burst is being taken ---- */

static void depart_with_burst_sent(struct party *departed)
{
	send_burst(departed);
}

static void do_pop_all(struct party *partner)
{
	partner->result = evr_ring_try_pop_burst(&partner->ring, &partner->agent,
						 partner->held, BURST);
}

static const struct scenario pop_all = {
	.operate = do_pop_all,
	.leave = leave_popped_burst,
};

const struct scenario scenario_recover_beside_pop_burst = {
	.name = "recover-beside-pop-burst",
	.about = "of the sender of a burst, while another takes it",
	.modes = IN(MODE_ENDS) | IN(MODE_BEGINS),
	.geometry = &geometry_tiny,
	.partner = &pop_all,
	.depart = depart_with_burst_sent,
	.operate = do_recover,
	.leave = leave_recovered,
	.stride = 7,
};
