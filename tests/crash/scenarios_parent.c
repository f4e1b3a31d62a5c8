/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_parent.c - a parent dies while others work on what it sent: on the blocks
 * that its request contains. And several that die at once.
 */

#include "scenarios.h"

#include <errno.h>

/* ---- what a request contains, in the hands of who received it ---- */

static uint64_t seen[2][PAYLOAD_BYTES / 8];

static void supply_container(struct party *source)
{
	if (!request_send(source, 2))
		complain(source, "the request could not be sent");
}

static void enter_received(struct party *victim)
{
	await(victim, &victim->board->supplied);
	receive_one(victim);
}

/* As a worker does: reads what it was given, and writes its work into the same place. */
static void do_work(struct party *victim)
{
	for (uint32_t place = 0; place < 2; place++) {
		struct evr_block content;

		victim->result = evr_block_content(
			&victim->agent, victim->request.block.token, place, &content);
		if (victim->result < 0)
			return;
		uint64_t *words = content.payload;
		for (uint32_t i = 0; i < PAYLOAD_BYTES / 8; i++) {
			seen[place][i] = words[i];
			words[i] = ~words[i];
		}
		victim->held[place] = content;
	}
}

/* Whatever became of the parent: the worker's blocks are as the worker left them. */
static void leave_worked(struct party *victim)
{
	MUST(victim, victim->result);
	for (uint32_t place = 0; place < 2; place++) {
		uint64_t *words = victim->held[place].payload;
		struct evr_block content;

		for (uint32_t i = 0; i < PAYLOAD_BYTES / 8; i++) {
			if (words[i] != ~seen[place][i])
				complain(victim, "content %u was written to by another",
					 place);
			words[i] = seen[place][i];
		}
		MUST(victim, evr_block_content(&victim->agent,
					       victim->request.block.token, place,
					       &content));
		if (content.token.raw != victim->held[place].token.raw)
			complain(victim, "content %u is another block by now", place);
	}
	request_answer(victim, &victim->request);
}

const struct scenario scenario_work_on_contents = {
	.name = "work-on-contents",
	.about = "a worker in its parent's blocks; in mode sender the parent dies",
	.modes = MODES_SENDER | IN(MODE_STOP) | IN(MODE_OTHER),
	.supply = supply_container,
	.enter = enter_received,
	.operate = do_work,
	.leave = leave_worked,
};

/* ---- several at once ---- */

/*
 * The departed is three participants of one process: a parent with a home, a request
 * under way and a message sent; a worker with the parent's other request in hand; and
 * one that has the parent's message in its registers.
 */
static void depart_as_three(struct party *departed)
{
	struct party worker = { .who = DEPARTED, .board = departed->board };
	struct party taker = { .who = DEPARTED, .board = departed->board };
	struct evr_request request;
	int fd = evr_region_fd(departed->region);

	party_open_submitter(departed);
	if (!request_send(departed, 2) || !request_send(departed, 1) ||
	    !message_send(departed) || !message_send(departed))
		complain(departed, "what it is to leave could not be sent");
	MUST(departed, evr_region_attach(fd, &worker.region));
	MUST(departed, evr_pool_open(worker.region, &worker.pool));
	party_open_objects(&worker);
	MUST(departed, evr_completer_try_receive(worker.completer, &request));
	hold_blocks(&worker, 2);
	MUST(departed, evr_region_attach(fd, &taker.region));
	MUST(departed, evr_pool_open(taker.region, &taker.pool));
	party_open_objects(&taker);
	take_without_mark(&taker, &taker.ring);
	leave_bitmap_intent(&taker);
	departed->board->departed = evr_region_number(taker.region);
}

const struct scenario scenario_recover_several = {
	.name = "recover-several",
	.about = "of a parent, its worker and a taker that died together",
	.modes = IN(MODE_KILL) | IN(MODE_STOP),
	.geometry = &geometry_small,
	.stride = 5,
	.depart = depart_as_three,
	.operate = do_recover,
	.leave = leave_recovered,
	.messages_lost = 1,
};
