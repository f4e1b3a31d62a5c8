/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* box.hpp - values in shared memory with an owner, and their tokens. */

#define BOOST_TEST_MODULE box
#include "fixture.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

using evering::shm_box;
using evering::shm_token;

namespace
{

struct point {
	std::int32_t x, y;
};

struct unknown {
	std::int32_t x;
};

template <class T>
concept can_be_boxed = requires { shm_token<T>(); };

} // namespace

template <> struct evering::message_traits<point> : evering::sealed_message<point> {
};

BOOST_AUTO_TEST_CASE(boxes_move_and_do_not_copy)
{
	BOOST_TEST(!std::is_copy_constructible_v<shm_box<point>>);
	BOOST_TEST(!std::is_copy_assignable_v<shm_box<point[]>>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<shm_box<point>>);
	BOOST_TEST(std::is_nothrow_move_assignable_v<shm_box<point[]>>);
}

BOOST_AUTO_TEST_CASE(a_token_is_trivially_copyable_and_small)
{
	BOOST_TEST(std::is_trivially_copyable_v<shm_token<point>>);
	BOOST_TEST(std::is_trivially_copyable_v<shm_token<point[]>>);
	BOOST_TEST(sizeof(shm_token<point>) == 8U);
	BOOST_TEST(sizeof(shm_token<point[]>) == 16U);
}

BOOST_AUTO_TEST_CASE(only_messages_can_be_boxed)
{
	BOOST_TEST(can_be_boxed<point>);
	BOOST_TEST(can_be_boxed<point[]>);
	BOOST_TEST(!can_be_boxed<unknown>);
	BOOST_TEST(!can_be_boxed<unknown[]>);
	BOOST_TEST(!can_be_boxed<int *>);
	BOOST_TEST(!can_be_boxed<point[4]>);
}

BOOST_AUTO_TEST_CASE(a_box_holds_what_it_was_made_from)
{
	fixture::peer own = fixture::create();
	auto box = shm_box<point>::make(own.agent, 3, 4);

	BOOST_TEST(box->x == 3);
	BOOST_TEST((*box).y == 4);
	BOOST_TEST((reinterpret_cast<std::uintptr_t>(box.get()) % 64) == 0U);
	auto zero = shm_box<point>::make(own.agent);
	BOOST_TEST(zero->x == 0);
}

BOOST_AUTO_TEST_CASE(a_run_knows_its_length_and_begins_cleared)
{
	fixture::peer own = fixture::create();
	{
		auto scribbled =
			shm_box<std::uint32_t[]>::make_for_overwrite(own.agent, 16);
		std::ranges::fill(scribbled, 0xffffffffU);
	}
	auto run = shm_box<std::uint32_t[]>::make(own.agent, 16);
	BOOST_TEST(run.size() == 16U);
	BOOST_TEST(std::ranges::count(run, 0U) == 16);
	std::iota(run.begin(), run.end(), 1U);
	BOOST_TEST(run[15] == 16U);
	BOOST_TEST(run.span().front() == 1U);
}

BOOST_AUTO_TEST_CASE(a_box_frees_its_block_at_the_end_of_its_scope)
{
	fixture::peer own = fixture::create();
	{
		auto box = shm_box<point>::make(own.agent, 1, 2);
		auto run = shm_box<char[]>::make(own.agent, 3000);
		BOOST_TEST(fixture::in_use(own) == 2U);
		auto moved = std::move(run);
		BOOST_TEST(!run);
		BOOST_TEST(run.size() == 0U);
		box = shm_box<point>::make(own.agent, 5, 6);
		BOOST_TEST(fixture::in_use(own) == 2U);
	}
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_run_too_long_to_count_is_refused)
{
	fixture::peer own = fixture::create();
	/* Times 8 it would wrap; not a constant, or the compiler would refuse it. */
	std::uint64_t count = UINT64_MAX / 4 - own.region.number();
	auto refused = fixture::thrown_by(
		[&] { shm_box<std::uint64_t[]>::make(own.agent, count); });

	BOOST_TEST((refused == std::errc::invalid_argument));
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_pool_without_a_free_block_makes_try_make_empty_and_make_throw)
{
	fixture::peer own = fixture::create();
	std::vector<shm_box<char[]>> all;

	while (auto box = shm_box<char[]>::try_make_for_overwrite(own.agent, 4096))
		all.push_back(std::move(box));
	BOOST_TEST(all.size() == fixture::large_count);
	auto refused =
		fixture::thrown_by([&] { shm_box<char[]>::make(own.agent, 4096); });
	BOOST_TEST((refused == std::errc::no_space_on_device));
	std::error_code error;
	BOOST_TEST(!shm_box<char[]>::make(own.agent, 4096, error));
	BOOST_TEST((error == std::errc::no_space_on_device));
}

