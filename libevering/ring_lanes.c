/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * ring_lanes.c - making a bundle of lanes, taking and leaving them, and whose turn it is.
 * See <evering/ring_lanes.h>.
 *
 * Whose turn it is:
 *	The popper takes a *snapshot* of one word of hints and goes through its lanes,
 *	each for a turn if it has something. When the snapshot is used up it looks at one
 *	lane more, the *stray*, in rotation over all that were ever in use, and goes on
 *	with the next word. So a lane whose bit got lost is met after as many snapshots as
 *	there are lanes in use; and when nothing at all was found, each is looked at.
 *	A bit is taken away when its lane had nothing during FADE_TURNS turns of others,
 *	not as soon as it is empty: a lane in use keeps its bit, nobody writes the hints
 *	while the same pushers go on, and pushing and popping touch the lane's cells only.
 *	While nothing happens, nothing fades: the next push need not set the bit again.
 */

#include <evering/ring_lanes.h>

#include <stdlib.h>

#include "options.h"
#include "region_internal.h"
#include "ring_inline_internal.h"

#define FADE_TURNS 256
#define BITS 64

/* A lane, seen by the popper. */
struct taker {
	struct evr_ring_inline ring;
	uint64_t last_turn; /* number of the turn in which it had something */
	bool ended;         /* nothing comes out any more */
};

struct lanes {
	struct evr_ring_lanes end; /* what the inline functions see; first */
	struct evr_ring_lanes_shared *shared;
	struct evr_region *region;
	uint64_t mine;  /* the popper's role word */
	uint64_t turns; /* that were given so far */
	uint64_t snapshot;
	uint32_t snapshot_index; /* of the word that it is of */
	uint32_t stray;
	uint32_t per_cell;
	uint32_t count;
	uint32_t ended_count;
	struct taker takers[];
};

/* ---- making ---- */

int evr_ring_lanes_create(struct evr_region *region,
			  const struct evr_ring_lanes_options *options)
{
	struct evr_ring_lanes_options known = { .size = sizeof(known) };
	struct evr_ring_lanes_shared *shared;
	struct evri_object object;
	int error = evri_options_take(options, sizeof(options->size), &known,
				      sizeof(known), "lanes");

	if (error == 0)
		error = evri_ring_inline_check(known.entry_bytes, known.order,
					       known.flags);
	if (error == 0 &&
	    (known.lanes_count == 0 || known.lanes_count > EVR_RING_LANES_MAX))
		error = evri_fail(-EINVAL, "%u lanes: 1 to %d possible",
				  known.lanes_count, EVR_RING_LANES_MAX);
	if (error == 0)
		error = evri_directory_reserve(
			region, known.name, EVRI_OBJECT_LANES,
			evri_ring_lanes_bytes(known.entry_bytes, known.order,
					      known.lanes_count),
			known.range, &object);
	if (error < 0)
		return error;
	shared = object.address;
	shared->magic = EVR_RING_LANES_MAGIC;
	shared->entry_bytes = known.entry_bytes;
	shared->order = known.order;
	shared->flags = known.flags;
	shared->lanes_count = known.lanes_count;
	evr_store_relaxed_u64(&shared->popper,
			      evri_role_word(EVR_RING_ROLE_FREE, 0, 0));
	evr_store_relaxed_u64(&shared->intake, EVR_RING_LANES_OPEN);
	for (uint32_t i = 0; i < known.lanes_count; i++)
		evri_ring_inline_init(
			(struct evr_ring_inline_shared
				 *)((char *)(shared + 1) +
				    i * evri_ring_inline_bytes(known.entry_bytes,
							       known.order)),
			known.entry_bytes, known.order, known.flags);
	return evri_directory_publish(region, &object);
}

/* ---- finding ---- */

