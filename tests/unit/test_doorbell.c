/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_doorbell.c - doorbell.h: nobody sleeps beside work, a sleep ends when it should,
 * and no value of the word does harm. The steps inside a ring: test_doorbell_steps.c.
 */

#define _GNU_SOURCE

#include <evering/doorbell.h>

#include "common.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>

#define SLEEPER_COUNT 3

static struct evr_doorbell_shared *new_bell(void)
{
	struct evr_doorbell_shared *bell = shared_memory(4096);

	evr_doorbell_init(bell);
	return bell;
}

Test(doorbell, a_doorbell_is_one_cache_line_and_its_word_comes_first)
{
	cr_assert_eq(sizeof(struct evr_doorbell_shared), 64);
	cr_assert_eq(_Alignof(struct evr_doorbell_shared), 64);
	cr_assert_eq(offsetof(struct evr_doorbell_shared, word), 0);
	cr_assert_eq(offsetof(struct evr_doorbell_shared, backstops), 8);
}

Test(doorbell, an_initialised_doorbell_differs_from_fresh_memory)
{
	struct evr_doorbell_shared *bell = shared_memory(4096);

	memset(bell, 0xff, sizeof(*bell));
	evr_doorbell_init(bell);
	cr_assert_eq(bell->word.raw, 4);
	cr_assert_eq(evr_doorbell_backstops(bell), 0);
	cr_assert_eq(bell->reserved[0], 0);
	cr_assert_eq(bell->reserved[5], 0);
}

Test(doorbell, ringing_while_nobody_is_armed_changes_nothing)
{
	struct evr_doorbell_shared *bell = new_bell();

	evr_doorbell_ring(bell);
	evr_doorbell_ring_after_cas(bell);
	cr_assert_eq(bell->word.raw, 4);
}

Test(doorbell, a_ring_between_arming_and_sleeping_prevents_the_sleep, .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint32_t epoch = evr_doorbell_arm(bell);
	uint64_t start;

	cr_assert_not(evr_doorbell_rung_since(bell, epoch));
	evr_doorbell_ring(bell);
	cr_assert(evr_doorbell_rung_since(bell, epoch));
	start = now_ns();
	cr_assert_eq(evr_doorbell_sleep(bell, epoch, EVR_NEVER), 0);
	cr_assert_lt(now_ns() - start, EVR_DOORBELL_BACKSTOP_NS);

	epoch = evr_doorbell_arm(bell);
	evr_doorbell_ring_after_cas(bell);
	cr_assert(evr_doorbell_rung_since(bell, epoch));
	cr_assert_eq(evr_doorbell_sleep(bell, epoch, EVR_NEVER), 0);
}

Test(doorbell, arming_others_neither_rings_nor_changes_the_epoch, .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint32_t epoch = evr_doorbell_arm(bell);

	cr_assert_eq(evr_doorbell_arm(bell), epoch);
	cr_assert_not(evr_doorbell_rung_since(bell, epoch));
	cr_assert_eq(evr_doorbell_sleep(bell, epoch, now_ns() + MILLISECOND_NS),
		     -ETIMEDOUT);
}

Test(doorbell, an_armed_bell_without_sleeper_costs_one_superfluous_wake)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint64_t word;
	uint32_t epoch;

	epoch = evr_doorbell_arm(bell);
	evr_doorbell_ring(bell);
	cr_assert(evr_doorbell_rung_since(bell, epoch));
	word = bell->word.raw;
	evr_doorbell_ring(bell);
	cr_assert_eq(bell->word.raw, word, "the second ring entered the kernel too");
}

Test(doorbell, a_deadline_is_honoured_and_never_early, .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint64_t deadline = now_ns() + 20 * MILLISECOND_NS;

	cr_assert_eq(evr_doorbell_sleep(bell, evr_doorbell_arm(bell), deadline),
		     -ETIMEDOUT);
	cr_assert_geq(now_ns(), deadline);
	/* Generous, because the machine may be busy; the point is that it ends. */
	cr_assert_lt(now_ns(), deadline + 2000 * MILLISECOND_NS);
}

