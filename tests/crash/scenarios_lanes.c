/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * scenarios_lanes.c - lanes of inline entries. The victim is a pusher with a lane of its
 * own, or the popper; the house is the other side, and a second pusher. Wherever the
 * victim stops, the house's own entries come through, and the victim's come once and in
 * order; and when it is dead or has left, the house takes its lane or its role and goes
 * on exactly where it was. Hints may be wrong all the while.
 */

#include "scenarios_lanes.h"

static void prepare_for_pusher(struct party *house)
{
	make(house, LANES);
	evr_ring_lane_leave(&house_side.in[1]);
	first[1] = house_side.pushed[1];
}

/* The same among many that were in use, and no bit says that there is something. */
static void prepare_without_hints(struct party *house)
{
	struct evr_ring_lane others[MANY_LANES];

	make(house, MANY_LANES);
	for (uint32_t i = 2; i < MANY_LANES; i++)
		open_lane(house, i, &others[i]);
	for (uint32_t i = 2; i < MANY_LANES; i++)
		evr_ring_lane_leave(&others[i]);
	/* Until it is nobody's turn. */
	(void)house_drain(house);
	evr_ring_lane_leave(&house_side.in[1]);
	first[1] = house_side.pushed[1];
	evr_store_relaxed_u64(&house_side.in[0].shared->hints[0], 0);
}

/* Three lie in each of the two lanes. */
static void prepare_for_popper(struct party *house)
{
	make(house, LANES);
	for (uint32_t index = 0; index < 2; index++) {
		MUST(house, house_push(index));
		MUST(house, house_push(index));
		first[index] = house_side.popped[index];
	}
	house_side.out = evr_ring_lanes_leave(house_side.out);
}

/* What the house itself pushes comes through, whatever became of the other lane, and all
 * that is in that comes as well. */
static void drain_beside(struct party *house)
{
	int error;

	for (int i = 0; i < 3 * CAPACITY; i++) {
		error = house_push(0);
		if (error < 0 && error != -EAGAIN)
			complain(house, "a push beside: %s", evr_strerror(error));
		error = house_pop(house);
		if (error < 0 && error != -EAGAIN)
			complain(house, "a pop beside: %s", evr_strerror(error));
	}
	error = house_drain(house);
	if (error != -EAGAIN)
		complain(house, "the last pop beside: %s", evr_strerror(error));
	if (house_side.popped[0] != house_side.pushed[0])
		complain(house, "%lu of the house's entries are missing",
			 house_side.pushed[0] - house_side.popped[0]);
}

/* The victim's entry counts: it is the first of a cell, in the second lap. */
static bool victim_has_pushed(void)
{
	return evr_load_acquire_u64((const struct evr_atomic_u64 *)(const void *)
					    house_side.in[1].ring.cells) ==
	       2 * EVRI_CELL_LAP_ONE + 1;
}

/* "Empty" is not said while it does, whatever the hints say. */
static void drain_unhinted_beside(struct party *house)
{
	bool there = victim_has_pushed();
	int error = house_drain(house);

	if (error != -EAGAIN)
		complain(house, "a pop beside: %s", evr_strerror(error));
	if (there && house_side.popped[1] == first[1])
		complain(house, "\"empty\", and an entry is there");
	drain_beside(house);
}

/* A stopped popper keeps nobody from the room that there is. */
static void fill_beside(struct party *house)
{
	for (uint32_t index = 0; index < 2; index++) {
		int error;

		while ((error = house_push(index)) == 0)
			;
		if (error != -EAGAIN && error != -EOWNERDEAD)
			complain(house, "a push beside: %s", evr_strerror(error));
	}
}

/* Both sides are the house's again: full, empty and around. */
static void go_round(struct party *house)
{
	for (int lap = 0; lap < LAPS; lap++) {
		int error;

		for (uint32_t index = 0; index < 2; index++) {
			uint64_t there;

			while ((error = house_push(index)) == 0)
				;
			there = house_side.pushed[index] - house_side.popped[index];
			if (error != -EAGAIN || there != CAPACITY)
				complain(house, "full with %lu entries: %s", there,
					 evr_strerror(error));
		}
		while ((error = house_pop(house)) == 0)
			;
		if (error != -EAGAIN || house_side.pushed[0] != house_side.popped[0] ||
		    house_side.pushed[1] != house_side.popped[1])
			complain(house, "drained, and %lu and %lu are missing: %s",
				 house_side.pushed[0] - house_side.popped[0],
				 house_side.pushed[1] - house_side.popped[1],
				 evr_strerror(error));
	}
	evr_ring_lane_leave(&house_side.in[0]);
	evr_ring_lane_leave(&house_side.in[1]);
	evr_ring_lanes_leave(house_side.out);
}

/* The victim pushed @count, or when it was killed, perhaps some of them. */
static void conclude_pushed(struct party *house, uint64_t count)
{
	uint64_t seen;

	drain_beside(house);
	seen = house_side.popped[1] - first[1];
	if (seen > count || (seen < count && !house->board->cut_short))
		complain(house, "%lu of %lu entries were pushed", seen, count);
	house_side.pushed[1] = house_side.popped[1];
	open_lane(house, 1, &house_side.in[1]);
	go_round(house);
}

