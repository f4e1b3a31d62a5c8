/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* error.hpp, deadline.hpp - what is thrown, what it says, and until when one waits. */

#define BOOST_TEST_MODULE error
#include "fixture.hpp"

#include <cerrno>
#include <cstring>

BOOST_AUTO_TEST_CASE(a_code_equals_the_errc_of_its_errno_and_no_other)
{
	std::error_code code = evering::to_error_code(-EOWNERDEAD);

	BOOST_TEST((code == std::errc::owner_dead));
	BOOST_TEST((code != std::errc::broken_pipe));
	BOOST_TEST((code.category() == evering::error_category()));
	BOOST_TEST(std::string(code.category().name()) == "evering");
}

BOOST_AUTO_TEST_CASE(a_result_that_is_no_error_is_no_code)
{
	BOOST_TEST(!evering::to_error_code(0));
	BOOST_TEST(!evering::to_error_code(7));
	BOOST_TEST(!!evering::to_error_code(-EAGAIN));
}

BOOST_AUTO_TEST_CASE(a_message_says_what_the_error_means_here)
{
	BOOST_TEST(evering::to_error_code(-EPIPE).message() == evr_strerror(EPIPE));
	BOOST_TEST(evering::to_error_code(-EPIPE).message() != std::strerror(EPIPE));
}

BOOST_AUTO_TEST_CASE(what_is_thrown_by_create_names_the_values_that_were_wrong)
{
	try {
		evering::region::create({.bytes = 1 << 20, .page_bytes = 12345});
		BOOST_ERROR("a region with pages of 12345 bytes was created");
	} catch (const std::system_error &error) {
		BOOST_TEST(error.code().value() == EINVAL);
		BOOST_TEST(std::string(error.what()).find("12345") != std::string::npos,
			   error.what());
	}
}

BOOST_AUTO_TEST_CASE(the_overload_with_a_code_does_not_throw_and_gives_an_empty_object)
{
	std::error_code error;
	auto region = evering::region::attach(-1, error);

	BOOST_TEST((error == std::errc::bad_file_descriptor));
	BOOST_TEST(!region);
	static_assert(noexcept(evering::region::attach(-1, error)));
}

BOOST_AUTO_TEST_CASE(a_call_that_succeeds_clears_the_code)
{
	fixture::peer own = fixture::create();
	std::error_code error = evering::to_error_code(-EPIPE);
	auto again = evering::region::attach(own.region.fd(), error);

	BOOST_TEST(!error);
	BOOST_TEST(!!again);
}

BOOST_AUTO_TEST_CASE(a_deadline_is_nanoseconds_of_clock_monotonic)
{
	using evering::detail::to_deadline_ns;
	using namespace std::chrono;

	timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	std::uint64_t now = to_deadline_ns(steady_clock::now());
	clock_gettime(CLOCK_MONOTONIC, &after);
	auto ns = [](const timespec &at) {
		return std::uint64_t(at.tv_sec) * 1'000'000'000 +
		       std::uint64_t(at.tv_nsec);
	};
	BOOST_TEST(ns(before) <= now);
	BOOST_TEST(now <= ns(after));
	BOOST_TEST(to_deadline_ns(evering::never) == EVR_NEVER);
	BOOST_TEST(to_deadline_ns(evering::deadline(-seconds(5))) == 0U);
}
