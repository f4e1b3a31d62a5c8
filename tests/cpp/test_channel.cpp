/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* channel.hpp - a typed channel between two participants of this process. */

#define BOOST_TEST_MODULE channel
#include "fixture.hpp"
#include "messages.hpp"

#include <thread>
#include <vector>

using evering::channel;
using evering::completer;
using evering::shm_box;
using evering::submitter;

namespace
{

/* A submitter and a completer, participants of their own, with few places each. */
struct pair {
	fixture::peer here = fixture::create();
	channel<ask, answer> made = decltype(made)::create(
		here.pool, {.submission_capacity = 4, .completion_capacity = 16});
	submitter<ask, answer> sender{made, here.agent};

	fixture::peer there = fixture::attach(here.region.fd());
	channel<ask, answer> found = decltype(found)::open(there.pool);
	completer<ask, answer> server{found, there.agent};

	std::uint32_t in_use()
	{
		there.agent.flush();
		return fixture::in_use(here);
	}
};

struct not_a_message {
	int number;
};

template <class T, class U>
concept can_be_channel = requires { typename channel<T, U>; };

template <class End>
concept submits = requires(End &end) { end.try_submit(end.prepare()); };

template <class End>
concept reaps = requires(End &end) { end.try_reap(); };

template <class End>
concept receives = requires(End &end) { end.try_receive(); };

} // namespace

BOOST_AUTO_TEST_CASE(channels_are_of_messages_only)
{
	BOOST_TEST((can_be_channel<ask, answer>));
	BOOST_TEST((can_be_channel<std::uint64_t, bool>));
	BOOST_TEST(!(can_be_channel<not_a_message, answer>));
	BOOST_TEST(!(can_be_channel<ask, not_a_message>));
	BOOST_TEST(!(can_be_channel<ask, char *>));
}

BOOST_AUTO_TEST_CASE(the_two_ends_are_duals_and_the_wrong_ends_calls_do_not_exist)
{
	BOOST_TEST((submits<submitter<ask, answer>>));
	BOOST_TEST((reaps<submitter<ask, answer>>));
	BOOST_TEST((!receives<submitter<ask, answer>>));
	BOOST_TEST((receives<completer<ask, answer>>));
	BOOST_TEST((!submits<completer<ask, answer>>));
	BOOST_TEST((!reaps<completer<ask, answer>>));
}

BOOST_AUTO_TEST_CASE(a_specification_names_the_same_types)
{
	BOOST_TEST((std::same_as<evering::channel_of<summing>, channel<ask, answer>>));
	BOOST_TEST(
		(std::same_as<evering::submitter_of<summing>, submitter<ask, answer>>));
	BOOST_TEST(
		(std::same_as<evering::completer_of<summing>, completer<ask, answer>>));
	BOOST_TEST(evering::uring_spec<summing>);
	BOOST_TEST(!evering::uring_spec<ask>);
}

BOOST_AUTO_TEST_CASE(channels_and_their_ends_move_and_do_not_copy)
{
	BOOST_TEST((!std::is_copy_constructible_v<channel<ask, answer>>));
	BOOST_TEST((!std::is_copy_constructible_v<submitter<ask, answer>>));
	BOOST_TEST((!std::is_copy_constructible_v<completer<ask, answer>>));
	BOOST_TEST((std::is_nothrow_move_assignable_v<submitter<ask, answer>>));
	BOOST_TEST((std::is_nothrow_move_assignable_v<completer<ask, answer>>));
}

BOOST_AUTO_TEST_CASE(a_request_goes_there_and_its_response_comes_back)
{
	pair both;
	BOOST_TEST(both.sender.try_submit(both.sender.prepare(ask{.number = 20}), 77));
	BOOST_TEST(both.sender.in_flight() == 1U);

	auto got = both.server.try_receive();
	BOOST_REQUIRE(!!got);
	BOOST_TEST(got->request().number == 20U);
	BOOST_TEST(got->operation() == 77U);
	BOOST_TEST(got->attempts() == 0U);
	BOOST_TEST(got->complete(3, answer{.sum = 40, .product = 400}));

	auto done = both.sender.try_reap();
	BOOST_REQUIRE(!!done);
	BOOST_TEST(done->status() == 3);
	BOOST_TEST(!done->died());
	BOOST_TEST(done->operation() == 77U);
	BOOST_TEST(done->has_response());
	BOOST_TEST(done->response().sum == 40U);
	BOOST_TEST(done->response().product == 400U);
	BOOST_TEST(done->request().number == 20U);
	done.reset();
	BOOST_TEST(both.sender.in_flight() == 0U);
	BOOST_TEST(both.in_use() == 0U);
}

