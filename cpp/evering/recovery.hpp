/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RECOVERY_HPP
#define EVERING_RECOVERY_HPP

/**
 * recovery.hpp - what the dead held comes back: evr_recover(), and evr_recoverer_step()
 * for those who want it in small pieces.
 */

#include <evering/error.hpp>
#include <evering/pool.hpp>
#include <evering/recovery.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <system_error>

namespace evering
{

using recovery_stats = evr_recovery_stats;

/**
 * recover() - finds the dead and brings back what they held. See recovery.h.
 *
 * Submitters and completers that wait do this by themselves. Call it when only try_
 * functions are used, when blocks run out, or when a child is known to have died.
 *
 * Return: what was done; not all that is dead was finished when finished < dead.
 */
inline recovery_stats recover(agent &with, std::error_code &error) noexcept
{
	recovery_stats done = {};
	error = to_error_code(evr_recover(with.get(), &done));
	return done;
}

inline recovery_stats recover(agent &with)
{
	std::error_code error;
	recovery_stats done = recover(with, error);
	detail::throw_if(error, "evering::recover");
	return done;
}

/** What has become of a pass of recovery. */
enum class recovery_progress {
	more,      /* there is more to do */
	done,      /* it is over, and all is back */
	postponed, /* it is over; something is in the hands of a living one: come again */
};

/**
 * recoverer - recovery in steps of bounded length. See recovery.h.
 *
 * Of one thread, with the agent of that thread, which must outlive it. Moves; its memory
 * is private. Destroyed in mid-pass it leaves the rest to the next recoverer.
 */
class recoverer
{
public:
	explicit recoverer(agent &with)
	{
		evr_recoverer *opened = nullptr;
		std::error_code error =
			to_error_code(evr_recoverer_open(with.get(), &opened));
		detail::throw_if(error, "evering::recoverer");
		handle_.reset(opened);
	}

	/** step() - at most @looks of work (and up to a chunk of blocks more). */
	recovery_progress step(std::uint64_t looks, std::error_code &error) noexcept
	{
		int result = evr_recoverer_step(handle_.get(), looks, &done_);

		error.clear();
		if (result == 1)
			return recovery_progress::more;
		if (result == -EAGAIN)
			return recovery_progress::postponed;
		error = to_error_code(result);
		return recovery_progress::done;
	}

	recovery_progress step(std::uint64_t looks)
	{
		std::error_code error;
		recovery_progress progress = step(looks, error);
		detail::throw_if(error, "evering::recoverer::step");
		return progress;
	}

	/** stats() - everything since it was opened, as of the last step. */
	const recovery_stats &stats() const noexcept
	{
		return done_;
	}

	evr_recoverer *get() const noexcept
	{
		return handle_.get();
	}

private:
	struct closer {
		void operator()(evr_recoverer *handle) const noexcept
		{
			evr_recoverer_close(handle);
		}
	};
	std::unique_ptr<evr_recoverer, closer> handle_;
	recovery_stats done_ = {};
};

} // namespace evering

#endif
