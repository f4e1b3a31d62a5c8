/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* region.hpp - views of a region, and how a region gets from one process to another. */

#define BOOST_TEST_MODULE region
#include "fixture.hpp"

#include <fcntl.h>
#include <sys/socket.h>

BOOST_AUTO_TEST_CASE(a_region_moves_and_does_not_copy)
{
	BOOST_TEST(!std::is_copy_constructible_v<evering::region>);
	BOOST_TEST(!std::is_copy_assignable_v<evering::region>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<evering::region>);

	auto first = evering::region::create({.bytes = 1 << 20});
	auto number = first.number();
	auto second = std::move(first);
	BOOST_TEST(!first);
	BOOST_TEST(second.number() == number);
}

BOOST_AUTO_TEST_CASE(a_region_has_the_size_that_was_asked_for)
{
	auto region = evering::region::create({.bytes = (1 << 20) + 1});

	BOOST_TEST(region.page_bytes() == EVR_PAGE_4K);
	BOOST_TEST(region.bytes() == (1U << 20) + EVR_PAGE_4K);
}

BOOST_AUTO_TEST_CASE(each_attachment_is_a_participant_of_its_own)
{
	auto region = evering::region::create({.bytes = 1 << 20});
	auto again = evering::region::attach(region.fd());

	BOOST_TEST(region.number() != 0U);
	BOOST_TEST(again.number() != 0U);
	BOOST_TEST(again.number() != region.number());
	BOOST_TEST(again.bytes() == region.bytes());
}

BOOST_AUTO_TEST_CASE(the_destructor_leaves_and_makes_room_for_another)
{
	auto region = evering::region::create({.bytes = 1 << 20, .participants = 2});
	auto pool = evering::pool::create(region, {{64, 64}});
	evering::agent agent(pool);

	for (int turn = 0; turn < 5; turn++) {
		auto second = evering::region::attach(region.fd());
		auto refused = fixture::thrown_by(
			[&] { evering::region::attach(region.fd()); });
		BOOST_TEST((refused == std::errc::too_many_files_open));
		second = evering::region();
		evering::recover(agent);
	}
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_is_no_region_is_refused)
{
	int fd = open("/dev/null", O_RDWR);
	auto refused = fixture::thrown_by([&] { evering::region::attach(fd); });

	BOOST_TEST(refused.value() == EMEDIUMTYPE);
	close(fd);
}

BOOST_AUTO_TEST_CASE(a_region_travels_over_a_socket)
{
	int ends[2];
	BOOST_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);

	auto region = evering::region::create({.bytes = 1 << 20});
	region.send(ends[0]);
	auto received = evering::region::receive(ends[1]);
	BOOST_TEST(received.bytes() == region.bytes());

	close(ends[0]);
	auto refused = fixture::thrown_by([&] { evering::region::receive(ends[1]); });
	BOOST_TEST((refused == std::errc::broken_pipe));
	close(ends[1]);
}

BOOST_AUTO_TEST_CASE(a_dump_says_something_about_the_region)
{
	int ends[2];
	BOOST_REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);

	fixture::peer own = fixture::create();
	own.region.dump(ends[1]);
	char text[256];
	BOOST_TEST(read(ends[0], text, sizeof(text)) > 0);
	close(ends[0]);
	close(ends[1]);
}