Test(doorbell, a_deadline_that_has_passed_ends_the_sleep_even_of_a_bell_that_rang,
     .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint32_t epoch = evr_doorbell_arm(bell);

	cr_assert_eq(evr_doorbell_sleep(bell, epoch, 0), -ETIMEDOUT);
	evr_doorbell_ring(bell);
	cr_assert_eq(evr_doorbell_sleep(bell, epoch, now_ns()), -ETIMEDOUT);
}

Test(doorbell, the_back_stop_ends_a_sleep_that_has_no_deadline, .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint64_t start = now_ns();

	cr_assert_eq(evr_doorbell_sleep(bell, evr_doorbell_arm(bell), EVR_NEVER),
		     -EAGAIN);
	cr_assert_geq(now_ns() - start, EVR_DOORBELL_BACKSTOP_NS);
	cr_assert_eq(evr_doorbell_backstops(bell), 0, "counting is the caller's");
	evr_doorbell_count_backstop(bell);
	evr_doorbell_count_backstop(bell);
	cr_assert_eq(evr_doorbell_backstops(bell), 2);
}

static void ignore_signal(int number)
{
	(void)number;
}

Test(doorbell, a_signal_handler_ends_the_sleep_as_a_wake_does, .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	struct sigaction action = { .sa_handler = ignore_signal };
	struct itimerval timer = { .it_value = { .tv_usec = 10000 } };
	int error;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	error = evr_doorbell_sleep(bell, evr_doorbell_arm(bell), EVR_NEVER);
	cr_assert_eq(error, 0, "got %d", error);
}

Test(doorbell, no_call_touches_errno, .timeout = 10)
{
	struct evr_doorbell_shared *bell = new_bell();
	uint32_t epoch;

	errno = ENOTTY;
	epoch = evr_doorbell_arm(bell);
	cr_assert_eq(evr_doorbell_sleep(bell, epoch, now_ns() + MILLISECOND_NS),
		     -ETIMEDOUT);
	evr_doorbell_ring(bell);
	cr_assert_eq(evr_doorbell_sleep(bell, epoch, EVR_NEVER), 0);
	evr_doorbell_ring_all(bell);
	cr_assert_eq(errno, ENOTTY);
}

/* ---- sleepers in other processes ---- */

/* What they wait for is a count of items, not a ring: doorbells know nothing of rings. */
struct stage {
	struct evr_doorbell_shared bell;
	struct {
		struct evr_atomic_u64 count;
	} EVR_CACHE_ALIGNED published;
	struct {
		struct evr_atomic_u64 count;
	} EVR_CACHE_ALIGNED taken;
	struct evr_atomic_u64 returns; /* how often a sleeper's sleep returned 0 */
	struct evr_atomic_u64 stop;
};

static struct stage *new_stage(void)
{
	struct stage *stage = shared_memory(4096);

	evr_doorbell_init(&stage->bell);
	return stage;
}

static bool take(struct stage *stage)
{
	uint64_t taken = evr_load_relaxed_u64(&stage->taken.count);

	while (taken < evr_load_acquire_u64(&stage->published.count)) {
		if (evr_cas_acq_rel_u64(&stage->taken.count, &taken, taken + 1))
			return true;
	}
	return false;
}

static bool left_over(struct stage *stage)
{
	return evr_load_relaxed_u64(&stage->taken.count) <
	       evr_load_relaxed_u64(&stage->published.count);
}

/* A worker as the header describes it: arm, look, sleep, look, pass the wake on. */
static void work(void *argument)
{
	struct stage *stage = argument;

	while (!evr_load_acquire_u64(&stage->stop)) {
		uint32_t epoch = evr_doorbell_arm(&stage->bell);
		int error;

		if (take(stage))
			continue;
		error = evr_doorbell_sleep(&stage->bell, epoch, EVR_NEVER);
		if (!take(stage))
			continue;
		if (error == -EAGAIN && !evr_doorbell_rung_since(&stage->bell, epoch))
			evr_doorbell_count_backstop(&stage->bell);
		if (left_over(stage))
			evr_doorbell_ring_after_cas(&stage->bell);
	}
}

