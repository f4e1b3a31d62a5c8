/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * history_check.c - see history.h.
 *
 * What is looked for, each in n log n steps:
 *
 *	a value that comes out without having gone in, twice, or before it went in;
 *	two values, the one in the ring before the push of the other began, and the
 *	other out of it before the pop of the one began;
 *	a value that went in and never came out, and no popper was cut that could have
 *	taken it with it: one value for each, and before a later one came out;
 *	"empty" from a pop during all of which some value was in the ring;
 *	"full" from a push during all of which fewer were in it than it has room for;
 *	more in it than it has room for.
 */

#include "history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

/* One value, in and out. */
struct item {
	uint64_t value;
	uint64_t push_begin_ns, push_end_ns;
	uint64_t pop_begin_ns, pop_end_ns; /* NEVER: it did not come out */
	bool cut;
	bool may_vanish;
};

struct moments {
	uint64_t *at;
	size_t count;
};

struct checking {
	struct history_verdict *verdict;
	struct item *items; /* by value, then by the beginning of the push */
	size_t items_count;
	struct history_op *cut_pops;
	size_t cut_pops_count;
	uint64_t *earliest; /* end of a pop among this item and all behind it */
	uint64_t capacity;
};

static bool wrong(struct checking *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool wrong(struct checking *c, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(c->verdict->text, sizeof(c->verdict->text), format, arguments);
	va_end(arguments);
	return false;
}

static void *must_have(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_value(const void *a, const void *b)
{
	return compare(((const struct item *)a)->value, ((const struct item *)b)->value);
}

static int by_push(const void *a, const void *b)
{
	return compare(((const struct item *)a)->push_begin_ns,
		       ((const struct item *)b)->push_begin_ns);
}

static int by_moment(const void *a, const void *b)
{
	return compare(*(const uint64_t *)a, *(const uint64_t *)b);
}

/* Pushes first, then pops: each is looked up in what is before it. */
static int by_kind(const void *a, const void *b)
{
	return ((const struct history_op *)a)->kind -
	       ((const struct history_op *)b)->kind;
}

/* ---- each value: in once, out once, and in this order ---- */

static bool take_pushes(struct checking *c, const struct history_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (ops[i].kind != HISTORY_PUSH || ops[i].result == HISTORY_REFUSED)
			continue;
		c->items[c->items_count++] = (struct item){
			.value = ops[i].value,
			.push_begin_ns = ops[i].begin_ns,
			.push_end_ns = ops[i].end_ns,
			.pop_begin_ns = NEVER,
			.pop_end_ns = NEVER,
			.cut = ops[i].result == HISTORY_CUT,
			.may_vanish = ops[i].may_vanish,
		};
		c->verdict->pushed += ops[i].result == HISTORY_DONE;
	}
	qsort(c->items, c->items_count, sizeof(*c->items), by_value);
	for (size_t i = 1; i < c->items_count; i++)
		if (c->items[i].value == c->items[i - 1].value)
			return wrong(c, "%" PRIx64 " was pushed twice",
				     c->items[i].value);
	return true;
}

static bool take_pops(struct checking *c, const struct history_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct item key = { .value = ops[i].value };
		struct item *item;

		if (ops[i].kind != HISTORY_POP || ops[i].result == HISTORY_REFUSED)
			continue;
		if (ops[i].result == HISTORY_CUT) {
			c->cut_pops[c->cut_pops_count++] = ops[i];
			continue;
		}
		item = bsearch(&key, c->items, c->items_count, sizeof(*item), by_value);
		if (!item)
			return wrong(c, "%" PRIx64 " came out and was never pushed",
				     key.value);
		if (item->pop_end_ns != NEVER)
			return wrong(c, "%" PRIx64 " came out twice", key.value);
		if (ops[i].end_ns < item->push_begin_ns)
			return wrong(c, "%" PRIx64 " came out before it was pushed",
				     key.value);
		item->pop_begin_ns = ops[i].begin_ns;
		item->pop_end_ns = ops[i].end_ns;
		c->verdict->popped++;
		c->verdict->half_pushed += item->cut;
	}
	return true;
}

