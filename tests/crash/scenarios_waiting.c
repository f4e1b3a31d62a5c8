/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_waiting.c - calls that sleep, calls that wake, and those that look for the
 * dead: the waiting calls of a channel, a ring for a sleeper, the janitor.
 *
 * Who supplies what a sleeper waits for does it when the sleeper has armed its bell. A
 * victim that is stopped before that is supplied with nothing until the others work, who
 * have enough for everybody.
 */

#include "scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <evering/janitor.h>

#include "home.h"
#include "watch.h"

#define WAIT_NS UINT64_C(10000000000)

/* Ten times the bound of one sleep: what is in a ring has been found by then. */
#define FOUND_NS (10 * EVR_DOORBELL_BACKSTOP_NS)

/* Sleeps at once, so that the way there has no loop whose length the clock decides. */
static const struct evr_wait_options at_once = { .size = sizeof(at_once) };

static struct evr_doorbell_shared *submission_bell(struct party *party)
{
	struct evri_uring *urings;
	uint32_t count;

	MUST(party, evri_urings_find(party->region, &urings, &count));
	struct evr_doorbell_shared *bell = &urings[0].shared->bell;
	free(urings);
	return bell;
}

/* Of the home that a party has; NULL: it was recovered. */
static struct evr_doorbell_shared *home_bell(struct party *party, enum who who)
{
	struct evr_doorbell_shared *bell = NULL;
	struct evri_uring *urings;
	uint32_t count;

	MUST(party, evri_urings_find(party->region, &urings, &count));
	for (uint32_t slot = 0; slot < urings[0].homes_count; slot++) {
		struct evr_home_shared *home = evri_home_at(&urings[0], slot);
		uint64_t word = evr_load_acquire_u64(&home->word);

		if (evri_home_word_state(word) == EVR_HOME_OPEN &&
		    (uint32_t)word == party->board->number[who])
			bell = &home->bell;
	}
	free(urings);
	return bell;
}

/* Does this process sleep in the kernel, as far as the kernel says? A stopped one does
 * not. */
static bool sleeps(uint32_t pid)
{
	char path[40], text[200] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	const char *state = strrchr(text, ')');
	return state && strncmp(state, ") S", 3) == 0;
}

static bool is_armed(const struct evr_doorbell_shared *bell)
{
	return evr_load_acquire_u64(&bell->word) & EVR_DOORBELL_SLEEPER;
}

static bool is_over(const struct board *board)
{
	return __atomic_load_n(&board->finish, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&board->wrong, __ATOMIC_ACQUIRE);
}

/* Until @who sleeps at this bell, or all is over. No bell: he is gone. */
static void await_sleeper(struct party *party, enum who who,
			  const struct evr_doorbell_shared *bell)
{
	struct timespec moment = { .tv_nsec = 30000 };

	while (bell && !(is_armed(bell) && sleeps(party->board->pid[who])) &&
	       !is_over(party->board))
		nanosleep(&moment, NULL);
}

/* ---- receive, which sleeps ---- */

static void supply_when_armed(struct party *source)
{
	await_sleeper(source, VICTIM, submission_bell(source));
	request_send(source, 1);
}

static void enter_waiter(struct party *victim)
{
	victim->completer = evr_completer_close(victim->completer);
	MUST(victim, evr_completer_open(victim->uring, &victim->agent, &at_once,
					&victim->completer));
}

static void do_receive_waiting(struct party *victim)
{
	victim->result = evr_completer_receive(victim->completer, &victim->request,
					       now_ns() + WAIT_NS);
}

static void leave_waited(struct party *victim)
{
	MUST(victim, victim->result);
	request_verify(victim, &victim->request);
	request_answer(victim, &victim->request);
}

const struct scenario scenario_receive_waiting = {
	.name = "receive-waiting",
	.about = "a request that comes when one sleeps already",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.stride = 3,
	.supply = supply_when_armed,
	.enter = enter_waiter,
	.operate = do_receive_waiting,
	.leave = leave_waited,
};

/* ---- reap, which sleeps ---- */

static void answer_when_armed(struct party *source)
{
	receive_one(source);
	await_sleeper(source, VICTIM, home_bell(source, VICTIM));
	request_answer(source, &source->request);
}

static void enter_asker(struct party *victim)
{
	MUST(victim, evr_submitter_open(victim->uring, &victim->agent, &at_once,
					&victim->submitter));
	if (!request_send(victim, 1))
		complain(victim, "the request could not be sent");
}

static void do_reap_waiting(struct party *victim)
{
	victim->result = evr_submitter_reap(victim->submitter, &victim->completion,
					    now_ns() + WAIT_NS);
}

static void leave_reaped(struct party *victim)
{
	MUST(victim, victim->result);
	completion_verify(victim, &victim->completion);
	completion_free(victim, &victim->completion);
}

const struct scenario scenario_reap_waiting = {
	.name = "reap-waiting",
	.about = "an answer that comes when one sleeps already",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.stride = 3,
	.supply = answer_when_armed,
	.enter = enter_asker,
	.operate = do_reap_waiting,
	.leave = leave_reaped,
};

/* ---- submit, where there is no room at first ---- */

static void fill_submissions(struct party *house)
{
	party_open_submitter(house);
	if (!request_send(house, 0) || !request_send(house, 0))
		complain(house, "the requests could not be sent");
}

/* It naps for a millisecond at a time, which is over before one who is being stepped
 * comes to it: that it is about to must do. */