/* A process's checked copy of a bundle's geometry. */
struct bundle {
	struct evr_region *region;
	struct evr_ring_lanes_shared *shared;
	uint64_t lane_bytes;
	uint32_t entry_bytes;
	uint32_t lanes_count;
};

static int find(struct evr_region *region, const char *name, uint32_t entry_bytes,
		struct bundle *ret)
{
	struct evr_ring_lanes_shared *shared;
	struct evri_object object;
	uint32_t order, flags;
	int error;

	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	error = evri_directory_find(region, name, EVRI_OBJECT_LANES, &object);
	if (error < 0)
		return error;
	shared = object.address;
	*ret = (struct bundle){
		.region = region,
		.shared = shared,
		.entry_bytes = evr_plain_load_u32(&shared->entry_bytes),
		.lanes_count = evr_plain_load_u32(&shared->lanes_count),
	};
	order = evr_plain_load_u32(&shared->order);
	flags = evr_plain_load_u32(&shared->flags);
	if (evr_plain_load_u64(&shared->magic) != EVR_RING_LANES_MAGIC ||
	    ret->entry_bytes == 0 || ret->entry_bytes > EVR_RING_INLINE_ENTRY_MAX ||
	    order < EVR_RING_INLINE_ORDER_MIN || order > EVR_RING_INLINE_ORDER_MAX ||
	    ret->lanes_count == 0 || ret->lanes_count > EVR_RING_LANES_MAX ||
	    evri_ring_lanes_bytes(ret->entry_bytes, order, ret->lanes_count) >
		    object.bytes)
		return evri_fail(-EUCLEAN, "the header of the lanes contradicts itself");
	if (flags & ~(uint32_t)EVR_RING_AT_MOST_ONCE)
		return evri_fail(-EPROTO, "the lanes have unknown flags %#x", flags);
	if (entry_bytes && ret->entry_bytes != entry_bytes)
		return evri_fail(-EPROTO, "entries of the lanes have %u bytes, not %u",
				 ret->entry_bytes, entry_bytes);
	ret->lane_bytes = evri_ring_inline_bytes(ret->entry_bytes, order);
	return 0;
}

static struct evr_ring_inline_shared *lane_of(const struct bundle *bundle,
					      uint32_t index)
{
	return (struct evr_ring_inline_shared *)((char *)(bundle->shared + 1) +
						 index * bundle->lane_bytes);
}

/* An end of this lane, without a role yet. */
static int bind(const struct bundle *bundle, uint32_t index, struct evr_ring_inline *ret)
{
	int bytes = evri_ring_inline_bind(bundle->region, lane_of(bundle, index),
					  bundle->lane_bytes, bundle->entry_bytes, ret);

	return bytes < 0 ? bytes : 0;
}

static bool is_closed(const struct evr_ring_lanes_shared *shared)
{
	return evr_load_relaxed_u64(&shared->intake) != EVR_RING_LANES_OPEN;
}

/* ---- a pusher's lane ---- */

/* Before the first push: the popper looks no further. */
static void note_used(struct evr_ring_lanes_shared *shared, uint64_t lanes)
{
	uint64_t used = evr_load_relaxed_u64(&shared->used);

	while (used < lanes && !evr_cas_acq_rel_u64(&shared->used, &used, lanes))
		;
}

/* -EBUSY: somebody who lives has it. */
static int take(const struct bundle *bundle, uint32_t index, struct evr_ring_lane *ret)
{
	uint64_t word = evr_load_relaxed_u64(&lane_of(bundle, index)->pusher);
	struct evr_ring_lane lane = {
		.shared = bundle->shared,
		.hint = &bundle->shared->hints[index / BITS],
		.bit = UINT64_C(1) << index % BITS,
		.index = index,
	};
	int error;

	if (evri_role_state(word) == EVR_RING_ROLE_CLOSED)
		return -EPIPE;
	if (evri_ring_inline_is_held(bundle->region, word))
		return -EBUSY;
	error = bind(bundle, index, &lane.ring);
	if (error == 0)
		error = evri_ring_inline_take(&lane.ring, EVR_RING_PUSHER,
					      bundle->entry_bytes);
	if (error < 0)
		return error;
	note_used(bundle->shared, index + UINT64_C(1));
	*ret = lane;
	return 0;
}

