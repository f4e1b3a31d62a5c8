/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * number_set.c - sets of CPU and node numbers, and their lists.
 *
 * A set is an array of 64-bit words, as many as its largest number wanted so far. Words
 * beyond the array are empty, so sets of different lengths can be equal.
 */

#include <evering/number_set.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal_error.h"

#define WORD_BITS 64

struct evr_number_set {
	uint64_t *words;
	int words_count;
};

static uint64_t word_at(const struct evr_number_set *set, int index)
{
	return index < set->words_count ? set->words[index] : 0;
}

static uint64_t bit_of(int number)
{
	return UINT64_C(1) << (number % WORD_BITS);
}

int evr_number_set_create(struct evr_number_set **ret_set)
{
	struct evr_number_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	*ret_set = set;
	return 0;
}

void evr_number_set_destroy(struct evr_number_set *set)
{
	if (!set)
		return;
	free(set->words);
	free(set);
}

void evr_number_set_clear(struct evr_number_set *set)
{
	if (set->words_count)
		memset(set->words, 0, (size_t)set->words_count * sizeof(*set->words));
}

static int grow(struct evr_number_set *set, int words_count)
{
	uint64_t *words;

	if (words_count <= set->words_count)
		return 0;
	words = realloc(set->words, (size_t)words_count * sizeof(*words));
	if (!words)
		return -ENOMEM;
	memset(words + set->words_count, 0,
	       (size_t)(words_count - set->words_count) * sizeof(*words));
	set->words = words;
	set->words_count = words_count;
	return 0;
}

int evr_number_set_copy(struct evr_number_set *set, const struct evr_number_set *from)
{
	int error = grow(set, from->words_count);

	if (error)
		return error;
	for (int i = 0; i < set->words_count; i++)
		set->words[i] = word_at(from, i);
	return 0;
}

int evr_number_set_add(struct evr_number_set *set, int number)
{
	int error;

	if (number < 0 || number >= EVR_NUMBER_SET_LIMIT)
		return -EINVAL;
	error = grow(set, number / WORD_BITS + 1);
	if (error)
		return error;
	set->words[number / WORD_BITS] |= bit_of(number);
	return 0;
}

void evr_number_set_remove(struct evr_number_set *set, int number)
{
	if (evr_number_set_has(set, number))
		set->words[number / WORD_BITS] &= ~bit_of(number);
}

bool evr_number_set_has(const struct evr_number_set *set, int number)
{
	return number >= 0 && word_at(set, number / WORD_BITS) & bit_of(number);
}

int evr_number_set_next(const struct evr_number_set *set, int number)
{
	if (number < 0)
		number = 0;
	for (int i = number / WORD_BITS; i < set->words_count; i++) {
		uint64_t word = set->words[i];

		if (i == number / WORD_BITS)
			word &= UINT64_MAX << (number % WORD_BITS);
		if (word)
			return i * WORD_BITS + __builtin_ctzll(word);
	}
	return -1;
}

int evr_number_set_count(const struct evr_number_set *set)
{
	int count = 0;

	for (int i = 0; i < set->words_count; i++)
		count += __builtin_popcountll(set->words[i]);
	return count;
}

bool evr_number_set_equal(const struct evr_number_set *a, const struct evr_number_set *b)
{
	int words = a->words_count > b->words_count ? a->words_count : b->words_count;

	for (int i = 0; i < words; i++)
		if (word_at(a, i) != word_at(b, i))
			return false;
	return true;
}

/* ---- lists ---- */

/* A list on its way from text to set. */
struct reader {
	const char *text; /* all of it, for what is said about errors */
	const char *at;
	const struct evr_number_set *within;
	bool relative; /* "+": numbers count the members of @within */
	bool removed;  /* "!": a number that is not there need not be */
};

static int read_number(struct reader *reader, int *ret_number)
{
	const char *digit = reader->at;
	int number = 0;

	if (*digit < '0' || *digit > '9')
		return evri_fail(-EINVAL,
				 "'%.64s' is no list such as 0,2-5: a number is "
				 "wanted where '%.16s' stands",
				 reader->text, *digit ? digit : "the end");
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		number = number * 10 + (*digit - '0');
		if (number >= EVR_NUMBER_SET_LIMIT)
			return evri_fail(-ERANGE, "'%.64s': numbers end at %d",
					 reader->text, EVR_NUMBER_SET_LIMIT - 1);
	}
	reader->at = digit;
	*ret_number = number;
	return 0;
}

