/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_JANITOR_HPP
#define EVERING_JANITOR_HPP

/**
 * janitor.hpp - answering deaths from the application's own event loop: janitor.h with an
 * owner.
 *
 *	evering::janitor janitor(region);
 *	loop.watch(janitor.fd(), [&] {
 *		if (janitor.step())
 *			std::cerr << "somebody died\n";
 *	});
 */

#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/janitor.h>
#include <evering/recovery.hpp>
#include <evering/region.hpp>

#include <chrono>
#include <cstdint>
#include <system_error>

namespace evering
{

/** How often to look for those that the kernel does not tell of: zero is the default,
 * nanoseconds::max() is never. */
struct janitor_options {
	std::chrono::nanoseconds interval = {};
};

/**
 * janitor - looks for the dead when told to, in place of the library's thread. Move-only;
 * the destructor lets the view have its thread again. The region must outlive it.
 *
 * Threads: one at a time.
 */
class janitor
{
      public:
	/** An empty one: only assigning to it, bool and destroying it make sense. */
	janitor() noexcept = default;

	/** Takes over. Throws as evr_janitor_open() fails. */
	explicit janitor(region &of, janitor_options options = {})
	{
		std::error_code error;
		handle_.reset(open(of, options, error));
		detail::throw_with_detail_if(error, "evering::janitor");
	}

	janitor(region &of, janitor_options options, std::error_code &error) noexcept
		: handle_(open(of, options, error))
	{
	}

	/** fd() - readable when step() has something to do. */
	int fd() const noexcept
	{
		return evr_janitor_fd(get());
	}

	/** step() - answers; how many participants were found dead. Never waits. */
	std::uint32_t step(recovery_stats *ret_stats = nullptr)
	{
		std::error_code error;
		std::uint32_t dead = step(ret_stats, error);
		detail::throw_with_detail_if(error, "evering::janitor::step");
		return dead;
	}

	std::uint32_t step(recovery_stats *ret_stats, std::error_code &error) noexcept
	{
		int result = evr_janitor_step(get(), ret_stats);
		error = to_error_code(result);
		return result < 0 ? 0 : static_cast<std::uint32_t>(result);
	}

	/** get() - for the C functions; still owned by this object. */
	evr_janitor *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

      private:
	/* A negative one is as out of range as one that is too short. */
	static std::uint64_t to_interval_ns(std::chrono::nanoseconds interval) noexcept
	{
		if (interval == std::chrono::nanoseconds::max())
			return EVR_NEVER;
		return interval.count() < 0
			       ? 1
			       : static_cast<std::uint64_t>(interval.count());
	}

	static evr_janitor *open(region &of, const janitor_options &options,
				 std::error_code &error) noexcept
	{
		evr_janitor_options wanted = {};
		evr_janitor *made = nullptr;

		wanted.size = sizeof(wanted);
		wanted.interval_ns = to_interval_ns(options.interval);
		error = to_error_code(evr_janitor_open(of.get(), &wanted, &made));
		return error ? nullptr : made;
	}

	detail::handle<evr_janitor, evr_janitor_close> handle_;
};

} // namespace evering

#endif
