/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BACKOFF_H
#define EVERING_BACKOFF_H

/**
 * backoff.h - how to poll.
 *
 * A popper that finds its ring empty and looks again at once takes the cache line that
 * the pusher is about to store to, and the pusher has to fetch it back: each look of one
 * side is a stall of the other. A stream that is polled so runs at the speed of the line
 * going to and fro, and at half that time or less when whoever finds nothing leaves the
 * line alone for a moment (bench/README.md, "How to poll"). So wait between two looks, a
 * little longer each time:
 *
 *	struct evr_backoff backoff = { 0 };
 *
 *	while ((error = evr_ring_try_pop(&ring, &agent, &block)) == -EAGAIN)
 *		evr_backoff_wait(&backoff);
 *
 * Where one message at a time goes to and fro, and each nanosecond counts, there is
 * nothing that a look could disturb: look again at once there.
 */

#include <evering/atomic.h>

/** Pauses between two looks, at most. */
#define EVR_BACKOFF_PAUSES_MAX 16

/**
 * struct evr_backoff - how long one has been waiting for the same thing. Zeroed: not yet.
 * A plain value of the thread that polls.
 */
struct evr_backoff {
	uint32_t pauses; /* the next wait, in evr_pause(); 0: one */
};

/**
 * evr_backoff_wait() - waits before the next look.
 * @backoff: zero it when what was waited for has come.
 *
 * One evr_pause() the first time, twice as many each time after, EVR_BACKOFF_PAUSES_MAX
 * at most: some ten nanoseconds up to some hundreds, as the CPU has it. Never a system
 * call: a thread that may have to wait for longer sleeps at a doorbell.
 *
 * Threads, signals: any.
 */
EVR_INLINE void evr_backoff_wait(struct evr_backoff *backoff)
{
	uint32_t pauses = backoff->pauses ? backoff->pauses : 1;

	for (uint32_t i = 0; i < pauses; i++)
		evr_pause();
	backoff->pauses =
		pauses < EVR_BACKOFF_PAUSES_MAX ? 2 * pauses : EVR_BACKOFF_PAUSES_MAX;
}

#endif
