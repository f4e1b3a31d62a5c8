/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_LANES_HPP
#define EVERING_RING_LANES_HPP

/**
 * ring_lanes.hpp - small values from many threads to one: evr_ring_lanes with a type.
 *
 *	evering::lanes<tick>::create(region, "ticks", 10, 16);
 *
 *	evering::lanes<tick>::pusher to(region, "ticks");
 *	to.try_push(tick{1, 2});
 *
 *	evering::lanes<tick>::popper from(region, "ticks");
 *	while (auto tick = from.try_pop())
 *		use(*tick);
 *
 * A lane, or the popper's role, is held by the object, and given back when it ends. The
 * region outlives it.
 */

#include <evering/error.hpp>
#include <evering/message.hpp>
#include <evering/region.hpp>
#include <evering/ring_lanes.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

namespace evering
{

namespace detail
{

/* 0 when it is only full or empty. */
inline int lanes_counted(int result, const char *what)
{
	if (result == -EAGAIN)
		return 0;
	throw_if(to_error_code(result), what);
	return result;
}

inline std::uint32_t lanes_count_of(std::size_t count) noexcept
{
	return static_cast<std::uint32_t>(count < INT32_MAX ? count : INT32_MAX);
}

struct lanes_leaver {
	void operator()(evr_ring_lanes *lanes) const noexcept
	{
		evr_ring_lanes_leave(lanes);
	}
};

} // namespace detail

/**
 * lanes - a bundle of lanes for values of this type, which is a message (message.hpp),
 * with many pushers and one popper, wherever they are.
 */
template <message T>
	requires(sizeof(T) <= EVR_RING_INLINE_ENTRY_MAX)
class lanes
{
public:
	static constexpr std::uint32_t entry_bytes = sizeof(T);

	/** create() - makes one of so many lanes of 2^order entries. Throws as
	 * evr_ring_lanes_create() fails. */
	static void create(region &region, const char *name, std::uint32_t order,
			   std::uint32_t count, bool at_most_once = false,
			   std::uint32_t range = 0)
	{
		evr_ring_lanes_options options = {};

		options.size = sizeof(options);
		options.name = name;
		options.entry_bytes = entry_bytes;
		options.order = order;
		options.lanes_count = count;
		options.range = range;
		options.flags = at_most_once ? EVR_RING_AT_MOST_ONCE : 0;
		detail::throw_with_detail_if(
			to_error_code(evr_ring_lanes_create(region.get(), &options)),
			"evr_ring_lanes_create");
	}

	/** pusher - a lane of one's own. Move-only. */
	class pusher
	{
	public:
		pusher() noexcept = default;

		/** Takes a lane. Throws as evr_ring_lane_open() fails. */
		pusher(region &region, const char *name)
		{
			detail::throw_with_detail_if(
				to_error_code(evr_ring_lane_open(region.get(), name,
								 entry_bytes, &lane_)),
				"evr_ring_lane_open");
		}

		pusher(pusher &&other) noexcept : lane_(std::exchange(other.lane_, {}))
		{
		}

		pusher &operator=(pusher &&other) noexcept
		{
			if (this != &other) {
				evr_ring_lane_leave(&lane_);
				lane_ = std::exchange(other.lane_, {});
			}
			return *this;
		}

		~pusher()
		{
			evr_ring_lane_leave(&lane_);
		}

		/** try_push() - false: full. Throws broken_pipe when the popper wants
		 * nothing more, owner_dead when it is full and he has died. */
		bool try_push(const T &value)
		{
			int result = evr_ring_lane_try_push(&lane_, &value, entry_bytes);

			if (result == 0) [[likely]]
				return true;
			detail::lanes_counted(result, "evr_ring_lane_try_push");
			return false;
		}

