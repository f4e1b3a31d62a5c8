/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* scenarios_channel.c - submit, receive, complete, reap; homes that come and go. */

#include "scenarios.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "home.h"

#define WAIT_NS UINT64_C(10000000000)

void receive_one(struct party *party)
{
	MUST(party, evr_completer_receive(party->completer, &party->request,
					  now_ns() + WAIT_NS));
	request_verify(party, &party->request);
}

/* Requests that went round before, so that handles opened now have to walk. */
static void uring_traffic(struct party *house)
{
	party_open_submitter(house);
	for (uint32_t i = 0; i < 11; i++) {
		if (!request_send(house, i % 3) || !request_serve(house) ||
		    !request_reap(house))
			complain(house, "request %u did not get through", i);
	}
	house->submitter = evr_submitter_close(house->submitter);
}

static void supply_requests(struct party *source)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (!request_send(source, 2))
			complain(source, "request %u could not be sent", i);
	}
}

/* The source as a server: answers the victim's two requests. */
static void supply_answers(struct party *source)
{
	for (uint32_t i = 0; i < 2; i++) {
		receive_one(source);
		request_answer(source, &source->request);
	}
}

/* ---- submit ---- */

/*
 * The block to be submitted has been a request of the source's before, its prefix still
 * says so, and the source does wait for an answer: if the word said REQ before the prefix
 * is new, a death would send the source an answer to a request that it did not send.
 */
static void enter_request(struct party *victim)
{
	await(victim, &victim->board->supplied);
	party_open_submitter(victim);
	receive_one(victim);

	struct evr_request theirs = victim->request;
	if (!request_make(victim, 2, &victim->request))
		complain(victim, "no blocks for a request");
	struct evr_block_shared *block = block_of(victim, victim->request.block.token);
	const struct evr_block_shared *stale = block_of(victim, theirs.block.token);
	memcpy((char *)block + PREFIX_BEGIN, (const char *)stale + PREFIX_BEGIN,
	       PREFIX_END - PREFIX_BEGIN);
	victim->second_request = theirs;
}

static void do_submit(struct party *victim)
{
	victim->result = evr_submitter_try_submit(victim->submitter, &victim->request);
}

static void leave_submitted(struct party *victim)
{
	request_answer(victim, &victim->second_request);
	if (victim->result == -EAGAIN || victim->result == -EPIPE) {
		expect_owned(victim, &victim->request.block);
		MUST(victim, evr_block_free(&victim->agent, victim->request.block.token));
		return;
	}
	MUST(victim, victim->result);
	victim->next_request++;
	victim->outstanding[victim->request.operation] = 1;
}

const struct scenario scenario_submit = {
	.name = "submit",
	.about = "a request with two contents",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.supply = supply_requests,
	.enter = enter_request,
	.operate = do_submit,
	.leave = leave_submitted,
};

/* ---- receive ---- */

static void do_receive(struct party *victim)
{
	victim->result = evr_completer_try_receive(victim->completer, &victim->request);
}

static void leave_received(struct party *victim)
{
	if (victim->result == -EAGAIN || victim->result == -EPIPE)
		return;
	MUST(victim, victim->result);
	request_verify(victim, &victim->request);
	request_answer(victim, &victim->request);
}

void take_a_request(struct party *party)
{
	struct evr_ring submissions;
	struct evri_uring *urings;
	uint32_t count;

	MUST(party, evri_urings_find(party->region, &urings, &count));
	MUST(party, evri_uring_submissions(&urings[0], &submissions));
	take_without_mark(party, &submissions);
}

const struct scenario scenario_receive = {
	.name = "receive",
	.about = "a request with two contents",
	.modes = MODES_ALONE | MODES_SENDER | IN(MODE_RIVAL) | IN(MODE_ROUND),
	.prepare = uring_traffic,
	.supply = supply_requests,
	.rival = take_a_request,
	.enter = enter_supplied,
	.operate = do_receive,
	.leave = leave_received,
};

