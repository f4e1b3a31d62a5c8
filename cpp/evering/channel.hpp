/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_CHANNEL_HPP
#define EVERING_CHANNEL_HPP

/**
 * channel.hpp - a uring with types: requests of type T there, responses of type U back.
 *
 *	submitter<T, U>                          completer<T, U>
 *	  prepare(), fill in place
 *	  submit(), try_submit()  ------------>  receive(), try_receive()
 *	                                           received: work in place
 *	  reap(), try_reap()      <------------    received.complete()
 *	  completion: read in place
 *
 * What is full is false, what is empty or late is an empty optional; see channel.h for
 * who waits for what and for death. request.hpp has the three forms in which a request is
 * met: request, completion, received.
 */

#include <evering/channel.h>
#include <evering/deadline.hpp>
#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/message.hpp>
#include <evering/pool.hpp>
#include <evering/request.hpp>
#include <evering/uring.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace evering
{

/** How a submitter or completer waits: it spins so long before it sleeps. */
struct wait_options {
	std::chrono::nanoseconds spin{EVR_SPIN_DEFAULT_NS};
};

namespace detail
{

inline evr_wait_options to_c(const wait_options &options) noexcept
{
	auto spin = options.spin.count();

	return {.size = sizeof(evr_wait_options),
		.spin_ns = spin < 0 ? 0 : static_cast<std::uint64_t>(spin)};
}

} // namespace detail

/**
 * channel - this process's view of a uring whose requests are T and responses U.
 *
 * Threads: any number may use one channel. Move-only; ends after its ends.
 */
template <message T, message U> class channel
{
	using frame = detail::frame<T, U>;

public:
	using request_type = T;
	using response_type = U;

	channel() noexcept = default;

	/** create() - makes the uring. Throws as evr_uring_create() fails, and EINVAL
	 * when no class of the pool holds a request with its response. */
	static channel create(const pool &in, const uring_options &options = {})
	{
		check_room(in);
		return channel(uring::create(in, options, sizeof(T), sizeof(U)));
	}

	static channel create(const pool &in, const uring_options &options,
			      std::error_code &error) noexcept
	{
		error = to_error_code(has_room(in) ? 0 : -EINVAL);
		return error ? channel() :
			       channel(uring::create(in, options, sizeof(T), sizeof(U),
						     error));
	}

	/** open() - the uring of this name; NULL: the default one. Throws as
	 * evr_uring_open() fails: EPROTO when its messages have other sizes. */
	static channel open(const pool &in, const char *name = nullptr)
	{
		check_room(in);
		return channel(uring::open(in, name, sizeof(T), sizeof(U)));
	}

	static channel
	open(const pool &in, const char *name, std::error_code &error) noexcept
	{
		error = to_error_code(has_room(in) ? 0 : -EINVAL);
		return error ? channel()
			     : channel(uring::open(in, name, sizeof(T), sizeof(U),
						   error));
	}

	/** try_shutdown() - see uring::try_shutdown(). */
	[[nodiscard]] bool try_shutdown()
	{
		return uring_.try_shutdown();
	}

	[[nodiscard]] bool try_shutdown(std::error_code &error) noexcept
	{
		return uring_.try_shutdown(error);
	}

	/** window() - how many requests a submitter may have in flight. */
	std::uint32_t window() const noexcept
	{
		return uring_.window();
	}

	/** get() - for the C functions; still owned by this object. */
	evr_uring *get() const noexcept
	{
		return uring_.get();
	}

	explicit operator bool() const noexcept
	{
		return bool(uring_);
	}

private:
	explicit channel(uring &&view) noexcept : uring_(std::move(view))
	{
	}

	static bool has_room(const pool &in) noexcept
	{
		return frame::bytes <= in.payload_max();
	}

	static void check_room(const pool &in)
	{
		if (!has_room(in))
			throw std::system_error(
				to_error_code(-EINVAL),
				"evering::channel: a request and its response take " +
					std::to_string(frame::bytes) +
					" bytes, the pool's largest block has " +
					std::to_string(in.payload_max()));
	}

	uring uring_;
};

/**
 * submitter - sends Ts, and reaps Us. Move-only.
 *
 * The destructor leaves: completions that were not reaped are freed.
 * Threads: one at a time, its agent's.
 */
template <message T, message U> class submitter
{
	using frame = detail::frame<T, U>;

public:
	submitter() noexcept = default;

	/** Takes one of the channel's homes. Throws as evr_submitter_open() fails. */
	submitter(const channel<T, U> &on, agent &with, const wait_options &wait = {})
	{
		std::error_code error;
		*this = submitter(on, with, wait, error);
		detail::throw_with_detail_if(error, "evering::submitter");
	}

	submitter(const channel<T, U> &on, agent &with, const wait_options &wait,
		  std::error_code &error) noexcept
	    : agent_(with.get())
	{
		evr_wait_options options = detail::to_c(wait);
		evr_submitter *opened = nullptr;
		error = to_error_code(
			evr_submitter_open(on.get(), agent_, &options, &opened));
		handle_.reset(opened);
	}

	/** prepare() - a request, its T made from the arguments in shared memory. Throws
	 * as evr_block_alloc() fails: ENOSPC when no block is free. */
	template <class... Args>
		requires detail::makeable_from<T, Args...>
	request<T, U> prepare(Args &&...args)
	{
		auto prepared = try_prepare(std::forward<Args>(args)...);
		if (!prepared)
			detail::throw_if(to_error_code(-ENOSPC),
					 "evering::submitter::prepare");
		return prepared;
	}

	/** try_prepare() - as prepare(), but empty when no block is free. */
	template <class... Args>
		requires detail::makeable_from<T, Args...>
	request<T, U> try_prepare(Args &&...args)
	{
		std::error_code error;
		auto prepared = prepare(error, std::forward<Args>(args)...);
		if (error != std::errc::no_space_on_device)
			detail::throw_if(error, "evering::submitter::prepare");
		return prepared;
	}

	template <class... Args>
		requires detail::makeable_from<T, Args...>
	request<T, U> prepare(std::error_code &error, Args &&...args) noexcept
	{
		evr_block taken = {};
		int result = evr_block_alloc(agent_, frame::bytes, &taken);
		error = to_error_code(result);
		if (result < 0)
			return {};
		detail::make_at<T>(taken.payload, std::forward<Args>(args)...);
		return request<T, U>(block::adopt(agent_, taken));
	}

	/**
	 * try_submit() - sends a request. Never waits.
	 * @filled:    empty afterwards if it was sent, as it was if not.
	 * @operation: a number of the caller's, returned with the completion.
	 *
	 * Return: false when the submission ring is full, or as many requests as the
	 * window allows are in flight: reap. Throws EPIPE when the uring was shut down.
	 */
	[[nodiscard]] bool try_submit(request<T, U> &&filled, std::uint64_t operation = 0)
	{
		std::error_code error;
		bool sent = try_submit(std::move(filled), operation, error);
		detail::throw_if(error, "evering::submitter::try_submit");
		return sent;
	}

	[[nodiscard]] bool try_submit(request<T, U> &&filled, std::uint64_t operation,
				      std::error_code &error) noexcept
	{
		evr_request message = to_c(filled.get(), operation, 0);
		return was_sent(evr_submitter_try_submit(get(), &message), filled.block_,
				error);
	}

	/**
	 * submit() - as try_submit(), but waits while the submission ring is full.
	 *
	 * Return: false at the deadline, and when as many requests as the window allows
	 * are in flight (which only this thread's reaping can change).
	 */
	bool submit(request<T, U> &&filled, std::uint64_t operation = 0,
		    deadline until = never)
	{
		std::error_code error;
		bool sent = submit(std::move(filled), operation, until, error);
		detail::throw_if(error, "evering::submitter::submit");
		return sent;
	}

	bool submit(request<T, U> &&filled, std::uint64_t operation, deadline until,
		    std::error_code &error) noexcept
	{
		evr_request message = to_c(filled.get(), operation, 0);
		return was_sent(evr_submitter_submit(get(), &message,
						     detail::to_deadline_ns(until)),
				filled.block_, error);
	}

	/**
	 * resubmit() - sends a request that came back (of a completer that died, say)
	 * again, with its contents and its operation, and one more attempt. As submit()
	 * else.
	 */
	bool resubmit(completion<T, U> &&returned, deadline until = never)
	{
		std::error_code error;
		bool sent = resubmit(std::move(returned), until, error);
		detail::throw_if(error, "evering::submitter::resubmit");
		return sent;
	}

	bool resubmit(completion<T, U> &&returned, deadline until,
		      std::error_code &error) noexcept
	{
		evr_request message = to_c(returned.get(), returned.operation(),
					   returned.attempts() + 1);
		return was_sent(evr_submitter_submit(get(), &message,
						     detail::to_deadline_ns(until)),
				returned.block_, error);
	}

	/** try_reap() - a completion, or none if there is none yet. Never waits. */
	[[nodiscard]] std::optional<completion<T, U>> try_reap()
	{
		std::error_code error;
		auto reaped = try_reap(error);
		detail::throw_if(error, "evering::submitter::try_reap");
		return reaped;
	}

	[[nodiscard]] std::optional<completion<T, U>>
	try_reap(std::error_code &error) noexcept
	{
		evr_completion reaped;
		return take(evr_submitter_try_reap(get(), &reaped), reaped, error);
	}

	/**
	 * reap() - a completion, waited for. Recovers what the dead held meanwhile, so
	 * that a request whose completer died arrives here, too.
	 *
	 * Return: none at the deadline, and when nothing is in flight (in_flight() == 0),
	 * so that `while (auto done = submitter.reap())` ends when all is done.
	 */
	[[nodiscard]] std::optional<completion<T, U>> reap(deadline until = never)
	{
		std::error_code error;
		auto reaped = reap(until, error);
		detail::throw_if(error, "evering::submitter::reap");
		return reaped;
	}

	[[nodiscard]] std::optional<completion<T, U>>
	reap(deadline until, std::error_code &error) noexcept
	{
		evr_completion reaped;
		return take(
			evr_submitter_reap(get(), &reaped, detail::to_deadline_ns(until)),
			reaped, error);
	}

	/** in_flight() - submitted and not yet reaped. */
	std::uint32_t in_flight() const noexcept
	{
		return evr_submitter_in_flight(get());
	}

	/** get() - for the C functions; still owned by this object. */
	evr_submitter *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	static evr_request to_c(const evr_block &block, std::uint64_t operation,
				std::uint32_t attempts) noexcept
	{
		return {block, operation, sizeof(T), attempts};
	}

	static bool was_sent(int result, block &carried, std::error_code &error) noexcept
	{
		bool full = result == -EAGAIN || result == -ETIMEDOUT;

		error = to_error_code(full ? 0 : result);
		if (result >= 0)
			carried.release();
		return result >= 0;
	}

	std::optional<completion<T, U>> take(int result, const evr_completion &reaped,
					     std::error_code &error) noexcept
	{
		bool none =
			result == -EAGAIN || result == -ETIMEDOUT || result == -ENOENT;

		error = to_error_code(none ? 0 : result);
		if (result < 0)
			return std::nullopt;
		block carried = block::adopt(agent_, reaped.block);
		if (carried.payload().size() < frame::bytes) {
			error = to_error_code(-EUCLEAN);
			return std::nullopt;
		}
		return completion<T, U>(std::move(carried), reaped);
	}

	evr_agent *agent_ = nullptr;
	detail::handle<evr_submitter, evr_submitter_close> handle_;
};

/**
 * completer - receives Ts, and completes them with Us. Move-only; ends after what it
 * received.
 *
 * Threads: one at a time, its agent's.
 */
template <message T, message U> class completer
{
	using frame = detail::frame<T, U>;

public:
	completer() noexcept = default;

	/** A completer on the channel. Throws as evr_completer_open() fails. */
	completer(const channel<T, U> &on, agent &with, const wait_options &wait = {})
	{
		std::error_code error;
		*this = completer(on, with, wait, error);
		detail::throw_with_detail_if(error, "evering::completer");
	}

	completer(const channel<T, U> &on, agent &with, const wait_options &wait,
		  std::error_code &error) noexcept
	    : agent_(with.get())
	{
		evr_wait_options options = detail::to_c(wait);
		evr_completer *opened = nullptr;
		error = to_error_code(
			evr_completer_open(on.get(), agent_, &options, &opened));
		handle_.reset(opened);
	}

	/** try_receive() - the oldest request, or none. Never waits. A loop around it
	 * ends with shut_down(). */
	[[nodiscard]] std::optional<received<T, U>> try_receive()
	{
		std::error_code error;
		auto taken = try_receive(error);
		detail::throw_if(error, "evering::completer::try_receive");
		return taken;
	}

	[[nodiscard]] std::optional<received<T, U>>
	try_receive(std::error_code &error) noexcept
	{
		return take(
			[this](evr_request *taken) {
				return evr_completer_try_receive(get(), taken);
			},
			error);
	}

	/**
	 * receive() - the oldest request, waited for. Recovers what the dead held
	 * meanwhile.
	 *
	 * Return: none at the deadline, and when the uring was shut down and is drained
	 * (shut_down()), so that `while (auto request = completer.receive())` serves to
	 * the end.
	 */
	[[nodiscard]] std::optional<received<T, U>> receive(deadline until = never)
	{
		std::error_code error;
		auto taken = receive(until, error);
		detail::throw_if(error, "evering::completer::receive");
		return taken;
	}

	[[nodiscard]] std::optional<received<T, U>>
	receive(deadline until, std::error_code &error) noexcept
	{
		return take(
			[this, until](evr_request *taken) {
				return evr_completer_receive(
					get(), taken, detail::to_deadline_ns(until));
			},
			error);
	}

	/** shut_down() - has a receive found the uring shut down and drained? */
	bool shut_down() const noexcept
	{
		return shut_down_;
	}

	/** get() - for the C functions; still owned by this object. */
	evr_completer *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	/* A request that is no T (a peer's in C, say) is answered with -EPROTO here. */
	template <class Receive>
	std::optional<received<T, U>> take(Receive next, std::error_code &error) noexcept
	{
		evr_request taken;
		int result;

		while ((result = next(&taken)) >= 0) {
			received<T, U> wrapped(get(), agent_, taken);
			if (taken.length_bytes == sizeof(T) &&
			    taken.block.payload_bytes >= frame::bytes) {
				error.clear();
				return wrapped;
			}
			wrapped.complete(-EPROTO, error);
		}
		shut_down_ = shut_down_ || result == -EPIPE;
		bool none = result == -EAGAIN || result == -ETIMEDOUT || result == -EPIPE;
		error = to_error_code(none ? 0 : result);
		return std::nullopt;
	}

	evr_agent *agent_ = nullptr;
	detail::handle<evr_completer, evr_completer_close> handle_;
	bool shut_down_ = false;
};

/* ---- channels named by a specification --------------------------------------------- */

/** uring_spec - a type that names the two messages of a uring:
 * `struct arithmetic { using request = ask; using response = answer; };` */
template <class S>
concept uring_spec = message<typename S::request> && message<typename S::response>;

template <uring_spec S>
using channel_of = channel<typename S::request, typename S::response>;

template <uring_spec S>
using submitter_of = submitter<typename S::request, typename S::response>;

template <uring_spec S>
using completer_of = completer<typename S::request, typename S::response>;

} // namespace evering

#endif
