/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * history.c - the judge of histories (history_check.c) before he is believed: histories
 * made by hand, those of a queue and those of none.
 */

#include "history.h"

#include <stdio.h>
#include <string.h>

#include "../lib/report.h"

#define CAPACITY 2
#define OPS_MAX 12

static struct history_op ops[OPS_MAX];
static size_t ops_count;

static struct history_op *add(enum history_kind kind, enum history_result result,
			      uint64_t begin_ns, uint64_t end_ns, uint64_t value)
{
	struct history_op *op = &ops[ops_count++];

	*op = (struct history_op){ .begin_ns = begin_ns,
				   .end_ns = end_ns,
				   .value = value,
				   .kind = (uint8_t)kind,
				   .result = (uint8_t)result };
	return op;
}

static struct history_op *push(uint64_t begin_ns, uint64_t end_ns, uint64_t value)
{
	return add(HISTORY_PUSH, HISTORY_DONE, begin_ns, end_ns, value);
}

static void pop(uint64_t begin_ns, uint64_t end_ns, uint64_t value)
{
	add(HISTORY_POP, HISTORY_DONE, begin_ns, end_ns, value);
}

static void empty(uint64_t begin_ns, uint64_t end_ns)
{
	add(HISTORY_POP, HISTORY_REFUSED, begin_ns, end_ns, 0);
}

static void full(uint64_t begin_ns, uint64_t end_ns, uint64_t value)
{
	add(HISTORY_PUSH, HISTORY_REFUSED, begin_ns, end_ns, value);
}

static void cut_push(uint64_t begin_ns, uint64_t end_ns, uint64_t value)
{
	add(HISTORY_PUSH, HISTORY_CUT, begin_ns, end_ns, value);
}

static void cut_pop(uint64_t begin_ns, uint64_t end_ns)
{
	add(HISTORY_POP, HISTORY_CUT, begin_ns, end_ns, 0);
}

static void accept(const char *name)
{
	struct history_verdict verdict;

	if (history_check(ops, ops_count, CAPACITY, &verdict))
		report_ok(name);
	else
		report_not_ok(name, "it was refused: %s", verdict.text);
	ops_count = 0;
}

/* For this reason, and no other. */
static void refuse(const char *name, const char *because)
{
	struct history_verdict verdict;

	if (history_check(ops, ops_count, CAPACITY, &verdict))
		report_not_ok(name, "it was accepted");
	else if (!strstr(verdict.text, because))
		report_not_ok(name, "refused because \"%s\"", verdict.text);
	else
		report_ok(name);
	ops_count = 0;
}

static void accepted(void)
{
	accept("an empty history is one of a queue");

	push(1, 2, 1);
	push(3, 4, 2);
	pop(5, 6, 1);
	pop(7, 8, 2);
	empty(9, 10);
	accept("one after the other is in order");

	push(1, 5, 1);
	push(2, 4, 2);
	pop(6, 7, 2);
	pop(8, 9, 1);
	accept("two pushes at once may come out in either order");

	push(1, 2, 1);
	push(3, 4, 2);
	pop(5, 9, 1);
	pop(6, 7, 2);
	accept("of two pops at once the later one may be told first");

	push(1, 2, 1);
	push(3, 4, 2);
	full(5, 6, 3);
	pop(7, 8, 1);
	push(9, 10, 3);
	pop(11, 12, 2);
	pop(13, 14, 3);
	accept("a full ring may be called full");

	push(1, 4, 1);
	empty(2, 3);
	pop(5, 8, 1);
	empty(6, 7);
	accept("empty is right while a push or a pop is under way");

	cut_push(1, 2, 1);
	push(3, 4, 2);
	pop(5, 6, 2);
	accept("a push that was cut need not have happened");

	cut_push(1, 2, 1);
	push(3, 4, 2);
	pop(5, 6, 1);
	pop(7, 8, 2);
	accept("a push that was cut may have happened");

	push(1, 2, 1);
	cut_pop(3, 4);
	empty(5, 6);
	accept("a pop that was cut may have taken a value with it");

	push(1, 2, 1);
	cut_pop(3, 4);
	pop(5, 6, 1);
	accept("a pop that was cut need not have taken anything");

	push(1, 2, 1);
	push(3, 4, 2);
	cut_pop(3, 6);
	cut_pop(1, 7);
	accept("each of two pops that were cut may have taken one");

	push(1, 2, 1)->may_vanish = 1;
	push(3, 4, 2);
	pop(5, 6, 2);
	accept("what may vanish may vanish");
}

static void refused(void)
{
	pop(1, 2, 1);
	refuse("what was never pushed does not come out", "never pushed");

	full(1, 2, 1);
	pop(3, 4, 1);
	refuse("what was refused does not come out", "never pushed");

	push(1, 2, 1);
	pop(3, 4, 1);
	pop(5, 6, 1);
	refuse("nothing comes out twice", "twice");

	push(1, 2, 1);
	push(3, 4, 1);
	refuse("nothing is pushed twice", "pushed twice");

	pop(1, 2, 1);
	push(3, 4, 1);
	refuse("nothing comes out before it was pushed", "before it was pushed");

	push(1, 2, 1);
	push(3, 4, 2);
	pop(5, 6, 2);
	pop(7, 8, 1);
	refuse("nothing is overtaken", "overtaken");

	push(1, 2, 1);
	cut_push(3, 9, 2);
	pop(5, 6, 2);
	pop(7, 8, 1);
	refuse("nothing is overtaken by a push that was cut", "overtaken");

	push(1, 2, 1);
	refuse("nothing is lost", "lost");

	push(1, 2, 1);
	push(3, 4, 2);
	cut_pop(5, 6);
	refuse("one popper that was cut does not take two with it", "lost");

	cut_pop(1, 2);
	push(3, 4, 1);
	refuse("a popper takes nothing with it that came after its death", "lost");

	push(1, 2, 1);
	push(3, 4, 2);
	pop(5, 6, 2);
	cut_pop(7, 8);
	refuse("a popper takes nothing with it that was due before a value that came out "
	       "earlier", "lost");

	push(1, 2, 1);
	push(3, 4, 2);
	cut_pop(1, 2);
	cut_pop(1, 2);
	refuse("each of two values needs a popper of its own", "lost");

	push(1, 2, 1);
	empty(3, 4);
	pop(5, 6, 1);
	refuse("a ring is not empty with a value in it", "empty");

	push(1, 2, 1);
	full(3, 4, 2);
	pop(5, 6, 1);
	refuse("a ring is not full with room in it", "full");

	push(1, 2, 1);
	push(3, 4, 2);
	push(5, 6, 3);
	pop(7, 8, 1);
	pop(9, 10, 2);
	pop(11, 12, 3);
	refuse("a ring holds no more than it has room for", "were in a ring");
}

int main(void)
{
	accepted();
	refused();
	return report_end();
}
