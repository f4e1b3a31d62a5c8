/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_LANES_H
#define EVERING_RING_LANES_H

/**
 * ring_lanes.h - small entries from many to one: a bundle of rings of inline entries
 * (ring_inline.h), its *lanes*. Each pusher has a lane of its own, the popper takes from
 * all of them in turn.
 *
 * So pushers share nothing that they write: no locked instruction, no waiting for each
 * other, and one that is stopped or killed inside of a push holds up nobody's entries,
 * only those that it has not pushed. Which lanes are worth a look stands in a bitmap, a
 * bit a lane. It is a *hint*: set by a plain store, when its pusher finds it clear, and
 * taken away when a lane had nothing for a while, so that bits may be missing or stand
 * for nothing. What counts are the lanes' cells: besides the lanes with a bit the popper
 * looks at one more each time round, and before it says "empty" at every lane that was
 * ever in use.
 *
 * A lane whose pusher has left, or died for certain, goes to the next who asks for one;
 * what was pushed before is popped all the same.
 */

#include <evering/ring_inline.h>

#define EVR_RING_LANES_MAGIC UINT64_C(0x314e414c52727645) /* "EvrRLAN1" as bytes */
#define EVR_RING_LANES_MAX 1024

/* So many entries at most are taken from a lane before another one has its turn. */
#define EVR_RING_LANES_TURN 32

enum evr_ring_lanes_intake {
	EVR_RING_LANES_OPEN = 1,
	EVR_RING_LANES_CLOSED = 2, /* nothing more goes in, for ever */
};

/** The header of a bundle of lanes, which follow: each a struct evr_ring_inline_shared
 * with its cells. Its first line is read at each push, and seldom written. */
struct EVR_CACHE_ALIGNED evr_ring_lanes_shared {
	uint64_t magic;
	uint32_t entry_bytes;
	uint32_t order; /* log2 of the capacity of each lane, in entries */
	uint32_t flags; /* enum evr_ring_inline_flags */
	uint32_t lanes_count;
	/* Who pops, as in struct evr_ring_inline_shared. Has the popper's role of every
	 * lane as well. */
	struct evr_atomic_u64 popper;
	struct evr_atomic_u64 intake; /* enum evr_ring_lanes_intake */
	/* Lanes before this one have been in use. It only ever grows. */
	struct evr_atomic_u64 used;
	uint64_t reserved[2];
	/* A bit a lane, a hint: it may hold something. */
	EVR_CACHE_ALIGNED struct evr_atomic_u64 hints[EVR_RING_LANES_MAX / 64];
};

