/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_CRASH_SCENARIOS_INLINE_H
#define EVERING_TESTS_CRASH_SCENARIOS_INLINE_H

/* scenarios_inline.h - the house's part in the scenarios of rings of inline entries. */

#include "scenarios.h"

#include <evering/ring_inline.h>

/* Three in a cell and two cells: what the victim does goes over the end of a cell, and
 * into the next lap. */
#define ORDER 2
#define CAPACITY 4
#define LAPS 3

struct entry {
	uint64_t number;
	uint64_t check;
};

/* The house's view; what of it lies before the victim is forked, the victim has too. */
struct inline_house {
	struct evr_ring_inline in, out;
	uint64_t pushed; /* numbers that were pushed, as far as the house knows */
	uint64_t popped;
};
extern struct inline_house inline_house;

static inline struct entry entry_of(uint64_t number)
{
	return (struct entry){ number, ~number * 3 };
}

static inline bool good(const struct entry *entry, uint64_t number)
{
	return entry->number == number && entry->check == ~number * 3;
}

/* The ring; the house has both roles, five entries have gone through, one lies there. */
void inline_make(struct party *house, uint32_t flags);
void inline_open(struct party *party, uint32_t role, struct evr_ring_inline *ret);
/* The next number; 0 or the errors of the call. */
int inline_push(void);
/* The oldest, which must have the number that is due. */
int inline_pop(struct party *house);
/* All that is there. */
void inline_drain(struct party *house);
/* With both roles: full, empty and around; then it leaves them. */
void inline_go_round(struct party *house);

#endif
