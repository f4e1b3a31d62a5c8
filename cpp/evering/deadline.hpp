/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_DEADLINE_HPP
#define EVERING_DEADLINE_HPP

/**
 * deadline.hpp - until when a call may wait.
 *
 * A deadline is a moment of std::chrono::steady_clock, which is CLOCK_MONOTONIC, the
 * clock that the C functions count in; so std::chrono::steady_clock::now() + 100ms is
 * one, and `never` is the one that does not come.
 */

#include <evering/base.h>

#include <chrono>
#include <cstdint>

namespace evering
{

using deadline = std::chrono::steady_clock::time_point;

inline constexpr deadline never = deadline::max();

namespace detail
{

/* What is past is past: the clock's negative moments are 0 to the C functions. */
constexpr std::uint64_t to_deadline_ns(deadline until) noexcept
{
	using std::chrono::duration_cast;
	using std::chrono::nanoseconds;

	if (until == never)
		return EVR_NEVER;
	auto since_boot = duration_cast<nanoseconds>(until.time_since_epoch()).count();
	return since_boot < 0 ? 0 : static_cast<std::uint64_t>(since_boot);
}

} // namespace detail

} // namespace evering

#endif