/* The first that can be had. Else -EBUSY if one of them is held, then what another is
 * wrong with, then -EPIPE. */
static int take_any(const struct bundle *bundle, struct evr_ring_lane *ret)
{
	int outcome = -EPIPE;

	for (uint32_t i = 0; i < bundle->lanes_count; i++) {
		int error = take(bundle, i, ret);

		if (error == 0)
			return 0;
		if (error == -EBUSY || outcome == -EPIPE)
			outcome = error;
	}
	return outcome;
}

int evr_ring_lane_open(struct evr_region *region, const char *name, uint32_t entry_bytes,
		       struct evr_ring_lane *ret)
{
	struct bundle bundle;
	int error = find(region, name, entry_bytes, &bundle);

	if (error < 0)
		return error;
	if (is_closed(bundle.shared))
		return -EPIPE;
	error = take_any(&bundle, ret);
	if (error == -EBUSY && evr_participant_find_dead(region) >= 0)
		error = take_any(&bundle, ret);
	if (error == -EBUSY)
		return evri_fail(error, "living participants have all %u lanes",
				 bundle.lanes_count);
	return error;
}

void evr_ring_lane_leave(struct evr_ring_lane *lane)
{
	evr_ring_inline_leave(&lane->ring);
}

int evr_ring_lane_close(struct evr_ring_lane *lane)
{
	return evr_ring_inline_close(&lane->ring);
}

int evri_ring_lane_make_room(struct evr_ring_lane *lane, uint32_t entry_bytes)
{
	if (lane->ended)
		return -EPIPE;
	if (lane->ring.push_bytes != entry_bytes)
		return -EINVAL;
	if (is_closed(lane->shared)) {
		/* Only the pusher knows that no push of his is under way. */
		lane->ended = 1;
		return evr_ring_inline_close(&lane->ring) < 0 ? -EINVAL : -EPIPE;
	}
	return evri_ring_inline_make_room(&lane->ring);
}

/* ---- the popper's role ---- */

static void leave_all(struct lanes *lanes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		evr_ring_inline_leave(&lanes->takers[i].ring);
}

/* The role of the bundle, then that of each lane, which is held by nobody else who lives:
 * it is taken after the bundle's and given back before. */
static int take_all(const struct bundle *bundle, struct lanes *lanes)
{
	uint32_t i;
	int error = evri_ring_inline_claim(bundle->region, &bundle->shared->popper,
					   &lanes->mine);

	if (error < 0)
		return error;
	for (i = 0; i < lanes->count && error == 0; i++) {
		error = bind(bundle, i, &lanes->takers[i].ring);
		if (error == 0)
			error = evri_ring_inline_take(&lanes->takers[i].ring,
						      EVR_RING_POPPER,
						      bundle->entry_bytes);
	}
	if (error == 0)
		return 0;
	leave_all(lanes, i - 1);
	evr_cas_acq_rel_u64(&bundle->shared->popper, &lanes->mine,
			    evri_role_word(EVR_RING_ROLE_FREE, 0, 0));
	return evri_fail(-EUCLEAN, "lane %u is held apart from the others", i - 1);
}

int evr_ring_lanes_open(struct evr_region *region, const char *name, uint32_t entry_bytes,
			struct evr_ring_lanes **ret)
{
	struct bundle bundle;
	struct lanes *lanes;
	int error = find(region, name, entry_bytes, &bundle);