BOOST_AUTO_TEST_CASE(a_token_opens_once_and_its_second_use_is_stale)
{
	fixture::peer own = fixture::create();
	auto box = shm_box<point>::make(own.agent, 3, 4);
	point *where = box.get();
	shm_token<point> token = box.release();
	BOOST_TEST(!box);
	BOOST_TEST(fixture::in_use(own) == 1U);

	auto opened = shm_box<point>::from_token(own.agent, token);
	BOOST_TEST(opened.get() == where);
	BOOST_TEST(opened->y == 4);
	auto again =
		fixture::thrown_by([&] { shm_box<point>::from_token(own.agent, token); });
	BOOST_TEST(again.value() == ESTALE);
	BOOST_TEST(opened->y == 4);
	opened.reset();
	auto freed =
		fixture::thrown_by([&] { shm_box<point>::from_token(own.agent, token); });
	BOOST_TEST(freed.value() == ESTALE);
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_token_of_a_run_remembers_its_length)
{
	fixture::peer own = fixture::create();
	auto run = shm_box<std::uint16_t[]>::make(own.agent, 100);
	run[99] = 7;
	auto opened = shm_box<std::uint16_t[]>::from_token(own.agent, run.release());

	BOOST_TEST(opened.size() == 100U);
	BOOST_TEST(opened[99] == 7U);
}

BOOST_AUTO_TEST_CASE(of_two_threads_with_copies_of_a_token_one_gets_the_box)
{
	fixture::peer own = fixture::create();

	for (int turn = 0; turn < 200; turn++) {
		auto token = shm_box<int>::make(own.agent, turn).release();
		int got[2] = {-1, -1};
		auto open = [&](int &into) {
			evering::agent agent(own.pool);
			std::error_code error;
			auto box = shm_box<int>::from_token(agent, token, error);
			into = box ? *box : error.value() == ESTALE ? -1 : -2;
		};
		std::thread other([&] { open(got[0]); });
		open(got[1]);
		other.join();
		BOOST_TEST_REQUIRE(std::min(got[0], got[1]) == -1);
		BOOST_TEST_REQUIRE(std::max(got[0], got[1]) == turn);
	}
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_token_does_not_open_in_another_participant_or_region)
{
	fixture::peer own = fixture::create();
	fixture::peer other = fixture::attach(own.region.fd());
	fixture::peer stranger = fixture::create();
	auto token = shm_box<point>::make(own.agent, 3, 4).release();

	auto refused = fixture::thrown_by(
		[&] { shm_box<point>::from_token(other.agent, token); });
	BOOST_TEST((refused == std::errc::operation_not_permitted));
	refused = fixture::thrown_by(
		[&] { shm_box<point>::from_token(stranger.agent, token); });
	BOOST_TEST((refused == std::errc::cross_device_link));
	BOOST_TEST(shm_box<point>::from_token(own.agent, token)->x == 3);
}

BOOST_AUTO_TEST_CASE(the_token_of_an_empty_box_opens_nothing)
{
	fixture::peer own = fixture::create();
	auto token = shm_box<point>().release();
	auto refused =
		fixture::thrown_by([&] { shm_box<point>::from_token(own.agent, token); });

	BOOST_TEST((refused == std::errc::cross_device_link));
}

BOOST_AUTO_TEST_CASE(a_token_that_claims_more_than_its_block_holds_is_refused)
{
	fixture::peer own = fixture::create();
	auto token = shm_box<char[]>::make(own.agent, 64).release();
	struct {
		evr_token name;
		std::uint64_t count;
	} forged;
	static_assert(sizeof(forged) == sizeof(token));
	std::memcpy(&forged, &token, sizeof(forged));
	forged.count = 65;
	auto longer = std::bit_cast<shm_token<char[]>>(forged);
	auto refused = fixture::thrown_by(
		[&] { shm_box<char[]>::from_token(own.agent, longer); });

	BOOST_TEST((refused == std::errc::invalid_argument));
	BOOST_TEST(shm_box<char[]>::from_token(own.agent, token).size() == 64U);
}

BOOST_AUTO_TEST_CASE(a_block_from_a_ring_becomes_a_box_if_it_is_large_enough)
{
	fixture::peer own = fixture::create();
	auto refused = fixture::thrown_by([&] {
		shm_box<char[]>::adopt(evering::block::alloc(own.agent, 64), 65);
	});

	BOOST_TEST((refused == std::errc::invalid_argument));
	auto run = shm_box<char[]>::adopt(evering::block::alloc(own.agent, 64), 64);
	BOOST_TEST(run.size() == 64U);
	run.reset();
	BOOST_TEST(fixture::in_use(own) == 0U);
}