static void leave_not_received(struct party *victim)
{
	const uint32_t *from = victim->request.block.payload;

	if (victim->result == 0 && *from == SOURCE)
		complain(victim, "received a request of one who is gone");
	leave_received(victim);
}

const struct scenario scenario_receive_gone = {
	.name = "receive-gone",
	.about = "requests whose submitter is gone: freed on the way",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.supply = supply_requests,
	.operate = do_receive,
	.leave = leave_not_received,
	.source_dies_first = true,
};

/* ---- complete ---- */

static void enter_with_request(struct party *victim)
{
	await(victim, &victim->board->supplied);
	receive_one(victim);
}

static void do_complete(struct party *victim)
{
	victim->result = evr_completer_complete(
		victim->completer, victim->request.block.token,
		(int32_t)victim->request.operation + 7, RESPONSE_BYTES);
}

static void leave_completed(struct party *victim)
{
	if (victim->result != -EPIPE || !victim->board->deaths)
		MUST(victim, victim->result);
}

const struct scenario scenario_complete = {
	.name = "complete",
	.about =
		"an answer; in mode sender, to one who dies and whose home another takes",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = uring_traffic,
	.supply = supply_requests,
	.enter = enter_with_request,
	.operate = do_complete,
	.leave = leave_completed,
};

const struct scenario scenario_complete_away = {
	.name = "complete-away",
	.about = "an answer to one who dies, and whose home nobody takes",
	.modes = MODES_SENDER,
	.prepare = uring_traffic,
	.supply = supply_requests,
	.source_lives_high = true,
	.enter = enter_with_request,
	.operate = do_complete,
	.leave = leave_completed,
};

/* The submitter leaves, by itself, with requests in the victim's hands. */
static void supply_and_leave(struct party *source)
{
	supply_requests(source);
	announce(&source->board->supplied);
	await(source, &source->board->received);
	source->submitter = evr_submitter_close(source->submitter);
	memset(source->outstanding, 0, sizeof(source->outstanding));
	announce(&source->board->left);
}

static void enter_with_request_of_gone(struct party *victim)
{
	enter_with_request(victim);
	announce(&victim->board->received);
	await(victim, &victim->board->left);
}

static void leave_not_completed(struct party *victim)
{
	if (victim->result != -EPIPE)
		complain(victim, "completing for one who left gave %d", victim->result);
}

const struct scenario scenario_complete_gone = {
	.name = "complete-gone",
	.about = "an answer to one who has left",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.supply = supply_and_leave,
	.enter = enter_with_request_of_gone,
	.operate = do_complete,
	.leave = leave_not_completed,
};

/* The same, and another submitter has the home by now: the victim itself. */
static void enter_with_home_of_gone(struct party *victim)
{
	enter_with_request_of_gone(victim);
	party_open_submitter(victim);
	victim->result = (int)evr_submitter_slot(victim->submitter);
	if (victim->result != 0)
		complain(victim, "slot %d was taken, not the one that became free",
			 victim->result);
}

const struct scenario scenario_complete_late = {
	.name = "complete-late",
	.about = "an answer to one who has left, and whose home another has",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.supply = supply_and_leave,
	.enter = enter_with_home_of_gone,
	.operate = do_complete,
	.leave = leave_not_completed,
};

/* ---- reap ---- */

static void enter_with_answers(struct party *victim)
{
	party_open_submitter(victim);
	for (uint32_t i = 0; i < 2; i++) {
		if (!request_send(victim, 2))
			complain(victim, "request %u could not be sent", i);
	}
	await(victim, &victim->board->supplied);
}

static void do_reap(struct party *victim)
{
	victim->result = evr_submitter_try_reap(victim->submitter, &victim->completion);
}

static void leave_reaped(struct party *victim)
{
	MUST(victim, victim->result);
	completion_verify(victim, &victim->completion);
	completion_free(victim, &victim->completion);
}

const struct scenario scenario_reap = {
	.name = "reap",
	.about = "an answer; in mode sender, of one who is dead",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = uring_traffic,
	.supply = supply_answers,
	.enter = enter_with_answers,
	.operate = do_reap,
	.leave = leave_reaped,
};

