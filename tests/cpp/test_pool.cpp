/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* pool.hpp, recovery.hpp - blocks with an owner. */

#define BOOST_TEST_MODULE pool
#include "fixture.hpp"

#include <csignal>
#include <cstring>
#include <vector>

using evering::block;

BOOST_AUTO_TEST_CASE(handles_move_and_do_not_copy)
{
	BOOST_TEST(!std::is_copy_constructible_v<evering::pool>);
	BOOST_TEST(!std::is_copy_constructible_v<evering::agent>);
	BOOST_TEST(!std::is_copy_constructible_v<block>);
	BOOST_TEST(!std::is_copy_assignable_v<block>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<evering::agent>);
	BOOST_TEST(std::is_nothrow_move_constructible_v<block>);
	BOOST_TEST(std::is_nothrow_move_assignable_v<block>);
}

BOOST_AUTO_TEST_CASE(a_second_view_finds_the_pool_that_the_first_made)
{
	fixture::peer own = fixture::create();
	fixture::peer other = fixture::attach(own.region.fd());

	BOOST_TEST(other.pool.blocks() == fixture::small_count + fixture::large_count);
	BOOST_TEST(other.pool.payload_max() == 4096U);
	auto refused = fixture::thrown_by(
		[&] { evering::pool::create(other.region, {{64, 64}}); });
	BOOST_TEST((refused == std::errc::file_exists));
}

BOOST_AUTO_TEST_CASE(a_region_without_a_pool_says_so)
{
	auto region = evering::region::create({.bytes = 1 << 20});
	auto refused = fixture::thrown_by([&] { evering::pool::open(region); });

	BOOST_TEST((refused == std::errc::no_such_file_or_directory));
}

