/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_INLINE_H
#define EVERING_RING_INLINE_H

/**
 * ring_inline.h - a bounded queue of entries of one fixed size that lie in the ring
 * itself: one pusher, one popper, in any two processes. For small messages, where a block
 * would cost more than it carries (below about 250 bytes).
 *
 * The ring is an array of *cells*. A cell is a control word {lap, count} and the entries
 * that it counts: as many as fit in one cache line, or one that is larger. A push writes
 * the entry behind those that count already, then stores the word that counts it too; a
 * pop looks at the word of the cell that it stands at. So entry and state travel in the
 * same line, and nobody reads an index of the other side to learn whether there is
 * something. What the popper has freed is written to lines of its own, and read by the
 * pusher only when the room that it knows of is used up. Neither side has a locked
 * instruction, a fence or a system call on its way.
 *
 * Each side is a *role*: a word in the ring's header that names the participant who has
 * it. A role whose holder has died for certain is taken over by the next who opens it,
 * who finds its place from the cells. What a pusher had not counted yet was never pushed;
 * so there is nothing for evr_recover() to do here.
 */

#include <errno.h>

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/participant.h>
#include <evering/region.h>
#include <evering/ring_cell.h>
#include <evering/ring_slot.h>

/* So many times in a row a pusher may be told that the ring is full when a few entries,
 * at most 32 and a quarter of the capacity, have been freed. */
#define EVR_RING_INLINE_PATIENCE 64

/**
 * struct evr_ring_inline - one side's end of a ring. Treat as opaque; it is laid open for
 * the inline functions. A plain value, but the role that it stands for is held until
 * evr_ring_inline_leave().
 */
struct evr_ring_inline {
	struct evr_ring_inline_shared *shared;
	char *cell;            /* where this side stands */
	uint64_t word;         /* of the cell, as far as this side has come */
	uint32_t at_hand;      /* pusher: room; popper: entries of the cell */
	uint32_t push_bytes;   /* entry_bytes, or 0: not the pusher */
	uint32_t pop_bytes;    /* entry_bytes, or 0: not the popper */
	uint32_t batch;        /* popper: freed entries that are told together */
	uint64_t position;     /* pusher: where at_hand ends; popper: where it stands */
	uint64_t told;         /* popper: the head that was published */
	uint64_t other;        /* the other side's role word, when last looked at */
	const struct evr_atomic_u64 *other_life; /* a word that says other_alive */
	uint64_t other_alive;                    /* as long as the other side lives */
	char *cells;
	char *cells_end;
	uint64_t capacity;
	uint64_t mine; /* this side's role word */
	struct evr_region *region;
	uint32_t flags;
	uint32_t patience; /* pusher: full answers until the exact word is looked at */
	uint64_t reserved[2];
};

EVR_BEGIN_DECLS
/* What the paths below do when they cannot go on; in the library, because it is rare.
 * 0: they can. */
EVR_API int evri_ring_inline_make_room(struct evr_ring_inline *ring);
EVR_API int evri_ring_inline_look_after(struct evr_ring_inline *ring, uint64_t word);
EVR_END_DECLS

/* Bytes of a size that the compiler knows, 16 at a time: as a call, or as the string
 * instruction that it makes of 64 bytes, this takes twice as long. Of a size that it does
 * not know: a call. */
EVRI_INLINE void evri_entry_copy(void *to, const void *from, uint64_t bytes)
{
	char *out = (char *)to;
	const char *in = (const char *)from;

	if (__builtin_constant_p(bytes) == 0 || bytes > 256) {
		__builtin_memcpy(out, in, bytes);
		return;
	}
	uint64_t i = 0;
#pragma GCC unroll 16
	for (; i + 16 <= bytes; i += 16)
		__builtin_memcpy(out + i, in + i, 16);
	if (bytes & 8) {
		__builtin_memcpy(out + i, in + i, 8);
		i += 8;
	}
	if (bytes & 4) {
		__builtin_memcpy(out + i, in + i, 4);
		i += 4;
	}
	if (bytes & 2) {
		__builtin_memcpy(out + i, in + i, 2);
		i += 2;
	}
	if (bytes & 1)
		out[i] = in[i];
}

