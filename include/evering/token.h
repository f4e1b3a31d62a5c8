/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TOKEN_H
#define EVERING_TOKEN_H

/**
 * token.h - names of blocks that mean the same in every process. Arithmetic only.
 *
 * A token is {region tag 16 | block index 24 | generation 24}, from the top. The lower
 * 48 bits are its form on the wire (in a ring's slot); the tag is added where a user
 * holds it, so that a token of another region is refused. The generation is the low 24
 * bits of the block's own, which changes with every change of holder: a token works
 * once, and a second use is an error rather than somebody else's block.
 */

#include <evering/base.h>

/** A block's name. A zero token is never valid (region tags are not zero). */
typedef struct evr_token {
	uint64_t raw;
} evr_token;

#define EVR_TOKEN_INDEX_BITS 24
#define EVR_TOKEN_GENERATION_BITS 24
#define EVR_TOKEN_WIRE_BITS 48

#define EVR_TOKEN_GENERATION_MASK ((UINT64_C(1) << EVR_TOKEN_GENERATION_BITS) - 1)
#define EVR_TOKEN_WIRE_MASK ((UINT64_C(1) << EVR_TOKEN_WIRE_BITS) - 1)

/* The highest index is no block's: all ones on the wire means "closed". */
#define EVR_TOKEN_INDEX_MAX ((UINT32_C(1) << EVR_TOKEN_INDEX_BITS) - 2)

EVR_BEGIN_DECLS

/** evr_token_wire() - the 48 bits that travel. Threads, signals: any. */
EVR_INLINE uint64_t evr_token_wire(evr_token token)
{
	return token.raw & EVR_TOKEN_WIRE_MASK;
}

/** evr_token_index() - the block's index in its region's pool. Threads, signals: any. */
EVR_INLINE uint32_t evr_token_index(evr_token token)
{
	return (uint32_t)(evr_token_wire(token) >> EVR_TOKEN_GENERATION_BITS);
}

/** evr_token_generation() - low 24 bits of the block's own. Threads, signals: any. */
EVR_INLINE uint32_t evr_token_generation(evr_token token)
{
	return (uint32_t)(token.raw & EVR_TOKEN_GENERATION_MASK);
}

/** evr_token_tag() - which region it belongs to. Threads, signals: any. */
EVR_INLINE uint16_t evr_token_tag(evr_token token)
{
	return (uint16_t)(token.raw >> EVR_TOKEN_WIRE_BITS);
}

/** evr_token_make() - the token of block @index at @generation (taken modulo 2^24). */
EVR_INLINE evr_token evr_token_make(uint16_t tag, uint32_t index, uint64_t generation)
{
	evr_token token = { ((uint64_t)tag << EVR_TOKEN_WIRE_BITS) |
			    ((uint64_t)index << EVR_TOKEN_GENERATION_BITS) |
			    (generation & EVR_TOKEN_GENERATION_MASK) };
	return token;
}

EVR_END_DECLS
#endif
