/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_SLOT_H
#define EVERING_RING_SLOT_H

/**
 * ring_slot.h - what all rings have in common: the slot word.
 *
 * A position is 64 bits and never wraps; with 2^order slots, position p is slot
 * p mod 2^order in lap p >> order. A slot is one 64-bit word that says what it holds
 * *and* which lap it is in:
 *
 *	EMPTY(L)     {L mod 2^15 : 15 | 0 : 1 | L >> 15 : 48}
 *	FULL(L, t)   {L mod 2^15 : 15 | 1 : 1 | token t : 48}
 *	CLOSED(L)    FULL(L, all ones): nothing gets past it
 *
 * So a slot runs EMPTY(1) FULL(1) EMPTY(2) FULL(2) ..., each step one atomic change with
 * nothing in between: there is no half-done push or pop that somebody would have to wait
 * for, help or undo. Laps start at 1, so zeroed memory is not a ring. An EMPTY word
 * carries its whole lap, so a producer's compare-and-swap cannot mistake one lap for
 * another however long it was stopped.
 */

#include <evering/base.h>
#include <evering/token.h>

#define EVR_RING_ORDER_MIN 1
#define EVR_RING_ORDER_MAX 24
#define EVR_RING_FIRST_LAP 1

/* A side of a ring that is for one, and the role of who has it. */
#define EVR_RING_PUSHER UINT32_C(1)
#define EVR_RING_POPPER UINT32_C(2)

#define EVR_SLOT_LAP_BITS 15
#define EVR_SLOT_CLOSED EVR_TOKEN_WIRE_MASK

/* The top 16 bits of a slot, {lap, full}, as one number that grows by one a step. */
EVRI_INLINE uint16_t evri_slot_step(uint64_t word)
{
	return (uint16_t)(word >> EVR_TOKEN_WIRE_BITS);
}

EVRI_INLINE uint64_t evri_slot_empty(uint64_t lap)
{
	return (lap << (EVR_TOKEN_WIRE_BITS + 1)) | (lap >> EVR_SLOT_LAP_BITS);
}

EVRI_INLINE uint64_t evri_slot_full(uint64_t lap, uint64_t wire)
{
	return (lap << (EVR_TOKEN_WIRE_BITS + 1)) | (UINT64_C(1) << EVR_TOKEN_WIRE_BITS) |
	       wire;
}

/* The whole lap of an EMPTY word. */
EVRI_INLINE uint64_t evri_slot_empty_lap(uint64_t word)
{
	return (word & EVR_TOKEN_WIRE_MASK) << EVR_SLOT_LAP_BITS |
	       word >> (EVR_TOKEN_WIRE_BITS + 1);
}

EVRI_INLINE bool evri_slot_is_full(uint64_t word)
{
	return word >> EVR_TOKEN_WIRE_BITS & 1;
}

/* How many steps the slot is ahead of EMPTY(lap); negative: behind. Exact while both are
 * within 2^14 laps of each other, which the hints see to. */
EVRI_INLINE int evri_slot_ahead(uint64_t word, uint64_t lap)
{
	return (int16_t)(uint16_t)(evri_slot_step(word) - (uint16_t)(lap << 1));
}

#endif
