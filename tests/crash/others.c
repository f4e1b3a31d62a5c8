/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * others.c - what happens around a victim that is stopped, or dead: by mode, who dies
 * besides, who moves in, what goes round; recovery; and the work of the others.
 */

#include "experiment.h"

#include <signal.h>
#include <time.h>

#include "pool_internal.h"

/* How often every block can change hands in mode round. */
#define ROUNDS_WITHOUT 64

int others_recover(struct experiment *x)
{
	struct evr_recovery_stats stats;
	int left = evr_recover(&x->house.agent, &stats);

	if (left < 0)
		complain(&x->house, "recover: %s", evr_strerror(left));
	experiment_say(x,
	    "recovery: dead %u finished %u freed %u returned %u posted %u orphaned %u "
	    "postponed %u undeliverable %u",
	    stats.dead, stats.finished, stats.freed, stats.returned, stats.posted,
	    stats.orphaned, stats.postponed, stats.undeliverable);
	return left;
}

static bool is_recovered(const struct experiment *x, uint32_t number)
{
	const struct evr_region *region = x->house.region;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);

		if ((uint32_t)word == number && word >> 32 != EVR_PARTICIPANT_FREE)
			return false;
	}
	return true;
}

/* The victim is a recoverer: others finish its work, and somebody else moves in. While
 * the victim has a block of the dead one's home in its registers, they cannot. */
static void let_a_newcomer_in(struct experiment *x)
{
	for (int passes = 0; passes < 3 && others_recover(x) > 0; passes++)
		;
	if (experiment_any_complaint(x) || !is_recovered(x, x->board->departed)) {
		experiment_say(x, "the departed's record stays as it is");
		return;
	}
	message_send(&x->house);
	experiment_start(x, DEPARTED);
	await(&x->house, &x->board->moved_in);
	x->board->outcomes |= OUTCOME_MOVED_IN;
}

/* Does the victim still name a block that has changed hands since? */
static bool has_old_intent(struct experiment *x)
{
	const struct evr_region *region = x->house.region;

	for (uint32_t i = 0; i < region->agents_count; i++) {
		const struct evr_agent_shared *agent = &region->agents[i];
		uint64_t intent = evr_load_acquire_u64(&agent->intent[0]);
		uint64_t wire = intent & EVR_TOKEN_WIRE_MASK;

		if ((uint32_t)evr_load_acquire_u64(&agent->word) !=
			    x->board->number[VICTIM] || !(intent & EVR_INTENT_SET))
			continue;
		const struct evr_block_shared *block = evri_block_at(
			&x->house.agent, (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS));
		if ((evr_block_word_generation(evr_load_acquire_u64(&block->word)) ^
		     wire) & EVR_TOKEN_GENERATION_MASK)
			return true;
	}
	return false;
}

/* The victim is stopped, perhaps with an intent: everything goes round without it, and
 * one who has all there is dies. An old intent must not keep anything of that back. */
static void go_round_without_it(struct experiment *x)
{
	struct evr_recovery_stats stats;
	struct party *house = &x->house;
	int left;

	while (message_take(house) || request_serve(house))
		;
	for (int i = 0; i < ROUNDS_WITHOUT; i++) {
		if (!message_send(house) || !message_take(house))
			complain(house, "message %d did not get through", i);
	}
	if (has_old_intent(x))
		x->board->outcomes |= OUTCOME_OLD_INTENT;
	experiment_start(x, DEPARTED);
	experiment_expect_exit(x, DEPARTED, -SIGKILL);
	left = evr_recover(&house->agent, &stats);
	if (left != 0 || stats.postponed != 0)
		complain(house, "an old intent kept %u blocks back (%d)",
			 stats.postponed, left);
}

/* The victim is dead or stopped: the others must get on, and recovery with them. */
void others_work(struct experiment *x)
{
	struct board *board = x->board;
	struct timespec moment = {.tv_nsec = 50000};

	if (x->mode == MODE_RIVAL) {
		experiment_start(x, DEPARTED);
		experiment_expect_exit(x, DEPARTED, -SIGKILL);
		others_recover(x);
	}
	if (x->mode == MODE_ROUND)
		go_round_without_it(x);
	if (x->mode == MODE_LATE)
		let_a_newcomer_in(x);
	if (source_dies(x))
		others_recover(x);
	if (x->mode == MODE_QUIET) {
		while (others_recover(x) > 0)
			;
		audit_bits(&x->house);
	}
	if (x->scenario->beside)
		x->scenario->beside(&x->house);
	if (experiment_any_complaint(x))
		return;
	experiment_start(x, WORKER_A);
	experiment_start(x, WORKER_B);
	for (uint32_t turn = 0;; turn++) {
		bool a = __atomic_load_n(&board->done[WORKER_A], __ATOMIC_ACQUIRE);
		bool b = __atomic_load_n(&board->done[WORKER_B], __ATOMIC_ACQUIRE);

		if (x->mode == MODE_OTHER && a && x->pid[WORKER_B] > 0) {
			experiment_expect_exit(x, WORKER_B, -SIGKILL);
			others_recover(x);
		}
		if (a && (b || x->mode == MODE_OTHER))
			return;
		if (experiment_any_complaint(x) || took_longer_than(DEADLINE_SECONDS + 1))
			return;
		if (turn < 4 && victim_dies(x))
			others_recover(x);
		nanosleep(&moment, NULL);
	}
}
