/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_inline.c - the ring of inline entries, one side at a time. The house has the
 * other side. Wherever the victim stops, the house finds each entry that was pushed, in
 * order and once; and when the victim is dead or has left, the house takes its role and
 * goes on exactly where it was.
 */

#include "scenarios_inline.h"

#include <errno.h>
#include <string.h>

struct inline_house inline_house;

/* The victim's. */
static struct evr_ring_inline end;
static uint64_t first;
static struct entry entries[CAPACITY];

void inline_open(struct party *party, uint32_t role, struct evr_ring_inline *ret)
{
	MUST(party, evr_ring_inline_open(party->region, "inline", role,
					 sizeof(struct entry), ret));
}

/* ---- the house ---- */

int inline_push(void)
{
	struct entry entry = entry_of(inline_house.pushed);
	int error = evr_ring_inline_try_push(&inline_house.in, &entry, sizeof(entry));

	inline_house.pushed += error == 0;
	return error;
}

int inline_pop(struct party *house)
{
	struct entry entry;
	int error = evr_ring_inline_try_pop(&inline_house.out, &entry, sizeof(entry));

	if (error < 0)
		return error;
	if (!good(&entry, inline_house.popped))
		complain(house, "entry %lu is %lu with check %lx", inline_house.popped,
			 entry.number, entry.check);
	inline_house.popped++;
	return 0;
}

void inline_make(struct party *house, uint32_t flags)
{
	struct evr_ring_inline_options options = {
		.size = sizeof(options),
		.name = "inline",
		.entry_bytes = sizeof(struct entry),
		.order = ORDER,
		.flags = flags,
	};

	memset(&inline_house, 0, sizeof(inline_house));
	MUST(house, evr_ring_inline_create(house->region, &options));
	inline_open(house, EVR_RING_PUSHER, &inline_house.in);
	inline_open(house, EVR_RING_POPPER, &inline_house.out);
	for (int i = 0; i < 5; i++) {
		MUST(house, inline_push());
		MUST(house, inline_pop(house));
	}
	MUST(house, inline_push());
}

/* Five have gone through, one lies there, and the pusher's role is free. */
static void prepare_for_pusher(struct party *house)
{
	inline_make(house, 0);
	evr_ring_inline_leave(&inline_house.in);
	first = inline_house.pushed;
}

/* Three lie there, and the popper's role is free. */
static void prepare_for_popper(struct party *house)
{
	inline_make(house, 0);
	MUST(house, inline_push());
	MUST(house, inline_push());
	evr_ring_inline_leave(&inline_house.out);
	first = inline_house.popped;
}

static void prepare_for_at_most_once(struct party *house)
{
	inline_make(house, EVR_RING_AT_MOST_ONCE);
	MUST(house, inline_push());
	MUST(house, inline_push());
	evr_ring_inline_leave(&inline_house.out);
	first = inline_house.popped;
}

/* A stopped pusher keeps nobody from what it has pushed, a stopped popper keeps nobody
 * from the room that there is. */
void inline_drain(struct party *house)
{
	int error;

	while ((error = inline_pop(house)) == 0)
		;
	if (error != -EAGAIN && error != -EOWNERDEAD && error != -EPIPE)
		complain(house, "a pop beside: %s", evr_strerror(error));
}

static void fill_beside(struct party *house)
{
	int error;

	while ((error = inline_push()) == 0)
		;
	if (error != -EAGAIN && error != -EOWNERDEAD)
		complain(house, "a push beside: %s", evr_strerror(error));
}

/* Both roles are the house's again: full, empty and around. */
void inline_go_round(struct party *house)
{
	for (int lap = 0; lap < LAPS; lap++) {
		int error;

		while ((error = inline_push()) == 0)
			;
		if (error != -EAGAIN ||
		    inline_house.pushed - inline_house.popped != CAPACITY)
			complain(house, "full with %lu entries: %s",
				 inline_house.pushed - inline_house.popped,
				 evr_strerror(error));
		while ((error = inline_pop(house)) == 0)
			;
		if (error != -EAGAIN || inline_house.pushed != inline_house.popped)
			complain(house, "drained, and %lu are missing: %s",
				 inline_house.pushed - inline_house.popped,
				 evr_strerror(error));
	}
	evr_ring_inline_leave(&inline_house.in);
	evr_ring_inline_leave(&inline_house.out);
}

/* The victim pushed @count, or when it was killed, perhaps some of them. */
static void conclude_pushed(struct party *house, uint64_t count, bool together)
{
	uint64_t seen;

	inline_drain(house);
	seen = inline_house.popped - first;
	if (seen > count || (seen < count && !house->board->cut_short) ||
	    (together && seen != 0 && seen != count))
		complain(house, "%lu of %lu entries were pushed", seen, count);
	inline_house.pushed = inline_house.popped;
	inline_open(house, EVR_RING_PUSHER, &inline_house.in);
	inline_go_round(house);
}