static int not_there(const struct reader *reader, int number)
{
	char there[128];

	if (reader->relative)
		return evri_fail(-ERANGE, "'%.64s': there is no +%d among %d",
				 reader->text, number,
				 evr_number_set_count(reader->within));
	evr_number_set_format(reader->within, there, sizeof(there));
	return evri_fail(-ERANGE, "'%.64s': %d is not among %s", reader->text, number,
			 *there ? there : "none");
}

/* The member of @within that a relative number means, or -1. */
static int nth_member(const struct evr_number_set *within, int nth)
{
	int number = evr_number_set_next(within, 0);

	while (number >= 0 && nth-- > 0)
		number = evr_number_set_next(within, number + 1);
	return number;
}

static int take_range(const struct reader *reader, int first, int last,
		      struct evr_number_set *set)
{
	for (int i = first; i <= last; i++) {
		int number = reader->relative ? nth_member(reader->within, i) : i;
		bool there = number >= 0 && (!reader->within ||
					     evr_number_set_has(reader->within, number));
		int error;

		if (!there && reader->removed)
			continue;
		error = there ? evr_number_set_add(set, number) : not_there(reader, i);
		if (error)
			return error;
	}
	return 0;
}

static int read_ranges(struct reader *reader, struct evr_number_set *set)
{
	for (;;) {
		int first = 0;
		int last;
		int error = read_number(reader, &first);

		if (error)
			return error;
		last = first;
		if (*reader->at == '-') {
			reader->at++;
			error = read_number(reader, &last);
			if (error)
				return error;
			if (last < first)
				return evri_fail(-EINVAL, "'%.64s': %d-%d runs backwards",
						 reader->text, first, last);
		}
		error = take_range(reader, first, last, set);
		if (error || !*reader->at)
			return error;
		if (*reader->at != ',')
			return evri_fail(-EINVAL,
					 "'%.64s' is no list such as 0,2-5: '%.16s' is "
					 "neither a comma nor the end",
					 reader->text, reader->at);
		reader->at++;
	}
}

/* What is left of @within without @set, into @set. */
static int leave_rest(struct reader *reader, struct evr_number_set *set)
{
	int error = grow(set, reader->within->words_count);

	if (error)
		return error;
	for (int i = 0; i < set->words_count; i++)
		set->words[i] = word_at(reader->within, i) & ~set->words[i];
	if (evr_number_set_next(set, 0) < 0)
		return evri_fail(-ERANGE, "'%.64s' leaves nothing", reader->text);
	return 0;
}

static int read_list(struct reader *reader, struct evr_number_set *set)
{
	int error;

	if (!reader->within &&
	    (*reader->at == '!' || *reader->at == '+' || !strcmp(reader->at, "all")))
		return evri_fail(-EINVAL,
				 "'%.64s': all of what? Only numbers and ranges "
				 "can stand here",
				 reader->text);
	reader->removed = *reader->at == '!';
	reader->at += reader->removed;
	if (!strcmp(reader->at, "all")) {
		error = evr_number_set_copy(set, reader->within);
	} else {
		reader->relative = *reader->at == '+';
		reader->at += reader->relative;
		error = read_ranges(reader, set);
	}
	if (!error && reader->removed)
		error = leave_rest(reader, set);
	return error;
}

int evr_number_set_parse(struct evr_number_set *set, const char *text,
			 const struct evr_number_set *within)
{
	struct reader reader = {.text = text, .at = text, .within = within};
	struct evr_number_set fresh = {0};
	int error = read_list(&reader, &fresh);

	if (error) {
		free(fresh.words);
		return error;
	}
	free(set->words);
	*set = fresh;
	return 0;
}

/* snprintf() behind what is written already; returns the sum of all lengths. */
static size_t append(char *buffer, size_t bytes, size_t used, const char *before,
		     int number)
{
	bool room = used < bytes;
	int length = snprintf(room ? buffer + used : NULL, room ? bytes - used : 0,
			      "%s%d", before, number);

	return used + (length > 0 ? (size_t)length : 0);
}

size_t evr_number_set_format(const struct evr_number_set *set, char *buffer, size_t bytes)
{
	size_t used = 0;
	int number = evr_number_set_next(set, 0);

	if (bytes)
		buffer[0] = '\0';
	while (number >= 0) {
		int first = number;

		while (evr_number_set_has(set, number + 1))
			number++;
		used = append(buffer, bytes, used, used ? "," : "", first);
		if (number > first)
			used = append(buffer, bytes, used, "-", number);
		number = evr_number_set_next(set, number + 1);
	}
	return used;
}
