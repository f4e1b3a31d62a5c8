/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RECOVERY_HPP
#define EVERING_RECOVERY_HPP

/**
 * recovery.hpp - what the dead held comes back: evr_recover().
 */

#include <evering/error.hpp>
#include <evering/pool.hpp>
#include <evering/recovery.h>

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

} // namespace evering

#endif