BOOST_AUTO_TEST_CASE(nothing_there_is_an_empty_optional)
{
	pair both;

	BOOST_TEST(!both.server.try_receive());
	BOOST_TEST(!both.sender.try_reap());
	BOOST_TEST(!both.sender.reap());
	BOOST_TEST(!both.server.shut_down());
}

BOOST_AUTO_TEST_CASE(a_deadline_that_passes_is_an_empty_optional)
{
	pair both;
	auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);

	BOOST_TEST(!both.server.receive(until));
	BOOST_TEST((std::chrono::steady_clock::now() >= until));
	BOOST_REQUIRE(both.sender.submit(both.sender.prepare()));
	std::error_code error = evering::to_error_code(-EPIPE);
	BOOST_TEST(!both.sender.reap(until, error));
	BOOST_TEST(!error);
}

BOOST_AUTO_TEST_CASE(a_full_ring_is_false_and_the_request_is_kept)
{
	pair both;
	for (int i = 0; i < 4; i++)
		BOOST_REQUIRE(both.sender.try_submit(both.sender.prepare()));
	auto fifth = both.sender.prepare(ask{.number = 5});

	BOOST_TEST(!both.sender.try_submit(std::move(fifth)));
	BOOST_TEST(!!fifth);
	BOOST_TEST(fifth->number == 5U);
	auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
	BOOST_TEST(!both.sender.submit(std::move(fifth), 0, until));
	BOOST_TEST((std::chrono::steady_clock::now() >= until));

	both.server.try_receive()->complete(0, answer{});
	BOOST_TEST(both.sender.try_submit(std::move(fifth)));
	BOOST_TEST(!fifth);
}

BOOST_AUTO_TEST_CASE(a_full_window_is_false_until_something_is_reaped)
{
	pair both;
	std::uint32_t sent = 0;

	while (both.sender.try_submit(both.sender.prepare())) {
		sent++;
		both.server.try_receive()->complete(0, answer{});
	}
	BOOST_TEST(sent == both.made.window());
	BOOST_TEST(!both.sender.submit(both.sender.prepare()));
	BOOST_TEST(!!both.sender.try_reap());
	BOOST_TEST(both.sender.submit(both.sender.prepare()));
}

BOOST_AUTO_TEST_CASE(reaping_in_a_loop_ends_when_all_is_done)
{
	pair both;
	for (std::uint64_t n = 1; n <= 4; n++)
		BOOST_REQUIRE(
			both.sender.submit(both.sender.prepare(ask{.number = n}), n));
	while (auto got = both.server.try_receive())
		got->complete(0, answer{.sum = got->request().number, .product = 0});
	std::vector<std::uint64_t> order;
	while (auto done = both.sender.reap(fixture::soon()))
		order.push_back(done->response().sum);

	BOOST_TEST((order == std::vector<std::uint64_t>{1, 2, 3, 4}));
}

BOOST_AUTO_TEST_CASE(shutting_down_ends_the_servers_loop_and_refuses_what_is_new)
{
	pair both;
	int served = 0;
	BOOST_REQUIRE(both.sender.submit(both.sender.prepare()));
	BOOST_REQUIRE(both.made.try_shutdown());
	auto late = both.sender.prepare();
	auto refused = fixture::thrown_by(
		[&] { (void)both.sender.try_submit(std::move(late)); });
	BOOST_TEST((refused == std::errc::broken_pipe));
	BOOST_TEST(!!late);

	while (auto got = both.server.receive(fixture::soon())) {
		got->complete(0, answer{});
		served++;
	}
	BOOST_TEST(served == 1);
	BOOST_TEST(both.server.shut_down());
	BOOST_TEST(!!both.sender.try_reap());
}

