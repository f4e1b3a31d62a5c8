/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_NAMED_HPP
#define EVERING_NAMED_HPP

/**
 * named.hpp - one region behind one name, for equals: named.h with an owner.
 *
 *	auto named = evering::named_region::open("db", {
 *		.create = evering::region_options{.bytes = 1 << 20},
 *		.setup = [](const evering::region &region) {
 *			evering::pool::create(region, {{64, 128}});
 *		}});
 *	auto pool = evering::pool::open(named.region());
 *
 * What happens, and what errors mean, stands in named.h.
 */

#include <evering/deadline.hpp>
#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/meet.hpp>
#include <evering/named.h>
#include <evering/region.hpp>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace evering
{

/** Which region, and how to make it; empty means the default. See struct
 * evr_named_options. */
struct named_options {
	/* None: get in, never make one. */
	std::optional<region_options> create = {};
	/* Runs in the creator before anybody else can get in. What it throws, open()
	 * throws, and the region is gone. */
	std::function<void(const region &made)> setup = {};
	meet_policy policy = {};
	std::uint32_t mode = 0;
	std::optional<std::uint32_t> gid = {};
	bool visitor = false; /* takes no part in serving */
	std::uint32_t standbys = 0;
};

namespace detail
{

/* A region that somebody else detaches. */
class borrowed_region
{
      public:
	borrowed_region() noexcept = default;

	explicit borrowed_region(evr_region *lent) noexcept : region_(region::adopt(lent))
	{
	}

	borrowed_region(borrowed_region &&from) noexcept = default;

	borrowed_region &operator=(borrowed_region &&from) noexcept
	{
		std::swap(region_, from.region_);
		return *this;
	}

	~borrowed_region()
	{
		region_.release();
	}

	const region &get() const noexcept
	{
		return region_;
	}

      private:
	region region_;
};

/* Calls a setup from C, and keeps what it throws on this side of the C call. */
struct setup_call {
	const std::function<void(const region &made)> &call;
	std::exception_ptr thrown;

	static int run(void *context, evr_region *made) noexcept
	{
		auto *self = static_cast<setup_call *>(context);
		borrowed_region borrowed(made);

		try {
			self->call(borrowed.get());
		} catch (...) {
			self->thrown = std::current_exception();
		}
		return self->thrown ? -ECANCELED : 0;
	}
};

} // namespace detail

/**
 * named_region - a membership in a region that has a name. Move-only; the destructor
 * leaves. What points into the region (pools, agents, channels) must end before it.
 */
class named_region
{
      public:
	/** An empty one: only assigning to it, bool and destroying it make sense. */
	named_region() noexcept = default;

	named_region(named_region &&from) noexcept = default;

	/** The one that was here leaves when @from ends. */
	named_region &operator=(named_region &&from) noexcept
	{
		std::swap(policy_, from.policy_);
		std::swap(handle_, from.handle_);
		view_ = std::move(from.view_);
		return *this;
	}

	/** open() - by name, as meet_path() has it, or by a path that begins with a
	 * slash. Throws as evr_named_open() fails, or what the setup threw. */
	static named_region open(const std::string &name_or_path,
				 named_options options = {}, deadline until = never)
	{
		named_region made;
		made.policy_ = std::make_unique<meet_policy>(std::move(options.policy));
		evr_meet_policy policy = detail::to_policy(*made.policy_);
		detail::setup_call setup{options.setup, {}};
		region_options none;
		region_options &how = options.create ? *options.create : none;
		detail::progress_call progress(how.progress);
		evr_region_options create = detail::to_region_options(how, progress);

		evr_named_options wanted = {};
		wanted.size = sizeof(wanted);
		if (!name_or_path.empty() && name_or_path.front() == '/')
			wanted.address = name_or_path.c_str();
		else
			wanted.name = name_or_path.c_str();
		wanted.create = options.create ? &create : nullptr;
		if (options.setup) {
			wanted.setup = detail::setup_call::run;
			wanted.context = &setup;
		}
		wanted.policy = &policy;
		wanted.mode = options.mode;
		wanted.has_gid = options.gid.has_value();
		wanted.gid = options.gid.value_or(0);
		wanted.flags = options.visitor ? std::uint32_t{EVR_NAMED_VISITOR} : 0;
		wanted.standbys = options.standbys;

		evr_named *opened = nullptr;
		int error =
			evr_named_open(&wanted, detail::to_deadline_ns(until), &opened);
		if (error == 0) {
			made.handle_.reset(opened);
			made.view_ = detail::borrowed_region(evr_named_region(opened));
		}
		if (setup.thrown)
			std::rethrow_exception(setup.thrown);
		if (progress.thrown())
			std::rethrow_exception(progress.thrown());
		detail::throw_with_detail_if(to_error_code(error),
					     "evering::named_region::open");
		return made;
	}

	/** region() - this member's view, as long as this object lives. */
	const evering::region &region() const noexcept
	{
		return view_.get();
	}

	/** was_created() - did this very call make the region? */
	bool was_created() const noexcept
	{
		return evr_named_was_created(get());
	}

	/** get() - for the C functions; still owned by this object. */
	evr_named *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

      private:
	/* Where the policy's callback is; stays where it is when the member moves, and
	 * as long as the library's thread may call it. */
	std::unique_ptr<meet_policy> policy_;
	detail::handle<evr_named, evr_named_close> handle_;
	detail::borrowed_region view_;
};

} // namespace evering

#endif