/* ---- pusher ---- */

static void enter_pusher(struct party *victim)
{
	open_lane(victim, 1, &lane);
	for (uint32_t i = 0; i < CAPACITY; i++)
		entries[i] = entry_of(1, first[1] + i);
}

static void leave_lane(struct party *victim)
{
	if (victim->result < 0)
		complain(victim, "it failed: %s", evr_strerror(victim->result));
	evr_ring_lane_leave(&lane);
}

static void do_lanes_push(struct party *victim)
{
	victim->result = evr_ring_lane_try_push(&lane, entries, sizeof(entries[0]));
}

static void conclude_push(struct party *house)
{
	conclude_pushed(house, 1);
}

const struct scenario scenario_lanes_push = {
	.name = "lanes-push",
	.about = "an entry into a lane whose bit is not set",
	.modes = MODES_ALONE,
	.prepare = prepare_without_hints,
	.enter = enter_pusher,
	.operate = do_lanes_push,
	.leave = leave_lane,
	.beside = drain_unhinted_beside,
	.conclude = conclude_push,
};

static void do_push_burst(struct party *victim)
{
	victim->result = evr_ring_lane_push_burst(&lane, entries, sizeof(entries[0]), 3);
}

static void conclude_push_burst(struct party *house)
{
	conclude_pushed(house, 3);
}

const struct scenario scenario_lanes_push_burst = {
	.name = "lanes-push-burst",
	.about = "three entries into a lane, over the end of a cell",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_pusher,
	.operate = do_push_burst,
	.leave = leave_lane,
	.beside = drain_beside,
	.conclude = conclude_push_burst,
};

static void do_take_lane(struct party *victim)
{
	victim->result = evr_ring_lane_open(victim->region, "lanes",
					    sizeof(struct entry), &lane);
}

static void conclude_nothing_pushed(struct party *house)
{
	conclude_pushed(house, 0);
}

const struct scenario scenario_lanes_take = {
	.name = "lanes-take",
	.about = "taking a lane",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.operate = do_take_lane,
	.leave = leave_lane,
	.beside = drain_beside,
	.conclude = conclude_nothing_pushed,
};

static void enter_and_push(struct party *victim)
{
	enter_pusher(victim);
	do_lanes_push(victim);
	MUST(victim, victim->result);
}

static void do_leave(struct party *victim)
{
	evr_ring_lane_leave(&lane);
	victim->result = 0;
}

const struct scenario scenario_lanes_leave = {
	.name = "lanes-leave",
	.about = "giving a lane back",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_and_push,
	.operate = do_leave,
	.leave = leave_lane,
	.beside = drain_beside,
	.conclude = conclude_push,
};

/* The popper has closed them: the push ends the lane instead. */
static void enter_closed(struct party *victim)
{
	enter_and_push(victim);
	evr_store_relaxed_u64(&lane.shared->intake, EVR_RING_LANES_CLOSED);
}

static void do_push_closed(struct party *victim)
{
	int error = evr_ring_lane_try_push(&lane, &entries[1], sizeof(entries[0]));

	victim->result = error == -EPIPE ? 0 : -EINVAL;
}

/* The house is a pusher, too, that hears of it; then comes the end, once the victim has
 * heard of it, or is gone. */
static void drain_closed_beside(struct party *house)
{
	struct entry entry = { 0, 0 };
	int error = evr_ring_lane_try_push(&house_side.in[0], &entry, sizeof(entry));

	if (error != -EPIPE)
		complain(house, "a push into what is closed: %s", evr_strerror(error));
	error = house_drain(house);
	if (error != -EAGAIN && error != -EPIPE)
		complain(house, "a pop beside: %s", evr_strerror(error));
	if (house_side.popped[0] != house_side.pushed[0] ||
	    house_side.popped[1] != first[1] + 1)
		complain(house, "%lu and %lu entries came", house_side.popped[0],
			 house_side.popped[1]);
}

static void conclude_closed(struct party *house)
{
	int error;

	drain_closed_beside(house);
	MUST(house, evr_participant_find_dead(house->region));
	error = house_pop(house);
	if (error != -EPIPE)
		complain(house, "at the end: %s", evr_strerror(error));
	evr_ring_lanes_leave(house_side.out);
}

const struct scenario scenario_lanes_closed = {
	.name = "lanes-closed",
	.about = "a push into a lane that the popper has closed",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_closed,
	.operate = do_push_closed,
	.leave = leave_lane,
	.beside = drain_closed_beside,
	.conclude = conclude_closed,
};

/* The popper closes them while the push is under way: it is in, and comes out before the
 * end, or it was refused. */
static void do_push_closing(struct party *victim)
{
	do_lanes_push(victim);
	if (victim->result == 0)
		victim->board->outcomes |= 1;
	if (victim->result == -EPIPE)
		victim->result = 0;
}

static void close_and_drain_beside(struct party *house)
{
	int error;

	evr_ring_lanes_close(house_side.out);
	error = house_drain(house);
	if (error != -EAGAIN && error != -EPIPE)
		complain(house, "a pop beside: %s", evr_strerror(error));
}

