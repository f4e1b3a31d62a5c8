/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_options.c - options.h: callers that know fewer fields than we do, or more. */

#include "fixture.h"

#include "options.h"

struct known {
	size_t size;
	uint64_t first;
	uint64_t second;
};

struct newer {
	struct known known;
	uint64_t third;
};

#define DEFAULTS {.first = 10, .second = 20}

static int take(const void *options, struct known *known)
{
	return evri_options_take(options, offsetof(struct known, second), known,
				 sizeof(*known), "test");
}

Test(options, what_an_older_caller_does_not_know_keeps_its_default)
{
	struct known options = {.size = offsetof(struct known, second),
				.first = 1,
				.second = 2};
	struct known known = DEFAULTS;

	MUST(take(&options, &known));
	cr_assert_eq(known.first, 1);
	cr_assert_eq(known.second, 20);
}

Test(options, what_a_newer_caller_leaves_zero_is_ignored)
{
	struct newer options = {.known = {sizeof(options), 1, 2}};
	struct known known = DEFAULTS;

	MUST(take(&options, &known));
	cr_assert_eq(known.first, 1);
	cr_assert_eq(known.second, 2);
}

Test(options, a_field_that_is_not_known_here_is_refused_with_both_sizes_named)
{
	struct newer options = {.known = {sizeof(options), 1, 2}, .third = 3};
	struct known known = DEFAULTS;

	FAILS(-E2BIG, take(&options, &known));
	cr_assert_eq(known.first, 10);
	cr_assert(strstr(evr_error_detail(), "32 bytes") &&
			  strstr(evr_error_detail(), "24"),
		  "%s", evr_error_detail());
}

Test(options, a_size_that_was_never_set_is_refused_and_nothing_is_read_by_it)
{
	struct known options = {.first = 1};
	struct known known = DEFAULTS;

	FAILS(-EINVAL, take(NULL, &known));
	FAILS(-EINVAL, take(&options, &known));
	options.size = SIZE_MAX;
	FAILS(-EINVAL, take(&options, &known));
	cr_assert_eq(known.first, 10);
}