BOOST_AUTO_TEST_CASE(too_many_classes_are_refused_and_not_cut_off)
{
	auto region = evering::region::create({.bytes = 1 << 20});
	std::vector<evering::pool_class> classes;
	for (unsigned i = 1; i <= EVR_POOL_CLASSES_MAX + 1; i++)
		classes.push_back({64 * i, 1});
	auto refused =
		fixture::thrown_by([&] { evering::pool::create(region, classes); });

	BOOST_TEST((refused == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_block_is_freed_at_the_end_of_its_scope)
{
	fixture::peer own = fixture::create();
	{
		block taken = block::alloc(own.agent, 100);
		BOOST_TEST(taken.payload().size() == 4096U);
		BOOST_TEST(fixture::in_use(own) == 1U);
	}
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_class_aligns_its_payloads)
{
	auto region = evering::region::create({.bytes = 1 << 20});
	auto pool = evering::pool::create(region, {{64, 8}, {8192, 8, 4096}});
	evering::agent agent(pool);

	for (int i = 0; i < 2; i++) {
		block taken = block::alloc(agent, 8192);
		auto at = reinterpret_cast<std::uintptr_t>(taken.payload().data());
		BOOST_TEST(at % 4096 == 0U);
	}
	auto refused = fixture::thrown_by([] {
		auto other = evering::region::create({.bytes = 1 << 20});
		evering::pool::create(other, {{8192, 8, 96}});
	});
	BOOST_TEST((refused == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_class_tells_who_has_its_blocks)
{
	fixture::peer own = fixture::create();
	fixture::peer other = fixture::attach(own.region.fd());
	block mine = block::alloc(own.agent, 4096);
	block his = block::alloc(other.agent, 4096);
	std::array<evr_pool_held, 4> held;
	evr_pool_class_stats stats = own.pool.stats(1, held);

	BOOST_TEST(stats.payload_bytes == 4096U);
	BOOST_TEST(stats.blocks == fixture::large_count);
	BOOST_TEST(stats.owned == 2U);
	BOOST_TEST(stats.held_count == 2U);
	BOOST_TEST(held[0].owned == 1U);
	BOOST_TEST(held[1].owned == 1U);
	BOOST_TEST(own.pool.stats(0).free == fixture::small_count);
	auto refused = fixture::thrown_by([&] { own.pool.stats(2); });
	BOOST_TEST((refused == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(blocks_are_counted_by_node_and_an_agent_may_choose_one)
{
	fixture::peer own = fixture::create();
	block mine = block::alloc(own.agent, 4096);

	BOOST_TEST(own.pool.node_stats(1, -1).blocks == fixture::large_count);
	BOOST_TEST(own.pool.node_stats(1, -1).free < fixture::large_count);
	BOOST_TEST(own.pool.node_stats(1, 3).blocks == 0U);
	own.agent.set_node(3);
	block other = block::alloc(own.agent, 64);
	BOOST_TEST(own.agent.borrowed() == 0U);
	auto refused = fixture::thrown_by([&] { own.agent.set_node(64); });
	BOOST_TEST((refused == std::errc::invalid_argument));
	refused = fixture::thrown_by([&] { own.pool.node_stats(2, 0); });
	BOOST_TEST((refused == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(many_blocks_come_and_go_in_one_call)
{
	fixture::peer own = fixture::create();
	std::vector<block> all(fixture::small_count + 2);

	all[0] = block::alloc(own.agent, 4096);
	BOOST_TEST(block::alloc_bulk(own.agent, 64, std::span(all).first(100)) == 100U);
	BOOST_TEST(fixture::in_use(own) == 100U); /* the large one is free again */
	BOOST_TEST(block::alloc_bulk(own.agent, 64, std::span(all).subspan(100)) ==
		   fixture::small_count - 100);
	BOOST_TEST(!!all[fixture::small_count - 1]);
	BOOST_TEST(!all[fixture::small_count]);
	BOOST_TEST(block::alloc_bulk(own.agent, 64, std::span(all).last(2)) == 0U);
	auto refused =
		fixture::thrown_by([&] { block::alloc_bulk(own.agent, 4097, all); });
	BOOST_TEST((refused == std::errc::invalid_argument));
	block::free_bulk(all);
	BOOST_TEST(!all[0]);
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_block_that_was_moved_is_freed_once)
{
	fixture::peer own = fixture::create();
	{
		block first = block::alloc(own.agent, 64);
		evr_token token = first.token();
		block second = std::move(first);
		BOOST_TEST(!first);
		BOOST_TEST(first.token().raw == 0U);
		BOOST_TEST(second.token().raw == token.raw);
		second = block::alloc(own.agent, 64);
		BOOST_TEST(fixture::in_use(own) == 1U);
	}
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_released_block_is_the_callers_and_can_be_adopted)
{
	fixture::peer own = fixture::create();
	evr_block bare = block::alloc(own.agent, 64).release();

	BOOST_TEST(fixture::in_use(own) == 1U);
	block::adopt(own.agent.get(), bare).reset();
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(try_alloc_is_empty_and_alloc_throws_when_no_block_is_free)
{
	fixture::peer own = fixture::create();
	std::vector<block> all;

	while (block taken = block::try_alloc(own.agent, 4096))
		all.push_back(std::move(taken));
	BOOST_TEST(all.size() == fixture::large_count);
	auto refused = fixture::thrown_by([&] { block::alloc(own.agent, 4096); });
	BOOST_TEST((refused == std::errc::no_space_on_device));
	all.pop_back();
	BOOST_TEST(!!block::try_alloc(own.agent, 4096));
}

BOOST_AUTO_TEST_CASE(a_block_larger_than_every_class_is_refused_by_try_alloc_too)
{
	fixture::peer own = fixture::create();
	auto refused = fixture::thrown_by([&] { block::try_alloc(own.agent, 4097); });

	BOOST_TEST((refused == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_contained_block_goes_with_its_container_and_comes_out_again)
{
	fixture::peer own = fixture::create();
	block outer = block::alloc(own.agent, 64);
	block inner = block::alloc(own.agent, 4096);
	std::memcpy(inner.payload().data(), "kept", 5);

	std::uint32_t place = outer.contain(std::move(inner));
	BOOST_TEST(!inner);
	block again = outer.take_out(place);
	BOOST_TEST(std::memcmp(again.payload().data(), "kept", 5) == 0);
	auto empty = fixture::thrown_by([&] { outer.take_out(place); });
	BOOST_TEST((empty == std::errc::no_such_file_or_directory));

	outer.contain(std::move(again));
	BOOST_TEST(fixture::in_use(own) == 2U);
	outer.reset();
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(a_block_that_cannot_be_contained_stays_the_callers)
{
	fixture::peer own = fixture::create();
	block outer = block::alloc(own.agent, 64);
	for (int i = 0; i < EVR_BLOCK_CONTENTS_MAX; i++)
		outer.contain(block::alloc(own.agent, 64));
	block fourth = block::alloc(own.agent, 64);
	auto refused = fixture::thrown_by([&] { outer.contain(std::move(fourth)); });

	BOOST_TEST((refused == std::errc::no_space_on_device));
	BOOST_TEST(!!fourth);
}

BOOST_AUTO_TEST_CASE(the_blocks_of_a_killed_process_come_back_by_recovery)
{
	fixture::peer own = fixture::create();
	pid_t child = fixture::start_child(own.region.fd(), [](fixture::peer &it) {
		auto held = block::alloc(it.agent, 64);
		auto more = block::alloc(it.agent, 4096);
		raise(SIGKILL);
	});
	BOOST_TEST(fixture::end_of(child) == "killed by signal 9");

	BOOST_TEST(fixture::in_use(own) > 0U);
	evering::recovery_stats done = evering::recover(own.agent);
	BOOST_TEST(done.dead == 1U);
	BOOST_TEST(done.finished == 1U);
	BOOST_TEST(fixture::in_use(own) == 0U);
}

BOOST_AUTO_TEST_CASE(recovery_in_steps_ends_and_brings_the_same_back)
{
	BOOST_TEST(!std::is_copy_constructible_v<evering::recoverer>);
	BOOST_TEST(std::is_move_constructible_v<evering::recoverer>);

	fixture::peer own = fixture::create();
	pid_t child = fixture::start_child(own.region.fd(), [](fixture::peer &it) {
		auto held = block::alloc(it.agent, 64);
		raise(SIGKILL);
	});
	BOOST_TEST(fixture::end_of(child) == "killed by signal 9");

	evering::recoverer first(own.agent);
	evering::recoverer steps(std::move(first));
	int count = 1;
	while (steps.step(10) == evering::recovery_progress::more)
		count++;
	BOOST_TEST(count > 1);
	BOOST_TEST(steps.stats().steps == static_cast<unsigned>(count));
	BOOST_TEST(steps.stats().finished == 1U);
	BOOST_TEST(steps.stats().passes == 1U);
	BOOST_TEST(fixture::in_use(own) == 0U);
	BOOST_CHECK_THROW(steps.step(0), std::system_error);
}
