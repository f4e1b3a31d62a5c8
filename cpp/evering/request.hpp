/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REQUEST_HPP
#define EVERING_REQUEST_HPP

/**
 * request.hpp - a request in the three forms in which one meets it.
 *
 *	request<T, U>       being filled by the submitter
 *	received<T, U>      in a completer's hands
 *	completion<T, U>    back at the submitter
 *
 * A request is one block: T, and U behind it as in `struct { T request; U response; }`.
 * So a completer that dies while it writes its response leaves the request as it was, and
 * a peer in C declares that struct. Boxes (box.hpp) that a request contains travel with
 * it, there and back; nothing copies them.
 *
 * All three own the block and are move-only. They end before the agent, submitter or
 * completer they are from, and belong to that one's thread.
 */

#include <evering/box.hpp>
#include <evering/channel.h>
#include <evering/error.hpp>
#include <evering/message.hpp>
#include <evering/pool.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

namespace evering
{

template <message T, message U> class submitter;
template <message T, message U> class completer;

namespace detail
{

/* Where request and response lie in their block. */
template <message T, message U> struct frame {
	static constexpr std::size_t response_offset =
		(sizeof(T) + alignof(U) - 1) / alignof(U) * alignof(U);
	static constexpr std::size_t bytes = response_offset + sizeof(U);

	static_assert(bytes <= EVR_POOL_PAYLOAD_MAX, "larger than any block: use boxes");

	static T *request_in(const evr_block &block) noexcept
	{
		return value_at<T>(block.payload);
	}

	static void *response_room_in(const evr_block &block) noexcept
	{
		return static_cast<std::byte *>(block.payload) + response_offset;
	}

	static U *response_in(const evr_block &block) noexcept
	{
		return value_at<U>(response_room_in(block));
	}
};

/* The memory of a content. What a peer wrote about it is not believed. */
template <class X>
std::span<std::remove_extent_t<X>> content_of(const evr_agent *agent, evr_token container,
					      contained<X> where,
					      std::error_code &error) noexcept
{
	using element = std::remove_extent_t<X>;

	error.clear();
	if (std::is_array_v<X> && where.count == 0)
		return {};

	evr_block content = {};
	int result = evr_block_content(agent, container, where.place, &content);
	if (result >= 0 && (run_bytes<element>(where.count) > content.payload_bytes ||
			    (!std::is_array_v<X> && where.count != 1)))
		result = -EUCLEAN;
	error = to_error_code(result);
	if (result < 0)
		return {};
	return {value_at<element>(content.payload), where.count};
}

template <class X> decltype(auto) content_of(const evr_agent *agent, evr_token container,
					     contained<X> where)
{
	std::error_code error;
	auto run = content_of(agent, container, where, error);

	throw_if(error, "evering: content()");
	if constexpr (std::is_array_v<X>)
		return run;
	else
		return run.front();
}

/* What a request before it is sent and after it came back have in common. */
template <message T, message U> class carrier
{
public:
	/**
	 * contain() - puts a box into the request, to travel with it. At most
	 * EVR_BLOCK_CONTENTS_MAX; on failure the box stays the caller's.
	 *
	 * Return: where it is, to be written into the message.
	 */
	template <class X> contained<X> contain(shm_box<X> &&box)
	{
		std::error_code error;
		contained<X> where = contain(std::move(box), error);
		throw_if(error, "evering: contain()");
		return where;
	}

	template <class X>
	contained<X> contain(shm_box<X> &&box, std::error_code &error) noexcept
	{
		std::uint64_t count = 1;
		if constexpr (std::is_array_v<X>)
			count = box.size();
		block inner = box.release_block();
		std::uint32_t place = block_.contain(std::move(inner), error);
		if (!error)
			return {place, static_cast<std::uint32_t>(count)};
		if constexpr (std::is_array_v<X>)
			box = shm_box<X>::adopt(std::move(inner), count);
		else
			box = shm_box<X>::adopt(std::move(inner));
		return {};
	}

	/** content() - a box's T & or std::span, where it lies in the request. Throws
	 * ENOENT, EUCLEAN when there is no such thing; the noexcept form gives a span. */
	template <class X> decltype(auto) content(contained<X> where) const
	{
		return content_of(block_.owner(), block_.token(), where);
	}

	template <class X>
	auto content(contained<X> where, std::error_code &error) const noexcept
	{
		return content_of(block_.owner(), block_.token(), where, error);
	}

	/** take() - a box out of the request again. */
	template <class X> shm_box<X> take(contained<X> where)
	{
		std::error_code error;
		shm_box<X> box = take(where, error);
		throw_if(error, "evering: take()");
		return box;
	}

	template <class X>
	shm_box<X> take(contained<X> where, std::error_code &error) noexcept
	{
		/* This looks first, so that what does not fit stays where it is. */
		content_of(block_.owner(), block_.token(), where, error);
		if (error || where.count == 0)
			return {};
		block content = block_.take_out(where.place, error);
		if (error)
			return {};
		if constexpr (std::is_array_v<X>)
			return shm_box<X>::adopt(std::move(content), where.count);
		else
			return shm_box<X>::adopt(std::move(content));
	}

	/** get() - the block's handle, for the C functions; still owned by this object.
	 * */
	const evr_block &get() const noexcept
	{
		return block_.get();
	}

	explicit operator bool() const noexcept
	{
		return bool(block_);
	}

protected:
	carrier() noexcept = default;

	explicit carrier(block &&carried) noexcept : block_(std::move(carried))
	{
	}

	block block_;
};

} // namespace detail

/**
 * request - a request that is being filled: `*request` is its T, in place. Move-only.
 *
 * From submitter::prepare(). Freed with its contents if it is never submitted; empty
 * after it was.
 */
template <message T, message U> class request : public detail::carrier<T, U>
{
	friend class submitter<T, U>;
	template <message, message> friend class completion;

public:
	request() noexcept = default;

	T &operator*() const noexcept
	{
		return *detail::frame<T, U>::request_in(this->get());
	}

	T *operator->() const noexcept
	{
		return &**this;
	}

private:
	explicit request(block &&carried) noexcept
	    : detail::carrier<T, U>(std::move(carried))
	{
	}
};

/**
 * completion - a request that came back. Move-only; frees it, contents included.
 */
template <message T, message U> class completion : public detail::carrier<T, U>
{
	friend class submitter<T, U>;
	using frame = detail::frame<T, U>;

public:
	/** status() - as completed: >= 0, or a negative errno. */
	int status() const noexcept
	{
		return status_;
	}

	/** died() - the completer died over it: resubmit() it, or give up. */
	bool died() const noexcept
	{
		return status_ == -EOWNERDEAD;
	}

	/** operation() - the number it was submitted with. */
	std::uint64_t operation() const noexcept
	{
		return operation_;
	}

	/** attempts() - how often it was resubmitted. */
	std::uint32_t attempts() const noexcept
	{
		return attempts_;
	}

	/** has_response() - was it completed with one? */
	bool has_response() const noexcept
	{
		return !died() && length_bytes_ == sizeof(U);
	}

	/** response() - in place. Throws ENODATA when it was completed without one. */
	U &response() const
	{
		if (!has_response())
			detail::throw_if(to_error_code(-ENODATA),
					 "evering::completion::response");
		return *frame::response_in(this->get());
	}

	/** request() - the T that was sent, in place; also of one that died. */
	T &request() const noexcept
	{
		return *frame::request_in(this->get());
	}

	/** reuse() - its block for a new request, with the contents it has. */
	template <class... Args>
		requires detail::makeable_from<T, Args...>
	[[nodiscard]] evering::request<T, U> reuse(Args &&...args) &&
	{
		detail::make_at<T>(this->get().payload, std::forward<Args>(args)...);
		return evering::request<T, U>(std::move(this->block_));
	}

private:
	completion(block &&carried, const evr_completion &reaped) noexcept
	    : detail::carrier<T, U>(std::move(carried)), operation_(reaped.operation),
	      status_(reaped.status), length_bytes_(reaped.length_bytes),
	      attempts_(reaped.attempts)
	{
	}

	std::uint64_t operation_;
	std::int32_t status_;
	std::uint32_t length_bytes_;
	std::uint32_t attempts_;
};

/**
 * received - a request in a completer's hands. Move-only.
 *
 * Complete it. One that ends otherwise is completed with -ECANCELED, so that its
 * submitter does not wait for ever.
 *
 * Death: if the process dies, the request goes home with -EOWNERDEAD.
 */
template <message T, message U> class received
{
	friend class completer<T, U>;
	using frame = detail::frame<T, U>;

public:
	received(received &&other) noexcept
	    : completer_(std::exchange(other.completer_, nullptr)), agent_(other.agent_),
	      request_(other.request_)
	{
	}

	received &operator=(received &&other) noexcept
	{
		if (this != &other) {
			cancel();
			completer_ = std::exchange(other.completer_, nullptr);
			agent_ = other.agent_;
			request_ = other.request_;
		}
		return *this;
	}

	~received()
	{
		cancel();
	}

	/** request() - in place. A submitter that misbehaves can change it at any time:
	 * copy what is checked before it is used. */
	const T &request() const noexcept
	{
		return *frame::request_in(request_.block);
	}

	/** operation() - the submitter's number for it. */
	std::uint64_t operation() const noexcept
	{
		return request_.operation;
	}

	/** attempts() - how often it was resubmitted: it may have killed a server before.
	 * */
	std::uint32_t attempts() const noexcept
	{
		return request_.attempts;
	}

	/** content() - a box's T & or std::span, where it lies in the request, to read
	 * and to write. Throws ENOENT, EUCLEAN when the request contains no such thing.
	 * */
	template <class X> decltype(auto) content(contained<X> where) const
	{
		return detail::content_of(agent_, request_.block.token, where);
	}

	template <class X>
	auto content(contained<X> where, std::error_code &error) const noexcept
	{
		return detail::content_of(agent_, request_.block.token, where, error);
	}

	/**
	 * complete() - sends it home, with or without a response. Never waits.
	 * @status: for the submitter: >= 0, or a negative errno of the caller's choice.
	 *
	 * Return: false when the submitter is gone; request and contents were freed then.
	 * It throws EAGAIN if there was no room, which needs a peer that misbehaves; it
	 * may be completed again then.
	 */
	bool complete(int status, const U &response)
	{
		std::error_code error;
		bool sent = complete(status, response, error);
		detail::throw_if(error, "evering::received::complete");
		return sent;
	}

	bool complete(int status, const U &response, std::error_code &error) noexcept
	{
		if (*this)
			::new (frame::response_room_in(request_.block)) U(response);
		return finish(status, sizeof(U), error);
	}

	bool complete(int status)
	{
		std::error_code error;
		bool sent = complete(status, error);
		detail::throw_if(error, "evering::received::complete");
		return sent;
	}

	bool complete(int status, std::error_code &error) noexcept
	{
		return finish(status, 0, error);
	}

	/** get() - the C handle of the request; still owned by this object. */
	const evr_request &get() const noexcept
	{
		return request_;
	}

	/** False when it was completed, or moved away. */
	explicit operator bool() const noexcept
	{
		return completer_ != nullptr;
	}

private:
	received(evr_completer *by, const evr_agent *with,
		 const evr_request &taken) noexcept
	    : completer_(by), agent_(with), request_(taken)
	{
	}

	bool
	finish(int status, std::uint32_t length_bytes, std::error_code &error) noexcept
	{
		int result = -ESTALE;

		if (completer_)
			result = evr_completer_complete(completer_, request_.block.token,
							status, length_bytes);
		if (result != -EAGAIN)
			completer_ = nullptr;
		error = to_error_code(result == -EPIPE ? 0 : result);
		return result >= 0;
	}

	void cancel() noexcept
	{
		std::error_code ignored;

		if (completer_)
			finish(-ECANCELED, 0, ignored);
	}

	evr_completer *completer_;
	const evr_agent *agent_;
	evr_request request_;
};

} // namespace evering

#endif
