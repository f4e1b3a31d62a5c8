/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BLOCK_H
#define EVERING_BLOCK_H

/**
 * block.h - who has a block: its ownership word, and the prefix the word stands in.
 *
 * Every block has one cache line before its payload, its prefix; the payload follows,
 * aligned to a cache line. (In a class with a larger alignment the prefixes stand
 * together, beside the payloads: struct evr_pool_class.) The first word of the prefix is
 * the truth about the block:
 *
 *	{generation 28 | state 4 | owner 32}, from the top
 *
 * and changes in one atomic step. The rest of the prefix is read only when the word says
 * that it counts: the home of a request (where the answer goes) is written before the
 * word says REQ, the response before it says RESP, the list of a burst before BURST.
 *
 *	FREE    nobody's; its bit is set in the pool's bitmap, or about to be
 *	CACHED  in the owner's magazine
 *	OWNED   in the owner's hands, or in a bare ring, pushed by the owner
 *	REQ     a request: queued, or in the hands of the owner, who works on it
 *	RESP    a response: queued, or about to be
 *	IN      contained in the block whose index is the owner field
 *	RETIRED taken out of use with the range that it lies in, by the owner; its payload
 *	        may have no memory
 *	BURST   carries the blocks that its payload lists through a bare ring: lies in it,
 *	        or is with the owner, who takes them out (ring_burst.h)
 *
 * The generation grows by one at every change of holder. It has 28 bits here and its low
 * 24 travel in tokens.
 */

#include <evering/atomic.h>
#include <evering/base.h>
#include <evering/token.h>

enum evr_block_state {
	EVR_BLOCK_FREE = 1,
	EVR_BLOCK_CACHED = 2,
	EVR_BLOCK_OWNED = 3,
	EVR_BLOCK_REQ = 4,
	EVR_BLOCK_RESP = 5,
	EVR_BLOCK_IN = 6,
	EVR_BLOCK_RETIRED = 7,
	EVR_BLOCK_BURST = 8,
};

#define EVR_BLOCK_STATE_SHIFT 32
#define EVR_BLOCK_STATE_BITS 4
#define EVR_BLOCK_GENERATION_SHIFT 36
#define EVR_BLOCK_GENERATION_BITS 28
#define EVR_BLOCK_GENERATION_MASK ((UINT64_C(1) << EVR_BLOCK_GENERATION_BITS) - 1)

/* Owner of a block that lies in a ring and whose sender is dead and recovered. */
#define EVR_OWNER_ORPHAN UINT32_MAX

/* How many further blocks one block may contain. */
#define EVR_BLOCK_CONTENTS_MAX 3

#define EVR_BLOCK_PREFIX_BYTES 64

/** The prefix of a block: a cache line of its own. Layout: docs/LAYOUT.md. */
struct EVR_CACHE_ALIGNED evr_block_shared {
	struct evr_atomic_u64 word; /* the truth: {generation, state, owner} */
	uint64_t home;              /* {attach number 32 | uring 16 | slot 16} */
	uint64_t operation;         /* the submitter's own number for the request */
	uint32_t delivery;          /* {attempts 8 | session of the home 24} */
	int32_t status;             /* of the response: >= 0, or a negative errno */
	uint32_t request_bytes;     /* of the payload, as submitted; of a burst's list */
	uint32_t response_bytes;    /* of the payload, as completed */
	uint64_t contents[EVR_BLOCK_CONTENTS_MAX]; /* {generation 28 | IN | index 32} */
};

EVR_STATIC_ASSERT(sizeof(struct evr_block_shared) == EVR_BLOCK_PREFIX_BYTES,
		  "the prefix is one cache line");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, word) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, home) == 8, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, operation) == 16, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, delivery) == 24, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, status) == 28, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, request_bytes) == 32,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, response_bytes) == 36,
		  "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_block_shared, contents) == 40, "shared layout");

/**
 * struct evr_block - a block as its holder sees it in this process.
 * @token:         its name; use it to free, submit or contain the block.
 * @payload:       its memory here, aligned to 64 bytes, or to what its class says; valid
 *                 while the block is held.
 * @payload_bytes: how much there is (the size of the block's class).
 *
 * A plain value: copying it copies no right. When the block has gone to somebody else,
 * the token no longer works and the payload must not be touched.
 */
struct evr_block {
	evr_token token;
	void *payload;
	uint64_t payload_bytes;
};

EVR_BEGIN_DECLS

/** evr_block_word() - an ownership word from its parts. Threads, signals: any. */
EVR_INLINE uint64_t evr_block_word(uint64_t generation, uint32_t state, uint32_t owner)
{
	return (generation << EVR_BLOCK_GENERATION_SHIFT) |
	       ((uint64_t)state << EVR_BLOCK_STATE_SHIFT) | owner;
}

/** evr_block_word_generation() - all 28 bits of it. Threads, signals: any. */
EVR_INLINE uint64_t evr_block_word_generation(uint64_t word)
{
	return word >> EVR_BLOCK_GENERATION_SHIFT;
}

/** evr_block_word_state() - enum evr_block_state, or garbage if the word is. */
EVR_INLINE uint32_t evr_block_word_state(uint64_t word)
{
	return (uint32_t)(word >> EVR_BLOCK_STATE_SHIFT) &
	       ((1U << EVR_BLOCK_STATE_BITS) - 1);
}

/** evr_block_word_owner() - attach number, EVR_OWNER_ORPHAN, or (IN) a block index. */
EVR_INLINE uint32_t evr_block_word_owner(uint64_t word)
{
	return (uint32_t)word;
}

/* Can a block in this state lie in a ring? One bit for each state. */
EVRI_INLINE bool evri_block_state_travels(uint32_t state)
{
	return (1U << EVR_BLOCK_OWNED | 1U << EVR_BLOCK_REQ | 1U << EVR_BLOCK_RESP |
		1U << EVR_BLOCK_BURST) >>
		       state &
	       1;
}

/** evr_block_word_next() - the same block one holder later. */
EVR_INLINE uint64_t evr_block_word_next(uint64_t word, uint32_t state, uint32_t owner)
{
	/* The shift drops a carry out of the 28 bits: generations wrap. */
	return evr_block_word(evr_block_word_generation(word) + 1, state, owner);
}

EVR_END_DECLS
#endif
