/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_INLINE_HPP
#define EVERING_RING_INLINE_HPP

/**
 * ring_inline.hpp - small values from one thread to another: evr_ring_inline with a type.
 *
 *	evering::spsc<tick>::create(region, "ticks", 10);
 *
 *	evering::spsc<tick>::pusher to(region, "ticks");
 *	to.try_push(tick{1, 2});
 *
 *	evering::spsc<tick>::popper from(region, "ticks");
 *	while (auto tick = from.try_pop())
 *		use(*tick);
 *
 * A role is held by the object, and given back when it ends. The region outlives it.
 */

#include <evering/error.hpp>
#include <evering/message.hpp>
#include <evering/region.hpp>
#include <evering/ring_inline.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

namespace evering
{

namespace detail
{

/* A role in a ring: move-only, given back at the end. */
class inline_end
{
public:
	inline_end() noexcept = default;

	inline_end(inline_end &&other) noexcept : end_(std::exchange(other.end_, {}))
	{
	}

	inline_end &operator=(inline_end &&other) noexcept
	{
		if (this != &other) {
			evr_ring_inline_leave(&end_);
			end_ = std::exchange(other.end_, {});
		}
		return *this;
	}

	~inline_end()
	{
		evr_ring_inline_leave(&end_);
	}

	/** capacity() - in entries. */
	std::uint64_t capacity() const noexcept
	{
		return evr_ring_inline_capacity(&end_);
	}

	/** get() - for the C functions, as long as this object lives. */
	evr_ring_inline *get() noexcept
	{
		return &end_;
	}

protected:
	inline_end(region &region, const char *name, std::uint32_t role,
		   std::uint32_t entry_bytes)
	{
		throw_with_detail_if(to_error_code(evr_ring_inline_open(
					     region.get(), name, role, entry_bytes,
					     &end_)),
				     "evr_ring_inline_open");
	}

	/* 0 when it is only full or empty. */
	static int counted(int result, const char *what)
	{
		if (result == -EAGAIN)
			return 0;
		throw_if(to_error_code(result), what);
		return result;
	}

	static std::uint32_t count_of(std::size_t count) noexcept
	{
		return static_cast<std::uint32_t>(count < INT32_MAX ? count : INT32_MAX);
	}

	evr_ring_inline end_ = {};
};

} // namespace detail

/**
 * spsc - a ring of values of this type, which is a message (message.hpp), with one pusher
 * and one popper, wherever they are.
 */
template <message T>
	requires(sizeof(T) <= EVR_RING_INLINE_ENTRY_MAX)
class spsc
{
public:
	static constexpr std::uint32_t entry_bytes = sizeof(T);

	/** create() - makes one of 2^order entries. Throws as evr_ring_inline_create()
	 * fails. */
	static void create(region &region, const char *name, std::uint32_t order,
			   bool at_most_once = false, std::uint32_t range = 0)
	{
		evr_ring_inline_options options = {};

		options.size = sizeof(options);
		options.name = name;
		options.entry_bytes = entry_bytes;
		options.order = order;
		options.range = range;
		options.flags = at_most_once ? EVR_RING_AT_MOST_ONCE : 0;
		detail::throw_with_detail_if(
			to_error_code(evr_ring_inline_create(region.get(), &options)),
			"evr_ring_inline_create");
	}

	class pusher : public detail::inline_end
	{
	public:
		pusher() noexcept = default;

		/** Takes the role. Throws as evr_ring_inline_open() fails. */
		pusher(region &region, const char *name)
		    : inline_end(region, name, EVR_RING_PUSHER, entry_bytes)
		{
		}

		/** try_push() - false: full. Throws broken_pipe when the popper has hung
		 * up, owner_dead when it is full and he has died. */
		bool try_push(const T &value)
		{
			int result = evr_ring_inline_try_push(&end_, &value, entry_bytes);

			if (result == 0) [[likely]]
				return true;
			counted(result, "evr_ring_inline_try_push");
			return false;
		}

		/** push_burst() - how many of the first of them went in. */
		std::size_t push_burst(std::span<const T> values)
		{
			return static_cast<std::size_t>(
				counted(evr_ring_inline_push_burst(
						&end_, values.data(), entry_bytes,
						count_of(values.size())),
					"evr_ring_inline_push_burst"));
		}

		/** close() - lets nothing more in, for ever, and leaves. */
		void close()
		{
			counted(evr_ring_inline_close(&end_), "evr_ring_inline_close");
		}
	};

	class popper : public detail::inline_end
	{
	public:
		popper() noexcept = default;

		/** Takes the role. Throws as evr_ring_inline_open() fails. */
		popper(region &region, const char *name)
		    : inline_end(region, name, EVR_RING_POPPER, entry_bytes)
		{
		}

		/** try_pop() - none: empty. Throws broken_pipe when it is closed and
		 * drained, owner_dead when it is drained and the pusher has died. */
		std::optional<T> try_pop()
		{
			std::optional<T> value(std::in_place);
			int result =
				evr_ring_inline_try_pop(&end_, &*value, entry_bytes);

			if (result < 0) [[unlikely]] {
				counted(result, "evr_ring_inline_try_pop");
				value.reset();
			}
			return value;
		}

		/** pop_burst() - into the first of these; how many. */
		std::size_t pop_burst(std::span<T> values)
		{
			return static_cast<std::size_t>(
				counted(evr_ring_inline_pop_burst(
						&end_, values.data(), entry_bytes,
						count_of(values.size())),
					"evr_ring_inline_pop_burst"));
		}

		/** peek() - the oldest, in place, until they are released; may be fewer
		 * than there are. Empty: none. */
		std::span<const T> peek(std::uint32_t count = UINT32_MAX)
			requires(alignof(T) <= 8)
		{
			const void *entries = nullptr;
			int shown = counted(
				evr_ring_inline_peek(&end_, entry_bytes, count, &entries),
				"evr_ring_inline_peek");

			return {static_cast<const T *>(entries),
				static_cast<std::size_t>(shown)};
		}

		/** release() - frees so many of those that were shown. */
		void release(std::size_t count)
		{
			counted(evr_ring_inline_release(&end_, entry_bytes,
							count_of(count)),
				"evr_ring_inline_release");
		}

		/** hang_up() - wants nothing more, for ever, and leaves. */
		void hang_up()
		{
			counted(evr_ring_inline_hang_up(&end_),
				"evr_ring_inline_hang_up");
		}
	};
};

} // namespace evering

#endif
