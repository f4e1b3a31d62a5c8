/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_HISTORY_H
#define EVERING_TESTS_HISTORY_H

/*
 * history.h - is what several processes wrote down about a ring the history of a queue?
 *
 * Each of them noted, for each push and pop, when it began, when it ended and what came
 * of it. If the ring is a first-in-first-out queue, every operation can be given one
 * moment between its beginning and its end at which it happened, such that the whole is
 * what one queue does. With values that are pushed once each, that is so unless one of
 * the things is found that history_check() looks for.
 *
 * An operation that was cut short by a kill has happened at some moment before its end,
 * or not at all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind { HISTORY_PUSH, HISTORY_POP };

enum history_result {
	HISTORY_DONE,
	HISTORY_REFUSED, /* there was no room, or nothing there */
	HISTORY_CUT,     /* its process was killed in it */
};

struct history_op {
	uint64_t begin_ns;
	uint64_t end_ns; /* of one that was cut: when its process was dead */
	uint64_t value;  /* pushed, or popped; of a pop that was cut: nothing */
	uint8_t kind;
	uint8_t result;
	/* Of a push: who takes it may throw it away, and say nothing of it. */
	uint8_t may_vanish;
};

struct history_verdict {
	uint64_t pushed; /* by operations that were done */
	uint64_t popped;
	uint64_t lost; /* with poppers that were cut, of what was pushed */
	uint64_t vanished;
	uint64_t half_pushed; /* by operations that were cut, and came out */
	char text[200]; /* what is wrong with it */
};

/*
 * @ops, of one ring of @capacity, in any order; they are put into another. When they end
 * nothing is in the ring any more. False: this is no history of a queue.
 */
bool history_check(struct history_op *ops, size_t count, uint64_t capacity,
		   struct history_verdict *ret);

#endif
