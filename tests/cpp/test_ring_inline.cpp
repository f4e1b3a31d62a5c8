/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_ring_inline.cpp - rings of inline entries with types and owners. */

#define BOOST_TEST_MODULE ring_inline
#include "fixture.hpp"

#include <cstddef>

namespace
{

struct tick {
	std::uint64_t number;
	std::uint32_t price;
	std::uint32_t amount;
};

struct pair_of_ends {
	fixture::peer peer = fixture::create();
	evering::spsc<std::uint64_t>::pusher in;
	evering::spsc<std::uint64_t>::popper out;

	explicit pair_of_ends(std::uint32_t order)
	{
		evering::spsc<std::uint64_t>::create(peer.region, "ring", order);
		in = {peer.region, "ring"};
		out = {peer.region, "ring"};
	}
};

} // namespace

template <> struct evering::message_traits<tick> : evering::sealed_message<tick> {
};

BOOST_AUTO_TEST_CASE(values_come_out_as_they_went_in)
{
	auto peer = fixture::create();

	evering::spsc<tick>::create(peer.region, "ticks", 4);
	evering::spsc<tick>::pusher in(peer.region, "ticks");
	evering::spsc<tick>::popper out(peer.region, "ticks");
	BOOST_TEST(in.capacity() == 16U);
	BOOST_TEST(!out.try_pop());
	for (std::uint32_t i = 0; i < 16; i++)
		BOOST_TEST(in.try_push({i, i + 1, i + 2}));
	BOOST_TEST(!in.try_push({}));
	for (std::uint32_t i = 0; i < 16; i++) {
		auto got = out.try_pop();
		BOOST_REQUIRE(got);
		BOOST_TEST((got->number == i && got->price == i + 1 &&
			    got->amount == i + 2));
	}
	BOOST_TEST(!out.try_pop());
}

BOOST_AUTO_TEST_CASE(bursts_and_peeks_are_as_long_as_can_be)
{
	pair_of_ends ends(3);
	std::array<std::uint64_t, 10> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	std::array<std::uint64_t, 10> got{};

	BOOST_TEST(ends.in.push_burst(numbers) == 8U);
	BOOST_TEST(ends.in.push_burst(numbers) == 0U);
	auto shown = ends.out.peek(3);
	BOOST_TEST(shown.size() == 3U);
	BOOST_TEST(shown[2] == 2U);
	ends.out.release(2);
	BOOST_TEST(ends.out.pop_burst(got) == 6U);
	BOOST_TEST(got[0] == 2U);
	BOOST_TEST(got[5] == 7U);
	BOOST_TEST(ends.out.peek().empty());
}

BOOST_AUTO_TEST_CASE(a_role_is_given_back_when_its_object_ends)
{
	pair_of_ends ends(3);
	using ring = evering::spsc<std::uint64_t>;

	BOOST_TEST((fixture::thrown_by([&] { ring::pusher(ends.peer.region, "ring"); }) ==
		   std::errc::device_or_resource_busy));
	BOOST_TEST(ends.in.try_push(1));
	ends.in = {};
	ends.in = {ends.peer.region, "ring"};
	BOOST_TEST(ends.in.try_push(2));
	ring::popper moved = std::move(ends.out);
	BOOST_TEST(moved.try_pop().value() == 1U);
	BOOST_TEST(moved.try_pop().value() == 2U);
	BOOST_TEST((fixture::thrown_by([&] { ends.out.try_pop(); }) ==
		   std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(the_end_is_an_exception_after_the_last_value)
{
	pair_of_ends ends(3);

	BOOST_TEST(ends.in.try_push(1));
	ends.in.close();
	BOOST_TEST(ends.out.try_pop().value() == 1U);
	BOOST_TEST((fixture::thrown_by([&] { ends.out.try_pop(); }) ==
		   std::errc::broken_pipe));

	pair_of_ends others(3);
	others.out.hang_up();
	BOOST_TEST((fixture::thrown_by([&] { others.in.try_push(1); }) ==
		   std::errc::broken_pipe));
}

BOOST_AUTO_TEST_CASE(another_type_is_refused)
{
	pair_of_ends ends(3);

	BOOST_TEST((fixture::thrown_by([&] {
			   evering::spsc<tick>::popper(ends.peer.region, "ring");
		   }) == std::errc::protocol_error));
}

BOOST_AUTO_TEST_CASE(a_dead_pusher_is_told_of_and_followed)
{
	pair_of_ends ends(3);

	ends.in = {};
	auto child = fixture::start_child(
		evr_region_fd(ends.peer.region.get()), [](fixture::peer &own) {
			evering::spsc<std::uint64_t>::pusher in(own.region, "ring");
			in.try_push(7);
			_exit(0);
		});
	BOOST_TEST(fixture::end_of(child) == "exit 0");
	BOOST_TEST(evr_participant_find_dead(ends.peer.region.get()) >= 0);
	BOOST_TEST(ends.out.try_pop().value() == 7U);
	BOOST_TEST((fixture::thrown_by([&] { ends.out.try_pop(); }) ==
		   std::errc::owner_dead));
	ends.in = {ends.peer.region, "ring"};
	BOOST_TEST(ends.in.try_push(8));
	BOOST_TEST(ends.out.try_pop().value() == 8U);
}

BOOST_AUTO_TEST_CASE(one_who_finds_nothing_backs_off_and_gets_it_when_it_is_there)
{
	pair_of_ends ends(3);
	evering::backoff backoff;
	std::optional<std::uint64_t> got;
	int looks = 0;

	while (!(got = ends.out.try_pop())) {
		if (++looks == 8)
			BOOST_TEST(ends.in.try_push(5));
		backoff.wait();
	}
	backoff.reset();
	BOOST_TEST(*got == 5U);
	BOOST_TEST(looks == 8);
}
