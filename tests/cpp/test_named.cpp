/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* named.hpp - members of a name, and who owns what. */

#define BOOST_TEST_MODULE named
#include "fixture.hpp"

#include <filesystem>
#include <stdexcept>

namespace
{

using namespace std::chrono_literals;

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

evering::named_options with_pool()
{
	return {.create = evering::region_options{.bytes = 1 << 20},
		.setup = [](const evering::region &made) {
			evering::pool::create(made, {{64, 128}});
		}};
}

evering::deadline soon()
{
	return std::chrono::steady_clock::now() + 5s;
}

} // namespace

BOOST_AUTO_TEST_CASE(the_first_makes_it_and_the_second_finds_what_was_set_up)
{
	place place;
	auto first = evering::named_region::open(place.address, with_pool(), soon());
	BOOST_TEST(first.was_created());
	auto pool = evering::pool::open(first.region());
	{
		auto second =
			evering::named_region::open(place.address, with_pool(), soon());
		BOOST_TEST(!second.was_created());
		BOOST_TEST(second.region().number() != first.region().number());
		evering::pool::open(second.region());
	}
	BOOST_TEST(std::filesystem::is_socket(place.address));
}

BOOST_AUTO_TEST_CASE(a_member_moves_and_does_not_copy_and_the_last_leaves_nothing)
{
	BOOST_TEST(!std::is_copy_constructible_v<evering::named_region>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<evering::named_region>);

	place place;
	{
		evering::named_region member;
		BOOST_TEST(!member);
		member = evering::named_region::open(place.address, with_pool(), soon());
		auto moved = std::move(member);
		BOOST_TEST(!member);
		BOOST_TEST(!member.region());
		BOOST_TEST(moved.region().bytes() == 1U << 20);
		/* One that was somewhere else leaves there. */
		auto other = evering::named_region::open(place.directory + "/other",
							 with_pool(), soon());
		other = std::move(moved);
		BOOST_TEST(std::filesystem::exists(place.address));
	}
	BOOST_TEST(std::filesystem::is_empty(place.directory));
}

BOOST_AUTO_TEST_CASE(what_a_set_up_throws_comes_out_and_nothing_is_left)
{
	place place;
	auto options = with_pool();
	options.setup = [](const evering::region &) { throw std::domain_error("no"); };
	BOOST_CHECK_THROW(evering::named_region::open(place.address, options, soon()),
			  std::domain_error);
	BOOST_TEST(std::filesystem::is_empty(place.directory));
}

BOOST_AUTO_TEST_CASE(without_create_it_is_an_error_that_there_is_none)
{
	place place;
	try {
		evering::named_region::open(place.address, {}, evering::deadline());
		BOOST_ERROR("it should throw");
	} catch (const std::system_error &error) {
		BOOST_TEST(error.code().value() == ENOENT);
	}
	auto first = evering::named_region::open(place.address, with_pool(), soon());
	auto visitor =
		evering::named_region::open(place.address, {.visitor = true}, soon());
	BOOST_TEST(!visitor.was_created());
}

BOOST_AUTO_TEST_CASE(a_policy_is_asked_for_as_long_as_the_member_is_there)
{
	place place;
	int asked = 0;
	auto options = with_pool();
	options.policy.allow = [&asked](const evering::credentials &, bool listed) {
		asked++;
		return listed;
	};
	{
		auto member = evering::named_region::open(place.address, options, soon());
		auto moved = std::move(member);
		evering::connect(place.address, soon());
	}
	BOOST_TEST(asked == 1);
}
