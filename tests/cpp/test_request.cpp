/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* request.hpp - a request in its three forms, and the boxes in it. */

#define BOOST_TEST_MODULE request
#include "fixture.hpp"
#include "messages.hpp"

#include <cstddef>
#include <numeric>

using evering::completion;
using evering::received;
using evering::request;
using evering::shm_box;

namespace
{

/* A submitter and a completer, participants of their own, in this process. */
struct pair {
	fixture::peer here = fixture::create();
	evering::channel_of<summing> channel = decltype(channel)::create(here.pool);
	evering::submitter_of<summing> submitter{channel, here.agent};

	fixture::peer there = fixture::attach(here.region.fd());
	evering::channel_of<summing> same = decltype(same)::open(there.pool);
	evering::completer_of<summing> completer{same, there.agent};

	std::uint32_t in_use()
	{
		there.agent.flush();
		return fixture::in_use(here);
	}
};

template <class Form>
concept changes_contents = requires(Form &form, shm_box<std::uint64_t> &box) {
	form.contain(std::move(box));
	form.take(evering::contained<std::uint64_t>());
};

template <class Form>
concept completes = requires(Form &form) { form.complete(0); };

template <class Form>
concept has_writable_request = requires(Form &form) { form.request().number = 1; };

} // namespace

BOOST_AUTO_TEST_CASE(all_three_forms_move_and_do_not_copy)
{
	BOOST_TEST((!std::is_copy_constructible_v<request<ask, answer>>));
	BOOST_TEST((!std::is_copy_constructible_v<received<ask, answer>>));
	BOOST_TEST((!std::is_copy_constructible_v<completion<ask, answer>>));
	BOOST_TEST((std::is_nothrow_move_constructible_v<request<ask, answer>>));
	BOOST_TEST((std::is_nothrow_move_assignable_v<received<ask, answer>>));
	BOOST_TEST((std::is_nothrow_move_assignable_v<completion<ask, answer>>));
}

BOOST_AUTO_TEST_CASE(calls_of_the_wrong_role_do_not_exist)
{
	BOOST_TEST((changes_contents<request<ask, answer>>));
	BOOST_TEST((changes_contents<completion<ask, answer>>));
	BOOST_TEST((!changes_contents<received<ask, answer>>));
	BOOST_TEST((completes<received<ask, answer>>));
	BOOST_TEST((!completes<request<ask, answer>>));
	BOOST_TEST((!completes<completion<ask, answer>>));
	BOOST_TEST((!has_writable_request<received<ask, answer>>));
}

BOOST_AUTO_TEST_CASE(the_response_lies_behind_the_request_as_in_a_struct)
{
	struct both {
		ask request;
		answer response;
	};
	using frame = evering::detail::frame<ask, answer>;

	BOOST_TEST(frame::response_offset == offsetof(both, response));
	BOOST_TEST((evering::detail::frame<char, std::uint64_t>::response_offset == 8U));
	BOOST_TEST((evering::detail::frame<char, std::uint64_t>::bytes == 16U));
}

BOOST_AUTO_TEST_CASE(a_request_that_is_never_submitted_is_freed_with_its_contents)
{
	pair both;
	{
		auto made = both.submitter.prepare(ask{.number = 1});
		made.contain(shm_box<std::uint64_t>::make(both.here.agent, 2U));
		BOOST_TEST(both.in_use() == 2U);
	}
	BOOST_TEST(both.in_use() == 0U);
}

BOOST_AUTO_TEST_CASE(boxes_travel_in_a_request_and_come_back_without_a_copy)
{
	pair both;
	auto numbers = shm_box<std::uint32_t[]>::make(both.here.agent, 100);
	std::iota(numbers.begin(), numbers.end(), 1U);
	const std::uint32_t *memory = numbers.data();

	auto asked = both.submitter.prepare();
	asked->input = asked.contain(std::move(numbers));
	asked->total = asked.contain(shm_box<std::uint64_t>::make(both.here.agent));
	BOOST_TEST(!numbers);
	BOOST_TEST(asked.content(asked->input).size() == 100U);
	BOOST_REQUIRE(both.submitter.try_submit(std::move(asked)));
	BOOST_TEST(!asked);

	auto got = both.completer.try_receive();
	BOOST_REQUIRE(!!got);
	auto input = got->content(got->request().input);
	BOOST_TEST(input.size() == 100U);
	got->content(got->request().total) =
		std::accumulate(input.begin(), input.end(), std::uint64_t(0));
	got->complete(0);

	auto done = both.submitter.try_reap();
	BOOST_REQUIRE(!!done);
	BOOST_TEST(done->content(done->request().total) == 5050U);
	auto back = done->take(done->request().input);
	BOOST_TEST(back.data() == memory);
	BOOST_TEST(back.size() == 100U);
	BOOST_TEST(both.in_use() == 3U);
	done.reset();
	BOOST_TEST(both.in_use() == 1U);
	back.reset();
	BOOST_TEST(both.in_use() == 0U);
}