BOOST_AUTO_TEST_CASE(a_channel_of_other_sizes_is_refused_at_open)
{
	pair both;
	auto wrong_request = fixture::thrown_by(
		[&] { channel<std::uint64_t, answer>::open(both.there.pool); });
	auto wrong_response = fixture::thrown_by(
		[&] { channel<ask, std::uint64_t>::open(both.there.pool); });

	BOOST_TEST((wrong_request == std::errc::protocol_error));
	BOOST_TEST((wrong_response == std::errc::protocol_error));
}

BOOST_AUTO_TEST_CASE(
	a_request_that_no_block_can_hold_is_refused_at_create_with_both_sizes)
{
	auto region = evering::region::create({.bytes = 1 << 20});
	auto pool = evering::pool::create(region, {{64, 64}});
	try {
		channel<std::array<char, 60>, std::uint64_t>::create(pool);
		BOOST_ERROR("72 bytes went into blocks of 64");
	} catch (const std::system_error &error) {
		std::string what = error.what();
		BOOST_TEST(what.find("72") != std::string::npos, what);
		BOOST_TEST(what.find("64") != std::string::npos, what);
	}
}

BOOST_AUTO_TEST_CASE(a_request_of_another_size_is_answered_and_not_handed_out)
{
	pair both;
	evr_uring *bare = nullptr;
	evr_submitter *old = nullptr;
	evr_completion back;
	BOOST_REQUIRE(evr_uring_open(both.here.pool.get(), nullptr, 0, 0, &bare) == 0);
	BOOST_REQUIRE(evr_submitter_open(bare, both.here.agent.get(), nullptr, &old) ==
		      0);
	auto block = evering::block::alloc(both.here.agent, 64);
	evr_request shorter = {block.get(), 0, sizeof(ask) - 1, 0};
	BOOST_REQUIRE(evr_submitter_try_submit(old, &shorter) == 0);
	block.release();
	BOOST_REQUIRE(both.sender.submit(both.sender.prepare(ask{.number = 8})));

	auto got = both.server.try_receive();
	BOOST_REQUIRE(!!got);
	BOOST_TEST(got->request().number == 8U);
	BOOST_REQUIRE(evr_submitter_try_reap(old, &back) == 0);
	BOOST_TEST(back.status == -EPROTO);
	evr_block_free(both.here.agent.get(), back.block.token);
	evr_submitter_close(old);
	evr_uring_close(bare);
}

BOOST_AUTO_TEST_CASE(
	a_pool_without_a_free_block_makes_try_prepare_empty_and_prepare_throw)
{
	pair both;
	std::vector<evering::request<ask, answer>> all;

	while (auto more = both.sender.try_prepare())
		all.push_back(std::move(more));
	BOOST_TEST(all.size() == fixture::small_count);
	auto refused = fixture::thrown_by([&] { both.sender.prepare(); });
	BOOST_TEST((refused == std::errc::no_space_on_device));
}

BOOST_AUTO_TEST_CASE(a_request_that_was_submitted_can_not_be_submitted_again)
{
	pair both;
	auto only = both.sender.prepare();
	BOOST_REQUIRE(both.sender.try_submit(std::move(only)));
	auto refused = fixture::thrown_by(
		[&] { (void)both.sender.try_submit(std::move(only)); });

	BOOST_TEST((refused == std::errc::cross_device_link));
	BOOST_TEST(!!both.server.try_receive());
	BOOST_TEST(!both.server.try_receive());
}

BOOST_AUTO_TEST_CASE(waiting_ends_find_each_other_in_two_threads)
{
	constexpr std::uint64_t count = 2000;
	pair both;
	std::uint64_t wrong = 0;
	std::thread serving([&] {
		while (auto got = both.server.receive(fixture::soon()))
			got->complete(0, answer{got->request().number, 0});
	});

	for (std::uint64_t n = 0; n < count; n++) {
		both.sender.submit(both.sender.prepare(ask{.number = n}), n,
				   fixture::soon());
		auto done = both.sender.reap(fixture::soon());
		wrong += !done || done->operation() != n || done->response().sum != n;
	}
	BOOST_TEST(both.made.try_shutdown());
	serving.join();
	BOOST_TEST(wrong == 0U);
	BOOST_TEST(both.in_use() == 0U);
}