/* A server that dies with the victim's first request; recovery sends it back. */
static void depart_with_request(struct party *departed)
{
	announce(&departed->board->supplied);
	receive_one(departed);
}

static void enter_with_returned(struct party *victim)
{
	struct evr_recovery_stats stats = {0};
	struct timespec moment = {.tv_nsec = 100000};

	party_open_submitter(victim);
	if (!request_send(victim, 2))
		complain(victim, "the request could not be sent");
	while (stats.returned == 0) {
		nanosleep(&moment, NULL);
		MUST(victim, evr_recover(&victim->agent, &stats));
	}
}

static void leave_returned(struct party *victim)
{
	MUST(victim, victim->result);
	if (victim->completion.status != -EOWNERDEAD)
		complain(victim, "the status is %d", victim->completion.status);
	leave_reaped(victim);
}

const struct scenario scenario_reap_returned = {
	.name = "reap-returned",
	.about = "a request that died with its server, from the return ring",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.depart = depart_with_request,
	.departs_beside = true,
	.enter = enter_with_returned,
	.operate = do_reap,
	.leave = leave_returned,
};

/* ---- homes and the uring ---- */

static void do_submitter_open(struct party *victim)
{
	victim->result = evr_submitter_open(victim->uring, &victim->agent, NULL,
					    &victim->second_submitter);
}

static void leave_submitter_open(struct party *victim)
{
	MUST(victim, victim->result);
}

const struct scenario scenario_submitter_open = {
	.name = "submitter-open",
	.about = "taking a home",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.operate = do_submitter_open,
	.leave = leave_submitter_open,
};

/* One request answered, one in the source's hands, one in the submission ring. */
static void supply_half_answers(struct party *source)
{
	receive_one(source);
	request_answer(source, &source->request);
	receive_one(source);
}

static void supply_late_answer(struct party *source)
{
	supply_half_answers(source);
	announce(&source->board->supplied);
	await(source, &source->board->finish);
	int result = evr_completer_complete(
		source->completer, source->request.block.token, 7, RESPONSE_BYTES);
	if (result < 0 && result != -EPIPE)
		complain(source, "the late answer: %s", evr_strerror(result));
}

static void enter_to_close(struct party *victim)
{
	party_open_submitter(victim);
	for (uint32_t i = 0; i < 2; i++) {
		if (!request_send(victim, 2))
			complain(victim, "request %u could not be sent", i);
	}
	await(victim, &victim->board->supplied);
	if (!request_send(victim, 1))
		complain(victim, "the last request could not be sent");
}

void do_submitter_close(struct party *victim)
{
	victim->submitter = evr_submitter_close(victim->submitter);
}

void leave_submitter_closed(struct party *victim)
{
	memset(victim->outstanding, 0, sizeof(victim->outstanding));
}

const struct scenario scenario_submitter_close = {
	.name = "submitter-close",
	.about = "leaving a home, with one answer unreaped, one late, one request queued",
	.modes = MODES_ALONE | MODES_SENDER,
	.prepare = uring_traffic,
	.supply = supply_late_answer,
	.gone_is_no_surprise = true,
	.enter = enter_to_close,
	.operate = do_submitter_close,
	.leave = leave_submitter_closed,
};

static void do_shutdown(struct party *victim)
{
	victim->result = evr_uring_shutdown(victim->uring);
}

static void leave_shut_down(struct party *victim)
{
	while (victim->result == -EAGAIN) {
		request_serve(victim);
		do_shutdown(victim);
	}
	MUST(victim, victim->result);
}

const struct scenario scenario_shutdown = {
	.name = "shutdown",
	.about = "a uring with requests in it lets no more in",
	.modes = MODES_ALONE,
	.prepare = uring_traffic,
	.supply = supply_requests,
	.enter = enter_supplied,
	.operate = do_shutdown,
	.leave = leave_shut_down,
	.shuts_uring = true,
};
