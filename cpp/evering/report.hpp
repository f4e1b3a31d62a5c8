/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REPORT_HPP
#define EVERING_REPORT_HPP

/**
 * report.hpp - which pages a region really has, and where they are: a value that is a
 * range of ranges.
 *
 *	auto report = evering::region_report::of(region);
 *
 *	for (const auto &range : report)
 *		for (const auto &[node, bytes] : range.nodes)
 *			std::cout << bytes << " bytes on node " << node << '\n';
 *	std::cerr << report.text();
 */

#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/region.hpp>
#include <evering/report.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace evering
{

namespace detail
{

/* C has a function of the same name. */
using report = struct evr_report;
using report_handle = handle<report, evr_region_report_destroy>;

} // namespace detail

/** Bytes of a range that lie in a node. */
struct node_bytes {
	int node;
	std::uint64_t bytes;
};

/** What a range is, and what was asked for. See struct evr_range_report. */
struct range_report {
	std::uint64_t offset; /* from the region's start */
	std::uint64_t bytes;
	evr_range_state state;      /* what follows is zero unless it is READY */
	evr_policy policy;          /* as asked for */
	std::uint32_t flags;        /* enum evr_region_flags, as asked for */
	std::uint64_t nodes_wanted; /* node n at bit n, up to 63 */
	std::uint64_t page_bytes;
	std::uint64_t huge_bytes;   /* mapped here in pages of 2 MiB or more */
	std::uint64_t returned_bytes; /* given back by agent::retire() */
	std::uint64_t absent_bytes; /* holes that somebody punched */
	bool locked;
	bool dumped;
	std::uint64_t settle_ns; /* how long making it real took */
	std::vector<node_bytes> nodes; /* those with bytes, ascending */
};

/**
 * region_report - a region as it was when of() looked. A value: copies are cheap.
 *
 * Threads: any number may read one.
 */
class region_report
{
public:
	using value_type = range_report;
	using const_iterator = std::vector<range_report>::const_iterator;

	/** An empty one: without ranges, and of a region of no bytes. */
	region_report() noexcept = default;

	/** of() - looks at each page of a region. Throws as evr_region_report() fails.
	 * */
	static region_report of(const region &looked_at)
	{
		std::error_code error;
		region_report made = of(looked_at, error);
		detail::throw_with_detail_if(error, "evering::region_report");
		return made;
	}

	static region_report of(const region &looked_at, std::error_code &error) noexcept
	{
		detail::report *made = nullptr;

		error = to_error_code(evr_region_report(looked_at.get(), &made));
		if (error)
			return {};
		detail::report_handle owned(made);
		try {
			return region_report(std::move(owned));
		} catch (const std::bad_alloc &) {
			error = to_error_code(-ENOMEM);
			return {};
		}
	}

	/** write() - as text, a line for each range. */
	void write(int fd) const
	{
		std::error_code error;
		write(fd, error);
		detail::throw_if(error, "evering::region_report::write");
	}

	void write(int fd, std::error_code &error) const noexcept
	{
		error = to_error_code(shared_ ? evr_region_report_write(get(), fd) : 0);
	}

	/** text() - what write() writes. */
	std::string text() const
	{
		int fd = memfd_create("evering report", MFD_CLOEXEC);
		std::error_code error = to_error_code(fd < 0 ? -errno : 0);
		std::string result;

		if (!error)
			write(fd, error);
		try {
			if (!error)
				result = content_of(fd, error);
		} catch (...) {
			close(fd);
			throw;
		}
		if (fd >= 0)
			close(fd);
		detail::throw_if(error, "evering::region_report::text");
		return result;
	}

	/** bytes() - of all READY ranges. */
	std::uint64_t bytes() const noexcept
	{
		return shared_ ? get()->bytes : 0;
	}

	/** bytes_max() - what the region may grow to. */
	std::uint64_t bytes_max() const noexcept
	{
		return shared_ ? get()->bytes_max : 0;
	}

	/** page_bytes() - of its file's pages. */
	std::uint64_t page_bytes() const noexcept
	{
		return shared_ ? get()->page_bytes : 0;
	}

	/** seals() - F_SEAL_* of its file. */
	std::uint32_t seals() const noexcept
	{
		return shared_ ? get()->seals : 0;
	}

	std::size_t size() const noexcept
	{
		return ranges_.size();
	}

	bool empty() const noexcept
	{
		return ranges_.empty();
	}

	const range_report &operator[](std::size_t at) const noexcept
	{
		return ranges_[at];
	}

	const_iterator begin() const noexcept
	{
		return ranges_.begin();
	}

	const_iterator end() const noexcept
	{
		return ranges_.end();
	}

	/** get() - for the C functions; still owned by this object. NULL when empty. */
	const struct evr_report *get() const noexcept
	{
		return shared_.get();
	}

private:
	explicit region_report(detail::report_handle &&owned)
	{
		for (std::uint32_t i = 0; i < owned->ranges_count; i++)
			ranges_.push_back(value_of(owned->ranges[i]));
		shared_ = std::move(owned);
	}

	static range_report value_of(const evr_range_report &found)
	{
		range_report range = {
			.offset = found.offset,
			.bytes = found.bytes,
			.state = static_cast<evr_range_state>(found.state),
			.policy = static_cast<evr_policy>(found.policy),
			.flags = found.flags,
			.nodes_wanted = found.nodes_wanted,
			.page_bytes = found.page_bytes,
			.huge_bytes = found.huge_bytes,
			.returned_bytes = found.returned_bytes,
			.absent_bytes = found.absent_bytes,
			.locked = found.locked,
			.dumped = found.dumped,
			.settle_ns = found.settle_ns,
			.nodes = {},
		};
		for (std::uint32_t i = 0; i < found.nodes_count; i++)
			range.nodes.push_back(
				{found.nodes[i].node, found.nodes[i].bytes});
		return range;
	}

	static std::string content_of(int fd, std::error_code &error)
	{
		std::string result;
		char some[1024];
		ssize_t length;

		while ((length = pread(fd, some, sizeof(some),
				       static_cast<off_t>(result.size()))) > 0)
			result.append(some, static_cast<std::size_t>(length));
		if (length < 0)
			error = to_error_code(-errno);
		return result;
	}

	std::vector<range_report> ranges_;
	std::shared_ptr<const detail::report> shared_;
};

} // namespace evering

#endif
