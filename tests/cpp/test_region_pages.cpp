/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* region.hpp, report.hpp, pool.hpp: which pages, where, growing, and looking at it. */

#define BOOST_TEST_MODULE region_pages
#include "fixture.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <vector>

static constexpr std::uint64_t mib = 1 << 20;

static int some_node()
{
	return *evering::nodes_allowed().begin();
}

static std::uint64_t bytes_on(const evering::range_report &range, int wanted)
{
	std::uint64_t sum = 0;

	for (const auto &[node, bytes] : range.nodes)
		sum += node == wanted ? bytes : 0;
	return sum;
}

static std::ptrdiff_t open_descriptors()
{
	return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

/* ---- where ---- */

BOOST_AUTO_TEST_CASE(a_placement_is_a_value_and_the_pages_lie_there)
{
	int node = some_node();
	const std::pair<evering::placement, evr_policy> wishes[] = {
		{evering::placement::bind({node}), EVR_POLICY_BIND},
		{evering::placement::interleave({node}), EVR_POLICY_INTERLEAVE},
		{evering::placement::preferred({node}), EVR_POLICY_PREFERRED},
	};

	for (const auto &[wish, policy] : wishes) {
		evering::region_options options = {.bytes = 3 * mib};
		options.placement = wish;
		auto region = evering::region::create(options);
		auto report = evering::region_report::of(region);

		BOOST_TEST(report.size() == 1U);
		BOOST_TEST(report[0].policy == policy);
		BOOST_TEST(report[0].nodes_wanted == std::uint64_t{1} << node);
		BOOST_TEST(bytes_on(report[0], node) == 3 * mib);
	}
}

BOOST_AUTO_TEST_CASE(a_region_near_a_cpu_lies_in_the_node_of_that_cpu)
{
	int cpu = *evering::cpus_allowed().begin();
	auto region = evering::region::create(
		{.bytes = mib, .placement = evering::placement::near_cpu(cpu)});
	auto report = evering::region_report::of(region);

	BOOST_TEST(report[0].policy == EVR_POLICY_NEAR_CPU);
	BOOST_TEST(bytes_on(report[0], evering::cpu_node(cpu)) == mib);
}

BOOST_AUTO_TEST_CASE(a_node_that_is_not_there_is_refused_by_its_number)
{
	try {
		evering::region::create(
			{.bytes = mib, .placement = evering::placement::bind({1000})});
		BOOST_ERROR("it was made");
	} catch (const std::system_error &error) {
		BOOST_TEST((error.code() == std::errc::invalid_argument));
		BOOST_TEST(std::strstr(error.what(), "node 1000") != nullptr);
	}
}

BOOST_AUTO_TEST_CASE(a_placement_whose_nodes_were_moved_away_is_refused)
{
	evering::number_set nodes = {some_node()};
	auto taken = std::move(nodes);
	auto empty = evering::placement::bind(std::move(nodes));
	auto refused = fixture::thrown_by(
		[&] { evering::region::create({.bytes = mib, .placement = empty}); });

	BOOST_TEST((refused == std::errc::invalid_argument));
}

/* ---- which ---- */

BOOST_AUTO_TEST_CASE(what_was_asked_for_stands_in_the_report)
{
	auto region = evering::region::create({.bytes = 4 * mib,
					       .prefer_pages = true,
					       .transparent = true,
					       .dumped = true});
	auto report = evering::region_report::of(region);

	BOOST_TEST(report[0].flags == (EVR_REGION_PREFER_PAGES | EVR_REGION_TRANSPARENT |
				       EVR_REGION_DUMPED));
	BOOST_TEST(report[0].dumped);
	BOOST_TEST(!report[0].locked);
	BOOST_TEST(report[0].huge_bytes <= 4 * mib);
}

static boost::test_tools::assertion_result locking_works(boost::unit_test::test_unit_id)
{
	boost::test_tools::assertion_result result(true);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	result = false;
	result.message() << "sanitizers make mlock() do nothing; build without one";
#endif
	return result;
}

BOOST_AUTO_TEST_CASE(a_locked_region_is_locked_or_says_what_the_limit_is,
		     *boost::unit_test::precondition(locking_works))
{
	std::error_code error;
	auto region =
		evering::region::create({.bytes = 16 * 4096, .locked = true}, error);

	if (error) {
		BOOST_TEST((error == std::errc::not_enough_memory));
		BOOST_TEST(std::strstr(evr_error_detail(), "RLIMIT_MEMLOCK"));
		return;
	}
	BOOST_TEST(evering::region_report::of(region)[0].locked);
}

/* ---- progress ---- */

BOOST_AUTO_TEST_CASE(progress_goes_up_and_ends_with_all)
{
	std::vector<std::uint64_t> steps;
	auto region = evering::region::create(
		{.bytes = 130 * mib, .progress = [&](auto done, auto all) {
			 BOOST_TEST(all == 130 * mib);
			 steps.push_back(done);
		 }});

	BOOST_TEST(steps.size() >= 2U);
	BOOST_TEST(std::is_sorted(steps.begin(), steps.end()));
	BOOST_TEST(steps.back() == 130 * mib);
}

BOOST_AUTO_TEST_CASE(what_a_progress_throws_comes_out_of_create_and_nothing_is_left)
{
	auto before = open_descriptors();
	int calls = 0;
	evering::progress bad = [&](auto, auto) {
		calls++;
		throw std::length_error("mine");
	};

	BOOST_CHECK_EXCEPTION(evering::region::create({.bytes = mib, .progress = bad}),
			      std::length_error, [](const std::length_error &thrown) {
				      return std::string("mine") == thrown.what();
			      });
	BOOST_TEST(calls == 1);
	BOOST_TEST(open_descriptors() == before);
}

BOOST_AUTO_TEST_CASE(where_nothing_may_throw_a_progress_that_does_is_a_code)
{
	std::error_code error;
	evering::progress bad = [](auto, auto) { throw 1; };
	auto region = evering::region::create({.bytes = mib, .progress = bad}, error);

	BOOST_TEST((error == std::errc::operation_canceled));
	BOOST_TEST(!region);

	region = evering::region::create({.bytes = mib, .bytes_max = 4 * mib}, error);
	BOOST_TEST(!error);
	BOOST_TEST(region.grow({.bytes = mib, .progress = bad}, error) == 1U);
	BOOST_TEST((error == std::errc::operation_canceled));
	BOOST_TEST(region.bytes() == 2 * mib);
	BOOST_CHECK_THROW(region.grow({.bytes = mib, .progress = bad}), int);
	BOOST_TEST(region.bytes() == 3 * mib);
}

/* ---- growing ---- */

BOOST_AUTO_TEST_CASE(a_region_grows_for_all_who_are_attached)
{
	auto region = evering::region::create({.bytes = mib, .bytes_max = 3 * mib});
	auto other = evering::region::attach(region.fd());

	BOOST_TEST(region.bytes_max() == 3 * mib);
	BOOST_TEST(region.grow({.bytes = mib}) == 1U);
	BOOST_TEST(other.bytes() == 2 * mib);
	BOOST_TEST(other.grow({.bytes = mib}) == 2U);
	BOOST_TEST(region.bytes() == 3 * mib);

	auto full = fixture::thrown_by([&] { region.grow({.bytes = 4096}); });
	BOOST_TEST((full == std::errc::no_space_on_device));
	BOOST_TEST(std::strstr(evr_error_detail(), "may grow by 0") != nullptr);
}

BOOST_AUTO_TEST_CASE(a_pool_gives_out_blocks_of_a_new_range)
{
	auto region = evering::region::create({.bytes = mib, .bytes_max = 8 * mib});
	auto pool = evering::pool::create(region, {{1024, 64}});
	evering::agent agent(pool);
	std::vector<evering::block> blocks;

	auto take_all = [&] {
		while (auto block = evering::block::try_alloc(agent, 1024))
			blocks.push_back(std::move(block));
		return blocks.size();
	};
	BOOST_TEST(take_all() == 64U);
	pool.grow({1024, 100}, region.grow({.bytes = mib}));
	BOOST_TEST(pool.blocks() == 164U);
	BOOST_TEST(take_all() == 164U);

	auto no_class = fixture::thrown_by([&] { pool.grow({2048, 1}); });
	BOOST_TEST((no_class == std::errc::invalid_argument));
	auto no_range = fixture::thrown_by([&] { pool.grow({1024, 1}, 7); });
	BOOST_TEST((no_range == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(the_pages_of_a_range_go_back_and_come_again)
{
	constexpr std::uint64_t large = 64 * 1024;
	auto region = evering::region::create({.bytes = mib, .bytes_max = 8 * mib});
	auto pool = evering::pool::create(region, {{64, 64}, {large, 1}});
	evering::agent agent(pool);
	auto range = region.grow({.bytes = mib});

	pool.grow({large, 10}, range);
	{
		auto one = evering::block::alloc(agent, large);
		auto other = evering::block::alloc(agent, large);
		auto busy = fixture::thrown_by([&] { agent.retire(range); });
		BOOST_TEST((busy == std::errc::device_or_resource_busy));
	}
	BOOST_TEST(agent.retire(range) == 10 * (large - 4096));
	BOOST_TEST(pool.blocks() == 65U);
	pool.grow({large, 10}, range);
	BOOST_TEST(pool.blocks() == 75U);
	auto none = fixture::thrown_by([&] { agent.retire(0); });
	BOOST_TEST((none == std::errc::no_such_file_or_directory));
}

BOOST_AUTO_TEST_CASE(pool_and_uring_lie_in_the_range_that_they_were_given)
{
	auto region = evering::region::create({.bytes = mib, .bytes_max = 8 * mib});
	auto far = region.grow({.bytes = 2 * mib});
	auto pool = evering::pool::create(region, {{64, 64}}, {.range = far});
	evering::agent agent(pool);
	auto block = evering::block::alloc(agent, 64);
	auto uring = evering::uring::create(pool, {.range = far});
	auto *first = reinterpret_cast<std::byte *>(agent.get()->base);

	BOOST_TEST(block.payload().data() - first >= std::ptrdiff_t{mib});
	std::error_code error;
	evering::uring::create(pool, {.name = "nowhere", .range = 2}, 0, 0, error);
	BOOST_TEST((error == std::errc::invalid_argument));
}

/* ---- looking ---- */

BOOST_AUTO_TEST_CASE(who_only_reads_is_nobody_and_writes_nothing)
{
	fixture::peer own = fixture::create();
	auto reader = evering::region::attach_read_only(own.region.fd());
	auto pool = evering::pool::open(reader);

	BOOST_TEST(reader.number() == 0U);
	BOOST_TEST(pool.blocks() == own.pool.blocks());
	auto no_agent = fixture::thrown_by([&] { evering::agent agent(pool); });
	BOOST_TEST((no_agent == std::errc::read_only_file_system));
	auto no_range = fixture::thrown_by([&] { reader.grow({.bytes = 4096}); });
	BOOST_TEST((no_range == std::errc::read_only_file_system));
	BOOST_TEST(evering::region_report::of(reader).bytes() == own.region.bytes());
}

BOOST_AUTO_TEST_CASE(a_report_is_a_value_that_outlives_its_region)
{
	BOOST_TEST(std::is_nothrow_move_constructible_v<evering::region_report>);
	evering::region_report copy;
	BOOST_TEST(copy.empty());
	BOOST_TEST(copy.text() == "");
	{
		auto region =
			evering::region::create({.bytes = mib, .bytes_max = 4 * mib});
		region.grow({.bytes = 2 * mib});
		auto report = evering::region_report::of(region);
		copy = report;
	}
	BOOST_TEST(copy.bytes() == 3 * mib);
	BOOST_TEST(copy.bytes_max() == 4 * mib);
	BOOST_TEST(copy.page_bytes() == EVR_PAGE_4K);
	BOOST_TEST(copy.seals() != 0U);

	std::uint64_t all = 0;
	for (const auto &range : copy) {
		BOOST_TEST(range.state == EVR_RANGE_READY);
		BOOST_TEST(range.offset == all);
		all += range.bytes;
	}
	BOOST_TEST(all == 3 * mib);
}

BOOST_AUTO_TEST_CASE(a_report_reads_the_same_as_text_and_behind_a_descriptor)
{
	auto region = evering::region::create({.bytes = mib});
	auto report = evering::region_report::of(region);
	auto text = report.text();
	int ends[2];

	BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	report.write(ends[1]);
	std::string written(4096, '\0');
	ssize_t length = read(ends[0], written.data(), written.size());
	BOOST_REQUIRE(length > 0);
	written.resize(static_cast<std::size_t>(length));
	BOOST_TEST(written == text);
	BOOST_TEST(text.find("range 0: 1024 KiB at 0 KiB, ready") != std::string::npos);

	close(ends[0]);
	close(ends[1]);
	auto closed = fixture::thrown_by([&] { report.write(ends[1]); });
	BOOST_TEST((closed == std::errc::bad_file_descriptor));
}