	if (error < 0)
		return error;
	lanes = calloc(1, sizeof(*lanes) + bundle.lanes_count * sizeof(lanes->takers[0]));
	if (!lanes)
		return -ENOMEM;
	lanes->shared = bundle.shared;
	lanes->region = region;
	lanes->per_cell = evri_cell_entries(bundle.entry_bytes);
	lanes->count = bundle.lanes_count;
	lanes->end.lane = &lanes->takers[0].ring;
	lanes->end.pop_bytes = bundle.entry_bytes;
	error = take_all(&bundle, lanes);
	if (error < 0) {
		free(lanes);
		return error;
	}
	*ret = &lanes->end;
	return 0;
}

static struct evr_ring_lanes *end(struct lanes *lanes, uint64_t role)
{
	leave_all(lanes, lanes->count);
	/* SYNC ring-inline/role (release), pairs with evri_ring_inline_claim(). */
	evr_cas_acq_rel_u64(&lanes->shared->popper, &lanes->mine, role);
	free(lanes);
	return NULL;
}

struct evr_ring_lanes *evr_ring_lanes_leave(struct evr_ring_lanes *lanes)
{
	return lanes ? end((struct lanes *)lanes,
			   evri_role_word(EVR_RING_ROLE_FREE, 0, 0)) :
		       NULL;
}

void evr_ring_lanes_close(struct evr_ring_lanes *end)
{
	struct lanes *lanes = (struct lanes *)end;

	/* Relaxed: pushers hear of it in their own time; their lanes say when. */
	evr_store_relaxed_u64(&lanes->shared->intake, EVR_RING_LANES_CLOSED);
}

struct evr_ring_lanes *evr_ring_lanes_hang_up(struct evr_ring_lanes *lanes)
{
	if (!lanes)
		return NULL;
	evr_ring_lanes_close(lanes);
	return end((struct lanes *)lanes, evri_role_word(EVR_RING_ROLE_CLOSED, 0, 0));
}

/* ---- whose turn it is ---- */

uint32_t evr_ring_lanes_last(const struct evr_ring_lanes *end)
{
	const struct lanes *lanes = (const struct lanes *)end;
	const struct taker *taker = (const struct taker *)(const void *)end->lane;

	return (uint32_t)(taker - lanes->takers);
}

static void end_taking(struct lanes *lanes, struct taker *taker)
{
	taker->ended = true;
	lanes->ended_count++;
}

/* Gives this lane its turn, if it has anything: 1, else 0 or -EUCLEAN. */
static int offer(struct lanes *lanes, uint32_t index)
{
	struct taker *taker = &lanes->takers[index];
	struct evr_ring_inline *ring = &taker->ring;
	uint64_t word;

	if (taker->ended)
		return 0;
	if (ring->at_hand == 0 &&
	    !evri_ring_inline_look(ring, lanes->end.pop_bytes, &word)) {
		if (EVR_LIKELY(evri_cell_says_nothing_new(word, ring->word,
							  lanes->per_cell)))
			return 0;
		end_taking(lanes, taker);
		return -EUCLEAN;
	}
	taker->last_turn = ++lanes->turns;
	lanes->end.lane = ring;
	lanes->end.turn = EVR_RING_LANES_TURN;
	return 1;
}

static struct evr_atomic_u64 *hint_of(struct lanes *lanes, uint32_t index)
{
	return &lanes->shared->hints[index / BITS];
}

/* The lane had nothing, once more. */
static void fade(struct lanes *lanes, uint32_t index)
{
	struct evr_atomic_u64 *hint = hint_of(lanes, index);

	if (lanes->turns - lanes->takers[index].last_turn < FADE_TURNS)
		return;
	lanes->takers[index].last_turn = lanes->turns;
	evr_store_relaxed_u64(hint, evr_load_relaxed_u64(hint) &
					    ~(UINT64_C(1) << index % BITS));
}