EVRI_INLINE char *evri_cell_entry(char *cell, uint64_t word, uint32_t entry_bytes)
{
	return cell + EVRI_CELL_WORD_BYTES + (word & EVRI_CELL_COUNT_MASK) * entry_bytes;
}

/* Steps to @word of this cell, or to the next one if that was all of it. A pusher fetches
 * the cell after the next one then (or what lies behind the last: it is not written). */
EVRI_INLINE void evri_cell_step(struct evr_ring_inline *ring, uint64_t word,
				uint32_t entry_bytes, bool writes)
{
	if ((word & EVRI_CELL_COUNT_MASK) == evri_cell_entries(entry_bytes)) {
		ring->cell += evri_cell_bytes(entry_bytes);
		word &= ~EVRI_CELL_COUNT_MASK;
		if (EVR_UNLIKELY(ring->cell == ring->cells_end)) {
			ring->cell = ring->cells;
			word += EVRI_CELL_LAP_ONE;
		}
		if (writes)
			evri_prefetch_write(ring->cell +
					    2 * evri_cell_bytes(entry_bytes));
	}
	ring->word = word;
}

/* ---- pusher ---- */

EVRI_INLINE int evri_ring_inline_may_push(struct evr_ring_inline *ring,
					  uint32_t entry_bytes)
{
	if (EVR_UNLIKELY(ring->push_bytes != entry_bytes))
		return -EINVAL;
	/* Relaxed: whether the popper has hung up is news, not an order. */
	if (EVR_UNLIKELY(ring->at_hand == 0 ||
			 evr_load_relaxed_u64(&ring->shared->popper) != ring->other))
		return evri_ring_inline_make_room(ring);
	return 0;
}

/* Counts @count entries that were written behind those that count already. */
EVRI_INLINE void evri_ring_inline_count(struct evr_ring_inline *ring,
					uint32_t entry_bytes, uint32_t count)
{
	uint64_t word = ring->word + count;

	/* SYNC ring-inline/count (release), pairs with the load in
	 * evri_ring_inline_look(). Relaxed: the popper reads what the entry's bytes
	 * were a lap ago. */
	evr_store_release_u64((struct evr_atomic_u64 *)(void *)ring->cell, word);
	ring->at_hand -= count;
	evri_cell_step(ring, word, entry_bytes, true);
}

/* ---- popper ---- */

/* Whether the pusher has counted more in this cell than is known here; it is at hand
 * then. Else the word is empty's, or scribbled on: *ret_word. */
EVRI_INLINE bool evri_ring_inline_look(struct evr_ring_inline *ring, uint32_t entry_bytes,
				       uint64_t *ret_word)
{
	uint64_t left = evri_cell_entries(entry_bytes) -
			(ring->word & EVRI_CELL_COUNT_MASK);
	/* SYNC ring-inline/count (acquire), pairs with evri_ring_inline_count().
	 * Relaxed: the entry's old bytes are read. */
	uint64_t word = evr_load_acquire_u64(
		(const struct evr_atomic_u64 *)(const void *)ring->cell);
	uint64_t fresh = word - ring->word;

	*ret_word = word;
	if (EVR_UNLIKELY(fresh - 1 >= left)) /* not 1 to @left more of this lap */
		return false;
	ring->at_hand = (uint32_t)fresh;
	return true;
}

EVRI_INLINE int evri_ring_inline_may_pop(struct evr_ring_inline *ring,
					 uint32_t entry_bytes)
{
	uint64_t word;

	if (EVR_UNLIKELY(ring->pop_bytes != entry_bytes))
		return -EINVAL;
	if (EVR_LIKELY(ring->at_hand > 0 ||
		       evri_ring_inline_look(ring, entry_bytes, &word)))
		return 0;

	int error = evri_ring_inline_look_after(ring, word);
	if (error < 0)
		return error;
	return 0;
}

