/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_END_H
#define EVERING_RING_END_H

/**
 * ring_end.h - a ring's header, a thread's end of a ring, and how an end finds its
 * position: from its own memory, from the shared hints, from the slots.
 */

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/region.h>
#include <evering/ring_slot.h>

#define EVR_RING_MAGIC UINT64_C(0x314d4d5052727645) /* "EvrRPMM1" as bytes */

/* How a ring is made: who may be at it. Also the name of each side's role. */
#define EVR_RING_SINGLE_PUSHER EVR_RING_PUSHER
#define EVR_RING_SINGLE_POPPER EVR_RING_POPPER

/** The header of a ring; its slots follow. Three lines that are written by different
 * sides: what hardly ever changes, tail, head. */
struct EVR_CACHE_ALIGNED evr_ring_shared {
	uint64_t magic;
	uint32_t order; /* log2 of the number of slots */
	uint32_t flags; /* EVR_RING_SINGLE_... */
	struct evr_atomic_u32 hangup; /* not 0: the single pusher is to close */
	uint32_t reserved32;
	uint64_t reserved[5];
	EVR_CACHE_ALIGNED struct evr_atomic_u64 tail_hint;
	struct evr_atomic_u64 pusher; /* {number 32 | agent 32} of its role, or 0 */
	EVR_CACHE_ALIGNED struct evr_atomic_u64 head_hint;
	struct evr_atomic_u64 popper; /* the same, of the other side */
};

EVR_STATIC_ASSERT(offsetof(struct evr_ring_shared, magic) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_ring_shared, order) == 8 &&
			  offsetof(struct evr_ring_shared, flags) == 12 &&
			  offsetof(struct evr_ring_shared, hangup) == 16,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_ring_shared, tail_hint) == 64 &&
			  offsetof(struct evr_ring_shared, pusher) == 72,
		  "producers' line");
EVR_STATIC_ASSERT(offsetof(struct evr_ring_shared, head_hint) == 128 &&
			  offsetof(struct evr_ring_shared, popper) == 136,
		  "consumers' line");
EVR_STATIC_ASSERT(sizeof(struct evr_ring_shared) == 192, "shared layout");

/** Bytes of a ring of 2^order slots, header included. */
EVRI_INLINE uint64_t evri_ring_bytes(uint32_t order)
{
	uint64_t slots = (UINT64_C(8) << order) + EVR_CACHE_LINE_BYTES - 1;

	return sizeof(struct evr_ring_shared) +
	       (slots & ~(uint64_t)(EVR_CACHE_LINE_BYTES - 1));
}

/* What an end may do at one side of its ring. */
enum evri_ring_side {
	EVRI_RING_SIDE_MANY,   /* what everybody may: by compare-and-swap */
	EVRI_RING_SIDE_OTHERS, /* nothing: the side is single, and not this end's */
	EVRI_RING_SIDE_MINE,   /* the side's role is this end's: by plain stores */
};

/**
 * struct evr_ring - one thread's end of a ring. Treat as opaque; it is laid open for
 * the inline functions. A plain value: closing it is forgetting it, once it has left the
 * roles that it took.
 */
struct evr_ring {
	struct evr_ring_shared *shared;
	struct evr_atomic_u64 *slots;
	uint64_t mask; /* slots - 1 */
	uint64_t tail; /* not ahead of the true tail; exact at a side that is MINE */
	uint64_t head; /* not ahead of the true head; the same */
	uint32_t order;
	uint16_t flags; /* of the ring */
	uint8_t push_side; /* enum evri_ring_side */
	uint8_t pop_side;  /* enum evri_ring_side */
	struct evr_region *region; /* NULL: a ring inside of another object */
	uint32_t burst_max; /* ring_burst.h; 0: EVR_RING_BURST_DEFAULT */
	/* What was popped and is not handed out yet: the rest of a burst. */
	uint32_t burst;       /* index of the block that carries it, plus 1; 0: nothing */
	uint16_t burst_next;  /* entry */
	uint16_t burst_count; /* entries */
	uint32_t reserved32;
};

/* A hint is refreshed whenever a handle's position crosses a multiple of this. */
#define EVRI_RING_HINT_EVERY 16

/* A walk never takes more steps than this, whatever the slots say. */
EVRI_INLINE uint64_t evri_ring_walk_max(const struct evr_ring *ring)
{
	return 4 * (ring->mask + 1) + 4096;
}

/* Where to go on from when the hint is too far away to be believed: a position not ahead
 * of the true one, read off the slots. In the library: it scans. */
EVR_BEGIN_DECLS
EVR_API uint64_t evri_ring_locate(const struct evr_ring *ring, uint64_t hint,
				       int ahead, uint64_t local);
/* Raises a hint. Only ever forwards: one that was stopped for an hour must not put it
 * back. */
EVR_API void evri_ring_raise_hint(struct evr_atomic_u64 *hint, uint64_t position);
/* Why the single pusher, or popper, that read @word in the slot of its position cannot go
 * on: the error to return. A pusher that was told to hang up does so. */
EVR_API int evri_ring_push_refused(struct evr_ring *ring, uint64_t word);
EVR_API int evri_ring_pop_refused(struct evr_ring *ring, uint64_t word);
/* A ring that was hung up on, and is drained: closes it if it has no pusher any more. */
EVR_API void evri_ring_drained(struct evr_ring *ring);
EVR_END_DECLS

/* Where the true position may be by now: the hint, if it is ahead of @local and the slot
 * before it agrees that it was passed (@ahead steps beyond EMPTY). A slot that is full
 * shows 15 bits of its lap, so a hint is believed at a distance where that suffices; who
 * comes from further away, or meets a poisoned hint, asks the slots. */
EVRI_INLINE uint64_t evri_ring_hint(const struct evr_ring *ring,
					 const struct evr_atomic_u64 *hint, int ahead,
					 uint64_t local)
{
	/* SYNC ring/hint (acquire), pairs with evri_ring_raise_hint(). Relaxed: a
	 * thread could be told "empty" about a ring that it has just pushed to. */
	uint64_t position = evr_load_acquire_u64(hint);

	if (EVR_LIKELY(position <= local))
		return local;
	if (EVR_UNLIKELY(position - local >
			 4 * (ring->mask + 1) + 4 * EVRI_RING_HINT_EVERY))
		return evri_ring_locate(ring, position, ahead, local);

	uint64_t before = position - 1;
	uint64_t word = evr_load_relaxed_u64(&ring->slots[before & ring->mask]);
	if (EVR_UNLIKELY(evri_slot_ahead(word, before >> ring->order) < ahead))
		return local;
	return position;
}

#endif
