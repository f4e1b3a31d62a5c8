/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BACKOFF_HPP
#define EVERING_BACKOFF_HPP

/**
 * backoff.hpp - how to poll: wait between two looks, a little longer each time, and leave
 * the cache line to the one who is about to store to it. See <evering/backoff.h>.
 *
 *	evering::backoff backoff;
 *	while (!(block = popper.try_pop()))
 *		backoff.wait();
 */

#include <evering/backoff.h>

namespace evering
{

/** How long one has been waiting for the same thing. Of the thread that polls. */
class backoff {
    public:
	/** Some ten nanoseconds, twice as long each time, up to some hundreds. */
	void wait() noexcept
	{
		evr_backoff_wait(&waited_);
	}

	/** It has come: the next wait is a short one again. */
	void reset() noexcept
	{
		waited_ = {};
	}

    private:
	evr_backoff waited_{};
};

} // namespace evering

#endif
