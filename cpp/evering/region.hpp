/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REGION_HPP
#define EVERING_REGION_HPP

/**
 * region.hpp - memory that several processes map: evr_region with an owner.
 *
 * Everything else of this face (pools, agents, boxes, channels) points into a region and
 * must end before it does. Declared in the order in which they are made, they do.
 *
 *	auto region = evering::region::create({.bytes = 1 << 20, .bytes_max = 1 << 30});
 *	auto range = region.grow({.bytes = 64 << 20,
 *				  .placement = evering::placement::near_cpu(3)});
 *
 * Which pages it got, and where: report.hpp.
 *
 * After fork() the child has the descriptor and not the mapping: it attaches anew, and
 * leaves with _exit(), so that it does not run the destructors of its parent's objects.
 */

#include <evering/cpu.hpp>
#include <evering/dump.h>
#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/region.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

namespace evering
{

/**
 * placement - where the pages of a range are to lie; a value. As made by default:
 * anywhere, near to whoever creates.
 *
 *	evering::region::create({.bytes = 1 << 30,
 *				 .placement = evering::placement::bind({0, 1})});
 */
class placement
{
public:
	placement() noexcept = default;

	/** bind() - on these nodes and no others. */
	static placement bind(number_set nodes) noexcept
	{
		return placement(EVR_POLICY_BIND, std::move(nodes));
	}

	/** interleave() - on these nodes, page by page in turn. */
	static placement interleave(number_set nodes) noexcept
	{
		return placement(EVR_POLICY_INTERLEAVE, std::move(nodes));
	}

	/** preferred() - on the first of these while it has any, then on others. */
	static placement preferred(number_set nodes) noexcept
	{
		return placement(EVR_POLICY_PREFERRED, std::move(nodes));
	}

	/** near_cpu() - on the node that this CPU belongs to. */
	static placement near_cpu(int cpu) noexcept
	{
		placement result;
		result.policy_ = EVR_POLICY_NEAR_CPU;
		result.cpu_ = cpu;
		return result;
	}

	/** get() - for the C functions, as long as this object lives. */
	evr_placement get() const noexcept
	{
		return {.policy = static_cast<std::uint32_t>(policy_),
			.cpu = cpu_,
			.nodes = nodes_ ? nodes_->get() : nullptr};
	}

private:
	/* A set that was moved away is as good as none: it is refused when used. */
	placement(evr_policy policy, number_set &&nodes) noexcept : policy_(policy)
	{
		if (nodes.get())
			nodes_ = std::move(nodes);
	}

	evr_policy policy_ = EVR_POLICY_ANY;
	int cpu_ = 0;
	std::optional<number_set> nodes_;
};

/**
 * progress - told how much is done while pages are made real, in bytes: (done, all).
 *
 * It may throw. It is not called again then; the pages are made real to the end, since
 * nothing can stop the kernel half-way, and create() or grow() throws what it threw.
 */
using progress = std::function<void(std::uint64_t, std::uint64_t)>;

/** How to create a region; zero means the default. See struct evr_region_options. */
struct region_options {
	std::uint64_t bytes = 0;        /* required: what it begins with */
	std::uint64_t page_bytes = 0;   /* EVR_PAGE_4K, EVR_PAGE_2M or EVR_PAGE_1G */
	std::uint32_t participants = 0; /* attached at once, at most */
	std::uint32_t agents = 0;       /* at once, over all participants, at most */
	const char *name = nullptr;     /* in /proc/PID/maps */
	std::uint64_t bytes_max = 0;    /* what it may grow to */
	bool prefer_pages = false;      /* smaller ones will do */
	bool transparent = false;       /* 4 KiB pages, made huge where they can be */
	bool locked = false;            /* never swapped out */
	bool dumped = false;            /* part of core dumps */
	evering::placement placement = {}; /* of the first range */
	evering::progress progress = {};
};

/** How to grow a region. See struct evr_range_options. */
struct range_options {
	std::uint64_t bytes = 0; /* required: how much */
	bool prefer_pages = false;
	bool transparent = false;
	bool locked = false;
	bool dumped = false;
	evering::placement placement = {}; /* of this range */
	evering::progress progress = {};
};

namespace detail
{

/* What a region and a range have in common. */
template <class Options> std::uint32_t page_flags(const Options &options) noexcept
{
	std::uint32_t flags = 0;

	flags |= options.prefer_pages ? std::uint32_t{EVR_REGION_PREFER_PAGES} : 0;
	flags |= options.transparent ? std::uint32_t{EVR_REGION_TRANSPARENT} : 0;
	flags |= options.locked ? std::uint32_t{EVR_REGION_LOCKED} : 0;
	flags |= options.dumped ? std::uint32_t{EVR_REGION_DUMPED} : 0;
	return flags;
}

/* Calls a progress from C, and keeps what it throws on this side of the C call. */
class progress_call
{
public:
	explicit progress_call(const progress &call) noexcept : call_(call)
	{
	}

	evr_progress function() const noexcept
	{
		return call_ ? &run : nullptr;
	}

