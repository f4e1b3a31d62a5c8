/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_HOME_H
#define EVERING_HOME_H

/**
 * home.h - return addresses: how urings lie in shared memory.
 *
 * A uring is one submission ring for all, and a *home* for each submitter: a slot word, a
 * doorbell, a completion ring and a return ring. A request's prefix names the home that
 * its answer goes to, so the answer finds its way whoever holds the block: a completer
 * pushes it on the home's completion ring; recovery, in the place of a dead completer, on
 * the home's return ring.
 *
 * The slot word is {state 2 | 0 : 6 | session 24 | attach number 32}. A home that nobody
 * has is FREE and both its rings are closed; opening it starts a new session and opens
 * the rings; leaving it, or recovery after a death, closes and drains them and makes it
 * FREE. Nothing is ever initialised twice: laps and sessions go on counting.
 *
 * This header is layout, shared by recovery and by uring.h; there is nothing to call.
 */

#include <evering/doorbell.h>
#include <evering/ring.h>

enum evr_home_state {
	EVR_HOME_FREE = 1,
	EVR_HOME_OPEN = 2,
};

#define EVR_HOME_SESSION_BITS 24
#define EVR_HOME_SESSION_MASK ((UINT32_C(1) << EVR_HOME_SESSION_BITS) - 1)

/* How often a request was handed out again is counted up to this. */
#define EVR_ATTEMPTS_MAX 255

/** A home; its completion ring and return ring follow. */
struct EVR_CACHE_ALIGNED evr_home_shared {
	struct evr_atomic_u64 word; /* whose it is, and which session */
	uint64_t reserved[7];
	struct evr_doorbell_shared bell; /* its submitter sleeps here */
};

EVR_STATIC_ASSERT(sizeof(struct evr_doorbell_shared) == 64, "one line a bell");
EVR_STATIC_ASSERT(sizeof(struct evr_home_shared) == 128, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_home_shared, word) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_home_shared, bell) == 64, "shared layout");

/** The header of a uring. Constant after creation but for the bell. */
struct EVR_CACHE_ALIGNED evr_uring_shared {
	uint64_t magic;
	uint32_t request_bytes;    /* 0: any */
	uint32_t response_bytes;   /* 0: any */
	uint32_t submission_order; /* log2 of the submission ring's slots */
	uint32_t completion_order; /* of each completion ring; return rings have twice */
	uint32_t homes_count;
	uint32_t reserved32;
	uint64_t submission_offset; /* from the uring's start */
	uint64_t homes_offset;
	uint64_t home_stride_bytes;
	uint64_t reserved;
	struct evr_doorbell_shared bell; /* completers sleep here */
};

EVR_STATIC_ASSERT(offsetof(struct evr_uring_shared, magic) == 0 &&
			  offsetof(struct evr_uring_shared, request_bytes) == 8 &&
			  offsetof(struct evr_uring_shared, response_bytes) == 12 &&
			  offsetof(struct evr_uring_shared, submission_order) == 16 &&
			  offsetof(struct evr_uring_shared, completion_order) == 20 &&
			  offsetof(struct evr_uring_shared, homes_count) == 24 &&
			  offsetof(struct evr_uring_shared, submission_offset) == 32 &&
			  offsetof(struct evr_uring_shared, homes_offset) == 40 &&
			  offsetof(struct evr_uring_shared, home_stride_bytes) == 48 &&
			  offsetof(struct evr_uring_shared, bell) == 64,
		  "shared layout");
EVR_STATIC_ASSERT(sizeof(struct evr_uring_shared) == 128, "shared layout");

#define EVR_URING_MAGIC UINT64_C(0x31676e6972557645) /* "EvUring1" as bytes */

#define EVR_URING_HOMES_MAX 4096

EVRI_INLINE uint64_t evri_home_word(uint32_t state, uint32_t session, uint32_t number)
{
	return ((uint64_t)state << 62) |
	       ((uint64_t)(session & EVR_HOME_SESSION_MASK) << 32) | number;
}

EVRI_INLINE uint32_t evri_home_word_state(uint64_t word)
{
	return (uint32_t)(word >> 62);
}

EVRI_INLINE uint32_t evri_home_word_session(uint64_t word)
{
	return (uint32_t)(word >> 32) & EVR_HOME_SESSION_MASK;
}

/* The prefix's word for which session of the home, and how often. */
EVRI_INLINE uint32_t evri_delivery(uint32_t session, uint32_t attempts)
{
	if (attempts > EVR_ATTEMPTS_MAX)
		attempts = EVR_ATTEMPTS_MAX;
	return attempts << EVR_HOME_SESSION_BITS | (session & EVR_HOME_SESSION_MASK);
}

EVRI_INLINE uint32_t evri_delivery_session(uint32_t delivery)
{
	return delivery & EVR_HOME_SESSION_MASK;
}

EVRI_INLINE uint32_t evri_delivery_attempts(uint32_t delivery)
{
	return delivery >> EVR_HOME_SESSION_BITS;
}

/* The return address in a block's prefix. */
EVRI_INLINE uint64_t evri_home_address(uint32_t number, uint32_t uring, uint32_t slot)
{
	return ((uint64_t)number << 32) | ((uint64_t)(uring & 0xffff) << 16) |
	       (slot & 0xffff);
}

#endif