static void publish(struct stage *stage, uint64_t total, bool by_cas)
{
	uint64_t before = evr_load_relaxed_u64(&stage->published.count);

	if (by_cas) {
		evr_cas_acq_rel_u64(&stage->published.count, &before, total);
		evr_doorbell_ring_after_cas(&stage->bell);
	} else {
		evr_store_release_u64(&stage->published.count, total);
		evr_doorbell_ring(&stage->bell);
	}
}

#define ROUNDS 20000

/*
 * Every round publishes one to three items and waits until they are taken, so that the
 * sleepers are always about to sleep when the next round begins; the delay in front of it
 * moves the two against each other. A lost wake makes the back-stop find the work.
 */
static void expect_no_lost_wake(bool by_cas)
{
	struct stage *stage = new_stage();
	pid_t sleepers[SLEEPER_COUNT];
	uint64_t total = 0;
	uint64_t epochs;
	int round;
	int i;

	for (i = 0; i < SLEEPER_COUNT; i++)
		sleepers[i] = start_child(work, stage);
	srand(1);
	for (round = 0; round < ROUNDS; round++) {
		int pauses = rand() % 400;

		while (pauses-- > 0)
			evr_pause();
		total += 1 + (uint64_t)round % 3;
		publish(stage, total, by_cas);
		cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(&stage->taken.count) ==
						     total),
			  "round %d: taken %lu of %lu", round,
			  (unsigned long)evr_load_relaxed_u64(&stage->taken.count),
			  (unsigned long)total);
	}
	evr_store_release_u64(&stage->stop, 1);
	evr_doorbell_ring_all(&stage->bell);
	for (i = 0; i < SLEEPER_COUNT; i++)
		cr_assert_eq(waitpid(sleepers[i], NULL, 0), sleepers[i]);
	/* Each ring that somebody may have slept for began an epoch. */
	epochs = (evr_load_relaxed_u64(&stage->bell.word) & UINT32_MAX) /
		 EVR_DOORBELL_EPOCH_ONE;
	cr_assert_gt(epochs, ROUNDS / 10, "the sleepers hardly ever slept");
	cr_assert_eq(evr_doorbell_backstops(&stage->bell), 0, "%lu wakes were lost",
		     (unsigned long)evr_doorbell_backstops(&stage->bell));
}

Test(doorbell, no_wake_is_lost_when_a_store_publishes_to_three_sleepers, .timeout = 50)
{
	expect_no_lost_wake(false);
}

Test(doorbell, no_wake_is_lost_when_a_compare_and_swap_publishes_to_three_sleepers,
     .timeout = 50)
{
	expect_no_lost_wake(true);
}

/*
 * The same race without the kernel, which is slow: one publishes and rings while the
 * other arms and looks, at the same instant. Neither noticing the other is the lost wake,
 * and what the fences of both prevent.
 */
#define RACES 300000

static struct {
	struct evr_doorbell_shared bell;
	struct {
		struct evr_atomic_u64 round;
	} EVR_CACHE_ALIGNED published;
	struct {
		struct evr_atomic_u64 count;
	} EVR_CACHE_ALIGNED arrived;
	uint32_t epoch;
	bool found;
} race;

/* Spinning is what makes both start at the same instant; on one CPU, the other needs a
 * chance to come. */
static void meet(uint64_t count)
{
	unsigned int turns = 0;

	evr_fetch_add_acq_rel_u64(&race.arrived.count, 1);
	while (evr_load_acquire_u64(&race.arrived.count) < 2 * count) {
		if (++turns % 4096 == 0)
			sched_yield();
	}
}

/* The two come out of meet() some time apart; this shifts them over one another, by a
 * cycle or so a turn. */
static void dawdle(uint64_t *seed)
{
	uint64_t turns;

	*seed = *seed * UINT64_C(6364136223846793005) + 1;
	for (turns = *seed >> 55; turns > 0; turns--)
		evr_load_relaxed_u64(&race.arrived.count);
}

static void *arm_and_look(void *unused)
{
	uint64_t seed = 1;
	uint64_t round;

	keep_to_cpu(1);
	for (round = 1; round <= RACES; round++) {
		meet(2 * round - 1);
		dawdle(&seed);
		race.epoch = evr_doorbell_arm(&race.bell);
		race.found = evr_load_relaxed_u64(&race.published.round) == round;
		meet(2 * round);
	}
	return unused;
}