/* The victim popped @count: so many, or when it was killed, at least @least, are gone. */
static void conclude_popped(struct party *house, uint64_t least, uint64_t count)
{
	const void *shown;
	uint64_t gone;

	inline_open(house, EVR_RING_POPPER, &inline_house.out);
	if (evr_ring_inline_peek(&inline_house.out, sizeof(struct entry), 1, &shown) == 1)
		inline_house.popped = ((const struct entry *)shown)->number;
	else
		inline_house.popped = inline_house.pushed;
	gone = inline_house.popped - first;
	if (gone < least || gone > count || (gone < count && !house->board->cut_short))
		complain(house, "%lu of %lu entries are gone", gone, count);
	inline_go_round(house);
}

/* ---- pusher ---- */

static void enter_pusher(struct party *victim)
{
	inline_open(victim, EVR_RING_PUSHER, &end);
	for (uint64_t i = 0; i < CAPACITY; i++)
		entries[i] = entry_of(first + i);
}

static void leave_end(struct party *victim)
{
	if (victim->result < 0)
		complain(victim, "it failed: %s", evr_strerror(victim->result));
	evr_ring_inline_leave(&end);
}

static void do_inline_push(struct party *victim)
{
	victim->result = evr_ring_inline_try_push(&end, entries, sizeof(entries[0]));
}

static void conclude_push(struct party *house)
{
	conclude_pushed(house, 1, true);
}

const struct scenario scenario_inline_push = {
	.name = "inline-push",
	.about = "an entry into a ring of inline entries",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_pusher,
	.operate = do_inline_push,
	.leave = leave_end,
	.beside = inline_drain,
	.conclude = conclude_push,
};

static void do_push_burst(struct party *victim)
{
	victim->result =
		evr_ring_inline_push_burst(&end, entries, sizeof(entries[0]), 3);
}

static void leave_three(struct party *victim)
{
	if (victim->result != 3)
		complain(victim, "%d of 3 entries", victim->result);
	leave_end(victim);
}

static void conclude_push_burst(struct party *house)
{
	conclude_pushed(house, 3, false);
}

const struct scenario scenario_inline_push_burst = {
	.name = "inline-push-burst",
	.about = "three entries, over the end of a cell",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_pusher,
	.operate = do_push_burst,
	.leave = leave_three,
	.beside = inline_drain,
	.conclude = conclude_push_burst,
};

/* From the first entry of a cell on, so that there are three in one piece. */
static void prepare_whole_cell(struct party *house)
{
	inline_make(house, 0);
	MUST(house, inline_pop(house));
	evr_ring_inline_leave(&inline_house.in);
	first = inline_house.pushed;
}

static void do_commit(struct party *victim)
{
	void *place;

	victim->result =
		evr_ring_inline_reserve(&end, sizeof(entries[0]), 3, &place);
	if (victim->result == 3)
		__builtin_memcpy(place, entries, 3 * sizeof(entries[0]));
	if (victim->result == 3 &&
	    evr_ring_inline_commit(&end, sizeof(entries[0]), 3) < 0)
		victim->result = -EINVAL;
}

static void conclude_commit(struct party *house)
{
	conclude_pushed(house, 3, true);
}

const struct scenario scenario_inline_commit = {
	.name = "inline-commit",
	.about = "three entries written in place, and seen at once",
	.modes = MODES_ALONE,
	.prepare = prepare_whole_cell,
	.enter = enter_pusher,
	.operate = do_commit,
	.leave = leave_three,
	.beside = inline_drain,
	.conclude = conclude_commit,
};

static void do_inline_close(struct party *victim)
{
	victim->result = evr_ring_inline_close(&end);
}

static void enter_and_push(struct party *victim)
{
	enter_pusher(victim);
	do_inline_push(victim);
	MUST(victim, victim->result);
}

static void conclude_close(struct party *house)
{
	int error;

	inline_drain(house);
	if (inline_house.popped - first != 1)
		complain(house, "%lu entries before the close",
			 inline_house.popped - first);
	error = inline_pop(house);
	if (error == -EPIPE) {
		evr_ring_inline_leave(&inline_house.out);
		return;
	}
	if (!house->board->cut_short)
		complain(house, "closed, and a pop says %s", evr_strerror(error));
	inline_house.pushed = inline_house.popped;
	inline_open(house, EVR_RING_PUSHER, &inline_house.in);
	inline_go_round(house);
}

