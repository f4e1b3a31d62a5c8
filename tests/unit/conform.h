/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_CONFORM_H
#define EVERING_TESTS_UNIT_CONFORM_H

/*
 * conform.h - what the parts of the conformance suite share.
 *
 * A *kind* is a queue of this library behind one shape: entries that are numbers, ends
 * that push or pop. What sort of queue it is, its adapter knows (conform_tokens.c,
 * conform_inline.c, conform_lanes.c, conform_channel.c). A *property* is a function that
 * any kind is tried with (conform_order.c: in one process; conform_others.c: with
 * others). The table in conform_rings.c says which is tried with which.
 *
 * A new kind is an adapter and a row in that table.
 */

#include "fixture.h"

#include <string.h>

/* What a kind may lack. Where it lacks it, lacks[] says why, and the row says NOT. */
enum aspect {
	ASPECT_BURSTS,      /* several by one call */
	ASPECT_IN_PLACE,    /* written and read where they lie */
	ASPECT_CLOSE,       /* a pusher lets nothing more in */
	ASPECT_HANG_UP,     /* a popper wants nothing more */
	ASPECT_PUSHER,      /* one pusher, whose role is handed on */
	ASPECT_POPPER,      /* the same of one popper */
	ASPECT_NEXT_PUSHER, /* what one pushed is popped though it died */
	ASPECT_NEXT_POPPER, /* one popper's place is another's after it */
	ASPECTS
};

/* What becomes of entries whose popper dies with them in hand. */
enum fate {
	FATE_FREED, /* their blocks are free again */
	FATE_AGAIN, /* the next popper gets them */
	FATE_GONE,  /* nobody gets them, and there is nothing to free */
	FATE_HOME,  /* they go back to who sent them */
};

/* Kinds of one family are one kind of object in the directory. */
enum family { FAMILY_TOKENS, FAMILY_INLINE, FAMILY_LANES, FAMILY_URING };

struct kind;

/* Somebody at one side of a queue. Does not move while it is taken. */
struct end {
	const struct kind *kind;
	struct peer *peer;
	const char *name;
	uint32_t side; /* EVR_RING_PUSHER or EVR_RING_POPPER */
	bool taken;
	/* What the adapter needs of these. */
	struct evr_ring ring;
	struct evr_ring_inline cells;
	struct evr_ring_lane lane;
	struct evr_ring_lanes *lanes;
	struct evr_uring *uring;
	struct evr_submitter *submitter;
	struct evr_completer *completer;
	uint64_t came_home; /* requests that somebody died over */
};

/* All return 0, or how many, or a negative errno; -EBADMSG: an entry is not whole. None
 * uses Criterion, so children may call them. */
struct kind {
	const char *name;
	enum family family;
	const char *lacks[ASPECTS];

	uint32_t flags;
	uint32_t entry_bytes;
	uint32_t largest_order;
	uint32_t spare;      /* its capacity is 2^order less this */
	uint32_t single;     /* sides that have one end at a time */
	bool carries;        /* three or more of a burst take one place together */
	bool own_lane;       /* each pusher has an order and a capacity of its own */
	bool dies_with_pusher; /* what was pushed */
	bool holds_no_block; /* a large one can be filled */
	enum fate fate;
	int stranger;        /* who is not at this side is told */
	int pusher_died;     /* who has popped all that a dead one pushed is told */
	int second_close;    /* who closes again is told */
	int close_when_full;
	int push_when_closed;

	int (*create)(const struct kind *kind, struct peer *peer, const char *name,
		      uint32_t order);
	/* Becomes one at its side. May be called again after leave(). */
	int (*take)(struct end *end);
	void (*leave)(struct end *end);
	uint64_t (*capacity)(const struct end *end);
	int (*push)(struct end *end, uint64_t number);
	int (*pop)(struct end *end, uint64_t *ret);
	/* Numbers from @first on. */
	int (*push_some)(struct end *end, uint64_t first, uint32_t count);
	int (*pop_some)(struct end *end, uint64_t *ret, uint32_t max);
	int (*reserve)(struct end *end, uint64_t first, uint32_t count);
	int (*commit)(struct end *end, uint32_t count);
	int (*peek)(struct end *end, uint64_t *ret, uint32_t max);
	int (*release)(struct end *end, uint32_t count);
	int (*close)(struct end *end);
	int (*hang_up)(struct end *end);
	/* Has something in hand that would be lost if it were not recovered: what it is
	 * to push, or what it has popped. */
	int (*hold)(struct end *end);
};

/* As many as are pushed or popped by one call here, at most. */
#define SOME_MAX 40

extern const struct kind kind_spsc, kind_mpsc, kind_spmc, kind_mpmc;
extern const struct kind kind_spsc_bursts, kind_mpsc_bursts, kind_spmc_bursts,
	kind_mpmc_bursts;
extern const struct kind kind_inline_8, kind_inline_24, kind_inline_64, kind_inline_256;
extern const struct kind kind_once_8, kind_once_24, kind_once_64, kind_once_256;
extern const struct kind kind_lane_8, kind_lane_64, kind_lanes_8, kind_lanes_64;
extern const struct kind kind_submission, kind_completion;

/* Of the table, or NULL when there are not so many. */
const struct kind *kind_of(size_t number);

