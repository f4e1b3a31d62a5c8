/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* channel.hpp - a typed channel between processes, some of which die. */

#define BOOST_TEST_MODULE processes
#include "fixture.hpp"
#include "messages.hpp"

#include <csignal>
#include <numeric>

using evering::shm_box;

namespace
{

using channel = evering::channel_of<summing>;
using submitter = evering::submitter_of<summing>;
using completer = evering::completer_of<summing>;

/* Sums up until the channel is shut down. */
void serve(fixture::peer &own)
{
	auto found = channel::open(own.pool);
	completer server(found, own.agent);

	while (auto got = server.receive()) {
		auto input = got->content(got->request().input);
		got->complete(0, answer{std::accumulate(input.begin(), input.end(),
							std::uint64_t(0)),
					got->request().number});
	}
}

/* Dies over the first request, in the middle of its answer. */
void die_over_one(fixture::peer &own)
{
	auto found = channel::open(own.pool);
	completer server(found, own.agent);
	auto got = server.receive();

	got->content(got->request().input).front() = 1000;
	raise(SIGKILL);
}

evering::request<ask, answer> numbers_to(submitter &with, evering::agent &agent,
					 std::uint32_t last)
{
	auto numbers = shm_box<std::uint32_t[]>::make(agent, last);
	std::iota(numbers.begin(), numbers.end(), 1U);
	auto made = with.prepare(ask{.number = last});
	made->input = made.contain(std::move(numbers));
	return made;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_child_that_attached_by_the_descriptor_serves_its_parent)
{
	fixture::peer own = fixture::create();
	auto made = channel::create(own.pool);
	pid_t child = fixture::start_child(own.region.fd(), serve);
	{
		submitter sender(made, own.agent);
		for (std::uint32_t n = 1; n <= 10; n++)
			sender.submit(numbers_to(sender, own.agent, n * 10), n);
		std::uint64_t seen = 0;
		while (auto done = sender.reap(fixture::soon())) {
			std::uint64_t last = done->operation() * 10;
			BOOST_TEST(done->response().sum == last * (last + 1) / 2);
			BOOST_TEST(done->response().product == last);
			seen++;
		}
		BOOST_TEST(seen == 10U);
	}
	BOOST_TEST(made.try_shutdown());
	BOOST_TEST(fixture::end_of(child) == "exit 0");
	evering::recover(own.agent);
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_request_whose_server_dies_comes_back_intact_and_can_be_sent_again)
{
	fixture::peer own = fixture::create();
	auto made = channel::create(own.pool);
	submitter sender(made, own.agent);
	pid_t doomed = fixture::start_child(own.region.fd(), die_over_one);
	sender.submit(numbers_to(sender, own.agent, 100), 5);

	auto back = sender.reap(fixture::soon());
	BOOST_REQUIRE(!!back);
	BOOST_TEST(fixture::end_of(doomed) == "killed by signal 9");
	BOOST_TEST(back->died());
	BOOST_TEST(back->status() == -EOWNERDEAD);
	BOOST_TEST(!back->has_response());
	BOOST_TEST(back->operation() == 5U);
	BOOST_TEST(back->request().number == 100U);
	auto input = back->content(back->request().input);
	BOOST_TEST(input.size() == 100U);
	BOOST_TEST(input.front() == 1000U);
	input.front() = 1;

	pid_t second = fixture::start_child(own.region.fd(), serve);
	BOOST_TEST(sender.resubmit(std::move(*back)));
	BOOST_TEST(!*back);
	auto done = sender.reap(fixture::soon());
	BOOST_REQUIRE(!!done);
	BOOST_TEST(done->status() == 0);
	BOOST_TEST(done->attempts() == 1U);
	BOOST_TEST(done->response().sum == 5050U);
	done.reset();

	BOOST_TEST(made.try_shutdown());
	BOOST_TEST(fixture::end_of(second) == "exit 0");
	evering::recover(own.agent);
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(what_a_dead_submitter_left_is_freed_by_those_who_meet_it)
{
	fixture::peer own = fixture::create();
	auto made = channel::create(own.pool);
	completer server(made, own.agent);
	pid_t doomed = fixture::start_child(own.region.fd(), [](fixture::peer &it) {
		auto found = channel::open(it.pool);
		submitter sender(found, it.agent);
		for (int i = 0; i < 3; i++)
			sender.submit(numbers_to(sender, it.agent, 10));
		/* Dead before one is received, it would have left none. */
		for (;;)
			pause();
	});
	auto held = server.receive(fixture::soon());
	kill(doomed, SIGKILL);
	BOOST_REQUIRE(!!held);
	BOOST_TEST(fixture::end_of(doomed) == "killed by signal 9");

	evering::recover(own.agent);
	BOOST_TEST(!held->complete(0, answer{}));
	BOOST_TEST(!server.try_receive());
	BOOST_TEST(fixture::in_use(own) == 0U);
}
