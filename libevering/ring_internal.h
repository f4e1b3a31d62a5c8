/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_RING_INTERNAL_H
#define EVERINGI_RING_INTERNAL_H

/* ring_internal.h - what rings offer to the rooms above them, beyond push and pop. */

#include <evering/ring.h>

/* Makes an open, empty ring of zeroed memory. */
void evri_ring_init(struct evr_ring_shared *shared, uint32_t order, uint32_t flags);

/* A handle on the ring at @shared, of which @bytes lie in its object. @order: what the
 * ring must say, and that neither side is single; or 0 for whatever it says. -EUCLEAN: it
 * is none, or does not fit. */
int evri_ring_bind(struct evr_ring_shared *shared, uint64_t bytes,
			uint32_t order, struct evr_ring *ret);

/* The same for who only looks at the slots: where tail and head are, which a ring that is
 * full has to be searched for, is not asked. */
int evri_ring_view(struct evr_ring_shared *shared, uint64_t bytes, uint32_t order,
		   struct evr_ring *ret);

/* As evr_ring_close(), as long as @guard says @expected; -ECANCELED: it does not. */
int evri_ring_close_guarded(struct evr_ring *ring,
				 const struct evr_atomic_u64 *guard, uint64_t expected);

/* evr_ring_close() of a ring whose pusher is single. */
int evri_ring_hang_up(struct evr_ring *ring);

/* Takes the roles of @dead, who is certainly dead, from the ring; closes it if that was
 * the pusher and somebody had hung up. Repeatable, by several at once. */
void evri_ring_release_roles(struct evr_region *region, struct evr_ring *ring,
			     uint32_t dead);

/* Opens a ring that is closed and drained, where it stands: laps go on counting.
 * -EAGAIN: it is not. */
int evri_ring_reopen(struct evr_ring *ring);

/* A glance: is there nothing to pop at this moment? */
bool evri_ring_seems_empty(const struct evr_ring *ring);

#endif