/* One more lane, whatever the hints say of it. */
static int offer_stray(struct lanes *lanes, uint32_t used)
{
	struct evr_atomic_u64 *hint;
	uint64_t bit, hints;
	int found;

	if (used == 0)
		return 0;
	lanes->stray = lanes->stray + 1 < used ? lanes->stray + 1 : 0;
	hint = hint_of(lanes, lanes->stray);
	hints = evr_load_relaxed_u64(hint);
	bit = UINT64_C(1) << lanes->stray % BITS;
	if (hints & bit)
		return 0;
	found = offer(lanes, lanes->stray);
	/* Its pusher may have stopped, and not say so again. */
	if (found > 0)
		evr_store_relaxed_u64(hint, hints | bit);
	return found;
}

static int offer_hinted(struct lanes *lanes, uint32_t used)
{
	uint32_t words = (used + BITS - 1) / BITS;

	for (uint32_t looked = 0;; looked++) {
		int found = 0;

		while (lanes->snapshot && found == 0) {
			uint32_t index = lanes->snapshot_index * BITS +
					 (uint32_t)__builtin_ctzll(lanes->snapshot);

			lanes->snapshot &= lanes->snapshot - 1;
			if (index >= used)
				continue; /* newer than our look at what is in use */
			found = offer(lanes, index);
			if (found == 0)
				fade(lanes, index);
		}
		if (found == 0)
			found = offer_stray(lanes, used);
		if (found || looked == words)
			return found;
		lanes->snapshot_index = lanes->snapshot_index + 1 < words ?
						lanes->snapshot_index + 1 :
						0;
		lanes->snapshot = evr_load_relaxed_u64(
			&lanes->shared->hints[lanes->snapshot_index]);
	}
}

/* Will nothing more go into this lane? When the bundle is closed, one without a living
 * pusher is closed here. */
static bool lane_is_closed(struct lanes *lanes, uint32_t index, bool all)
{
	struct evr_atomic_u64 *role = &lanes->takers[index].ring.shared->pusher;
	/* SYNC ring-inline/role (acquire), pairs with evr_ring_inline_close(): what was
	 * pushed before is seen by who looks after this. */
	uint64_t word = evr_load_acquire_u64(role);

	if (evri_role_state(word) == EVR_RING_ROLE_CLOSED)
		return true;
	return all && !evri_ring_inline_is_held(lanes->region, word) &&
	       evr_cas_acq_rel_u64(role, &word,
				   evri_role_word(EVR_RING_ROLE_CLOSED, 0, 0));
}

/* All lanes are empty: for ever? -EPIPE; or 0, or as offer(), which is asked again. */
static int look_for_end(struct lanes *lanes, uint32_t used)
{
	bool all = is_closed(lanes->shared);

	if (!all && used < lanes->count)
		return 0;
	for (uint32_t i = 0; i < lanes->count; i++) {
		int found;

		if (lanes->takers[i].ended)
			continue;
		if (!lane_is_closed(lanes, i, all))
			return 0;
		found = offer(lanes, i);
		if (found)
			return found;
		end_taking(lanes, &lanes->takers[i]);
	}
	return -EPIPE;
}

int evri_ring_lanes_next(struct evr_ring_lanes *end)
{
	struct lanes *lanes = (struct lanes *)end;
	uint64_t used_now = evr_load_relaxed_u64(&lanes->shared->used);
	uint32_t used = used_now < lanes->count ? (uint32_t)used_now : lanes->count;
	int found;

	end->turn = 0;
	if (end->lane->told != end->lane->position) {
		/* SYNC ring-inline/head (release), pairs with find_room(). */
		evr_store_release_u64(&end->lane->shared->head, end->lane->position);
		end->lane->told = end->lane->position;
	}
	found = offer_hinted(lanes, used);
	for (uint32_t i = 0; i < used && found == 0; i++)
		found = offer(lanes, i);
	if (EVR_UNLIKELY(found == 0))
		found = look_for_end(lanes, used);
	if (EVR_UNLIKELY(found <= 0))
		return found < 0 ? found : -EAGAIN;
	return 0;
}