/* ---- in the order of the pushes ---- */

/* The first item whose push began after @moment. */
static size_t first_after(const struct checking *c, uint64_t moment)
{
	size_t low = 0, high = c->items_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->items[middle].push_begin_ns > moment)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool check_order(struct checking *c)
{
	qsort(c->items, c->items_count, sizeof(*c->items), by_push);
	c->earliest[c->items_count] = NEVER;
	for (size_t i = c->items_count; i-- > 0;) {
		c->earliest[i] = c->items[i].pop_end_ns;
		if (c->earliest[i + 1] < c->earliest[i])
			c->earliest[i] = c->earliest[i + 1];
	}
	for (size_t i = 0; i < c->items_count; i++) {
		const struct item *item = &c->items[i];
		size_t later = first_after(c, item->push_end_ns);

		if (item->pop_end_ns != NEVER && c->earliest[later] < item->pop_begin_ns)
			return wrong(c,
				     "%" PRIx64 " was overtaken: one pushed after it "
				     "came out before its pop began", item->value);
	}
	return true;
}

/* ---- nothing is lost, but with a popper that was cut ---- */

/* Could this popper have had it? Not before it was pushed, nor after a later one was
 * out. */
static bool could_have_had(const struct checking *c, const struct history_op *pop,
			   const struct item *item)
{
	return pop->end_ns >= item->push_begin_ns &&
	       pop->begin_ns < c->earliest[first_after(c, item->push_end_ns)];
}

/* An augmenting path of the matching of lost items and poppers. */
static bool find_popper(const struct checking *c, const size_t *lost, size_t which,
			size_t *holder, bool *asked)
{
	for (size_t i = 0; i < c->cut_pops_count; i++) {
		if (asked[i] ||
		    !could_have_had(c, &c->cut_pops[i], &c->items[lost[which]]))
			continue;
		asked[i] = true;
		if (holder[i] == SIZE_MAX ||
		    find_popper(c, lost, holder[i], holder, asked)) {
			holder[i] = which;
			return true;
		}
	}
	return false;
}

static bool check_lost(struct checking *c)
{
	size_t *lost = must_have(calloc(c->items_count + 1, sizeof(*lost)));
	size_t *holder = must_have(malloc((c->cut_pops_count + 1) * sizeof(*holder)));
	bool *asked = must_have(malloc(c->cut_pops_count + 1));
	bool good = true;

	for (size_t i = 0; i < c->items_count; i++) {
		const struct item *item = &c->items[i];

		if (item->pop_end_ns != NEVER || item->cut)
			continue;
		if (item->may_vanish)
			c->verdict->vanished++;
		else
			lost[c->verdict->lost++] = i;
	}
	for (size_t i = 0; i < c->cut_pops_count; i++)
		holder[i] = SIZE_MAX;
	for (size_t i = 0; good && i < c->verdict->lost; i++) {
		memset(asked, 0, c->cut_pops_count + 1);
		good = find_popper(c, lost, i, holder, asked);
		if (!good)
			wrong(c,
			      "%" PRIx64 " was pushed and is lost: %" PRIu64
			      " are, and none of %zu killed poppers can have had it",
			      c->items[lost[i]].value, c->verdict->lost,
			      c->cut_pops_count);
	}
	free(lost);
	free(holder);
	free(asked);
	return good;
}

/* ---- empty, full, and too much ---- */

