/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_ring_lanes.cpp - lanes of inline entries with types and owners. */

#define BOOST_TEST_MODULE ring_lanes
#include "fixture.hpp"

#include <cstddef>

namespace
{

struct tick {
	std::uint64_t number;
	std::uint32_t price;
	std::uint32_t amount;
};

using numbers = evering::lanes<std::uint64_t>;

} // namespace

template <> struct evering::message_traits<tick> : evering::sealed_message<tick> {
};

BOOST_AUTO_TEST_CASE(values_of_two_pushers_come_to_one_popper_who_learns_the_lane)
{
	auto peer = fixture::create();

	evering::lanes<tick>::create(peer.region, "ticks", 4, 2);
	evering::lanes<tick>::pusher one(peer.region, "ticks"), two(peer.region, "ticks");
	evering::lanes<tick>::popper out(peer.region, "ticks");
	BOOST_TEST(one.capacity() == 16U);
	BOOST_TEST(one.index() != two.index());
	BOOST_TEST(!out.try_pop());
	for (std::uint32_t i = 0; i < 16; i++) {
		BOOST_TEST(one.try_push({i, i + 1, one.index()}));
		BOOST_TEST(two.try_push({i, i + 1, two.index()}));
	}
	BOOST_TEST(!one.try_push({}));
	std::uint64_t next[2] = {0, 0};
	for (std::uint32_t i = 0; i < 32; i++) {
		auto got = out.try_pop();
		BOOST_REQUIRE(got);
		BOOST_REQUIRE(got->amount < 2);
		BOOST_TEST(got->amount == out.last());
		BOOST_TEST((got->number == next[got->amount]++ &&
			    got->price == got->number + 1));
	}
	BOOST_TEST(!out.try_pop());
	BOOST_TEST((fixture::thrown_by([&] {
			   evering::lanes<tick>::pusher(peer.region, "ticks");
		   }) == std::errc::device_or_resource_busy));
	BOOST_TEST((fixture::thrown_by([&] { numbers::popper(peer.region, "ticks"); }) ==
		   std::errc::protocol_error));
}

BOOST_AUTO_TEST_CASE(bursts_go_over_lanes_and_peeks_stay_in_one)
{
	auto peer = fixture::create();
	std::array<std::uint64_t, 4> values{1, 2, 3, 4};
	std::array<std::uint64_t, 10> got{};

	numbers::create(peer.region, "numbers", 2, 3, true);
	numbers::pusher one(peer.region, "numbers"), two(peer.region, "numbers");
	numbers::popper out(peer.region, "numbers");
	BOOST_TEST(one.push_burst(values) == 4U);
	BOOST_TEST(two.push_burst(values) == 4U);
	BOOST_TEST(two.push_burst(values) == 0U);
	auto shown = out.peek();
	BOOST_TEST(shown.size() == 4U);
	BOOST_TEST(shown[3] == 4U);
	out.release(3);
	BOOST_TEST((fixture::thrown_by([&] { out.release(3); }) ==
		   std::errc::invalid_argument));
	BOOST_TEST(out.pop_burst(got) == 5U);
	BOOST_TEST(got[0] == 4U);
	BOOST_TEST(got[4] == 4U);
	BOOST_TEST(out.peek().empty());
}

BOOST_AUTO_TEST_CASE(a_lane_and_the_popper_are_given_back_when_their_objects_end)
{
	auto peer = fixture::create();

	numbers::create(peer.region, "numbers", 2, 1);
	numbers::pusher in(peer.region, "numbers");
	numbers::popper out(peer.region, "numbers");
	BOOST_TEST(in.try_push(1));
	numbers::pusher moved = std::move(in);
	BOOST_TEST((fixture::thrown_by([&] { in.try_push(2); }) ==
		   std::errc::invalid_argument));
	BOOST_TEST(moved.try_push(2));
	moved = {};
	in = {peer.region, "numbers"};
	BOOST_TEST(in.try_push(3));
	BOOST_TEST((fixture::thrown_by(
			    [&] { numbers::popper(peer.region, "numbers"); }) ==
		   std::errc::device_or_resource_busy));
	BOOST_TEST(out.try_pop().value() == 1U);
	out = {};
	out = {peer.region, "numbers"};
	BOOST_TEST(out.try_pop().value() == 2U);
	BOOST_TEST(out.try_pop().value() == 3U);
}

BOOST_AUTO_TEST_CASE(the_end_is_an_exception_after_the_last_value)
{
	auto peer = fixture::create();

	numbers::create(peer.region, "closed by pushers", 2, 2);
	numbers::pusher one(peer.region, "closed by pushers");
	numbers::pusher two(peer.region, "closed by pushers");
	numbers::popper out(peer.region, "closed by pushers");
	BOOST_TEST(one.try_push(1));
	one.close();
	two.close();
	BOOST_TEST(out.try_pop().value() == 1U);
	BOOST_TEST((fixture::thrown_by([&] { out.try_pop(); }) ==
		   std::errc::broken_pipe));

	numbers::create(peer.region, "closed by the popper", 2, 2);
	one = {peer.region, "closed by the popper"};
	out = {peer.region, "closed by the popper"};
	BOOST_TEST(one.try_push(2));
	out.close();
	BOOST_TEST((fixture::thrown_by([&] { one.try_push(3); }) ==
		   std::errc::broken_pipe));
	BOOST_TEST(out.try_pop().value() == 2U);
	BOOST_TEST((fixture::thrown_by([&] { out.try_pop(); }) ==
		   std::errc::broken_pipe));

	numbers::create(peer.region, "hung up", 2, 2);
	one = {peer.region, "hung up"};
	out = {peer.region, "hung up"};
	out.hang_up();
	BOOST_TEST((fixture::thrown_by([&] { one.try_push(3); }) ==
		   std::errc::broken_pipe));
}
