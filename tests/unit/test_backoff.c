/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <criterion/criterion.h>

#include <evering/backoff.h>

Test(backoff, each_wait_is_twice_as_long_as_the_one_before_up_to_a_bound)
{
	struct evr_backoff backoff = { 0 };
	uint32_t expected = 2;

	for (int i = 0; i < 10; i++) {
		evr_backoff_wait(&backoff);
		cr_assert_eq(backoff.pauses, expected, "wait %d: %u", i, backoff.pauses);
		expected = expected < EVR_BACKOFF_PAUSES_MAX ? 2 * expected :
							       EVR_BACKOFF_PAUSES_MAX;
	}
	cr_assert_eq(backoff.pauses, EVR_BACKOFF_PAUSES_MAX);
	backoff = (struct evr_backoff){ 0 };
	evr_backoff_wait(&backoff);
	cr_assert_eq(backoff.pauses, 2, "zeroed, it begins anew");
}

Test(backoff, what_a_broken_caller_left_in_it_is_bounded_after_one_wait)
{
	struct evr_backoff backoff = { 1000 };

	evr_backoff_wait(&backoff);
	cr_assert_eq(backoff.pauses, EVR_BACKOFF_PAUSES_MAX);
}
