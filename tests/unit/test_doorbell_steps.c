/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_doorbell_steps.c - doorbell.c between two of its steps.
 *
 * What can happen between a notifier's wake and its clear happens so rarely that a test
 * with real sleepers does not meet it. So doorbell.c is compiled in here on top of a
 * kernel that the test plays: its wake does what another process would do at that moment.
 */

#define _GNU_SOURCE

#include "../../libevering/doorbell.c"

#include <criterion/criterion.h>

static struct evr_doorbell_shared bell;

static struct {
	void (*during_wake)(void); /* what others do before the wake returns */
	int wake_result;
	int wakes;
	int wait_result;
	uint64_t wait_deadline_ns;
	uint64_t now_ns;
} kernel;

uint64_t evri_os_now_ns(void)
{
	return kernel.now_ns;
}

int evri_os_futex_wait(const uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	cr_assert_eq((const void *)word, (const void *)&bell.word,
		     "the futex is the word's low half");
	kernel.wait_deadline_ns = deadline_ns;
	return *word == expected ? kernel.wait_result : 0;
}

int evri_os_futex_wake(const uint32_t *word, int count)
{
	cr_assert_eq((const void *)word, (const void *)&bell.word);
	cr_assert_eq(count, 1);
	kernel.wakes++;
	if (kernel.during_wake)
		kernel.during_wake();
	return kernel.wake_result;
}

static void another_arms(void)
{
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
}

static bool flag_is_set(void)
{
	return (evr_load_relaxed_u64(&bell.word) & EVR_DOORBELL_SLEEPER) != 0;
}

Test(doorbell_steps, a_sleeper_that_arms_between_wake_and_clear_keeps_its_flag)
{
	evr_doorbell_init(&bell);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	kernel.during_wake = another_arms;
	evr_doorbell_ring(&bell);
	cr_assert_eq(kernel.wakes, 1);
	cr_assert(flag_is_set(), "the next ring would not wake the one who armed");
}

Test(doorbell_steps, the_flag_is_cleared_when_nobody_was_there)
{
	evr_doorbell_init(&bell);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	evr_doorbell_ring(&bell);
	cr_assert_not(flag_is_set());
	evr_doorbell_ring(&bell);
	cr_assert_eq(kernel.wakes, 1);
}

Test(doorbell_steps, the_flag_stays_when_a_sleeper_was_woken)
{
	evr_doorbell_init(&bell);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	kernel.wake_result = 1;
	evr_doorbell_ring(&bell);
	cr_assert(flag_is_set(), "others may be asleep still");
}

Test(doorbell_steps, the_flag_stays_when_the_wake_failed)
{
	evr_doorbell_init(&bell);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	kernel.wake_result = -EFAULT;
	evr_doorbell_ring(&bell);
	cr_assert(flag_is_set());
}

Test(doorbell_steps, clearing_the_flag_leaves_the_place_of_the_eventfd_alone)
{
	evr_doorbell_init(&bell);
	evr_store_relaxed_u64(&bell.word, EVR_DOORBELL_EPOCH_ONE | EVR_DOORBELL_EVENTFD);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	evr_doorbell_ring(&bell);
	cr_assert_not(flag_is_set());
	cr_assert(evr_load_relaxed_u64(&bell.word) & EVR_DOORBELL_EVENTFD);
}

static void the_epoch_has_changed(void)
{
	/* One who armed before the ring and gets to the kernel now does not sleep. */
	kernel.wait_result = -ETIMEDOUT;
	cr_assert_eq(evr_doorbell_sleep(&bell,
					EVR_DOORBELL_EPOCH_ONE | EVR_DOORBELL_SLEEPER,
					EVR_NEVER),
		     0);
}

Test(doorbell_steps, the_new_epoch_begins_before_the_wake)
{
	evr_doorbell_init(&bell);
	cr_assert_eq(evr_doorbell_arm(&bell),
		     EVR_DOORBELL_EPOCH_ONE | EVR_DOORBELL_SLEEPER);
	kernel.during_wake = the_epoch_has_changed;
	evr_doorbell_ring(&bell);
	cr_assert_eq(kernel.wakes, 1);
}

Test(doorbell_steps, each_arming_changes_the_word_and_leaves_its_low_half)
{
	uint64_t before;

	evr_doorbell_init(&bell);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	before = evr_load_relaxed_u64(&bell.word);
	cr_assert_neq(evr_doorbell_arm(&bell), 0);
	cr_assert_eq(evr_load_relaxed_u64(&bell.word), before + EVR_DOORBELL_ARM_ONE);
}

Test(doorbell_steps, a_sleep_is_cut_at_the_back_stop_and_not_beyond_the_deadline)
{
	evr_doorbell_init(&bell);
	kernel.now_ns = 1000;
	kernel.wait_result = -ETIMEDOUT;
	cr_assert_eq(evr_doorbell_sleep(&bell, 4, EVR_NEVER), -EAGAIN);
	cr_assert_eq(kernel.wait_deadline_ns, 1000 + EVR_DOORBELL_BACKSTOP_NS);
	cr_assert_eq(evr_doorbell_sleep(&bell, 4, 1000 + EVR_DOORBELL_BACKSTOP_NS + 1),
		     -EAGAIN);
	cr_assert_eq(evr_doorbell_sleep(&bell, 4, 1500), -ETIMEDOUT);
	cr_assert_eq(kernel.wait_deadline_ns, 1500);
}

Test(doorbell_steps, a_sleep_on_a_bell_that_is_not_mapped_is_an_error)
{
	evr_doorbell_init(&bell);
	kernel.wait_result = -EFAULT;
	cr_assert_eq(evr_doorbell_sleep(&bell, 4, EVR_NEVER), -EFAULT);
}