/* Gives @count entries at hand back to the pusher. */
EVRI_INLINE void evri_ring_inline_free(struct evr_ring_inline *ring,
				       uint32_t entry_bytes, uint32_t count)
{
	uint64_t position = ring->position + count;

	/* SYNC ring-inline/freed (release), pairs with find_room().
	 * Relaxed: the pusher could write into an entry that is still being read. */
	evr_store_release_u64(&ring->shared->freed, position);
	if (EVR_UNLIKELY(position - ring->told >= ring->batch)) {
		/* SYNC ring-inline/head (release), pairs with find_room(); as above. */
		evr_store_release_u64(&ring->shared->head, position);
		ring->told = position;
	}
	ring->position = position;
	ring->at_hand -= count;
	evri_cell_step(ring, ring->word + count, entry_bytes, false);
}

EVR_BEGIN_DECLS

/**
 * struct evr_ring_inline_options - how to make a ring of inline entries.
 * @size:        sizeof(struct evr_ring_inline_options).
 * @name:        1 to EVR_NAME_BYTES - 1 characters, not in use by another object.
 * @entry_bytes: of each entry, 1 to EVR_RING_INLINE_ENTRY_MAX; 8 to 256 are fast.
 * @order:       log2 of its capacity, EVR_RING_INLINE_ORDER_MIN to _MAX.
 * @range:       the range of the region that it is to lie in; 0 is the first.
 * @flags:       enum evr_ring_inline_flags.
 */
struct evr_ring_inline_options {
	size_t size;
	const char *name;
	uint32_t entry_bytes;
	uint32_t order;
	uint32_t range;
	uint32_t flags;
};

/**
 * evr_ring_inline_create() - makes a ring of inline entries in the region's directory.
 * @region:  an attached region.
 * @options: size, order and name; nobody has a role in it yet.
 *
 * Threads: any. Killed inside: the next creator takes over the place.
 *
 * Return: 0, -EINVAL, -E2BIG when the options are from a newer header and use a field
 * unknown here, -EEXIST, -EBUSY while another process is making an object of this name,
 * -ENOSPC when the range or the directory is full, -EROFS when the region is attached for
 * reading.
 */
EVR_API int evr_ring_inline_create(struct evr_region *region,
				   const struct evr_ring_inline_options *options)
	EVR_NODISCARD;

/**
 * evr_ring_inline_open() - takes a role in the ring of this name.
 * @region:      an attached region; outlives the end.
 * @name:        of the ring.
 * @role:        EVR_RING_PUSHER or EVR_RING_POPPER.
 * @entry_bytes: what the caller takes an entry to be; 0: whatever it is.
 * @ret:         this side's end. Give it back with evr_ring_inline_leave().
 *
 * A role whose holder has died is taken over: a pusher goes on behind the last entry that
 * was pushed, a popper with the first that was not freed (or, EVR_RING_AT_MOST_ONCE, not
 * shown). The kernel is asked who has died; one who is stopped lives.
 *
 * Threads: any may open; an end has one caller at a time. Killed inside: the role is
 * nobody's, or a dead one's, which is the same to the next.
 *
 * Return: 0, -EINVAL, -ENOENT, -EAGAIN while it is being made, -EPROTO when the name is
 * another kind of object or its entries have another size, -EBUSY while a living
 * participant has the role, -EPIPE when the role was closed, -EUCLEAN when the ring
 * contradicts itself, -EROFS when the region is attached for reading.
 */
EVR_API int evr_ring_inline_open(struct evr_region *region, const char *name,
				 uint32_t role, uint32_t entry_bytes,
				 struct evr_ring_inline *ret) EVR_NODISCARD;

/**
 * evr_ring_inline_leave() - gives the role back, to whoever opens it next.
 * @ring: or an end that has left already, which does nothing.
 *
 * The ring stays open, and what is in it stays there. What was reserved and not
 * committed was never pushed; what was peeked and not released is not freed.
 *
 * Threads: the end's. Killed inside: left, or dead in the role.
 */
EVR_API void evr_ring_inline_leave(struct evr_ring_inline *ring);

