/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_ring.cpp - ring.hpp: roles are objects. */

#define BOOST_TEST_MODULE ring
#include "fixture.hpp"

#include <evering/ring.hpp>

#include <csignal>

using evering::block;
using evering::popper;
using evering::pusher;
using evering::ring;

static_assert(!std::is_copy_constructible_v<pusher> &&
	      std::is_nothrow_move_constructible_v<pusher> &&
	      std::is_nothrow_move_assignable_v<popper>);

static std::error_code push(pusher &by, evering::agent &agent, std::uint64_t number)
{
	block made = block::alloc(agent, 64);
	*reinterpret_cast<std::uint64_t *>(made.payload().data()) = number;
	return by.try_push(std::move(made));
}

static std::uint64_t number_in(const block &of)
{
	return *reinterpret_cast<const std::uint64_t *>(of.payload().data());
}

BOOST_AUTO_TEST_CASE(every_kind_of_ring_gives_blocks_in_order)
{
	for (int kind = 0; kind < 4; kind++) {
		fixture::peer peer = fixture::create();
		ring made = ring::create(peer.region, "r",
					 {.order = 3,
					  .single_pusher = (kind & 1) != 0,
					  .single_popper = (kind & 2) != 0});
		BOOST_TEST(made.capacity() == 8u);
		BOOST_TEST(made.single_pusher() == ((kind & 1) != 0));
		BOOST_TEST(ring::open(peer.region, "r").single_popper() ==
			   ((kind & 2) != 0));
		{
			pusher in(made, peer.agent);
			popper out(made, peer.agent);
			for (std::uint64_t i = 0; i < 100; i++) {
				BOOST_TEST(!push(in, peer.agent, i));
				BOOST_TEST(number_in(out.try_pop()) == i);
			}
			BOOST_TEST(!out.try_pop());
			BOOST_TEST(!in.close());
			BOOST_TEST((push(in, peer.agent, 1) == std::errc::broken_pipe));
			BOOST_TEST((fixture::thrown_by([&] { out.try_pop(); }) ==
				    std::errc::broken_pipe));
		}
		BOOST_TEST(fixture::in_use(peer) == 0u);
	}
}

BOOST_AUTO_TEST_CASE(a_role_is_one_objects_and_moves_with_it)
{
	fixture::peer peer = fixture::create();
	ring made = ring::create(peer.region, "r", {.order = 2, .single_pusher = true});
	pusher first(made, peer.agent);
	auto busy = [&] {
		return fixture::thrown_by([&] { pusher another(made, peer.agent); }) ==
		       std::errc::device_or_resource_busy;
	};

	BOOST_TEST(busy());
	pusher second = std::move(first);
	BOOST_TEST(!first);
	BOOST_TEST(busy());
	BOOST_TEST(!push(second, peer.agent, 5));
	second = pusher();
	pusher third(made, peer.agent);
	BOOST_TEST(!push(third, peer.agent, 6));
	popper out(made, peer.agent);
	BOOST_TEST(number_in(out.try_pop()) == 5u);
	BOOST_TEST(number_in(out.try_pop()) == 6u);
	third.leave();
	BOOST_TEST(!busy());
}

BOOST_AUTO_TEST_CASE(a_block_that_does_not_fit_stays_the_callers)
{
	fixture::peer peer = fixture::create();
	ring made = ring::create(peer.region, "r", {.order = 1, .single_pusher = true});
	pusher in(made, peer.agent);
	block kept = block::alloc(peer.agent, 64);

	BOOST_TEST(!push(in, peer.agent, 1));
	BOOST_TEST(!push(in, peer.agent, 2));
	BOOST_TEST((in.try_push(std::move(kept)) ==
		    std::errc::resource_unavailable_try_again));
	BOOST_TEST(static_cast<bool>(kept));
}

BOOST_AUTO_TEST_CASE(the_role_of_a_killed_one_is_taken_by_the_next)
{
	fixture::peer peer = fixture::create();
	ring made = ring::create(peer.region, "r", {.order = 3, .single_pusher = true});
	pid_t child = fixture::start_child(
		evr_region_fd(peer.region.get()), [](fixture::peer &own) {
			ring found = ring::open(own.region, "r");
			pusher in(found, own.agent);
			push(in, own.agent, 1);
			std::raise(SIGKILL);
		});

	BOOST_TEST(fixture::end_of(child) == "killed by signal 9");
	pusher in(made, peer.agent);
	popper out(made, peer.agent);
	BOOST_TEST(!push(in, peer.agent, 2));
	BOOST_TEST(number_in(out.try_pop()) == 1u);
	BOOST_TEST(number_in(out.try_pop()) == 2u);
	BOOST_TEST(evr_recover(peer.agent.get(), nullptr) == 0);
	BOOST_TEST(fixture::in_use(peer) == 0u);
}

BOOST_AUTO_TEST_CASE(who_is_not_its_pusher_hangs_up)
{
	fixture::peer peer = fixture::create();
	ring made = ring::create(peer.region, "r", {.order = 3, .single_pusher = true});
	pusher in(made, peer.agent);
	popper out(made, peer.agent);

	BOOST_TEST((made.close() == std::errc::operation_in_progress));
	BOOST_TEST((push(in, peer.agent, 1) == std::errc::broken_pipe));
	BOOST_TEST((fixture::thrown_by([&] { out.try_pop(); }) ==
		    std::errc::broken_pipe));
	in.leave();
	BOOST_TEST((fixture::thrown_by([&] { pusher again(made, peer.agent); }) ==
		    std::errc::broken_pipe));
}