Test(doorbell, one_who_rings_and_one_who_arms_never_miss_each_other, .timeout = 50)
{
	uint64_t missed = 0;
	uint64_t found = 0;
	uint64_t seed = 2;
	pthread_t thread;
	uint64_t round;

	want_two_cpus();
	evr_doorbell_init(&race.bell);
	cr_assert_eq(pthread_create(&thread, NULL, arm_and_look, NULL), 0);
	keep_to_cpu(0);
	for (round = 1; round <= RACES; round++) {
		meet(2 * round - 1);
		dawdle(&seed);
		evr_store_relaxed_u64(&race.published.round, round);
		evr_doorbell_ring(&race.bell);
		meet(2 * round);
		found += race.found;
		missed += !race.found && !evr_doorbell_rung_since(&race.bell, race.epoch);
		/* Nobody sleeps, so this takes the flag away for the next round. */
		evr_doorbell_ring(&race.bell);
	}
	pthread_join(thread, NULL);
	cr_assert_gt(found, 0, "the two never met");
	cr_assert_lt(found, RACES, "the two never met");
	cr_assert_eq(missed, 0, "%lu of %d wakes would be lost", (unsigned long)missed,
		     RACES);
}

/* Sleeps again and again until it is woken once. */
static void sleep_until_woken(void *argument)
{
	struct stage *stage = argument;
	int error;

	do {
		error = evr_doorbell_sleep(&stage->bell, evr_doorbell_arm(&stage->bell),
					   EVR_NEVER);
	} while (error == -EAGAIN);
	if (error == 0)
		evr_fetch_add_acq_rel_u64(&stage->returns, 1);
}

static bool all_armed(struct stage *stage, uint64_t count)
{
	return evr_load_relaxed_u64(&stage->bell.word) >> 32 >= count;
}

Test(doorbell, ring_all_wakes_every_sleeper, .timeout = 20)
{
	struct stage *stage = new_stage();
	pid_t sleepers[SLEEPER_COUNT];
	int i;

	for (i = 0; i < SLEEPER_COUNT; i++)
		sleepers[i] = start_child(sleep_until_woken, stage);
	cr_assert(HOLDS_WITHIN(5000, all_armed(stage, SLEEPER_COUNT)));
	sleep_ms(20);
	evr_doorbell_ring_all(&stage->bell);
	cr_assert(HOLDS_WITHIN(5000,
			       evr_load_acquire_u64(&stage->returns) == SLEEPER_COUNT));
	for (i = 0; i < SLEEPER_COUNT; i++)
		cr_assert_eq(waitpid(sleepers[i], NULL, 0), sleepers[i]);
}

Test(doorbell, ring_all_wakes_a_sleeper_whose_flag_a_peer_has_wiped_out, .timeout = 20)
{
	struct stage *stage = new_stage();
	pid_t sleeper = start_child(sleep_until_woken, stage);

	cr_assert(HOLDS_WITHIN(5000, all_armed(stage, 1)));
	sleep_ms(20);
	evr_store_relaxed_u64(&stage->bell.word,
			      evr_load_relaxed_u64(&stage->bell.word) & ~UINT64_C(1));
	evr_doorbell_ring_all(&stage->bell);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(&stage->returns) == 1));
	cr_assert_eq(waitpid(sleeper, NULL, 0), sleeper);
}

Test(doorbell, one_ring_wakes_one_of_three_sleepers, .timeout = 20)
{
	struct stage *stage = new_stage();
	pid_t sleepers[SLEEPER_COUNT];
	int tries = 0;
	int i;

	/* A sleeper that is just arming again when the bell rings sees the new epoch and
	 * returns too, so look at a ring for which all were in the kernel. */
	do {
		cr_assert_lt(tries++, 20, "every single ring woke several");
		evr_doorbell_init(&stage->bell);
		evr_store_release_u64(&stage->returns, 0);
		for (i = 0; i < SLEEPER_COUNT; i++)
			sleepers[i] = start_child(sleep_until_woken, stage);
		cr_assert(HOLDS_WITHIN(5000, all_armed(stage, SLEEPER_COUNT)));
		sleep_ms(10);
		evr_doorbell_ring(&stage->bell);
		cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(&stage->returns) >= 1));
		sleep_ms(10);
		for (i = 0; i < SLEEPER_COUNT; i++)
			end_child(sleepers[i]);
	} while (evr_load_acquire_u64(&stage->returns) != 1);
}