BOOST_AUTO_TEST_CASE(what_a_message_says_of_its_contents_is_not_believed)
{
	pair both;
	auto asked = both.submitter.prepare();
	asked->input = asked.contain(shm_box<std::uint32_t[]>::make(both.here.agent, 16));
	asked->input.count = 17;
	asked->total = {.place = 0, .count = 0};
	BOOST_REQUIRE(both.submitter.try_submit(std::move(asked)));

	auto got = both.completer.try_receive();
	BOOST_REQUIRE(!!got);
	auto refusal_of = [&](auto where) {
		return fixture::thrown_by([&] { got->content(where); }).value();
	};
	auto where = got->request().input;
	BOOST_TEST(refusal_of(where) == EUCLEAN);
	BOOST_TEST(refusal_of(got->request().total) == EUCLEAN);
	where = {.place = 1, .count = 1};
	BOOST_TEST(refusal_of(where) == ENOENT);
	where = {.place = UINT32_MAX, .count = 1};
	BOOST_TEST(refusal_of(where) != 0);
	where = {.place = 0, .count = UINT32_MAX};
	BOOST_TEST(refusal_of(where) == EUCLEAN);
	where = {.place = 0, .count = 16};
	BOOST_TEST(refusal_of(where) == 0);
	std::error_code error;
	BOOST_TEST(got->content(where, error).size() == 16U);
}

BOOST_AUTO_TEST_CASE(a_default_place_of_a_run_is_an_empty_run)
{
	pair both;
	auto asked = both.submitter.prepare();

	BOOST_TEST(asked.content(asked->input).empty());
	BOOST_TEST(!asked.take(asked->input));
}

BOOST_AUTO_TEST_CASE(a_box_for_which_there_is_no_place_stays_the_callers)
{
	pair both;
	auto asked = both.submitter.prepare();
	for (int i = 0; i < EVR_BLOCK_CONTENTS_MAX; i++)
		asked.contain(shm_box<std::uint64_t>::make(both.here.agent, 1U));
	auto run = shm_box<char[]>::make(both.here.agent, 10);
	auto refused = fixture::thrown_by([&] { asked.contain(std::move(run)); });

	BOOST_TEST((refused == std::errc::no_space_on_device));
	BOOST_TEST(run.size() == 10U);
	BOOST_TEST(!!run);
}

BOOST_AUTO_TEST_CASE(a_received_request_that_is_dropped_comes_home_cancelled)
{
	pair both;
	BOOST_REQUIRE(
		both.submitter.try_submit(both.submitter.prepare(ask{.number = 9})));
	{
		auto got = both.completer.try_receive();
		BOOST_REQUIRE(!!got);
		auto moved = std::move(*got);
		BOOST_TEST(!*got);
		BOOST_TEST(!both.submitter.try_reap());
	}
	auto done = both.submitter.try_reap();
	BOOST_REQUIRE(!!done);
	BOOST_TEST(done->status() == -ECANCELED);
	BOOST_TEST(!done->has_response());
	BOOST_TEST(done->request().number == 9U);
	BOOST_TEST(!both.submitter.try_reap());
}

BOOST_AUTO_TEST_CASE(a_received_request_is_completed_once)
{
	pair both;
	BOOST_REQUIRE(both.submitter.try_submit(both.submitter.prepare()));
	auto got = both.completer.try_receive();
	BOOST_REQUIRE(!!got);
	BOOST_TEST(got->complete(0, answer{1, 2}));
	BOOST_TEST(!*got);
	auto again = fixture::thrown_by([&] { got->complete(0, answer{3, 4}); });
	BOOST_TEST(again.value() == ESTALE);
	BOOST_TEST(both.submitter.try_reap()->response().product == 2U);
}

BOOST_AUTO_TEST_CASE(a_completion_without_a_response_says_so)
{
	pair both;
	BOOST_REQUIRE(both.submitter.try_submit(both.submitter.prepare()));
	both.completer.try_receive()->complete(5);
	auto done = both.submitter.try_reap();

	BOOST_REQUIRE(!!done);
	BOOST_TEST(done->status() == 5);
	auto missing = fixture::thrown_by([&] { done->response(); });
	BOOST_TEST(missing.value() == ENODATA);
}

BOOST_AUTO_TEST_CASE(a_completion_becomes_a_new_request_in_the_same_block)
{
	pair both;
	BOOST_REQUIRE(
		both.submitter.try_submit(both.submitter.prepare(ask{.number = 1})));
	both.completer.try_receive()->complete(0, answer{});
	auto done = both.submitter.try_reap();
	BOOST_REQUIRE(!!done);
	const void *memory = done->get().payload;
	auto next = std::move(*done).reuse(ask{.number = 2});

	BOOST_TEST(!*done);
	BOOST_TEST(next.get().payload == memory);
	BOOST_REQUIRE(both.submitter.try_submit(std::move(next)));
	auto got = both.completer.try_receive();
	BOOST_TEST(got->request().number == 2U);
	BOOST_TEST(got->attempts() == 0U);
}

BOOST_AUTO_TEST_CASE(to_complete_for_a_submitter_that_is_gone_is_false_and_frees_all)
{
	pair both;
	auto asked = both.submitter.prepare();
	asked.contain(shm_box<std::uint64_t>::make(both.here.agent, 1U));
	BOOST_REQUIRE(both.submitter.try_submit(std::move(asked)));
	auto got = both.completer.try_receive();
	BOOST_REQUIRE(!!got);
	both.submitter = {};

	BOOST_TEST(!got->complete(0, answer{}));
	BOOST_TEST(both.in_use() == 0U);
}
