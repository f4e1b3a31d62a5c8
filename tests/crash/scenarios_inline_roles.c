/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_inline_roles.c - taking a role of the ring of inline entries: a free one, and
 * one whose holder has died in it. Beside the victim the house tries for the same role:
 * of a dead victim it must get it, of a stopped one it gets it or hears that it is busy.
 * Whoever has the role pushes, or pops, the one entry that is due; so each must find the
 * place where the last one was.
 */

#include "scenarios_inline.h"

#include <errno.h>
#include <sys/mman.h>

/* The number that is due at the side whose role goes from hand to hand; everybody's. */
static uint64_t *due;
static uint64_t due_at_first;

static struct evr_ring_inline end;

static void set_due(uint64_t number)
{
	if (!due)
		due = mmap(NULL, sizeof(*due), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*due = due_at_first = number;
}

static int try_to_take(struct party *party, uint32_t role)
{
	return evr_ring_inline_open(party->region, "inline", role, sizeof(struct entry),
				    &end);
}

static void push_due(struct party *party)
{
	struct entry entry = entry_of(*due);
	int error = evr_ring_inline_try_push(&end, &entry, sizeof(entry));

	if (error < 0)
		complain(party, "there was room, and a push says %s",
			 evr_strerror(error));
	++*due;
}

static void pop_due(struct party *party)
{
	struct entry entry = { 0 };
	int error = evr_ring_inline_try_pop(&end, &entry, sizeof(entry));

	if (error < 0 || !good(&entry, *due))
		complain(party, "entry %lu is due, and a pop gives %lu: %s", *due,
			 entry.number, evr_strerror(error));
	++*due;
}

/* @error: of the taking. One who is told that the role is busy when it is not comes
 * again. */
static void serve(struct party *party, uint32_t role, int error)
{
	if (error == -EBUSY)
		error = try_to_take(party, role);
	MUST(party, error);
	if (role == EVR_RING_PUSHER)
		push_due(party);
	else
		pop_due(party);
	evr_ring_inline_leave(&end);
}

static void serve_beside(struct party *house, uint32_t role)
{
	int error = try_to_take(house, role);

	if (error == -EBUSY && !house->board->cut_short)
		return;
	serve(house, role, error);
}

/* ---- pusher ---- */

/* One lies there, and nobody is the pusher. */
static void prepare_pusher(struct party *house)
{
	inline_make(house, 0);
	evr_ring_inline_leave(&inline_house.in);
	set_due(inline_house.pushed);
}

/* Dies with two pushed, and half of a third in its place. */
static void depart_pushing(struct party *departed)
{
	void *place = NULL;

	inline_open(departed, EVR_RING_PUSHER, &end);
	push_due(departed);
	push_due(departed);
	if (evr_ring_inline_reserve(&end, sizeof(struct entry), 1, &place) != 1)
		complain(departed, "no room for one more");
	*(uint64_t *)place = *due;
}

static void take_pusher(struct party *victim)
{
	victim->result = try_to_take(victim, EVR_RING_PUSHER);
}

static void leave_pusher(struct party *victim)
{
	serve(victim, EVR_RING_PUSHER, victim->result);
}

static void beside_pusher(struct party *house)
{
	inline_drain(house);
	serve_beside(house, EVR_RING_PUSHER);
	inline_drain(house);
}

static void conclude_pusher(struct party *house)
{
	inline_drain(house);
	if (inline_house.popped != *due)
		complain(house, "%lu entries were pushed, and %lu came",
			 *due - due_at_first, inline_house.popped - due_at_first);
	inline_house.pushed = inline_house.popped;
	inline_open(house, EVR_RING_PUSHER, &inline_house.in);
	inline_go_round(house);
}

const struct scenario scenario_inline_take_pusher = {
	.name = "inline-take-pusher",
	.about = "taking the pusher's role",
	.modes = MODES_ALONE,
	.prepare = prepare_pusher,
	.operate = take_pusher,
	.leave = leave_pusher,
	.beside = beside_pusher,
	.conclude = conclude_pusher,
};

const struct scenario scenario_inline_succeed_pusher = {
	.name = "inline-succeed-pusher",
	.about = "taking the role of a pusher who died in a push",
	.modes = MODES_ALONE,
	.prepare = prepare_pusher,
	.depart = depart_pushing,
	.operate = take_pusher,
	.leave = leave_pusher,
	.beside = beside_pusher,
	.conclude = conclude_pusher,
};

/* ---- popper ---- */

static void prepare_for_popper(struct party *house, uint32_t flags)
{
	inline_make(house, flags);
	MUST(house, inline_push());
	MUST(house, inline_push());
	evr_ring_inline_leave(&inline_house.out);
	set_due(inline_house.popped);
}

/* Three lie there, and nobody is the popper. */
static void prepare_popper(struct party *house)
{
	prepare_for_popper(house, 0);
}

static void prepare_at_most_once(struct party *house)
{
	prepare_for_popper(house, EVR_RING_AT_MOST_ONCE);
}

/* Dies with one popped, and one before its eyes: which is the next one's, or gone. */
static void depart_peeking(struct party *departed)
{
	const void *shown;

	inline_open(departed, EVR_RING_POPPER, &end);
	pop_due(departed);
	if (evr_ring_inline_peek(&end, sizeof(struct entry), 1, &shown) != 1)
		complain(departed, "nothing to peek at");
	if (end.flags & EVR_RING_AT_MOST_ONCE)
		++*due;
}

static void take_popper(struct party *victim)
{
	victim->result = try_to_take(victim, EVR_RING_POPPER);
}

static void leave_popper(struct party *victim)
{
	serve(victim, EVR_RING_POPPER, victim->result);
}

/* There is always one for whoever gets the role. */
static void beside_popper(struct party *house)
{
	while (inline_push() == 0)
		;
	serve_beside(house, EVR_RING_POPPER);
	while (inline_push() == 0)
		;
}

static void conclude_popper(struct party *house)
{
	inline_house.popped = *due;
	inline_open(house, EVR_RING_POPPER, &inline_house.out);
	inline_go_round(house);
}

const struct scenario scenario_inline_take_popper = {
	.name = "inline-take-popper",
	.about = "taking the popper's role",
	.modes = MODES_ALONE,
	.prepare = prepare_popper,
	.operate = take_popper,
	.leave = leave_popper,
	.beside = beside_popper,
	.conclude = conclude_popper,
};

const struct scenario scenario_inline_succeed_popper = {
	.name = "inline-succeed-popper",
	.about = "taking the role of a popper who died over an entry",
	.modes = MODES_ALONE,
	.prepare = prepare_popper,
	.depart = depart_peeking,
	.operate = take_popper,
	.leave = leave_popper,
	.beside = beside_popper,
	.conclude = conclude_popper,
};

const struct scenario scenario_inline_succeed_shown = {
	.name = "inline-succeed-shown",
	.about = "the same in a ring that shows at most once",
	.modes = MODES_ALONE,
	.prepare = prepare_at_most_once,
	.depart = depart_peeking,
	.operate = take_popper,
	.leave = leave_popper,
	.beside = beside_popper,
	.conclude = conclude_popper,
};

/* ---- two at once ---- */

static void leave_if_taken(struct party *party)
{
	if (party->result != -EBUSY)
		serve(party, EVR_RING_PUSHER, party->result);
}

static void conclude_one_taken(struct party *house)
{
	if (*due == due_at_first)
		complain(house, "neither of the two got the role");
	conclude_pusher(house);
}

static const struct scenario take_partner = {
	.operate = take_pusher,
	.leave = leave_if_taken,
};

const struct scenario scenario_inline_take_beside_take = {
	.name = "inline-take+take",
	.about = "the pusher's role, for two at once",
	.modes = IN(MODE_ENDS) | IN(MODE_BEGINS),
	.stride = 9,
	.partner = &take_partner,
	.prepare = prepare_pusher,
	.operate = take_pusher,
	.leave = leave_if_taken,
	.conclude = conclude_one_taken,
};