Test(doorbell, a_killed_sleeper_costs_at_most_one_superfluous_wake, .timeout = 20)
{
	int repetition;

	for (repetition = 0; repetition < 20; repetition++) {
		struct stage *stage = new_stage();
		pid_t sleeper = start_child(sleep_until_woken, stage);
		uint64_t before;
		int i;

		cr_assert(HOLDS_WITHIN(5000, all_armed(stage, 1)));
		sleep_ms((unsigned int)repetition % 3);
		end_child(sleeper);
		before = evr_load_relaxed_u64(&stage->bell.word);
		for (i = 0; i < 10; i++)
			evr_doorbell_ring(&stage->bell);
		/* Each ring that enters the kernel begins one epoch. */
		cr_assert_eq(evr_load_relaxed_u64(&stage->bell.word) & UINT32_MAX,
			     ((before & UINT32_MAX) + 4) & ~UINT64_C(1));
		munmap(stage, 4096);
	}
}

Test(doorbell, the_next_sleeper_is_woken_though_one_was_killed_in_its_sleep,
     .timeout = 20)
{
	struct stage *stage = new_stage();
	pid_t doomed = start_child(sleep_until_woken, stage);
	pid_t sleeper;

	cr_assert(HOLDS_WITHIN(5000, all_armed(stage, 1)));
	sleep_ms(5);
	end_child(doomed);
	sleeper = start_child(sleep_until_woken, stage);
	cr_assert(HOLDS_WITHIN(5000, all_armed(stage, 2)));
	evr_doorbell_ring(&stage->bell);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(&stage->returns) == 1));
	cr_assert_eq(waitpid(sleeper, NULL, 0), sleeper);
}

/* ---- values that no correct peer leaves ---- */

Test(doorbell, no_value_of_the_word_hangs_or_breaks_a_call, .timeout = 20)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 7, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63,
		UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 3,
	};
	struct evr_doorbell_shared *bell = new_bell();
	size_t i;

	for (i = 0; i < COUNT_OF(values); i++) {
		uint32_t epoch;

		evr_store_relaxed_u64(&bell->word, values[i]);
		epoch = evr_doorbell_arm(bell);
		cr_assert_eq(evr_doorbell_sleep(bell, epoch, now_ns() + MILLISECOND_NS),
			     -ETIMEDOUT, "value %zu", i);
		evr_doorbell_ring(bell);
		cr_assert(evr_doorbell_rung_since(bell, epoch), "value %zu", i);
		cr_assert_eq(evr_doorbell_sleep(bell, epoch, EVR_NEVER), 0, "value %zu",
			     i);
		evr_doorbell_ring_all(bell);
	}
}

static void scribble(void *argument)
{
	struct stage *stage = argument;
	uint64_t value = 88172645463325252;

	while (!evr_load_relaxed_u64(&stage->stop)) {
		value ^= value << 13;
		value ^= value >> 7;
		value ^= value << 17;
		evr_store_relaxed_u64(&stage->bell.word, value);
	}
}

Test(doorbell, a_peer_that_scribbles_on_the_word_cannot_outlast_a_deadline, .timeout = 20)
{
	struct stage *stage = new_stage();
	pid_t scribbler = start_child(scribble, stage);
	uint64_t deadline = now_ns() + 200 * MILLISECOND_NS;
	uint64_t turns = 0;

	while (evr_doorbell_sleep(&stage->bell, evr_doorbell_arm(&stage->bell),
				  deadline) != -ETIMEDOUT) {
		evr_doorbell_ring(&stage->bell);
		turns++;
	}
	cr_assert_geq(now_ns(), deadline);
	cr_assert_lt(now_ns(), deadline + 5000 * MILLISECOND_NS);
	cr_assert_gt(turns, 0);
	end_child(scribbler);
}