const struct scenario scenario_inline_close = {
	.name = "inline-close",
	.about = "the end of a ring of inline entries",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_and_push,
	.operate = do_inline_close,
	.leave = leave_end,
	.beside = inline_drain,
	.conclude = conclude_close,
};

static void do_leave(struct party *victim)
{
	evr_ring_inline_leave(&end);
	victim->result = 0;
}

const struct scenario scenario_inline_leave = {
	.name = "inline-leave",
	.about = "giving the pusher's role back",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_and_push,
	.operate = do_leave,
	.leave = leave_end,
	.beside = inline_drain,
	.conclude = conclude_push,
};

/* ---- popper ---- */

static void enter_popper(struct party *victim)
{
	inline_open(victim, EVR_RING_POPPER, &end);
}

static void do_inline_pop(struct party *victim)
{
	victim->result = evr_ring_inline_try_pop(&end, entries, sizeof(entries[0]));
}

static void leave_with_entries(struct party *victim)
{
	uint64_t count = victim->result == 0 ? 1 : (uint64_t)victim->result;

	leave_end(victim);
	for (uint64_t i = 0; i < count; i++)
		if (!good(&entries[i], first + i))
			complain(victim, "entry %lu is %lu", first + i,
				 entries[i].number);
}

static void conclude_pop(struct party *house)
{
	conclude_popped(house, 0, 1);
}

const struct scenario scenario_inline_pop = {
	.name = "inline-pop",
	.about = "an entry out of a ring of inline entries",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_inline_pop,
	.leave = leave_with_entries,
	.beside = fill_beside,
	.conclude = conclude_pop,
};

static void do_pop_burst(struct party *victim)
{
	victim->result =
		evr_ring_inline_pop_burst(&end, entries, sizeof(entries[0]), 3);
}

static void conclude_pop_burst(struct party *house)
{
	conclude_popped(house, 0, 3);
}

const struct scenario scenario_inline_pop_burst = {
	.name = "inline-pop-burst",
	.about = "three entries, over the end of a cell",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_pop_burst,
	.leave = leave_with_entries,
	.beside = fill_beside,
	.conclude = conclude_pop_burst,
};

static void do_peek_and_release(struct party *victim)
{
	const void *shown;

	victim->result = evr_ring_inline_peek(&end, sizeof(entries[0]), 1, &shown);
	if (victim->result == 1)
		entries[0] = *(const struct entry *)shown;
	if (victim->result == 1 &&
	    evr_ring_inline_release(&end, sizeof(entries[0]), 1) < 0)
		victim->result = -EINVAL;
}

const struct scenario scenario_inline_release = {
	.name = "inline-release",
	.about = "an entry read in place and given back",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_peek_and_release,
	.leave = leave_with_entries,
	.beside = fill_beside,
	.conclude = conclude_pop,
};

/* It has been shown one when it begins: at most once, that one is gone. */
static void enter_shown(struct party *victim)
{
	const void *shown;

	enter_popper(victim);
	if (evr_ring_inline_peek(&end, sizeof(entries[0]), 1, &shown) != 1)
		complain(victim, "nothing to peek at");
}

static void conclude_shown(struct party *house)
{
	conclude_popped(house, 1, 1);
}

const struct scenario scenario_inline_shown = {
	.name = "inline-shown",
	.about = "the same in a ring that shows at most once",
	.modes = MODES_ALONE,
	.prepare = prepare_for_at_most_once,
	.enter = enter_shown,
	.operate = do_peek_and_release,
	.leave = leave_with_entries,
	.beside = fill_beside,
	.conclude = conclude_shown,
};

/* ---- the popper wants nothing more ---- */

static void do_inline_hang_up(struct party *victim)
{
	victim->result = evr_ring_inline_hang_up(&end);
}

static void leave_nothing(struct party *victim)
{
	MUST(victim, victim->result);
}

static void fill_unless_hung_up(struct party *house)
{
	int error;

	while ((error = inline_push()) == 0)
		;
	if (error != -EAGAIN && error != -EOWNERDEAD && error != -EPIPE)
		complain(house, "a push beside: %s", evr_strerror(error));
}

/* Hung up on, or as if nobody had been there. */
static void conclude_hung_up(struct party *house)
{
	int error = inline_push();

	if (error == -EPIPE) {
		evr_ring_inline_leave(&inline_house.in);
		return;
	}
	if (!house->board->cut_short)
		complain(house, "hung up on, and a push says %s", evr_strerror(error));
	conclude_popped(house, 0, 0);
}

const struct scenario scenario_inline_hang_up = {
	.name = "inline-hang-up",
	.about = "a popper that wants nothing more",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_inline_hang_up,
	.leave = leave_nothing,
	.beside = fill_unless_hung_up,
	.conclude = conclude_hung_up,
};
