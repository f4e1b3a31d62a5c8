/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_URING_HPP
#define EVERING_URING_HPP

/**
 * uring.hpp - one submission ring for all, a completion ring home for each submitter:
 * evr_uring with an owner. channel.hpp gives it types.
 */

#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/pool.hpp>
#include <evering/uring.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace evering
{

/** How to create a uring; zero means the default. See struct evr_uring_options. */
struct uring_options {
	const char *name = nullptr;
	std::uint32_t submission_capacity = 0; /* a power of two */
	std::uint32_t completion_capacity = 0; /* of each submitter; a power of two */
	std::uint32_t submitters = 0;          /* at once, at most */
	std::uint32_t range = 0;               /* of the region: where it lies */
};

/**
 * uring - this process's view of a uring. Move-only. Ends before its pool does, and after
 * the submitters and completers on it.
 *
 * Threads: any number may use one uring.
 */
class uring
{
public:
	uring() noexcept = default;

	/**
	 * create() - makes a uring whose messages have these sizes (0: any), the same for
	 * everybody. Throws as evr_uring_create() fails.
	 */
	static uring create(const pool &in, const uring_options &options = {},
			    std::uint32_t request_bytes = 0,
			    std::uint32_t response_bytes = 0)
	{
		std::error_code error;
		uring made = create(in, options, request_bytes, response_bytes, error);
		detail::throw_with_detail_if(error, "evering::uring::create");
		return made;
	}

	static uring create(const pool &in, const uring_options &options,
			    std::uint32_t request_bytes, std::uint32_t response_bytes,
			    std::error_code &error) noexcept
	{
		evr_uring_options wanted = {};
		wanted.size = sizeof(wanted);
		wanted.name = options.name;
		wanted.submission_capacity = options.submission_capacity;
		wanted.completion_capacity = options.completion_capacity;
		wanted.submitters = options.submitters;
		wanted.request_bytes = request_bytes;
		wanted.response_bytes = response_bytes;
		wanted.range = options.range;

		evr_uring *made = nullptr;
		error = to_error_code(evr_uring_create(in.get(), &wanted, &made));
		return uring(made);
	}

	/**
	 * open() - the uring of this name. Throws as evr_uring_open() fails: EPROTO when
	 * the creator's sizes are others.
	 */
	static uring open(const pool &in, const char *name = nullptr,
			  std::uint32_t request_bytes = 0,
			  std::uint32_t response_bytes = 0)
	{
		std::error_code error;
		uring found = open(in, name, request_bytes, response_bytes, error);
		detail::throw_with_detail_if(error, "evering::uring::open");
		return found;
	}

	static uring open(const pool &in, const char *name, std::uint32_t request_bytes,
			  std::uint32_t response_bytes, std::error_code &error) noexcept
	{
		evr_uring *found = nullptr;
		error = to_error_code(evr_uring_open(in.get(), name, request_bytes,
						     response_bytes, &found));
		return uring(found);
	}

	/**
	 * try_shutdown() - lets no more requests in, for everybody and for ever; what is
	 * queued is still served.
	 *
	 * Return: false when the submission ring is full at this moment: try again.
	 */
	[[nodiscard]] bool try_shutdown()
	{
		std::error_code error;
		bool done = try_shutdown(error);
		detail::throw_if(error, "evering::uring::try_shutdown");
		return done;
	}

	[[nodiscard]] bool try_shutdown(std::error_code &error) noexcept
	{
		int result = evr_uring_shutdown(get());
		error = to_error_code(result == -EAGAIN ? 0 : result);
		return result >= 0;
	}

	/** window() - how many requests a submitter may have in flight. */
	std::uint32_t window() const noexcept
	{
		return evr_uring_window(get());
	}

	/** get() - for the C functions; still owned by this object. */
	evr_uring *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	explicit uring(evr_uring *view) noexcept : handle_(view)
	{
	}

	detail::handle<evr_uring, evr_uring_close> handle_;
};

} // namespace evering

#endif
