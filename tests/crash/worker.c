/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * worker.c - the others: two workers who must get on with their work whatever happened
 * to the victim, and the source of what the victim meets.
 */

#include "crash.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Requests that a worker has in flight at most: small, so that blocks suffice for all. */
#define WINDOW 3

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Dies with a request, a message, an idle block and a container in hand. */
static void die_at_work(struct party *party)
{
	struct evr_request request;
	struct evr_block block;

	request_make(party, 2, &request);
	if (evr_block_alloc(&party->agent, 64, &block) == 0)
		party->held[0] = block;
	if (evr_ring_try_pop(&party->ring, &party->agent, &block) == 0)
		message_verify(party, &block);
	if (evr_completer_try_receive(party->completer, &request) == 0)
		request_verify(party, &request);
	die();
}

static bool enough(const struct party *party)
{
	uint32_t wanted = party->board->wanted;

	if (party->board->no_ring)
		return party->completions_reaped >= wanted;
	if (party->board->no_uring)
		return party->messages_taken >= wanted;
	return party->messages_taken + party->completions_reaped >= wanted &&
	       party->messages_taken >= wanted / 4 &&
	       party->completions_reaped >= wanted / 4;
}

static void round_of_work(struct party *party, uint32_t turn)
{
	message_send(party);
	message_take(party);
	if (evr_submitter_in_flight(party->submitter) < WINDOW)
		request_send(party, turn % 2 ? 2 : 0);
	request_serve(party);
	request_reap(party);
}

void worker_run(struct party *party, bool dies_at_work)
{
	struct board *board = party->board;
	struct timespec moment = {.tv_nsec = 30000};
	uint32_t turn = 0;

	party_open_submitter(party);
	while (!enough(party)) {
		round_of_work(party, ++turn);
		/* Both share a CPU with the recoverer: mix them well. */
		if (turn % 8 == 0)
			sched_yield();
		if (turn % 64 == 0)
			MUST(party, evr_recover(&party->agent, NULL));
		if (dies_at_work && party->messages_taken + party->completions_reaped >
					    board->wanted / 4)
			die_at_work(party);
		if (turn % 16 == 0 && took_longer_than(DEADLINE_SECONDS))
			complain(party, "%u of %u operations before the deadline",
				 party->messages_taken + party->completions_reaped,
				 board->wanted);
	}
	announce(&board->done[party->who]);
	/* Something is always in flight, so that what comes home late meets a submitter
	 * who expects an answer. */
	while (!__atomic_load_n(&board->finish, __ATOMIC_ACQUIRE)) {
		request_reap(party);
		request_serve(party);
		if (evr_submitter_in_flight(party->submitter) < WINDOW - 1)
			request_send(party, 0);
		nanosleep(&moment, NULL);
	}
	party_settle(party);
	/* One leaves as one should; the other dies idle, with full magazines. */
	if (party->who == WORKER_B)
		die();
	party_close(party);
	party_rest(party);
}

void source_run(struct party *party, const struct scenario *scenario)
{
	struct evr_submitter *below[2] = {NULL, NULL};

	for (int i = 0; i < 2 && scenario->source_lives_high; i++)
		MUST(party,
		     evr_submitter_open(party->uring, &party->agent, NULL, &below[i]));
	party_open_submitter(party);
	evr_submitter_close(below[0]);
	evr_submitter_close(below[1]);
	scenario->supply(party);
	announce(&party->board->supplied);
	await(party, &party->board->finish);
	party_settle(party);
	party_close(party);
	party_rest(party);
}

void holder_run(struct party *party)
{
	uint32_t room = sizeof(party->held) / sizeof(party->held[0]);

	while (party->held_count < room &&
	       evr_block_alloc(&party->agent, PAYLOAD_BYTES,
			       &party->held[party->held_count]) == 0)
		party->held_count++;
	die();
}
