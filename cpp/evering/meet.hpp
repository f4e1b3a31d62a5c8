/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_MEET_HPP
#define EVERING_MEET_HPP

/**
 * meet.hpp - how strangers get into one region: meet.h with owners.
 *
 *	auto listener = evering::listener::listen(evering::meet_path("db"));
 *	listener.add(region);
 *	while (auto peer = listener.accept())
 *		std::cout << peer->who.uid << " is in\n";
 *
 *	auto region = evering::connect(evering::meet_path("db"));
 *
 * What each call does, and what its errors mean, stands in meet.h.
 */

#include <evering/deadline.hpp>
#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/meet.h>
#include <evering/region.hpp>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace evering
{

using credentials = evr_credentials;

/** descriptor - a file descriptor with an owner. Move-only; -1 is none. */
class descriptor
{
public:
	descriptor() noexcept = default;

	explicit descriptor(int fd) noexcept : fd_(fd)
	{
	}

	descriptor(descriptor &&from) noexcept : fd_(std::exchange(from.fd_, -1))
	{
	}

	descriptor &operator=(descriptor &&from) noexcept
	{
		std::swap(fd_, from.fd_);
		return *this;
	}

	~descriptor()
	{
		if (fd_ >= 0)
			close(fd_);
	}

	int get() const noexcept
	{
		return fd_;
	}

	/** release() - the caller's from now on. */
	int release() noexcept
	{
		return std::exchange(fd_, -1);
	}

	explicit operator bool() const noexcept
	{
		return fd_ >= 0;
	}

private:
	int fd_ = -1;
};

/** Whom to deal with, beside one's own user. See struct evr_meet_policy. */
struct meet_policy {
	std::vector<std::uint32_t> uids = {};
	std::vector<std::uint32_t> gids = {};
	/* Decides last; listed is what the lists say. An exception is a no. */
	std::function<bool(const credentials &who, bool listed)> allow = {};
};

/** How to listen; zero means the default. See struct evr_listen_options. */
struct listen_options {
	int fd = 0; /* an inherited listening socket, instead of an address */
	std::uint32_t mode = 0;
	std::optional<std::uint32_t> gid = {};
	std::uint32_t backlog = 0;
	std::uint32_t pending = 0;
	meet_policy policy = {};
	/* Hears of each client that came to nothing. What it throws is dropped. */
	std::function<void(const credentials &who, std::error_code error,
			   const char *reason)>
		refused = {};
};

/** Who is in. See struct evr_peer. */
struct peer {
	credentials who = {};
	std::uint32_t number = 0;
	std::uint32_t api_version = 0;
	descriptor bell; /* write 8 bytes: wakes the other side */
	descriptor own;  /* readable: the other side did so */
	std::string name;
};

namespace detail
{

inline bool ask_policy(void *context, const evr_credentials *who, bool listed)
{
	try {
		return static_cast<const meet_policy *>(context)->allow(*who, listed);
	} catch (...) {
		return false;
	}
}

/* Points into @policy, which must outlive every question. */
inline evr_meet_policy to_policy(meet_policy &policy) noexcept
{
	evr_meet_policy wanted = {};
	wanted.size = sizeof(wanted);
	wanted.uids = policy.uids.data();
	wanted.uids_count = static_cast<std::uint32_t>(policy.uids.size());
	wanted.gids = policy.gids.data();
	wanted.gids_count = static_cast<std::uint32_t>(policy.gids.size());
	if (policy.allow) {
		wanted.allow = ask_policy;
		wanted.context = &policy;
	}
	return wanted;
}

inline peer to_peer(const evr_peer &from)
{
	peer made;
	made.bell = descriptor(from.bell_fd);
	made.own = descriptor(from.own_fd);
	made.who = from.who;
	made.number = from.number;
	made.api_version = from.api_version;
	made.name = from.name;
	return made;
}

} // namespace detail

/**
 * listener - where others can connect. Move-only; the destructor stops listening, and
 * removes the file if it is still its own. The regions that it offers must outlive it.
 *
 * Threads: one at a time.
 */
class listener
{
public:
	/** An empty one: only assigning to it, bool and destroying it make sense. */
	listener() noexcept = default;

	/** listen() - at a path or "@name". Throws as evr_listen() fails. */
	static listener listen(const std::string &address, listen_options options = {})
	{
		return make(address.c_str(), std::move(options));
	}

	/** inherit() - on an inherited listening socket: options.fd. */
	static listener inherit(listen_options options)
	{
		return make(nullptr, std::move(options));
	}

	/** add() - offers a region; with bells, eventfds are exchanged. */
	void add(const region &offered, const std::string &name = "", bool bells = false)
	{
		auto call = bells ? evr_listener_add_with_bells : evr_listener_add;
		detail::throw_with_detail_if(
			to_error_code(call(get(), offered.get(), name.c_str())),
			"evering::listener::add");
	}

	/** remove() - offers it no longer. */
	void remove(const std::string &name = "")
	{
		detail::throw_with_detail_if(
			to_error_code(evr_listener_remove(get(), name.c_str())),
			"evering::listener::remove");
	}

	/**
	 * accept() - goes on with all handshakes until one is complete; none when the
	 * deadline has passed or a signal handler ran. Otherwise throws as evr_accept()
	 * fails.
	 */
	std::optional<peer> accept(deadline until = never)
	{
		evr_peer arrived = {};
		int result =
			evr_accept(get(), detail::to_deadline_ns(until), &arrived);

		if (result == -ETIMEDOUT || result == -EINTR)
			return std::nullopt;
		detail::throw_with_detail_if(to_error_code(result),
					     "evering::listener::accept");
		return detail::to_peer(arrived);
	}

	/** try_accept() - the same without waiting. */
	std::optional<peer> try_accept()
	{
		return accept(deadline());
	}

	/** fd() - readable when try_accept() has something to do. */
	int fd() const noexcept
	{
		return evr_listener_fd(get());
	}

	/** get() - for the C functions; still owned by this object. */
	evr_listener *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	static void tell_refused(void *context, const evr_credentials *who, int error,
				 const char *reason)
	{
		try {
			static_cast<listen_options *>(context)->refused(
				*who, to_error_code(error), reason);
		} catch (...) {
		}
	}

	static listener make(const char *address, listen_options options)
	{
		listener made;
		made.options_ = std::make_unique<listen_options>(std::move(options));
		listen_options &kept = *made.options_;
		evr_meet_policy policy = detail::to_policy(kept.policy);

		evr_listen_options wanted = {};
		wanted.size = sizeof(wanted);
		wanted.address = address;
		wanted.fd = kept.fd;
		wanted.mode = kept.mode;
		wanted.has_gid = kept.gid.has_value();
		wanted.gid = kept.gid.value_or(0);
		wanted.backlog = kept.backlog;
		wanted.pending = kept.pending;
		wanted.policy = &policy;
		if (kept.refused) {
			wanted.refused = tell_refused;
			wanted.context = made.options_.get();
		}

		evr_listener *listening = nullptr;
		detail::throw_with_detail_if(
			to_error_code(evr_listen(&wanted, &listening)),
			"evering::listener::listen");
		made.handle_.reset(listening);
		return made;
	}

	/* Where the callbacks are; stays where it is when the listener moves. */
	std::unique_ptr<listen_options> options_;
	detail::handle<evr_listener, evr_listener_close> handle_;
};

/** What to connect to; empty means the default. See struct evr_connect_options. */
struct connect_options {
	std::string name = {};
	meet_policy policy = {};
};

/**
 * connect() - gets into a region that somebody offers. Throws as evr_connect() fails;
 * with a peer, tells who handed it over, and exchanges eventfds if the listener does.
 */
inline region connect(const std::string &address, connect_options options = {},
		      deadline until = never, peer *ret_peer = nullptr)
{
	evr_meet_policy policy = detail::to_policy(options.policy);
	evr_connect_options wanted = {};
	wanted.size = sizeof(wanted);
	wanted.address = address.c_str();
	wanted.name = options.name.c_str();
	wanted.policy = &policy;
	wanted.want_bells = ret_peer != nullptr;

	evr_region *joined = nullptr;
	evr_peer told = {};
	detail::throw_with_detail_if(
		to_error_code(evr_connect(&wanted, detail::to_deadline_ns(until), &joined,
					  &told)),
		"evering::connect");
	region made = region::adopt(joined);
	if (ret_peer)
		*ret_peer = detail::to_peer(told);
	return made;
}

/** connect() - the same, with a deadline and nothing else. */
inline region connect(const std::string &address, deadline until)
{
	return connect(address, {}, until);
}

/** inherited_fd() - what the service manager passed; none if there is none. */
inline std::optional<int> inherited_fd(const char *name = nullptr)
{
	int fd = -1;
	int result = evr_inherited_fd(name, &fd);

	if (result == -ENOENT)
		return std::nullopt;
	detail::throw_with_detail_if(to_error_code(result), "evering::inherited_fd");
	return fd;
}

/** meet_path() - the address of a name. Throws as evr_meet_path() fails. */
inline std::string meet_path(const std::string &name)
{
	char path[108];

	detail::throw_with_detail_if(
		to_error_code(evr_meet_path(name.c_str(), path, sizeof(path))),
		"evering::meet_path");
	return path;
}

} // namespace evering

#endif