/**
 * evr_ring_inline_close() - the pusher lets nothing more in, for ever.
 * @ring: the pusher's end. It is left by that.
 *
 * The popper drains what is there, then gets -EPIPE. Killed inside: open, or closed.
 *
 * Return: 0, or -EINVAL when this is not the pusher's end.
 */
EVR_API int evr_ring_inline_close(struct evr_ring_inline *ring) EVR_NODISCARD;

/**
 * evr_ring_inline_hang_up() - the popper wants nothing more, for ever.
 * @ring: the popper's end. It is left by that.
 *
 * The pusher gets -EPIPE from its next push on; what lies in the ring stays there unread.
 * Drain it first, and for the last time after the pusher has closed, if it matters.
 *
 * Return: 0, or -EINVAL when this is not the popper's end.
 */
EVR_API int evr_ring_inline_hang_up(struct evr_ring_inline *ring) EVR_NODISCARD;

/** evr_ring_inline_capacity() - in entries. Threads: any. */
EVR_INLINE uint64_t evr_ring_inline_capacity(const struct evr_ring_inline *ring)
{
	return ring->capacity;
}

/**
 * evr_ring_inline_try_push() - appends a copy of one entry.
 * @ring:        the pusher's end.
 * @entry:       is read before this returns; needs no alignment.
 * @entry_bytes: of the ring. Where it is a constant, as sizeof is, the copy is a few
 *               moves and all arithmetic is done by the compiler.
 *
 * Ordering: all that this thread wrote before is visible to whoever pops the entry.
 * Threads:  one caller at a time per end. Signals: a handler may not use the same end.
 * Stopped inside: delays only those who wait for its entries. Killed inside: the entry is
 * in the ring, or was never pushed.
 *
 * Return: 0, -EAGAIN when the ring is full (or was a moment ago: see
 * EVR_RING_INLINE_PATIENCE), -EPIPE when the popper has hung up,
 * -EOWNERDEAD when it is full and its popper has died (a next one may come), -EINVAL when
 * this is not the pusher's end or the size is another, -EUCLEAN when the popper's words
 * contradict what was pushed.
 */
EVR_INLINE int evr_ring_inline_try_push(struct evr_ring_inline *ring, const void *entry,
					uint32_t entry_bytes)
{
	int error = evri_ring_inline_may_push(ring, entry_bytes);

	if (EVR_UNLIKELY(error < 0))
		return error;
	evri_entry_copy(evri_cell_entry(ring->cell, ring->word, entry_bytes), entry,
			entry_bytes);
	evri_ring_inline_count(ring, entry_bytes, 1);
	return 0;
}

/**
 * evr_ring_inline_try_pop() - takes the oldest entry.
 * @ring:        the popper's end.
 * @entry:       receives it.
 * @entry_bytes: of the ring; see evr_ring_inline_try_push().
 *
 * The entry is taken for good when this returns. One who wants the next popper to get it
 * again, should he die over it, uses evr_ring_inline_peek().
 *
 * Ordering, threads, signals: as evr_ring_inline_try_push().
 * Killed inside: the entry is still in the ring, or was taken.
 *
 * Return: 0, -EAGAIN when the ring is empty, -EPIPE when it is closed and drained,
 * -EOWNERDEAD when it is drained and its pusher has died (a next one may come: then pops
 * succeed again), -EINVAL when this is not the popper's end or the size is another,
 * -EUCLEAN when a control word is none that a pusher writes.
 */
EVR_INLINE int evr_ring_inline_try_pop(struct evr_ring_inline *ring, void *entry,
				       uint32_t entry_bytes)
{
	int error = evri_ring_inline_may_pop(ring, entry_bytes);

	if (EVR_UNLIKELY(error < 0))
		return error;
	evri_entry_copy(entry, evri_cell_entry(ring->cell, ring->word, entry_bytes),
			entry_bytes);
	evri_ring_inline_free(ring, entry_bytes, 1);
	return 0;
}

/* Copies @count entries that lie in one cell. A whole one has a size that the compiler
 * may know. */
