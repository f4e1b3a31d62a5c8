/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_CELL_H
#define EVERING_RING_CELL_H

/**
 * ring_cell.h - what a ring of inline entries (ring_inline.h) is in shared memory: its
 * header, and cells of a control word {lap, count} and the entries that it counts.
 */

#include <evering/atomic.h>
#include <evering/base.h>

#define EVR_RING_INLINE_MAGIC UINT64_C(0x314c4e4952727645) /* "EvrRINL1" as bytes */

#define EVR_RING_INLINE_ORDER_MIN 1
#define EVR_RING_INLINE_ORDER_MAX 24
#define EVR_RING_INLINE_ENTRY_MAX 65536

/* The lap that a ring begins with. It only ever grows; zeroed memory is no ring. */
#define EVR_RING_INLINE_FIRST_LAP 1

enum evr_ring_inline_flags {
	/*
	 * What evr_ring_inline_peek() has shown counts as taken: a popper that dies
	 * before it releases takes it with it. Without this flag the next popper gets it
	 * again.
	 */
	EVR_RING_AT_MOST_ONCE = 1,
};

enum evr_ring_inline_role_state {
	EVR_RING_ROLE_FREE = 1,   /* nobody has it */
	EVR_RING_ROLE_HELD = 2,   /* by the participant that the word names */
	EVR_RING_ROLE_CLOSED = 3, /* its holder has ended the ring, for ever */
};

/** The header of a ring of inline entries; its cells follow. Four lines, each written by
 * one side. */
struct EVR_CACHE_ALIGNED evr_ring_inline_shared {
	uint64_t magic;
	uint32_t entry_bytes;
	uint32_t order; /* log2 of the capacity in entries */
	uint32_t flags; /* enum evr_ring_inline_flags */
	uint32_t reserved32;
	/* {state 8 | record 24 | attach number 32}; written when roles change hands. */
	struct evr_atomic_u64 pusher;
	struct evr_atomic_u64 popper;
	uint64_t reserved[3];
	/* The popper's, exact. Positions count entries, from the first lap on. */
	EVR_CACHE_ALIGNED struct evr_atomic_u64 freed;
	/* EVR_RING_AT_MOST_ONCE: what a successor must not get again ends here. */
	struct evr_atomic_u64 shown;
	/* The same as freed, but written seldom, for the pusher to read often. */
	EVR_CACHE_ALIGNED struct evr_atomic_u64 head;
};

EVR_STATIC_ASSERT(offsetof(struct evr_ring_inline_shared, magic) == 0 &&
			  offsetof(struct evr_ring_inline_shared, entry_bytes) == 8 &&
			  offsetof(struct evr_ring_inline_shared, order) == 12 &&
			  offsetof(struct evr_ring_inline_shared, flags) == 16 &&
			  offsetof(struct evr_ring_inline_shared, pusher) == 24 &&
			  offsetof(struct evr_ring_inline_shared, popper) == 32 &&
			  offsetof(struct evr_ring_inline_shared, freed) == 64 &&
			  offsetof(struct evr_ring_inline_shared, shown) == 72 &&
			  offsetof(struct evr_ring_inline_shared, head) == 128,
		  "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_ring_inline_shared) == 192, "shared layout");

/* A control word: {lap 56 | count 8}. */
#define EVRI_CELL_COUNT_BITS 8
#define EVRI_CELL_COUNT_MASK UINT64_C(255)
#define EVRI_CELL_LAP_ONE (UINT64_C(1) << EVRI_CELL_COUNT_BITS)
#define EVRI_CELL_WORD_BYTES 8
#define EVRI_CELL_ROOM (EVR_CACHE_LINE_BYTES - EVRI_CELL_WORD_BYTES)

/* Entries of a cell. Where two fit in a line they share it: then one line's journey from
 * cache to cache pays for several entries. */
EVRI_INLINE uint32_t evri_cell_entries(uint32_t entry_bytes)
{
	return entry_bytes <= EVRI_CELL_ROOM / 2 ? EVRI_CELL_ROOM / entry_bytes : 1;
}

/* From one cell to the next: whole lines, so that the sides write and read at once only
 * in the cell where they meet. */
EVRI_INLINE uint64_t evri_cell_bytes(uint32_t entry_bytes)
{
	uint64_t bytes = EVRI_CELL_WORD_BYTES + (uint64_t)entry_bytes;

	return (bytes > EVR_CACHE_LINE_BYTES ? bytes + EVR_CACHE_LINE_BYTES - 1 :
					       EVR_CACHE_LINE_BYTES) &
	       ~(uint64_t)(EVR_CACHE_LINE_BYTES - 1);
}

/* What a word may say in a cell in which nothing counts beyond @known: just that, or all
 * of the lap before. */
EVRI_INLINE bool evri_cell_says_nothing_new(uint64_t word, uint64_t known,
					    uint32_t per_cell)
{
	return word == known || ((known & EVRI_CELL_COUNT_MASK) == 0 &&
				 word == known - EVRI_CELL_LAP_ONE + per_cell);
}

/* As many cells as hold the capacity wherever in a cell it begins: a cell is written anew
 * from its first entry on, so all that it held must be freed by then. */
EVRI_INLINE uint64_t evri_ring_inline_cells(uint32_t entry_bytes, uint32_t order)
{
	uint32_t per_cell = evri_cell_entries(entry_bytes);

	return ((UINT64_C(1) << order) + 2 * (uint64_t)per_cell - 2) / per_cell;
}

/* Bytes of a ring, header included. */
EVRI_INLINE uint64_t evri_ring_inline_bytes(uint32_t entry_bytes, uint32_t order)
{
	uint64_t cells = evri_ring_inline_cells(entry_bytes, order) *
			 evri_cell_bytes(entry_bytes);

	return sizeof(struct evr_ring_inline_shared) + cells;
}

#endif
