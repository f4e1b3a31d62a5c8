/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_HPP
#define EVERING_RING_HPP

/**
 * ring.hpp - a queue of blocks, and the two things that one can be at it.
 *
 * A ring is shared; a pusher or a popper is one thread's end of it. Where a side is
 * single, to be its pusher (or popper) is to hold its role: the type is the role, made by
 * taking it, moved with it, and ended by leaving it. Where a side is for many the type is
 * the same, and there may be any number.
 *
 * A pusher or popper ends before the agent that it was made with.
 */

#include <evering/error.hpp>
#include <evering/pool.hpp>
#include <evering/region.hpp>
#include <evering/ring.h>
#include <evering/ring_role.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

namespace evering
{

/** How to create a ring; see struct evr_ring_options. */
struct ring_options {
	std::uint32_t order = 10;   /* log2 of its capacity */
	bool single_pusher = false; /* one pusher at a time, which pays for no lock */
	bool single_popper = false; /* the same at the other side */
	std::uint32_t range = 0;    /* of the region: where it lies */
};

/**
 * ring - a ring of the region, by name: what pushers and poppers are made of. A value.
 *
 * Threads: each makes its own ends; close() is one caller's at a time per object.
 */
class ring
{
public:
	ring() noexcept = default;

	/** create() - throws as evr_ring_create_with() fails. */
	static ring create(const region &in, const std::string &name,
			   const ring_options &options = {})
	{
		std::error_code error;
		ring made = create(in, name, options, error);
		detail::throw_with_detail_if(error, "evering::ring::create");
		return made;
	}

	static ring create(const region &in, const std::string &name,
			   const ring_options &options, std::error_code &error) noexcept
	{
		evr_ring_options wanted = {};
		wanted.size = sizeof(wanted);
		wanted.name = name.c_str();
		wanted.order = options.order;
		wanted.flags = (options.single_pusher ? EVR_RING_SINGLE_PUSHER : 0) |
			       (options.single_popper ? EVR_RING_SINGLE_POPPER : 0);
		wanted.range = options.range;

		ring made;
		error = to_error_code(
			evr_ring_create_with(in.get(), &wanted, &made.end_));
		return made;
	}

	/** open() - throws as evr_ring_open() fails. */
	static ring open(const region &in, const std::string &name)
	{
		std::error_code error;
		ring found = open(in, name, error);
		detail::throw_with_detail_if(error, "evering::ring::open");
		return found;
	}

	static ring open(const region &in, const std::string &name,
			 std::error_code &error) noexcept
	{
		ring found;
		error = to_error_code(evr_ring_open(in.get(), name.c_str(), &found.end_));
		return found;
	}

	/** close() - lets nothing more in; see evr_ring_close(). EAGAIN: it is full, try
	 * again; EINPROGRESS: its only pusher was told to. Throws nothing for these. */
	std::error_code close() noexcept
	{
		return to_error_code(evr_ring_close(&end_));
	}

	std::uint64_t capacity() const noexcept
	{
		return evr_ring_capacity(&end_);
	}

	bool single_pusher() const noexcept
	{
		return evr_ring_flags(&end_) & EVR_RING_SINGLE_PUSHER;
	}

	bool single_popper() const noexcept
	{
		return evr_ring_flags(&end_) & EVR_RING_SINGLE_POPPER;
	}

	/** end() - for the C functions: an end of this ring that holds no role. */
	evr_ring end() const noexcept
	{
		return end_;
	}

