/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_BURST_H
#define EVERING_RING_BURST_H

/**
 * ring_burst.h - several blocks through a ring for the price of one.
 *
 * The blocks of a burst travel *in* another block, which carries their list in its
 * payload and takes one slot of the ring:
 *
 *	push: list -> carrier's word BURST -> each block's word IN -> the carrier's slot
 *	pop:  the carrier's slot -> mark, still BURST -> each block's word OWNED -> the
 *	      carrier freed, when the last is out
 *
 * So all promises of ring.h hold for bursts as well, one and the same recovery serves
 * both, and pushers and poppers of single blocks and of bursts mix freely in one ring. A
 * carrier is an ordinary block from the pusher's magazine, freed into the popper's: of
 * the smallest class that holds the list, no larger than EVR_RING_BURST_PAYLOAD_MAX. In
 * a region whose smallest blocks have 64 bytes, a burst there carries 8 blocks; for
 * bursts of 32 give the pool a class of 256 bytes. Where there is no such block, or the
 * burst is too short to gain by it, the blocks travel one by one.
 *
 * A ring's capacity counts slots: a burst takes one.
 */

#include <evering/ring.h>

/* How many blocks a burst carries, if nobody says otherwise, and at most. */
#define EVR_RING_BURST_DEFAULT 32
#define EVR_RING_BURST_LIMIT 64

/* Fewer travel one by one. */
#define EVR_RING_BURST_MIN 3

/* Blocks with larger payloads are too good to be carriers. */
#define EVR_RING_BURST_PAYLOAD_MAX 4096

EVR_BEGIN_DECLS

/**
 * evr_ring_set_burst_max() - how many blocks this end's pushes put into one burst.
 * @ring: the calling thread's end.
 * @max:  1 (no bursts) to EVR_RING_BURST_LIMIT; 0: EVR_RING_BURST_DEFAULT.
 *
 * Who pops a burst has all of it: where work is to spread over several poppers, fewer
 * are better.
 *
 * Return: 0, or -EINVAL.
 */
EVR_API int evr_ring_set_burst_max(struct evr_ring *ring, uint32_t max) EVR_NODISCARD;

/**
 * evr_ring_try_push_burst() - appends several blocks.
 * @ring:   the calling thread's end.
 * @agent:  the calling thread's.
 * @tokens: of blocks OWNED by this participant, each once. Those pushed are spent.
 * @count:  how many; more than one burst carries is as many bursts as needed.
 *
 * A block that contains others travels by itself, in its place. What fits is pushed, the
 * first blocks first; the rest stays the caller's, with the same tokens.
 *
 * Ordering: as evr_ring_try_push(); the blocks are popped in the order of @tokens.
 * Threads:  one caller at a time per end; any number of ends.
 * Stopped inside: delays nobody. Killed inside: each burst is in the ring as a whole, or
 * its blocks come back by recovery.
 * Cost: of a burst, one locked instruction, and one store or two for each block.
 *
 * Return: how many were pushed, from the first; or, when not one was, the errors of
 * evr_ring_try_push() for the first. 0 for a @count of 0.
 */
EVR_API int evr_ring_try_push_burst(struct evr_ring *ring, struct evr_agent *agent,
				    const evr_token *tokens,
				    uint32_t count) EVR_NODISCARD;

/**
 * evr_ring_try_pop_burst() - takes the oldest blocks, as many as there are.
 * @ring:  the calling thread's end.
 * @agent: the calling thread's.
 * @ret:   room for @max blocks; those taken are OWNED by this participant.
 * @max:   how many at most.
 *
 * Takes single blocks and bursts as they come. Of a burst that is longer than what is
 * wanted the rest stays in this end's hands: it is what the next pops give, of one or of
 * a burst, and nobody else gets it, see evr_ring_in_hand().
 *
 * Ordering, threads, being stopped: as evr_ring_try_pop(). Killed inside: what was taken
 * comes back by recovery.
 *
 * Return: how many were taken; or, when none was, the errors of evr_ring_try_pop().
 * -EPIPE comes after the last block in hand. 0 for a @max of 0.
 */
EVR_API int evr_ring_try_pop_burst(struct evr_ring *ring, struct evr_agent *agent,
				   struct evr_block *ret, uint32_t max) EVR_NODISCARD;

/**
 * evr_ring_in_hand() - blocks that this end has popped in a burst and not handed out yet.
 * @ring: the calling thread's end.
 *
 * They are this participant's, like blocks it allocated: they come back by recovery when
 * it dies or leaves. They are lost to it, until then, if the end is forgotten or
 * overwritten; so take them out, or give them back, before. Closing the agent does not
 * harm them: any agent of the participant takes out the rest. While there are any, a copy
 * of the end is not an end of its own.
 *
 * Return: their number.
 */
EVR_API uint32_t evr_ring_in_hand(const struct evr_ring *ring);

/**
 * evr_ring_give_back() - puts the blocks in hand into the ring again.
 * @ring:  the calling thread's end.
 * @agent: the calling thread's.
 *
 * At the tail, as one burst: they come after what was pushed meanwhile.
 *
 * Stopped inside: delays nobody. Killed inside: they are in the ring, or come back by
 * recovery.
 *
 * Return: how many; -EAGAIN when the ring is full, -EPIPE when it is closed, -EUCLEAN
 * when its slots contradict themselves: then they stay in hand.
 */
EVR_API int evr_ring_give_back(struct evr_ring *ring,
			       struct evr_agent *agent) EVR_NODISCARD;

EVR_END_DECLS
#endif