static void conclude_closing(struct party *house)
{
	uint64_t wanted = house->board->outcomes & 1, seen;
	int error;

	evr_ring_lane_leave(&house_side.in[0]);
	MUST(house, evr_participant_find_dead(house->region));
	error = house_drain(house);
	if (error != -EPIPE)
		complain(house, "at the end: %s", evr_strerror(error));
	seen = house_side.popped[1] - first[1];
	if (seen < wanted || seen > 1 || (seen > wanted && !house->board->cut_short))
		complain(house, "%lu of %lu entries came", seen, wanted);
	evr_ring_lanes_leave(house_side.out);
}

const struct scenario scenario_lanes_closing = {
	.name = "lanes-closing",
	.about = "a push while the popper closes",
	.modes = MODES_ALONE,
	.prepare = prepare_for_pusher,
	.enter = enter_pusher,
	.operate = do_push_closing,
	.leave = leave_lane,
	.beside = close_and_drain_beside,
	.conclude = conclude_closing,
};

/* ---- popper ---- */

static void enter_popper(struct party *victim)
{
	open_popper(victim, &lanes);
}

/* The victim popped @count of @of: or, when it was killed, perhaps some of them. In each
 * lane they are the first. */
static void conclude_popped(struct party *house, uint64_t count)
{
	uint64_t gone = 0;

	open_popper(house, &house_side.out);
	for (uint32_t index = 0; index < 2; index++)
		house_side.popped[index] = house_side.pushed[index];
	for (;;) {
		struct entry entry;
		int error = evr_ring_lanes_try_pop(house_side.out, &entry, sizeof(entry));
		uint32_t index = evr_ring_lanes_last(house_side.out);

		if (error == -EAGAIN)
			break;
		if (error < 0 || index > 1)
			complain(house, "a pop after it: %s", evr_strerror(error));
		if (house_side.popped[index] == house_side.pushed[index])
			house_side.popped[index] = entry.number;
		if (!good(&entry, index, house_side.popped[index]))
			complain(house, "entry %lu of lane %u is %lu",
				 house_side.popped[index], index, entry.number);
		house_side.popped[index]++;
		gone++;
	}
	gone = house_side.pushed[0] - first[0] + house_side.pushed[1] - first[1] - gone;
	if (gone > count || (gone < count && !house->board->cut_short))
		complain(house, "%lu of %lu entries are gone", gone, count);
	for (uint32_t index = 0; index < 2; index++)
		house_side.popped[index] = house_side.pushed[index];
	go_round(house);
}

static void leave_popper(struct party *victim)
{
	if (victim->result < 0)
		complain(victim, "it failed: %s", evr_strerror(victim->result));
	lanes = evr_ring_lanes_leave(lanes);
}

static void do_lanes_pop(struct party *victim)
{
	victim->result = evr_ring_lanes_try_pop(lanes, entries, sizeof(entries[0]));
}

static void leave_with_one(struct party *victim)
{
	if (!good(&entries[0], evr_ring_lanes_last(lanes),
		  first[evr_ring_lanes_last(lanes) & 1]))
		complain(victim, "it got entry %lu", entries[0].number);
	leave_popper(victim);
}

static void conclude_pop(struct party *house)
{
	conclude_popped(house, 1);
}

const struct scenario scenario_lanes_pop = {
	.name = "lanes-pop",
	.about = "an entry out of one of the lanes",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_lanes_pop,
	.leave = leave_with_one,
	.beside = fill_beside,
	.conclude = conclude_pop,
};

static void do_pop_burst(struct party *victim)
{
	victim->result = evr_ring_lanes_pop_burst(lanes, entries, sizeof(entries[0]), 4);
}

static void conclude_pop_burst(struct party *house)
{
	conclude_popped(house, 4);
}

const struct scenario scenario_lanes_pop_burst = {
	.name = "lanes-pop-burst",
	.about = "four entries, out of two lanes",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_pop_burst,
	.leave = leave_popper,
	.beside = fill_beside,
	.conclude = conclude_pop_burst,
};

static void do_take_popper(struct party *victim)
{
	victim->result = evr_ring_lanes_open(victim->region, "lanes",
					     sizeof(struct entry), &lanes);
}

static void conclude_nothing_popped(struct party *house)
{
	conclude_popped(house, 0);
}

const struct scenario scenario_lanes_open = {
	.name = "lanes-open",
	.about = "taking the popper's roles",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.operate = do_take_popper,
	.leave = leave_popper,
	.beside = fill_beside,
	.conclude = conclude_nothing_popped,
};

static void do_leave_popper(struct party *victim)
{
	lanes = evr_ring_lanes_leave(lanes);
	victim->result = 0;
}

const struct scenario scenario_lanes_popper_leave = {
	.name = "lanes-popper-leave",
	.about = "giving the popper's roles back",
	.modes = MODES_ALONE,
	.prepare = prepare_for_popper,
	.enter = enter_popper,
	.operate = do_leave_popper,
	.leave = leave_popper,
	.beside = fill_beside,
	.conclude = conclude_nothing_popped,
};