EVR_STATIC_ASSERT(offsetof(struct evr_ring_lanes_shared, magic) == 0 &&
			  offsetof(struct evr_ring_lanes_shared, entry_bytes) == 8 &&
			  offsetof(struct evr_ring_lanes_shared, order) == 12 &&
			  offsetof(struct evr_ring_lanes_shared, flags) == 16 &&
			  offsetof(struct evr_ring_lanes_shared, lanes_count) == 20 &&
			  offsetof(struct evr_ring_lanes_shared, popper) == 24 &&
			  offsetof(struct evr_ring_lanes_shared, intake) == 32 &&
			  offsetof(struct evr_ring_lanes_shared, used) == 40 &&
			  offsetof(struct evr_ring_lanes_shared, hints) == 64,
		  "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_ring_lanes_shared) == 192, "shared layout");

/* Bytes of a bundle, header included. */
EVRI_INLINE uint64_t evri_ring_lanes_bytes(uint32_t entry_bytes, uint32_t order,
					   uint32_t lanes_count)
{
	return sizeof(struct evr_ring_lanes_shared) +
	       lanes_count * evri_ring_inline_bytes(entry_bytes, order);
}

/**
 * struct evr_ring_lane - a pusher's end. Treat as opaque; it is laid open for the inline
 * functions. A plain value, but the lane is held until evr_ring_lane_leave().
 */
struct evr_ring_lane {
	struct evr_ring_inline ring;
	struct evr_ring_lanes_shared *shared;
	struct evr_atomic_u64 *hint; /* the word that has the bit */
	uint64_t bit;
	uint32_t index;
	uint32_t ended; /* 1: nothing more goes in */
	uint64_t reserved[2];
};

/**
 * struct evr_ring_lanes - the popper's end, as far as the inline functions need it. Made
 * by evr_ring_lanes_open(), with more behind it.
 */
struct evr_ring_lanes {
	struct evr_ring_inline *lane; /* whose turn it is, or was */
	uint32_t turn;                /* entries that it may still give */
	uint32_t pop_bytes;           /* entry_bytes */
	uint64_t reserved[2];
};

EVR_BEGIN_DECLS
/* What the paths below do when they cannot go on. 0: they can. */
EVR_API int evri_ring_lane_make_room(struct evr_ring_lane *lane, uint32_t entry_bytes);
EVR_API int evri_ring_lanes_next(struct evr_ring_lanes *lanes);
EVR_END_DECLS

/* ---- pusher ---- */

EVRI_INLINE int evri_ring_lane_may_push(struct evr_ring_lane *lane, uint32_t entry_bytes)
{
	/* Relaxed: that the popper wants nothing more is news, not an order. */
	if (EVR_UNLIKELY(lane->ring.push_bytes != entry_bytes ||
			 lane->ring.at_hand == 0 ||
			 evr_load_relaxed_u64(&lane->shared->intake) !=
				 EVR_RING_LANES_OPEN))
		return evri_ring_lane_make_room(lane, entry_bytes);
	return 0;
}

/* Says that the lane holds something, unless that is said. Two who do so at once may lose
 * one's bit, and a bit may be taken away just when it was seen here: the popper comes by
 * without it. So neither a locked instruction nor an order is needed. */
EVRI_INLINE void evri_ring_lane_hint(struct evr_ring_lane *lane)
{
	uint64_t hints = evr_load_relaxed_u64(lane->hint);

	if (EVR_UNLIKELY(!(hints & lane->bit)))
		evr_store_relaxed_u64(lane->hint, hints | lane->bit);
}

/* ---- popper ---- */

EVRI_INLINE int evri_ring_lanes_may_pop(struct evr_ring_lanes *lanes,
					uint32_t entry_bytes)
{
	uint64_t word;

	if (EVR_UNLIKELY(lanes->pop_bytes != entry_bytes))
		return -EINVAL;
	if (EVR_LIKELY(lanes->turn > 0) &&
	    (lanes->lane->at_hand > 0 ||
	     evri_ring_inline_look(lanes->lane, entry_bytes, &word)))
		return 0;
	return evri_ring_lanes_next(lanes);
}

EVRI_INLINE uint32_t evri_ring_lanes_stretch(const struct evr_ring_lanes *lanes,
					     uint32_t entry_bytes, uint32_t wanted)
{
	return evri_ring_inline_stretch(lanes->lane, entry_bytes,
					wanted < lanes->turn ? wanted : lanes->turn);
}

EVRI_INLINE void evri_ring_lanes_free(struct evr_ring_lanes *lanes, uint32_t entry_bytes,
				      uint32_t count)
{
	evri_ring_inline_free(lanes->lane, entry_bytes, count);
	lanes->turn -= count;
}

EVR_BEGIN_DECLS

/**
 * struct evr_ring_lanes_options - how to make a bundle of lanes.
 * @size:        sizeof(struct evr_ring_lanes_options).
 * @name:        1 to EVR_NAME_BYTES - 1 characters, not in use by another object.
 * @entry_bytes: of each entry, 1 to EVR_RING_INLINE_ENTRY_MAX; 8 to 256 are fast.
 * @order:       log2 of each lane's capacity, EVR_RING_INLINE_ORDER_MIN to _MAX.
 * @lanes_count: so many pushers there can be at a time, 1 to EVR_RING_LANES_MAX.
 * @range:       the range of the region that it is to lie in; 0 is the first.
 * @flags:       enum evr_ring_inline_flags.
 */
struct evr_ring_lanes_options {
	size_t size;
	const char *name;
	uint32_t entry_bytes;
	uint32_t order;
	uint32_t lanes_count;
	uint32_t range;
	uint32_t flags;
};

/**
 * evr_ring_lanes_create() - makes a bundle of lanes in the region's directory.
 * @region:  an attached region.
 * @options: sizes, number and name; nobody has a role in it yet.
 *
 * Threads: any. Killed inside: the next creator takes over the place.
 *
 * Return: 0, -EINVAL, -E2BIG when the options are from a newer header and use a field
 * unknown here, -EEXIST, -EBUSY while another process is making an object of this name,
 * -ENOSPC when the range or the directory is full, -EROFS when the region is attached for
 * reading.
 */
EVR_API int evr_ring_lanes_create(struct evr_region *region,
				  const struct evr_ring_lanes_options *options)
	EVR_NODISCARD;

/**
 * evr_ring_lane_open() - takes a lane that is nobody's, to push.
 * @region:      an attached region; outlives the end.
 * @name:        of the bundle.
 * @entry_bytes: what the caller takes an entry to be; 0: whatever it is.
 * @ret:         this lane's end. Give it back with evr_ring_lane_leave().
 *
 * It is the first lane that is free or whose holder has died; the kernel is asked who has
 * died when all seem to be held. One who is stopped lives. What the pusher before had
 * pushed stays in front. A participant may have several lanes, for its threads.
 *
 * Threads: any may open; an end has one caller at a time. Killed inside: the lane is
 * nobody's, or a dead one's, which is the same to the next.
 *
 * Return: 0, -EINVAL, -ENOENT, -EAGAIN while it is being made, -EPROTO when the name is
 * another kind of object or its entries have another size, -EBUSY while living
 * participants have all lanes, -EPIPE when the bundle or all its lanes were closed,
 * -EUCLEAN when it contradicts itself, -EROFS when the region is attached for reading.
 */
EVR_API int evr_ring_lane_open(struct evr_region *region, const char *name,
			       uint32_t entry_bytes, struct evr_ring_lane *ret)
	EVR_NODISCARD;

/**
 * evr_ring_lane_leave() - gives the lane back, to whoever asks for one next.
 * @lane: or an end that has left already, which does nothing.
 *
 * What is in it stays there for the popper. What was reserved and not committed was never
 * pushed. Entries of one who leaves and opens again may be in another lane, and then they
 * have no order with those before.
 *
 * Threads: the end's. Killed inside: left, or dead in the role.
 */
EVR_API void evr_ring_lane_leave(struct evr_ring_lane *lane);

/**
 * evr_ring_lane_close() - nobody pushes into this lane again, for ever.
 * @lane: is left by that.
 *
 * When all lanes are closed and drained, the popper gets -EPIPE. Killed inside: open, or
 * closed.
 *
 * Return: 0, or -EINVAL when the end has left already.
 */
EVR_API int evr_ring_lane_close(struct evr_ring_lane *lane) EVR_NODISCARD;

/**
 * evr_ring_lanes_open() - takes the popper's role of all lanes together.
 * @region:      an attached region; outlives the end.
 * @name:        of the bundle.
 * @entry_bytes: what the caller takes an entry to be; 0: whatever it is.
 * @ret:         the end. Give it back with evr_ring_lanes_leave().
 *
 * One who has died in the role is followed: in each lane the next goes on with the first
 * entry that was not freed (or, EVR_RING_AT_MOST_ONCE, not shown). The kernel is asked
 * whether he has died; one who is stopped lives. Takes time in proportion to the lanes.
 *
 * Threads: any may open; the end has one caller at a time. Killed inside: the role is
 * nobody's, or a dead one's, which is the same to the next.
 *
 * Return: 0, the errors of evr_ring_lane_open(), or -ENOMEM; -EBUSY while a living
 * participant has the role, -EPIPE when one has hung up.
 */
EVR_API int evr_ring_lanes_open(struct evr_region *region, const char *name,
				uint32_t entry_bytes, struct evr_ring_lanes **ret)
	EVR_NODISCARD;

/**
 * evr_ring_lanes_leave() - gives the popper's role back, to whoever opens next.
 * @lanes: freed by that. NULL does nothing.
 *
 * What is in the lanes stays there; what was peeked and not released is not freed.
 *
 * Threads: the end's. Killed inside: left, or dead in the role.
 *
 * Return: NULL.
 */
EVR_API struct evr_ring_lanes *evr_ring_lanes_leave(struct evr_ring_lanes *lanes);

/**
 * evr_ring_lanes_close() - the popper lets nothing more in, for ever, and drains.
 * @lanes: the popper's end. It is not left by that.
 *
 * Each pusher gets -EPIPE from its next push on, and its lane is closed by that. Pops
 * return what there is, then -EAGAIN while a living pusher has not heard of it yet (or
 * left), then -EPIPE.
 *
 * Threads: the end's. Killed inside: open, or closed.
 */
EVR_API void evr_ring_lanes_close(struct evr_ring_lanes *lanes);

/**
 * evr_ring_lanes_hang_up() - the popper wants nothing more, for ever, and leaves.
 * @lanes: freed by that.
 *
 * Each pusher gets -EPIPE from its next push on; what lies in the lanes stays there
 * unread. Killed inside: as it was, or closed as by evr_ring_lanes_close(), or hung up.
 *
 * Return: NULL.
 */
EVR_API struct evr_ring_lanes *evr_ring_lanes_hang_up(struct evr_ring_lanes *lanes);

/** evr_ring_lane_capacity() - of a lane, in entries. Threads: any. */
EVR_INLINE uint64_t evr_ring_lane_capacity(const struct evr_ring_lane *lane)
{
	return lane->ring.capacity;
}

/** evr_ring_lane_index() - which of the lanes this is, from 0. Threads: any. */
EVR_INLINE uint32_t evr_ring_lane_index(const struct evr_ring_lane *lane)
{
	return lane->index;
}

/**
 * evr_ring_lanes_last() - the lane that was popped from, or peeked at, last.
 * @lanes: the popper's end.
 *
 * Threads: the end's.
 *
 * Return: its index; of a burst, that of the last entry.
 */
EVR_API uint32_t evr_ring_lanes_last(const struct evr_ring_lanes *lanes);

/**
 * evr_ring_lane_try_push() - appends a copy of one entry to the lane.
 * @lane:        the pusher's end.
 * @entry:       is read before this returns; needs no alignment.
 * @entry_bytes: of the bundle; best a constant, as in evr_ring_inline_try_push().
 *
 * Ordering: all that this thread wrote before is visible to whoever pops the entry. The
 * entries of an end are popped in the order of their pushes; those of two ends have none.
 * Threads:  one caller at a time per end. Signals: a handler may not use the same end.
 * Stopped inside: delays only those who wait for its entries. Killed inside: the entry is
 * in the lane, or was never pushed.
 *
 * Return: 0, -EAGAIN when the lane is full (or was a moment ago: see
 * EVR_RING_INLINE_PATIENCE), -EPIPE when it is closed by the popper, -EOWNERDEAD when it
 * is full and the popper has died (a next one may come), -EINVAL when the end has left or
 * the size is another, -EUCLEAN when the popper's words contradict what was pushed.
 */
EVR_INLINE int evr_ring_lane_try_push(struct evr_ring_lane *lane, const void *entry,
				      uint32_t entry_bytes)
{
	int error = evri_ring_lane_may_push(lane, entry_bytes);

	if (EVR_UNLIKELY(error < 0))
		return error;
	evri_entry_copy(evri_cell_entry(lane->ring.cell, lane->ring.word, entry_bytes),
			entry, entry_bytes);
	evri_ring_inline_count(&lane->ring, entry_bytes, 1);
	evri_ring_lane_hint(lane);
	return 0;
}

/**
 * evr_ring_lane_push_burst() - appends copies of several entries to the lane.
 * @lane:        the pusher's end.
 * @entries:     @count of them, one behind the other.
 * @entry_bytes: of the bundle.
 * @count:       how many there are, at most INT32_MAX.
 *
 * They become visible in order, a cell at a time. All else as evr_ring_lane_try_push().
 * Killed inside: the first of them, or none or all, were pushed.
 *
 * Return: how many were pushed, which may be fewer than @count; or, instead of 0, the
 * errors of evr_ring_lane_try_push().
 */
EVR_INLINE int evr_ring_lane_push_burst(struct evr_ring_lane *lane, const void *entries,
					uint32_t entry_bytes, uint32_t count)
{
	int done = evri_ring_lane_may_push(lane, entry_bytes);

	if (EVR_UNLIKELY(done < 0))
		return done;
	done = evr_ring_inline_push_burst(&lane->ring, entries, entry_bytes, count);
	if (EVR_LIKELY(done > 0))
		evri_ring_lane_hint(lane);
	return done;
}

/**
 * evr_ring_lane_reserve() - room to write entries in place; evr_ring_inline_reserve().
 * @lane:        the pusher's end.
 * @entry_bytes: of the bundle.
 * @count:       as many as the caller would like.
 * @ret_entries: where they lie, one behind the other.
 *
 * Nobody sees them before evr_ring_lane_commit(). Reserving again gives the same room.
 *
 * Return: how many there is room for in one piece, at least 1; or the errors of
 * evr_ring_lane_try_push().
 */
EVR_INLINE int evr_ring_lane_reserve(struct evr_ring_lane *lane, uint32_t entry_bytes,
				     uint32_t count, void **ret_entries)
{
	int error = evri_ring_lane_may_push(lane, entry_bytes);

	if (EVR_UNLIKELY(error < 0))
		return error;
	return evr_ring_inline_reserve(&lane->ring, entry_bytes, count, ret_entries);
}

/**
 * evr_ring_lane_commit() - pushes what was written in place.
 * @lane:        the pusher's end.
 * @entry_bytes: of the bundle.
 * @count:       how many of those that were reserved, from the first on.
 *
 * Ordering, killed: as evr_ring_lane_try_push(); all @count become visible at once.
 *
 * Return: 0, or -EINVAL when there was not so much room; then nothing happens.
 */
EVR_INLINE int evr_ring_lane_commit(struct evr_ring_lane *lane, uint32_t entry_bytes,
				    uint32_t count)
{
	int error = evr_ring_inline_commit(&lane->ring, entry_bytes, count);

	if (EVR_LIKELY(error == 0))
		evri_ring_lane_hint(lane);
	return error;
}

/**
 * evr_ring_lanes_try_pop() - takes an entry from a lane that has one.
 * @lanes:       the popper's end.
 * @entry:       receives it.
 * @entry_bytes: of the bundle.
 *
 * Lanes take turns, of at most EVR_RING_LANES_TURN entries. The entry is taken for good
 * when this returns; one who wants the next popper to get it again, should he die over
 * it, uses evr_ring_lanes_peek().
 *
 * Ordering, threads, signals: as evr_ring_lane_try_push().
 * Killed inside: the entry is still in its lane, or was taken. "Empty" takes a look at
 * each lane that has ever been in use.
 *
 * Return: 0, -EAGAIN when all lanes are empty, -EPIPE when all are closed and drained (or
 * the bundle is, and nobody has a lane any more), -EINVAL when the size is another,
 * -EUCLEAN when a lane holds what no pusher writes: it is told once, and the lane is left
 * alone from then on.
 */
EVR_INLINE int evr_ring_lanes_try_pop(struct evr_ring_lanes *lanes, void *entry,
				      uint32_t entry_bytes)
{
	int error = evri_ring_lanes_may_pop(lanes, entry_bytes);

	if (EVR_UNLIKELY(error < 0))
		return error;
	evri_entry_copy(entry,
			evri_cell_entry(lanes->lane->cell, lanes->lane->word,
					entry_bytes),
			entry_bytes);
	evri_ring_lanes_free(lanes, entry_bytes, 1);
	return 0;
}

/**
 * evr_ring_lanes_pop_burst() - takes entries, from several lanes if need be.
 * @lanes:       the popper's end.
 * @entries:     receives up to @count of them, one behind the other.
 * @entry_bytes: of the bundle.
 * @count:       at most so many, and at most INT32_MAX.
 *
 * All else as evr_ring_lanes_try_pop(). Killed inside: the first of them, or none or all,
 * were taken.
 *
 * Return: how many were taken, or, instead of 0, the errors of evr_ring_lanes_try_pop().
 */
EVR_INLINE int evr_ring_lanes_pop_burst(struct evr_ring_lanes *lanes, void *entries,
					uint32_t entry_bytes, uint32_t count)
{
	char *to = (char *)entries;
	uint32_t done = 0;

	while (done < count) {
		int error = evri_ring_lanes_may_pop(lanes, entry_bytes);

		if (EVR_UNLIKELY(error < 0))
			return done ? (int)done : error;

		uint32_t n = evri_ring_lanes_stretch(lanes, entry_bytes, count - done);
		evri_entries_copy(to + (uint64_t)done * entry_bytes,
				  evri_cell_entry(lanes->lane->cell, lanes->lane->word,
						  entry_bytes),
				  entry_bytes, n);
		evri_ring_lanes_free(lanes, entry_bytes, n);
		done += n;
	}
	return (int)done;
}

/**
 * evr_ring_lanes_peek() - shows the oldest entries of one lane where they lie.
 * @lanes:       the popper's end.
 * @entry_bytes: of the bundle.
 * @count:       as many as the caller would like.
 * @ret_entries: where they lie, one behind the other; read only.
 *
 * They stay there until evr_ring_lanes_release(); see evr_ring_inline_peek(), also for
 * EVR_RING_AT_MOST_ONCE. Peeking again shows the same.
 *
 * The pusher may misbehave and change them meanwhile: copy what is checked before use.
 *
 * Return: how many are shown, at least 1; or the errors of evr_ring_lanes_try_pop().
 */
EVR_INLINE int evr_ring_lanes_peek(struct evr_ring_lanes *lanes, uint32_t entry_bytes,
				   uint32_t count, const void **ret_entries)
{
	int error = evri_ring_lanes_may_pop(lanes, entry_bytes);

	if (EVR_UNLIKELY(error < 0))
		return error;
	return evr_ring_inline_peek(lanes->lane, entry_bytes,
				    count < lanes->turn ? count : lanes->turn,
				    ret_entries);
}

/**
 * evr_ring_lanes_release() - frees entries that were shown.
 * @lanes:       the popper's end.
 * @entry_bytes: of the bundle.
 * @count:       how many, from the oldest on.
 *
 * Ordering: what the caller has read of them it has read before. Killed inside: they are
 * freed, or not.
 *
 * Return: 0, or -EINVAL when there are not so many; then nothing happens.
 */
EVR_INLINE int evr_ring_lanes_release(struct evr_ring_lanes *lanes, uint32_t entry_bytes,
				      uint32_t count)
{
	if (EVR_UNLIKELY(lanes->pop_bytes != entry_bytes || count == 0 ||
			 evri_ring_lanes_stretch(lanes, entry_bytes, count) != count))
		return -EINVAL;
	evri_ring_lanes_free(lanes, entry_bytes, count);
	return 0;
}

EVR_END_DECLS
#endif
