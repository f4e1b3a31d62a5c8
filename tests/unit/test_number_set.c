/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_number_set.c - number_set.h: sets that grow, and lists as numactl writes them. */

#include <evering/error.h>
#include <evering/number_set.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct evr_number_set *set;
static struct evr_number_set *within;

static void make_sets(void)
{
	cr_assert_eq(evr_number_set_create(&set), 0);
	cr_assert_eq(evr_number_set_create(&within), 0);
	cr_assert_eq(evr_number_set_parse(within, "0-3,8,10-11", NULL), 0);
}

static void destroy_sets(void)
{
	evr_number_set_destroy(set);
	evr_number_set_destroy(within);
}

TestSuite(number_set, .init = make_sets, .fini = destroy_sets);

static const char *list(const struct evr_number_set *of)
{
	static char text[256];

	evr_number_set_format(of, text, sizeof(text));
	return text;
}

Test(number_set, what_is_put_in_is_found_and_nothing_else)
{
	static const int numbers[] = {
		0, 63, 64, 1023, 1024, 5000, EVR_NUMBER_SET_LIMIT - 1};

	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		cr_assert_not(evr_number_set_has(set, numbers[i]));
		cr_assert_eq(evr_number_set_add(set, numbers[i]), 0);
		cr_assert_eq(evr_number_set_add(set, numbers[i]), 0);
		cr_assert(evr_number_set_has(set, numbers[i]));
		cr_assert_eq(evr_number_set_count(set), (int)i + 1);
	}
	cr_assert_not(evr_number_set_has(set, 1));
	cr_assert_not(evr_number_set_has(set, -1));
	cr_assert_not(evr_number_set_has(set, 1025));
	evr_number_set_remove(set, 64);
	evr_number_set_remove(set, 65);
	evr_number_set_remove(set, -1);
	cr_assert_not(evr_number_set_has(set, 64));
	cr_assert_str_eq(list(set), "0,63,1023-1024,5000,1048575");
}

Test(number_set, next_walks_in_order_and_ends)
{
	static const int members[] = {0, 1, 2, 3, 8, 10, 11};
	int number = evr_number_set_next(within, -5);

	for (size_t i = 0; i < COUNT_OF(members); i++) {
		cr_assert_eq(number, members[i]);
		number = evr_number_set_next(within, number + 1);
	}
	cr_assert_eq(number, -1);
	cr_assert_eq(evr_number_set_next(within, 1 << 30), -1);
	cr_assert_eq(evr_number_set_next(set, 0), -1, "an empty set has a member");
}

Test(number_set, a_number_that_cannot_be_one_is_refused)
{
	cr_assert_eq(evr_number_set_add(set, -1), -EINVAL);
	cr_assert_eq(evr_number_set_add(set, EVR_NUMBER_SET_LIMIT), -EINVAL);
	cr_assert_eq(evr_number_set_count(set), 0);
}

Test(number_set, sets_are_equal_by_members_not_by_length)
{
	cr_assert_eq(evr_number_set_add(set, 4000), 0);
	cr_assert_not(evr_number_set_equal(set, within));
	cr_assert_eq(evr_number_set_copy(set, within), 0);
	cr_assert(evr_number_set_equal(set, within), "a longer set with a cleared tail");
	cr_assert(evr_number_set_equal(within, set));
	evr_number_set_clear(set);
	cr_assert_eq(evr_number_set_count(set), 0);
	cr_assert_not(evr_number_set_equal(set, within));
}

/* What a list means, with @within 0-3,8,10-11 or, where wide is set, without one. */
static const struct {
	const char *text;
	bool wide;
	const char *means;
} lists[] = {
	{"0", true, "0"},
	{"0,2-5", true, "0,2-5"},
	{"5,3,4,4-6,3", true, "3-6"},
	{"7-7", true, "7"},
	{"1023-1025", true, "1023-1025"},
	{"all", false, "0-3,8,10-11"},
	{"!3", false, "0-2,8,10-11"},
	{"!0-2,8", false, "3,10-11"},
	{"!9", false, "0-3,8,10-11"},
	{"+0", false, "0"},
	{"+4", false, "8"},
	{"+3-5", false, "3,8,10"},
	{"!+0-5", false, "11"},
	{"10-11,1", false, "1,10-11"},
};

Test(number_set, a_list_means_what_numactl_says_it_means)
{
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		const struct evr_number_set *in = lists[i].wide ? NULL : within;
		int error = evr_number_set_parse(set, lists[i].text, in);

		cr_assert_eq(error, 0, "'%s': %s", lists[i].text, evr_error_detail());
		cr_assert_str_eq(list(set), lists[i].means, "'%s' was read as %s",
				 lists[i].text, list(set));
	}
}

