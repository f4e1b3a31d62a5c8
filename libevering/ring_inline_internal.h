/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_RING_INLINE_INTERNAL_H
#define EVERINGI_RING_INLINE_INTERNAL_H

/* ring_inline_internal.h - what rings of inline entries offer to lanes, which are made of
 * them. */

#include <evering/ring_inline.h>

/* A role word: {state 8 | record 24 | attach number 32}. */
EVRI_INLINE uint64_t evri_role_word(uint32_t state, uint32_t record, uint32_t number)
{
	return evr_agent_word(state, record, number);
}

EVRI_INLINE uint32_t evri_role_state(uint64_t word)
{
	return (uint32_t)(word >> 56);
}

/* -EINVAL with an explanation, or 0. */
int evri_ring_inline_check(uint32_t entry_bytes, uint32_t order, uint32_t flags);

/* Makes an open, empty ring of zeroed memory. */
void evri_ring_inline_init(struct evr_ring_inline_shared *shared, uint32_t entry_bytes,
			   uint32_t order, uint32_t flags);

/* An end without a role of the ring at @shared, of which @bytes lie in its object.
 * @entry_bytes: what it must have, or 0. Returns what it has, or an error. */
int evri_ring_inline_bind(struct evr_region *region,
			  struct evr_ring_inline_shared *shared, uint64_t bytes,
			  uint32_t entry_bytes, struct evr_ring_inline *ret);

/* The role from one who is certainly dead, or from nobody. @ret: what the word is now. */
int evri_ring_inline_claim(struct evr_region *region, struct evr_atomic_u64 *role,
			   uint64_t *ret);

/* Takes the role for a bound end. */
int evri_ring_inline_take(struct evr_ring_inline *ring, uint32_t role,
			  uint32_t entry_bytes);

/* Does a living participant hold the role that this word tells of? */
bool evri_ring_inline_is_held(const struct evr_region *region, uint64_t role);

#endif