/* A queue with all the ends that its kind has room for, of two participants. Neighbours
 * on one side, and the first of both sides, are of different ones: what goes through has
 * two addresses. */
#define ENDS_MAX 3

struct world {
	const struct kind *kind;
	struct peer house, guest;
	struct end push[ENDS_MAX], pop[ENDS_MAX];
	uint32_t pushers, poppers;
	uint64_t capacity;
	uint64_t pushed, popped;
};

/* ---- conform_rings.c ---- */

struct peer conform_peer(const struct kind *kind, uint32_t order);
void make_world(struct world *world, const struct kind *kind, uint32_t order);
/* The same, with nobody at these sides. */
void make_world_without(struct world *world, const struct kind *kind, uint32_t order,
			uint32_t sides);
/* Leaves, and sees that every block is free exactly once. */
void end_world(struct world *world);
/* Somebody at a side; the errno of what does not work. */
int join(struct end *end, const struct kind *kind, struct peer *peer, const char *name,
	 uint32_t side);
void leave(struct end *end);
/* The next number, by one of the pushers. */
int push_next(struct world *world);
/* Takes the oldest, which must be the number that is due. */
void pop_next(struct world *world);
void drain(struct world *world);
/* What each popper is told now. */
void says(struct world *world, int expected);
void is_empty(struct world *world); /* -EAGAIN */
/* As many as it holds, and no more. */
void fill_up(struct world *world);

/* ---- conform_inline.c: entries that lie in a ring ---- */

#define ENTRY_MAX 256

void write_entries(char *entries, uint32_t bytes, uint64_t first, uint32_t count);
/* @count, or -EBADMSG: one is not whole. A negative @count is passed on. */
int read_entries(const char *entries, uint32_t bytes, int count, uint64_t *ret);

/* A pusher may be told "full" so often after it is not so any more. */
#define UNTIL_FULL(call)                                                                 \
	for (int evrt_i = 0; evrt_i <= EVR_RING_INLINE_PATIENCE && (call) == -EAGAIN;    \
	     evrt_i++)

/* ---- the properties, by what a kind needs for them ---- */

#define EVERY_KIND(X, kind)                                                              \
	X(kind, its_entries_come_out_in_order_over_many_laps)                            \
	X(kind, it_holds_exactly_its_capacity_in_every_order)                            \
	X(kind, an_empty_one_says_so_at_every_place)                                     \
	X(kind, it_goes_on_when_the_laps_of_a_slot_come_round)                           \
	X(kind, random_sequences_of_calls_agree_with_a_model)                            \
	X(kind, the_smallest_and_the_largest_are_made_and_used)                          \
	X(kind, another_kind_of_object_by_its_name_is_refused)                           \
	X(kind, processes_with_other_addresses_get_each_entry_once_in_order)             \
	X(kind, a_stopped_pusher_holds_nobody_up)                                        \
	X(kind, a_stopped_popper_holds_nobody_up)                                        \
	X(kind, what_a_dead_pusher_had_in_hand_comes_back)

#define WITH_BURSTS(X, kind)                                                             \
	X(kind, a_burst_goes_as_far_as_there_is_room_and_as_there_are_entries)           \
	X(kind, bursts_and_single_entries_mix_in_order)

#define WITH_IN_PLACE(X, kind)                                                           \
	X(kind, what_is_reserved_is_seen_when_it_is_committed_and_no_sooner)             \
	X(kind, what_is_peeked_stays_until_it_is_released)

#define WITH_CLOSE(X, kind)                                                              \
	X(kind, a_closed_one_lets_nothing_in_and_everything_out)                         \
	X(kind, closing_it_again_changes_nothing)                                        \
	X(kind, a_full_one_is_closed_when_there_is_room_for_that)

#define WITH_HANG_UP(X, kind) X(kind, nothing_more_is_pushed_to_a_popper_who_hung_up)

#define WITH_PUSHER(X, kind)                                                             \
	X(kind, there_is_one_pusher_and_others_are_refused)                              \
	X(kind, a_pusher_who_leaves_is_followed_by_one_who_goes_on)                      \
	X(kind, a_stopped_pusher_keeps_its_role_until_it_is_killed)

#define WITH_POPPER(X, kind)                                                             \
	X(kind, there_is_one_popper_and_others_are_refused)                              \
	X(kind, a_popper_who_leaves_is_followed_by_one_who_goes_on)                      \
	X(kind, a_stopped_popper_keeps_its_role_until_it_is_killed)

#define WITH_NEXT_PUSHER(X, kind)                                                        \
	X(kind, the_next_pusher_goes_on_behind_what_a_dead_one_pushed)

#define WITH_NEXT_POPPER(X, kind)                                                        \
	X(kind, the_next_popper_goes_on_behind_what_a_dead_one_popped)                   \
	X(kind, what_a_dead_popper_had_in_hand_meets_its_fate)

#define DECLARE(unused, property) void property(const struct kind *kind);
EVERY_KIND(DECLARE, )
WITH_BURSTS(DECLARE, )
WITH_IN_PLACE(DECLARE, )
WITH_CLOSE(DECLARE, )
WITH_HANG_UP(DECLARE, )
WITH_PUSHER(DECLARE, )
WITH_POPPER(DECLARE, )
WITH_NEXT_PUSHER(DECLARE, )
WITH_NEXT_POPPER(DECLARE, )
#undef DECLARE

#endif
