/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet.hpp - listeners, connecting, and who owns the descriptors. */

#define BOOST_TEST_MODULE meet
#include "fixture.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>

namespace
{

using namespace std::chrono_literals;

/* A directory for the time of a test. */
struct place {
	std::string directory = "/tmp/evr-cpp-XXXXXX";
	std::string address;

	place()
	{
		BOOST_REQUIRE(mkdtemp(directory.data()) != nullptr);
		address = directory + "/meet";
	}

	~place()
	{
		std::filesystem::remove_all(directory);
	}
};

/* Runs a client in a child while this process accepts; how the child ended. */
template <class Body>
std::string meet(evering::listener &listener, Body body,
		 std::optional<evering::peer> *ret_peer = nullptr)
{
	pid_t child = fork();
	if (child == 0) {
		alarm(20);
		try {
			body();
		} catch (const std::system_error &error) {
			_exit(error.code().value());
		}
		_exit(0);
	}
	auto arrived = listener.accept(std::chrono::steady_clock::now() + 500ms);
	if (ret_peer)
		*ret_peer = std::move(arrived);
	return fixture::end_of(child);
}

} // namespace

BOOST_AUTO_TEST_CASE(a_listener_moves_and_does_not_copy)
{
	BOOST_TEST(!std::is_copy_constructible_v<evering::listener>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<evering::listener>);
	BOOST_TEST(!std::is_copy_constructible_v<evering::peer>);

	place place;
	auto first = evering::listener::listen(place.address);
	auto second = std::move(first);
	BOOST_TEST(!first);
	BOOST_TEST(second.fd() >= 0);
	BOOST_TEST(std::filesystem::is_socket(place.address));
	second = evering::listener();
	BOOST_TEST(!std::filesystem::exists(place.address));
}

BOOST_AUTO_TEST_CASE(a_client_gets_in_and_the_listener_knows_who)
{
	place place;
	auto region = evering::region::create({.bytes = 1 << 20});
	auto listener = evering::listener::listen(place.address);
	listener.add(region, "named");

	std::optional<evering::peer> peer;
	auto end = meet(
		listener,
		[&] {
			auto joined = evering::connect(place.address, {.name = "named"});
			if (joined.bytes() != 1 << 20)
				_exit(200);
		},
		&peer);
	BOOST_TEST(end == "exit 0");
	BOOST_REQUIRE(peer.has_value());
	BOOST_TEST(peer->who.uid == geteuid());
	BOOST_TEST(peer->number != 0U);
	BOOST_TEST(peer->name == "named");
	BOOST_TEST(!peer->bell);
}

BOOST_AUTO_TEST_CASE(bells_ring_in_both_directions)
{
	place place;
	auto region = evering::region::create({.bytes = 1 << 20});
	auto listener = evering::listener::listen(place.address);
	listener.add(region, "", true);

	std::optional<evering::peer> peer;
	auto end = meet(
		listener,
		[&] {
			evering::peer host;
			auto joined = evering::connect(place.address, {}, evering::never,
						       &host);
			std::uint64_t value = 5;
			if (write(host.bell.get(), &value, 8) != 8)
				_exit(201);
		},
		&peer);
	BOOST_TEST(end == "exit 0");
	BOOST_REQUIRE(peer.has_value());
	std::uint64_t value = 0;
	BOOST_TEST(read(peer->own.get(), &value, 8) == 8);
	BOOST_TEST(value == 5U);
	int fd = peer->bell.get();
	peer.reset();
	BOOST_TEST(fcntl(fd, F_GETFD) == -1);
}

BOOST_AUTO_TEST_CASE(a_policy_may_refuse_and_may_throw)
{
	place place;
	auto region = evering::region::create({.bytes = 1 << 20});
	int refusals = 0;
	std::error_code told;
	bool throws = false;
	evering::listen_options options;

	options.policy.allow = [&](const evering::credentials &, bool listed) {
		BOOST_TEST(listed);
		if (throws)
			throw std::runtime_error("no idea");
		return false;
	};
	options.refused = [&](const evering::credentials &who, std::error_code error,
			      const char *reason) {
		BOOST_TEST(who.uid == geteuid());
		BOOST_TEST(std::string(reason).find("not allowed") != std::string::npos);
		told = error;
		refusals++;
		throw std::runtime_error("nobody hears this");
	};
	auto listener = evering::listener::listen(place.address, std::move(options));
	listener.add(region);
	auto moved = std::move(listener);
	for (throws = false; refusals < 2; throws = true) {
		auto end = meet(moved, [&] { evering::connect(place.address); });
		BOOST_TEST(end == "exit " + std::to_string(EACCES));
		BOOST_REQUIRE(refusals > 0);
	}
	BOOST_TEST((told == std::errc::permission_denied));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_or_not_answering_throws)
{
	place place;
	auto soon = std::chrono::steady_clock::now() + 50ms;

	BOOST_TEST((fixture::thrown_by([&] { evering::connect(place.address); }) ==
		    std::errc::no_such_file_or_directory));
	auto listener = evering::listener::listen(place.address);
	BOOST_TEST((fixture::thrown_by(
			    [&] { evering::listener::listen(place.address); }) ==
		    std::errc::address_in_use));
	BOOST_TEST((fixture::thrown_by([&] { evering::connect(place.address, soon); }) ==
		    std::errc::timed_out));
	BOOST_TEST(!listener.try_accept());
	BOOST_TEST(!listener.accept(soon));
	BOOST_TEST((fixture::thrown_by([&] { listener.remove(); }) ==
		    std::errc::no_such_device_or_address));
}

BOOST_AUTO_TEST_CASE(a_name_has_a_path_and_nothing_was_inherited)
{
	place place;

	setenv("EVERING_RUNTIME_DIR", place.directory.c_str(), 1);
	unsetenv("LISTEN_PID");
	BOOST_TEST(evering::meet_path("db") == place.directory + "/db");
	BOOST_TEST((fixture::thrown_by([] { evering::meet_path("../db"); }) ==
		    std::errc::invalid_argument));
	BOOST_TEST(!evering::inherited_fd());
	setenv("LISTEN_PID", "x", 1);
	setenv("LISTEN_FDS", "1", 1);
	BOOST_TEST((fixture::thrown_by([] { evering::inherited_fd(); }) ==
		    std::errc::invalid_argument));
}