/* How many of them are not after @moment. */
static uint64_t up_to(const struct moments *moments, uint64_t moment)
{
	size_t low = 0, high = moments->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (moments->at[middle] <= moment)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void note(struct moments *moments, uint64_t moment)
{
	moments->at[moments->count++] = moment;
}

static void put_in_order(struct moments *moments)
{
	qsort(moments->at, moments->count, sizeof(*moments->at), by_moment);
}

static bool check_full(struct checking *c, const struct history_op *ops, size_t count)
{
	struct moments push_begins = { must_have(calloc(count + 1, 8)), 0 };
	struct moments push_ends = { must_have(calloc(count + 1, 8)), 0 };
	struct moments pop_begins = { must_have(calloc(count + 1, 8)), 0 };
	struct moments pop_ends = { must_have(calloc(count + 1, 8)), 0 };
	bool good = true;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].result == HISTORY_REFUSED)
			continue;
		if (ops[i].kind == HISTORY_PUSH) {
			note(&push_begins, ops[i].begin_ns);
			if (ops[i].result == HISTORY_DONE && !ops[i].may_vanish)
				note(&push_ends, ops[i].end_ns);
		} else {
			note(&pop_begins, ops[i].begin_ns);
			if (ops[i].result == HISTORY_DONE)
				note(&pop_ends, ops[i].end_ns);
		}
	}
	put_in_order(&push_begins);
	put_in_order(&push_ends);
	put_in_order(&pop_begins);
	put_in_order(&pop_ends);
	for (size_t i = 0; good && i < count; i++) {
		const struct history_op *op = &ops[i];

		if (op->kind != HISTORY_PUSH)
			continue;
		if (op->result == HISTORY_REFUSED) {
			/* At the most, at any moment of it; its own beginning apart. */
			uint64_t most = up_to(&push_begins, op->end_ns) -
					(op->begin_ns ?
						 up_to(&pop_ends, op->begin_ns - 1) :
						 0);

			if (most < c->capacity)
				good = wrong(c,
					     "a push was told \"full\", with %" PRIu64
					     " of %" PRIu64 " in the ring at the most",
					     most, c->capacity);
		} else if (op->result == HISTORY_DONE) {
			uint64_t in = up_to(&push_ends, op->end_ns);
			uint64_t out = up_to(&pop_begins, op->end_ns);

			if (in > out && in - out > c->capacity)
				good = wrong(c, "%" PRIu64 " were in a ring of %" PRIu64,
					     in - out, c->capacity);
		}
	}
	free(push_begins.at);
	free(push_ends.at);
	free(pop_begins.at);
	free(pop_ends.at);
	return good;
}

static int by_push_end(const void *a, const void *b)
{
	return compare(((const struct item *)a)->push_end_ns,
		       ((const struct item *)b)->push_end_ns);
}

/* Of the items that were in before a moment: when the pop of the last of them began. */
static bool check_empty(struct checking *c, const struct history_op *ops, size_t count)
{
	uint64_t *latest = must_have(calloc(c->items_count + 1, sizeof(*latest)));
	bool good = true;

	qsort(c->items, c->items_count, sizeof(*c->items), by_push_end);
	for (size_t i = 0; i < c->items_count; i++) {
		uint64_t out = c->items[i].pop_begin_ns;

		/* Who knows when those went that nobody says to have taken. */
		if (out == NEVER)
			out = 0;
		latest[i + 1] = out > latest[i] ? out : latest[i];
	}
	for (size_t i = 0; good && i < count; i++) {
		size_t low = 0, high = c->items_count;

		if (ops[i].kind != HISTORY_POP || ops[i].result != HISTORY_REFUSED)
			continue;
		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (c->items[middle].push_end_ns < ops[i].begin_ns)
				low = middle + 1;
			else
				high = middle;
		}
		if (latest[low] > ops[i].end_ns)
			good = wrong(c, "a pop was told \"empty\", and a value was in "
					"the ring all the time");
	}
	free(latest);
	return good;
}

bool history_check(struct history_op *ops, size_t count, uint64_t capacity,
		   struct history_verdict *ret)
{
	struct checking c = { .verdict = ret, .capacity = capacity };
	bool good;

	memset(ret, 0, sizeof(*ret));
	c.items = must_have(calloc(count + 1, sizeof(*c.items)));
	c.cut_pops = must_have(calloc(count + 1, sizeof(*c.cut_pops)));
	c.earliest = must_have(calloc(count + 2, sizeof(*c.earliest)));
	qsort(ops, count, sizeof(*ops), by_kind);
	good = take_pushes(&c, ops, count) && take_pops(&c, ops, count) &&
	       check_order(&c) && check_lost(&c) && check_full(&c, ops, count) &&
	       check_empty(&c, ops, count);
	free(c.items);
	free(c.cut_pops);
	free(c.earliest);
	return good;
}