static const struct {
	const char *text;
	bool wide;
	int error;
	const char *says;
} no_lists[] = {
	{"", true, -EINVAL, "a number is wanted where 'the end' stands"},
	{"x", true, -EINVAL, "a number is wanted where 'x' stands"},
	{"1-", true, -EINVAL, "a number is wanted"},
	{"-1", true, -EINVAL, "a number is wanted where '-1' stands"},
	{"1,,2", true, -EINVAL, "a number is wanted where ',2' stands"},
	{"1,", true, -EINVAL, "a number is wanted"},
	{"1 ,2", true, -EINVAL, "' ,2' is neither a comma nor the end"},
	{"1-2-3", true, -EINVAL, "'-3' is neither a comma nor the end"},
	{"5-2", true, -EINVAL, "5-2 runs backwards"},
	{"node:1", true, -EINVAL, "a number is wanted where 'node:1' stands"},
	{"all,1", false, -EINVAL, "a number is wanted where 'all,1' stands"},
	{"!", false, -EINVAL, "a number is wanted"},
	{"+!1", false, -EINVAL, "a number is wanted where '!1' stands"},
	{"all", true, -EINVAL, "all of what?"},
	{"!1", true, -EINVAL, "all of what?"},
	{"+1", true, -EINVAL, "all of what?"},
	{"1048576", true, -ERANGE, "numbers end at 1048575"},
	{"0-99999999999999999999", true, -ERANGE, "numbers end at 1048575"},
	{"9", false, -ERANGE, "9 is not among 0-3,8,10-11"},
	{"2-4", false, -ERANGE, "4 is not among 0-3,8,10-11"},
	{"+7", false, -ERANGE, "there is no +7 among 7"},
	{"!all", false, -ERANGE, "leaves nothing"},
	{"!0-11", false, -ERANGE, "leaves nothing"},
};

Test(number_set, what_is_no_list_is_refused_with_the_part_that_is_wrong)
{
	for (size_t i = 0; i < COUNT_OF(no_lists); i++) {
		const struct evr_number_set *in = no_lists[i].wide ? NULL : within;
		int error;

		cr_assert_eq(evr_number_set_parse(set, "42", NULL), 0);
		error = evr_number_set_parse(set, no_lists[i].text, in);
		cr_assert_eq(error, no_lists[i].error, "'%s' gave %d", no_lists[i].text,
			     error);
		cr_assert_not_null(strstr(evr_error_detail(), no_lists[i].says),
				   "'%s': %s", no_lists[i].text, evr_error_detail());
		cr_assert_str_eq(list(set), "42", "'%s' changed the set",
				 no_lists[i].text);
	}
}

Test(number_set, a_list_may_be_read_into_the_set_that_it_is_within)
{
	cr_assert_eq(evr_number_set_parse(within, "!+1-5", within), 0);
	cr_assert_str_eq(list(within), "0,11");
}

Test(number_set, a_text_that_is_too_long_is_cut_and_says_how_long_it_is)
{
	char text[8];

	memset(text, 'x', sizeof(text));
	cr_assert_eq(evr_number_set_format(within, text, sizeof(text)), 11);
	cr_assert_str_eq(text, "0-3,8,1");
	cr_assert_eq(evr_number_set_format(within, NULL, 0), 11);
	cr_assert_eq(evr_number_set_format(set, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "");
}

/* Against a plain array of bools, by chance; the seed is printed. */
Test(number_set, writing_and_reading_back_any_set_gives_the_same)
{
	enum { NUMBERS = 300, ROUNDS = 500 };
	unsigned seed = 20261122;

	for (int round = 0; round < ROUNDS; round++) {
		bool in[NUMBERS] = {false};
		char text[4 * NUMBERS + 1];

		evr_number_set_clear(set);
		for (int i = 0; i < NUMBERS; i++) {
			in[i] = rand_r(&seed) % 3 == 0;
			if (in[i])
				cr_assert_eq(evr_number_set_add(set, i), 0);
		}
		cr_assert_lt(evr_number_set_format(set, text, sizeof(text)),
			     sizeof(text));
		if (evr_number_set_count(set))
			cr_assert_eq(evr_number_set_parse(set, text, NULL), 0, "%s",
				     text);
		for (int i = 0; i < NUMBERS; i++)
			cr_assert_eq(evr_number_set_has(set, i), in[i], "%d in %s", i,
				     text);
	}
}