	/** What it threw, if it did. */
	const std::exception_ptr &thrown() const noexcept
	{
		return thrown_;
	}

private:
	static void run(void *context, std::uint64_t done, std::uint64_t all) noexcept
	{
		auto *self = static_cast<progress_call *>(context);

		if (self->thrown_)
			return;
		try {
			self->call_(done, all);
		} catch (...) {
			self->thrown_ = std::current_exception();
		}
	}

	const progress &call_;
	std::exception_ptr thrown_;
};

/* Borrows what both hold. */
inline evr_region_options to_region_options(const region_options &options,
					    progress_call &call) noexcept
{
	evr_region_options wanted = {};
	wanted.size = sizeof(wanted);
	wanted.bytes = options.bytes;
	wanted.page_bytes = options.page_bytes;
	wanted.participants = options.participants;
	wanted.agents = options.agents;
	wanted.name = options.name;
	wanted.bytes_max = options.bytes_max;
	wanted.flags = page_flags(options);
	wanted.placement = options.placement.get();
	wanted.progress = call.function();
	wanted.context = &call;
	return wanted;
}

} // namespace detail

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
	 * fails, or what the progress threw; the region is gone again then. */
	static region create(const region_options &options)
	{
		detail::progress_call call(options.progress);
		std::error_code error;
		region made = create(options, call, error);
		if (call.thrown())
			std::rethrow_exception(call.thrown());
		detail::throw_with_detail_if(error, "evering::region::create");
		return made;
	}

	/** The same; ECANCELED when the progress threw. */
	static region
	create(const region_options &options, std::error_code &error) noexcept
	{
		detail::progress_call call(options.progress);
		region made = create(options, call, error);
		if (!call.thrown())
			return made;
		error = to_error_code(-ECANCELED);
		return {};
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

	/** adopt() - owns from now on what a C function attached. */
	static region adopt(evr_region *attached) noexcept
	{
		return region(attached);
	}

	/**
	 * attach_read_only() - looks at the region behind a descriptor without taking
	 * part: for tools. What needs to write fails with EROFS. Throws as
	 * evr_region_attach_read_only() fails.
	 */
	static region attach_read_only(int fd)
	{
		std::error_code error;
		region joined = attach_read_only(fd, error);
		detail::throw_with_detail_if(error, "evering::region::attach_read_only");
		return joined;
	}

	static region attach_read_only(int fd, std::error_code &error) noexcept
	{
		evr_region *joined = nullptr;
		error = to_error_code(evr_region_attach_read_only(fd, &joined));
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

	/**
	 * grow() - makes the next range real, while everybody works. Throws as
	 * evr_region_grow() fails, or what the progress threw; then the range is there
	 * all the same.
	 *
	 * Return: its number, for objects that are to lie in it.
	 */
	std::uint32_t grow(const range_options &options) const
	{
		detail::progress_call call(options.progress);
		std::error_code error;
		std::uint32_t range = grow(options, call, error);
		if (call.thrown())
			std::rethrow_exception(call.thrown());
		detail::throw_with_detail_if(error, "evering::region::grow");
		return range;
	}

	/** The same; the range's number and ECANCELED when the progress threw. 0: there
	 * is no new range. */
	std::uint32_t
	grow(const range_options &options, std::error_code &error) const noexcept
	{
		detail::progress_call call(options.progress);
		std::uint32_t range = grow(options, call, error);
		if (!error && call.thrown())
			error = to_error_code(-ECANCELED);
		return range;
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

	/** number() - this view's attach number; 0 if it only reads. */
	std::uint32_t number() const noexcept
	{
		return evr_region_number(get());
	}

	/** bytes() - of all ranges that are real now. */
	std::uint64_t bytes() const noexcept
	{
		return evr_region_bytes(get());
	}

	/** bytes_max() - what it may grow to. */
	std::uint64_t bytes_max() const noexcept
	{
		return evr_region_bytes_max(get());
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

	/** release() - the caller's from now on, to detach. */
	evr_region *release() noexcept
	{
		return handle_.release();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	static region create(const region_options &options, detail::progress_call &call,
			     std::error_code &error) noexcept
	{
		evr_region_options wanted = detail::to_region_options(options, call);
		evr_region *made = nullptr;
		error = to_error_code(evr_region_create(&wanted, &made));
		return region(made);
	}

	std::uint32_t grow(const range_options &options, detail::progress_call &call,
			   std::error_code &error) const noexcept
	{
		evr_range_options wanted = {};
		wanted.size = sizeof(wanted);
		wanted.bytes = options.bytes;
		wanted.flags = detail::page_flags(options);
		wanted.placement = options.placement.get();
		wanted.progress = call.function();
		wanted.context = &call;

		std::uint32_t range = 0;
		error = to_error_code(evr_region_grow(get(), &wanted, &range));
		return range;
	}

	explicit region(evr_region *attached) noexcept : handle_(attached)
	{
	}

	detail::handle<evr_region, evr_region_detach> handle_;
};

} // namespace evering

#endif
