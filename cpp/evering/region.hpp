/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REGION_HPP
#define EVERING_REGION_HPP

/**
 * region.hpp - memory that several processes map: evr_region with an owner.
 *
 * Everything else of this face (pools, agents, boxes, channels) points into a region and
 * must end before it does. Declared in the order in which they are made, they do.
 *
 * After fork() the child has the descriptor and not the mapping: it attaches anew, and
 * leaves with _exit(), so that it does not run the destructors of its parent's objects.
 */

#include <evering/dump.h>
#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/region.h>

#include <cstdint>
#include <system_error>
#include <utility>

namespace evering
{

/** How to create a region; zero means the default. See struct evr_region_options. */
struct region_options {
	std::uint64_t bytes = 0;        /* required */
	std::uint64_t page_bytes = 0;   /* EVR_PAGE_4K or EVR_PAGE_2M */
	std::uint32_t participants = 0; /* attached at once, at most */
	std::uint32_t agents = 0;       /* at once, over all participants, at most */
	const char *name = nullptr;     /* in /proc/PID/maps */
};

/**
 * region - this process's view of a region, and its membership in it. Move-only.
 *
 * The destructor leaves: what was still held comes back by another's recovery, as if the
 * process had died.
 *
 * Threads: any number may use one region; one ends it.
 */
class region
{
public:
	/** An empty one: only assigning to it, bool and destroying it make sense. */
	region() noexcept = default;

	/** create() - makes a region and attaches to it. Throws as evr_region_create()
	 * fails. */
	static region create(const region_options &options)
	{
		std::error_code error;
		region made = create(options, error);
		detail::throw_with_detail_if(error, "evering::region::create");
		return made;
	}

	static region
	create(const region_options &options, std::error_code &error) noexcept
	{
		evr_region_options wanted = {};
		wanted.size = sizeof(wanted);
		wanted.bytes = options.bytes;
		wanted.page_bytes = options.page_bytes;
		wanted.participants = options.participants;
		wanted.agents = options.agents;
		wanted.name = options.name;

		evr_region *made = nullptr;
		error = to_error_code(evr_region_create(&wanted, &made));
		return region(made);
	}

	/**
	 * attach() - joins the region behind a descriptor, which stays the caller's.
	 * Throws as evr_region_attach() fails.
	 */
	static region attach(int fd)
	{
		std::error_code error;
		region joined = attach(fd, error);
		detail::throw_with_detail_if(error, "evering::region::attach");
		return joined;
	}

	static region attach(int fd, std::error_code &error) noexcept
	{
		evr_region *joined = nullptr;
		error = to_error_code(evr_region_attach(fd, &joined));
		return region(joined);
	}

	/**
	 * receive() - takes what send() sent over a connected Unix socket, and attaches.
	 * Waits for it when the socket is a blocking one. Throws as evr_region_receive()
	 * fails.
	 */
	static region receive(int socket_fd)
	{
		std::error_code error;
		region joined = receive(socket_fd, error);
		detail::throw_with_detail_if(error, "evering::region::receive");
		return joined;
	}

	static region receive(int socket_fd, std::error_code &error) noexcept
	{
		evr_region *joined = nullptr;
		error = to_error_code(evr_region_receive(socket_fd, &joined));
		return region(joined);
	}

	/** send() - hands the region over a connected Unix socket. One sender at a time.
	 * */
	void send(int socket_fd) const
	{
		std::error_code error;
		send(socket_fd, error);
		detail::throw_with_detail_if(error, "evering::region::send");
	}

	void send(int socket_fd, std::error_code &error) const noexcept
	{
		error = to_error_code(evr_region_send(get(), socket_fd));
	}

	/** dump() - writes what is going on in the region, in text. See dump.h. */
	void dump(int fd) const
	{
		std::error_code error;
		dump(fd, error);
		detail::throw_if(error, "evering::region::dump");
	}

	void dump(int fd, std::error_code &error) const noexcept
	{
		error = to_error_code(evr_region_dump(get(), fd));
	}

	/** fd() - the descriptor to hand over. Close-on-exec; ends with the region. */
	int fd() const noexcept
	{
		return evr_region_fd(get());
	}

	/** number() - this view's attach number, never 0. */
	std::uint32_t number() const noexcept
	{
		return evr_region_number(get());
	}

	/** bytes() - the region's size. */
	std::uint64_t bytes() const noexcept
	{
		return evr_region_bytes(get());
	}

	/** page_bytes() - the size of its pages. */
	std::uint64_t page_bytes() const noexcept
	{
		return evr_region_page_bytes(get());
	}

	/** get() - for the C functions; still owned by this object. */
	evr_region *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	explicit region(evr_region *attached) noexcept : handle_(attached)
	{
	}

	detail::handle<evr_region, evr_region_detach> handle_;
};

} // namespace evering

#endif