static void make_room_when_armed(struct party *source)
{
	struct timespec moment = { .tv_nsec = 30000 };

	await(source, &source->board->received);
	const struct evr_doorbell_shared *bell = home_bell(source, VICTIM);
	while (bell && !is_armed(bell) && !is_over(source->board))
		nanosleep(&moment, NULL);
	while (request_serve(source))
		;
}

static void enter_submitting(struct party *victim)
{
	struct evr_request request;

	MUST(victim, evr_submitter_open(victim->uring, &victim->agent, &at_once,
					&victim->submitter));
	/* Until the ring is full. */
	for (;;) {
		if (!request_make(victim, 0, &request))
			complain(victim, "no blocks for a request");
		int error = evr_submitter_try_submit(victim->submitter, &request);

		if (error == -EAGAIN) {
			victim->request = request;
			break;
		}
		MUST(victim, error);
		victim->next_request++;
		victim->outstanding[request.operation] = 1;
	}
	announce(&victim->board->received);
}

static void do_submit_waiting(struct party *victim)
{
	victim->result = evr_submitter_submit(victim->submitter, &victim->request,
					      now_ns() + WAIT_NS);
}

static void leave_submitted(struct party *victim)
{
	MUST(victim, victim->result);
	victim->next_request++;
	victim->outstanding[victim->request.operation] = 1;
}

static void conclude_filled(struct party *house)
{
	while (evr_recover(&house->agent, NULL) > 0)
		;
	party_reap_all(house);
}

const struct scenario scenario_submit_waiting = {
	.name = "submit-waiting",
	.about = "a request for which there is no room at first",
	.modes = MODES_ALONE,
	.geometry = &geometry_submitting,
	.stride = 3,
	.prepare = fill_submissions,
	.supply = make_room_when_armed,
	.enter = enter_submitting,
	.operate = do_submit_waiting,
	.leave = leave_submitted,
	.conclude = conclude_filled,
};

/* ---- waking somebody ---- */

static void supply_sleeper(struct party *source)
{
	source->completer = evr_completer_close(source->completer);
	MUST(source, evr_completer_open(source->uring, &source->agent, &at_once,
					&source->completer));
	do_receive_waiting(source);
	leave_waited(source);
}

static void enter_waker(struct party *victim)
{
	party_open_submitter(victim);
	if (!request_make(victim, 1, &victim->request))
		complain(victim, "no blocks for a request");
	await_sleeper(victim, SOURCE, submission_bell(victim));
}

static void do_submit_to_sleeper(struct party *victim)
{
	victim->result = evr_submitter_try_submit(victim->submitter, &victim->request);
}

/* What is in the ring is found, though whoever put it there rings no more. */
static void beside_sleeper(struct party *house)
{
	struct timespec moment = { .tv_nsec = 50000 };
	uint64_t until_ns = now_ns() + FOUND_NS;
	struct evri_uring *urings;
	struct evr_ring submissions;
	uint32_t count, there;

	MUST(house, evri_urings_find(house->region, &urings, &count));
	MUST(house, evri_uring_submissions(&urings[0], &submissions));
	free(urings);
	do {
		there = 0;
		for (uint64_t i = 0; i <= submissions.mask; i++)
			there += evri_slot_is_full(
				evr_load_acquire_u64(&submissions.slots[i]));
		nanosleep(&moment, NULL);
	} while (there > 0 && now_ns() < until_ns);
	if (there > 0)
		complain(house, "one sleeps beside work for longer than the back-stop");
}

const struct scenario scenario_submit_to_sleeper = {
	.name = "submit-to-sleeper",
	.about = "a request for one who sleeps: published, and rung for",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.supply = supply_sleeper,
	.enter = enter_waker,
	.operate = do_submit_to_sleeper,
	.leave = leave_submitted,
	.beside = beside_sleeper,
};

/* ---- who is dead ---- */

static void depart_idle(struct party *departed)
{
	hold_blocks(departed, 3);
}

static void do_find_dead(struct party *victim)
{
	victim->result = evr_participant_find_dead(victim->region);
}

static void leave_found(struct party *victim)
{
	if (victim->result < 0)
		complain(victim, "looking gave %d", victim->result);
}

const struct scenario scenario_find_dead = {
	.name = "find-dead",
	.about = "asking the kernel about everybody",
	.modes = MODES_ALONE,
	.geometry = &geometry_small,
	.depart = depart_idle,
	.operate = do_find_dead,
	.leave = leave_found,
};

/* ---- the janitor ---- */

static struct evr_janitor *janitor;

/* The harness forbids the thread that answers deaths; a janitor takes its place. */
static void enter_janitor(struct party *victim)
{
	evri_watch_permit(victim->region);
	MUST(victim, evr_janitor_open(victim->region, NULL, &janitor));
}

static void do_janitor_step(struct party *victim)
{
	victim->result = evr_janitor_step(janitor, NULL);
}

static void leave_janitor(struct party *victim)
{
	MUST(victim, victim->result);
	janitor = evr_janitor_close(janitor);
	MUST(victim, evri_watch_forbid(victim->region));
}

static void supply_a_request(struct party *source)
{
	if (!request_send(source, 1))
		complain(source, "the request could not be sent");
}

static void depart_with_request(struct party *departed)
{
	await(departed, &departed->board->supplied);
	receive_one(departed);
	hold_blocks(departed, 2);
}

const struct scenario scenario_janitor_step = {
	.name = "janitor-step",
	.about = "a death answered by the application",
	.modes = IN(MODE_KILL) | IN(MODE_STOP) | IN(MODE_LATE),
	.geometry = &geometry_small,
	.stride = 7,
	.supply = supply_a_request,
	.depart = depart_with_request,
	.enter = enter_janitor,
	.operate = do_janitor_step,
	.leave = leave_janitor,
};
