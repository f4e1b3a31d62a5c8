/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* janitor.hpp: deaths answered from an event loop. */

#define BOOST_TEST_MODULE janitor
#include "fixture.hpp"

#include <csignal>
#include <poll.h>
#include <utility>

static_assert(std::movable<evering::janitor> && !std::copyable<evering::janitor>);
static_assert(std::is_nothrow_default_constructible_v<evering::janitor>);

static bool readable(const evering::janitor &janitor, int patience_ms)
{
	pollfd entry = {.fd = janitor.fd(), .events = POLLIN, .revents = 0};

	return poll(&entry, 1, patience_ms) == 1;
}

static const evering::janitor_options without_clock = {
	.interval = std::chrono::nanoseconds::max()};

BOOST_AUTO_TEST_CASE(a_death_makes_it_readable_and_a_step_brings_everything_back)
{
	auto peer = fixture::create();
	evering::janitor janitor(peer.region, without_clock);
	int ready[2];
	char byte = 0;

	BOOST_REQUIRE(pipe(ready) == 0);
	pid_t child = fixture::start_child(peer.region.fd(), [&](fixture::peer &own) {
		auto block = evering::block::alloc(own.agent, 64);
		BOOST_REQUIRE(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	});
	BOOST_REQUIRE(read(ready[0], &byte, 1) == 1);
	BOOST_TEST(janitor.step() == 0U);
	BOOST_TEST(fixture::in_use(peer) > 0U);
	BOOST_TEST(!readable(janitor, 0));

	kill(child, SIGKILL);
	BOOST_TEST(readable(janitor, 5000));
	evering::recovery_stats stats = {};
	BOOST_TEST(janitor.step(&stats) == 1U);
	BOOST_TEST(stats.finished == 1U);
	BOOST_TEST(fixture::in_use(peer) == 0U);
	BOOST_TEST(fixture::end_of(child) == "killed by signal 9");
	close(ready[0]);
	close(ready[1]);
}

BOOST_AUTO_TEST_CASE(it_is_readable_again_after_its_interval)
{
	using namespace std::chrono_literals;
	auto peer = fixture::create();
	evering::janitor janitor(peer.region, {.interval = 1ms});

	for (int i = 0; i < 3; i++) {
		BOOST_TEST(readable(janitor, 5000));
		BOOST_TEST(janitor.step() == 0U);
	}
}

BOOST_AUTO_TEST_CASE(what_the_library_refuses_is_thrown_or_told)
{
	auto peer = fixture::create();
	auto reader = evering::region::attach_read_only(peer.region.fd());
	std::error_code error;

	BOOST_CHECK(fixture::thrown_by([&] { evering::janitor no(reader); }) ==
		    std::errc::read_only_file_system);
	for (int count : {-1, 1}) {
		std::chrono::nanoseconds interval(count);
		evering::janitor no(peer.region, {.interval = interval}, error);
		BOOST_CHECK(error == std::errc::invalid_argument);
		BOOST_TEST(!no);
	}
	evering::janitor one(peer.region);
	BOOST_CHECK(fixture::thrown_by([&] { evering::janitor no(peer.region); }) ==
		    std::errc::device_or_resource_busy);
}

BOOST_AUTO_TEST_CASE(it_moves_and_ends_with_its_last_owner)
{
	auto peer = fixture::create();
	evering::janitor empty;

	BOOST_TEST(!empty);
	{
		evering::janitor first(peer.region);
		evering::janitor second(std::move(first));

		BOOST_TEST(!first);
		BOOST_TEST(second.step() == 0U);
		empty = std::move(second);
	}
	BOOST_TEST(empty.step() == 0U);
	empty = evering::janitor();
	evering::janitor again(peer.region);
	BOOST_TEST(bool(again));
}
