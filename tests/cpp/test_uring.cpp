/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* uring.hpp - making, finding and shutting down. */

#define BOOST_TEST_MODULE uring
#include "fixture.hpp"

using evering::uring;

BOOST_AUTO_TEST_CASE(a_uring_moves_and_does_not_copy)
{
	BOOST_TEST(!std::is_copy_constructible_v<uring>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<uring>);
}

BOOST_AUTO_TEST_CASE(a_uring_is_found_by_its_name)
{
	fixture::peer own = fixture::create();
	fixture::peer other = fixture::attach(own.region.fd());
	auto made = uring::create(own.pool, {.name = "work", .completion_capacity = 8});

	BOOST_TEST(uring::open(other.pool, "work").window() == made.window());
	BOOST_TEST(made.window() > 0U);
	BOOST_TEST(made.window() < 8U);
	auto refused = fixture::thrown_by([&] { uring::open(other.pool, "play"); });
	BOOST_TEST((refused == std::errc::no_such_file_or_directory));
	refused = fixture::thrown_by([&] { uring::create(own.pool, {.name = "work"}); });
	BOOST_TEST((refused == std::errc::file_exists));
}

BOOST_AUTO_TEST_CASE(message_sizes_that_differ_are_refused_and_both_are_named)
{
	fixture::peer own = fixture::create();
	auto made = uring::create(own.pool, {}, 24, 16);

	BOOST_TEST(!!uring::open(own.pool, nullptr, 24, 16));
	BOOST_TEST(!!uring::open(own.pool));
	try {
		uring::open(own.pool, nullptr, 24, 17);
		BOOST_ERROR("a uring with responses of 16 bytes was opened for 17");
	} catch (const std::system_error &error) {
		std::string what = error.what();
		BOOST_TEST(error.code().value() == EPROTO);
		BOOST_TEST(what.find("16") != std::string::npos, what);
		BOOST_TEST(what.find("17") != std::string::npos, what);
	}
}

BOOST_AUTO_TEST_CASE(capacities_that_are_no_powers_of_two_are_refused)
{
	fixture::peer own = fixture::create();
	auto refused = fixture::thrown_by(
		[&] { uring::create(own.pool, {.submission_capacity = 100}); });

	BOOST_TEST((refused == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(shutting_down_twice_is_shutting_down)
{
	fixture::peer own = fixture::create();
	auto made = uring::create(own.pool);

	BOOST_TEST(made.try_shutdown());
	BOOST_TEST(made.try_shutdown());
}