		/** push_burst() - how many of the first of them went in. */
		std::size_t push_burst(std::span<const T> values)
		{
			return static_cast<std::size_t>(detail::lanes_counted(
				evr_ring_lane_push_burst(
					&lane_, values.data(), entry_bytes,
					detail::lanes_count_of(values.size())),
				"evr_ring_lane_push_burst"));
		}

		/** close() - nobody pushes into this lane again; leaves it. */
		void close()
		{
			detail::lanes_counted(evr_ring_lane_close(&lane_),
					      "evr_ring_lane_close");
		}

		/** capacity() - of the lane, in entries. */
		std::uint64_t capacity() const noexcept
		{
			return evr_ring_lane_capacity(&lane_);
		}

		/** index() - of the lane. */
		std::uint32_t index() const noexcept
		{
			return evr_ring_lane_index(&lane_);
		}

		/** get() - for the C functions, as long as this object lives. */
		evr_ring_lane *get() noexcept
		{
			return &lane_;
		}

	private:
		evr_ring_lane lane_ = {};
	};

	/** popper - takes from all lanes. Move-only; an object that was moved from, or
	 * made without a region, has no role, and only ends or is assigned to. */
	class popper
	{
	public:
		popper() noexcept = default;

		/** Takes the role. Throws as evr_ring_lanes_open() fails. */
		popper(region &region, const char *name)
		{
			evr_ring_lanes *lanes = nullptr;

			detail::throw_with_detail_if(
				to_error_code(evr_ring_lanes_open(region.get(), name,
								  entry_bytes, &lanes)),
				"evr_ring_lanes_open");
			lanes_.reset(lanes);
		}

		/** try_pop() - none: empty. Throws broken_pipe when all is closed and
		 * drained. */
		std::optional<T> try_pop()
		{
			std::optional<T> value(std::in_place);
			int result = evr_ring_lanes_try_pop(lanes_.get(), &*value,
							    entry_bytes);

			if (result < 0) [[unlikely]] {
				detail::lanes_counted(result, "evr_ring_lanes_try_pop");
				value.reset();
			}
			return value;
		}

		/** pop_burst() - into the first of these; how many. */
		std::size_t pop_burst(std::span<T> values)
		{
			return static_cast<std::size_t>(detail::lanes_counted(
				evr_ring_lanes_pop_burst(
					lanes_.get(), values.data(), entry_bytes,
					detail::lanes_count_of(values.size())),
				"evr_ring_lanes_pop_burst"));
		}

		/** peek() - the oldest of a lane, in place, until they are released.
		 * Empty: none. */
		std::span<const T> peek(std::uint32_t count = UINT32_MAX)
			requires(alignof(T) <= 8)
		{
			const void *entries = nullptr;
			int shown = detail::lanes_counted(
				evr_ring_lanes_peek(lanes_.get(), entry_bytes, count,
						    &entries),
				"evr_ring_lanes_peek");

			return {static_cast<const T *>(entries),
				static_cast<std::size_t>(shown)};
		}

		/** release() - frees so many of those that were shown. */
		void release(std::size_t count)
		{
			detail::lanes_counted(
				evr_ring_lanes_release(lanes_.get(), entry_bytes,
						       detail::lanes_count_of(count)),
				"evr_ring_lanes_release");
		}

		/** last() - index of the lane that was taken from, or peeked at, last. */
		std::uint32_t last() const noexcept
		{
			return evr_ring_lanes_last(lanes_.get());
		}

		/** close() - lets nothing more in, for ever; what is there can be popped.
		 */
		void close() noexcept
		{
			evr_ring_lanes_close(lanes_.get());
		}

		/** hang_up() - wants nothing more, for ever, and leaves. */
		void hang_up() noexcept
		{
			evr_ring_lanes_hang_up(lanes_.release());
		}

		/** get() - for the C functions, as long as this object lives. */
		evr_ring_lanes *get() noexcept
		{
			return lanes_.get();
		}

	private:
		std::unique_ptr<evr_ring_lanes, detail::lanes_leaver> lanes_;
	};
};

} // namespace evering

#endif