	explicit operator bool() const noexcept
	{
		return end_.shared != nullptr;
	}

private:
	evr_ring end_ = {};
};

namespace detail
{

/* An end with its role, where its side has one. Move-only. */
template <std::uint32_t role> class ring_side
{
public:
	ring_side() noexcept = default;

	ring_side(const ring &of, agent &with, std::error_code &error) noexcept
	    : agent_(with.get()), end_(of.end())
	{
		int result = evr_ring_flags(&end_) & role ?
				     evr_ring_take_role(&end_, agent_, role) :
				     0;
		if (result < 0)
			agent_ = nullptr;
		error = to_error_code(result);
	}

	ring_side(ring_side &&other) noexcept
	    : agent_(std::exchange(other.agent_, nullptr)),
	      end_(std::exchange(other.end_, {}))
	{
	}

	ring_side &operator=(ring_side &&other) noexcept
	{
		if (this != &other) {
			leave();
			agent_ = std::exchange(other.agent_, nullptr);
			end_ = std::exchange(other.end_, {});
		}
		return *this;
	}

	~ring_side()
	{
		leave();
	}

	/** leave() - is it no longer; the role, if there is one, is free. */
	void leave() noexcept
	{
		if (agent_ && evr_ring_flags(&end_) & role)
			(void)evr_ring_leave_role(&end_, agent_, role);
		agent_ = nullptr;
	}

	/** end() - for the C functions. */
	evr_ring *end() noexcept
	{
		return &end_;
	}

	explicit operator bool() const noexcept
	{
		return agent_ != nullptr;
	}

protected:
	evr_agent *agent_ = nullptr;
	evr_ring end_ = {};
};

} // namespace detail

/**
 * pusher - one that may push; of a ring whose pusher is single, *the* one. Move-only.
 *
 * Threads: its agent's.
 * Death: what it pushed stays in the ring; its role is free again.
 */
class pusher : public detail::ring_side<EVR_RING_PUSHER>
{
public:
	pusher() noexcept = default;

	/** Throws as evr_ring_take_role() fails: EBUSY when a living one is the pusher.
	 */
	pusher(const ring &of, agent &with)
	{
		std::error_code error;
		*this = pusher(of, with, error);
		detail::throw_with_detail_if(error, "evering::pusher");
	}

	pusher(const ring &of, agent &with, std::error_code &error) noexcept
	    : ring_side(of, with, error)
	{
	}

	/** try_push() - appends the block, which is then no longer the caller's. EAGAIN:
	 * full; EPIPE: closed; the block is the caller's still. Throws nothing. */
	std::error_code try_push(block &&given) noexcept
	{
		int result = evr_ring_try_push(&end_, agent_, given.token());
		if (result == 0)
			(void)given.release();
		return to_error_code(result);
	}

	/** close() - as ring::close(), by one who may. */
	std::error_code close() noexcept
	{
		return to_error_code(evr_ring_close(&end_));
	}
};

/**
 * popper - one that may pop; of a ring whose popper is single, *the* one. Move-only.
 *
 * Threads: its agent's.
 * Death: what it had popped is freed by recovery; its role is free again.
 */
class popper : public detail::ring_side<EVR_RING_POPPER>
{
public:
	popper() noexcept = default;

	/** Throws as evr_ring_take_role() fails: EBUSY when a living one is the popper.
	 */
	popper(const ring &of, agent &with)
	{
		std::error_code error;
		*this = popper(of, with, error);
		detail::throw_with_detail_if(error, "evering::popper");
	}

	popper(const ring &of, agent &with, std::error_code &error) noexcept
	    : ring_side(of, with, error)
	{
	}

	/** try_pop() - the oldest block; empty when there is none. Throws EPIPE when the
	 * ring is closed and drained, and what else evr_ring_try_pop() fails with. */
	block try_pop()
	{
		std::error_code error;
		block taken = try_pop(error);
		if (error != std::errc::resource_unavailable_try_again)
			detail::throw_if(error, "evering::popper::try_pop");
		return taken;
	}

	block try_pop(std::error_code &error) noexcept
	{
		evr_block taken = {};
		int result = evr_ring_try_pop(&end_, agent_, &taken);
		error = to_error_code(result);
		return result < 0 ? block() : block::adopt(agent_, taken);
	}
};

} // namespace evering

#endif
