/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_ROLE_H
#define EVERING_RING_ROLE_H

/**
 * ring_role.h - who is at a side of a ring that was made for one.
 *
 * A side that is single has a *role*, a word in the ring's header that says whose it is:
 * an agent's of a participant. It is taken by compare-and-swap when it is free, or when
 * its holder is certainly dead; it is given back by its holder, or by whoever recovers
 * it. It is never taken from the living, stopped or not: the holder's next step may be a
 * plain store. So a stopped holder holds up its own side, and nobody else can be at that;
 * the other side goes on as far as the ring has room, or blocks.
 *
 * Where the side stood is never read from its last holder's memory. A new holder walks to
 * it from the shared hint, over the slots, as ends of many-sided rings do.
 *
 *	role:   FREE --take--> HELD --leave, or recovered--> FREE
 *	                       HELD --holder certainly dead, take--> HELD by another
 */

#include <evering/ring.h>

EVR_BEGIN_DECLS

/**
 * evr_ring_role_word() - a role's word from its parts; 0 is nobody's.
 * @number: attach number of the holder.
 * @agent:  index of the agent that took it: for people to read, it decides nothing.
 *
 * Threads, signals: any.
 */
EVR_INLINE uint64_t evr_ring_role_word(uint32_t number, uint32_t agent)
{
	return ((uint64_t)number << 32) | agent;
}

/**
 * evr_ring_take_role() - becomes the one at a single side.
 * @ring:  the calling thread's end. From now on it pushes, or pops, until it leaves the
 *         role; copies made before do not.
 * @agent: the calling thread's, of the same region.
 * @role:  EVR_RING_PUSHER or EVR_RING_POPPER.
 *
 * A holder whose record says ALIVE is asked for at the kernel, once; one that has ended
 * is succeeded at once, recovered or not.
 *
 * Ordering: all that the former holder did at this side is seen.
 * Threads:  one caller at a time per end; any number of ends.
 * Stopped inside: the role is held, or free. Killed inside: it is free again when this
 * death is known.
 * Fork: the role is the parent's.
 *
 * Return: 0, -EBUSY when a living one holds it (evr_error_detail() names it), -EALREADY
 * when this end does, -EINVAL when that side is for many or there is no such role, -EXDEV
 * when the agent is another region's, -EPIPE when somebody has closed the ring or hung up
 * (to be its pusher), -EUCLEAN when the slots contradict themselves, or a negative errno
 * of the look for the dead.
 */
EVR_API int evr_ring_take_role(struct evr_ring *ring, const struct evr_agent *agent,
			       uint32_t role) EVR_NODISCARD;

/**
 * evr_ring_leave_role() - is no longer the one at this side.
 * @ring:  the end that took it.
 * @agent: the agent that it was taken with.
 * @role:  EVR_RING_PUSHER or EVR_RING_POPPER.
 *
 * The blocks in the ring stay there. A pusher's leaving does not close the ring, unless
 * somebody has hung up.
 *
 * Ordering: all that this thread did at this side is seen by the next one.
 * Threads:  the end's. Stopped or killed inside: it is held, or free.
 *
 * Return: 0, -EPERM when this end does not hold it, -EUCLEAN when the role's word does
 * not say so any more (the end has left all the same).
 */
EVR_API int evr_ring_leave_role(struct evr_ring *ring, const struct evr_agent *agent,
				uint32_t role);

EVR_END_DECLS
#endif