EVRI_INLINE void evri_entries_copy(void *to, const void *from, uint32_t entry_bytes,
				   uint32_t count)
{
	char *out = (char *)to;
	const char *in = (const char *)from;

	if (EVR_LIKELY(count == evri_cell_entries(entry_bytes))) {
		evri_entry_copy(out, in,
				(uint64_t)evri_cell_entries(entry_bytes) * entry_bytes);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		evri_entry_copy(out + (uint64_t)i * entry_bytes,
				in + (uint64_t)i * entry_bytes, entry_bytes);
}

/* Entries that go into, or come out of, this cell in one step. */
EVRI_INLINE uint32_t evri_ring_inline_stretch(const struct evr_ring_inline *ring,
					      uint32_t entry_bytes, uint32_t wanted)
{
	uint32_t left = evri_cell_entries(entry_bytes) -
			(uint32_t)(ring->word & EVRI_CELL_COUNT_MASK);
	uint32_t stretch = ring->at_hand < left ? ring->at_hand : left;

	return stretch < wanted ? stretch : wanted;
}

/**
 * evr_ring_inline_push_burst() - appends copies of several entries.
 * @ring:        the pusher's end.
 * @entries:     @count of them, one behind the other.
 * @entry_bytes: of the ring.
 * @count:       how many there are, at most INT32_MAX.
 *
 * They become visible in order, a cell at a time. All else as evr_ring_inline_try_push().
 * Killed inside: the first of them, or none or all, were pushed.
 *
 * Return: how many were pushed, which may be fewer than @count; or, instead of 0, the
 * errors of evr_ring_inline_try_push().
 */
EVR_INLINE int evr_ring_inline_push_burst(struct evr_ring_inline *ring,
					  const void *entries, uint32_t entry_bytes,
					  uint32_t count)
{
	const char *from = (const char *)entries;
	uint32_t done = 0;

	while (done < count) {
		int error = evri_ring_inline_may_push(ring, entry_bytes);

		if (EVR_UNLIKELY(error < 0))
			return done ? (int)done : error;

		uint32_t n = evri_ring_inline_stretch(ring, entry_bytes, count - done);
		evri_entries_copy(evri_cell_entry(ring->cell, ring->word, entry_bytes),
				  from + (uint64_t)done * entry_bytes, entry_bytes, n);
		evri_ring_inline_count(ring, entry_bytes, n);
		done += n;
	}
	return (int)done;
}

/**
 * evr_ring_inline_pop_burst() - takes the oldest entries.
 * @ring:        the popper's end.
 * @entries:     receives up to @count of them, one behind the other.
 * @entry_bytes: of the ring.
 * @count:       at most so many, and at most INT32_MAX.
 *
 * All else as evr_ring_inline_try_pop(). Killed inside: the first of them, or none or
 * all, were taken.
 *
 * Return: how many were taken, or, instead of 0, the errors of evr_ring_inline_try_pop().
 */
EVR_INLINE int evr_ring_inline_pop_burst(struct evr_ring_inline *ring, void *entries,
					 uint32_t entry_bytes, uint32_t count)
{
	char *to = (char *)entries;
	uint32_t done = 0;

	while (done < count) {
		int error = evri_ring_inline_may_pop(ring, entry_bytes);

		if (EVR_UNLIKELY(error < 0))
			return done ? (int)done : error;

		uint32_t n = evri_ring_inline_stretch(ring, entry_bytes, count - done);
		evri_entries_copy(to + (uint64_t)done * entry_bytes,
				  evri_cell_entry(ring->cell, ring->word, entry_bytes),
				  entry_bytes, n);
		evri_ring_inline_free(ring, entry_bytes, n);
		done += n;
	}
	return (int)done;
}

/**
 * evr_ring_inline_reserve() - room to write entries in place.
 * @ring:        the pusher's end.
 * @entry_bytes: of the ring.
 * @count:       as many as the caller would like.
 * @ret_entries: where they lie, one behind the other, 8 bytes aligned if @entry_bytes is
 *               a multiple of 8.
 *
 * Nobody sees them before evr_ring_inline_commit(). Reserving again gives the same room.
 *
 * Return: how many there is room for in one piece: at least 1, and no more than share a
 * cache line if they are small; or the errors of evr_ring_inline_try_push().
 */
EVR_INLINE int evr_ring_inline_reserve(struct evr_ring_inline *ring, uint32_t entry_bytes,
				       uint32_t count, void **ret_entries)
{
	int error = count ? evri_ring_inline_may_push(ring, entry_bytes) : -EINVAL;

	if (EVR_UNLIKELY(error < 0))
		return error;
	*ret_entries = evri_cell_entry(ring->cell, ring->word, entry_bytes);
	return (int)evri_ring_inline_stretch(ring, entry_bytes, count);
}

/**
 * evr_ring_inline_commit() - pushes what was written in place.
 * @ring:        the pusher's end.
 * @entry_bytes: of the ring.
 * @count:       how many of those that were reserved, from the first on.
 *
 * Ordering, killed: as evr_ring_inline_try_push(); all @count become visible at once.
 *
 * Return: 0, or -EINVAL when there was not so much room; then nothing happens.
 */
EVR_INLINE int evr_ring_inline_commit(struct evr_ring_inline *ring, uint32_t entry_bytes,
				      uint32_t count)
{
	if (EVR_UNLIKELY(ring->push_bytes != entry_bytes ||
			 evri_ring_inline_stretch(ring, entry_bytes, count) != count ||
			 count == 0))
		return -EINVAL;
	evri_ring_inline_count(ring, entry_bytes, count);
	return 0;
}

/**
 * evr_ring_inline_peek() - shows the oldest entries where they lie.
 * @ring:        the popper's end.
 * @entry_bytes: of the ring.
 * @count:       as many as the caller would like.
 * @ret_entries: where they lie, one behind the other; read only.
 *
 * They stay in the ring until evr_ring_inline_release(). A popper that dies in between
 * leaves them to the next one: each entry is processed at least once. In a ring made with
 * EVR_RING_AT_MOST_ONCE they count as taken from here on. Peeking again shows the same.
 *
 * The pusher may misbehave and change them meanwhile: copy what is checked before use.
 *
 * Return: how many are shown, at least 1; or the errors of evr_ring_inline_try_pop().
 */
EVR_INLINE int evr_ring_inline_peek(struct evr_ring_inline *ring, uint32_t entry_bytes,
				    uint32_t count, const void **ret_entries)
{
	int error = count ? evri_ring_inline_may_pop(ring, entry_bytes) : -EINVAL;
	uint32_t n;

	if (EVR_UNLIKELY(error < 0))
		return error;
	n = evri_ring_inline_stretch(ring, entry_bytes, count);
	if (ring->flags & EVR_RING_AT_MOST_ONCE)
		/* SYNC ring-inline/shown (release), pairs with begin_to_pop(): the caller
		 * acts upon the entry after this store. */
		evr_store_release_u64(&ring->shared->shown, ring->position + n);
	*ret_entries = evri_cell_entry(ring->cell, ring->word, entry_bytes);
	return (int)n;
}

/**
 * evr_ring_inline_release() - frees entries that were shown.
 * @ring:        the popper's end.
 * @entry_bytes: of the ring.
 * @count:       how many, from the oldest on.
 *
 * Ordering: what the caller has read of them it has read before. Killed inside: they are
 * freed, or not.
 *
 * Return: 0, or -EINVAL when there are not so many; then nothing happens.
 */
EVR_INLINE int evr_ring_inline_release(struct evr_ring_inline *ring, uint32_t entry_bytes,
				       uint32_t count)
{
	if (EVR_UNLIKELY(ring->pop_bytes != entry_bytes || count == 0 ||
			 evri_ring_inline_stretch(ring, entry_bytes, count) != count))
		return -EINVAL;
	evri_ring_inline_free(ring, entry_bytes, count);
	return 0;
}

EVR_END_DECLS
#endif
