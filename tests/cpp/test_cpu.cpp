/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* cpu.hpp - sets are values and ranges, errors are thrown with what was seen. */

#define BOOST_TEST_MODULE cpu
#include "fixture.hpp"

#include <evering/cpu.hpp>

#include <algorithm>
#include <cstdlib>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

using evering::cpu_role;
using evering::number_set;

static_assert(std::input_iterator<number_set::iterator>);
static_assert(std::ranges::input_range<number_set>);

BOOST_AUTO_TEST_CASE(a_set_is_a_value)
{
	number_set one{1, 2, 70};
	number_set other = one;

	BOOST_TEST((one == other));
	other.add(5000);
	BOOST_TEST((one != other));
	BOOST_TEST(one.text() == "1-2,70");
	BOOST_TEST(other.text() == "1-2,70,5000");
	other = one;
	other.remove(2);
	BOOST_TEST(other.size() == 2);
	BOOST_TEST(one.contains(2));
	number_set moved = std::move(one);
	BOOST_TEST(moved.text() == "1-2,70");
	moved.clear();
	BOOST_TEST(moved.empty());
	BOOST_TEST(moved.text() == "");
}

BOOST_AUTO_TEST_CASE(a_set_is_a_range_of_its_members)
{
	const std::vector<int> wanted{0, 3, 64, 1024};
	std::vector<int> seen;

	for (int number : number_set{1024, 3, 0, 64})
		seen.push_back(number);
	BOOST_TEST(seen == wanted);
}

BOOST_AUTO_TEST_CASE(a_list_is_read_within_what_there_is)
{
	const number_set there{0, 1, 2, 3};

	BOOST_TEST(number_set::parse("0,2-5").text() == "0,2-5");
	BOOST_TEST(number_set::parse("!3", there).text() == "0-2");
	BOOST_CHECK_EXCEPTION(number_set::parse("9", there), std::system_error,
			      [](const std::system_error &error) {
				      return std::string(error.what()).find(
						     "9 is not among 0-3") !=
					     std::string::npos;
			      });
	BOOST_CHECK_THROW(number_set{-1}, std::system_error);
}

BOOST_AUTO_TEST_CASE(a_role_is_pinned_where_the_environment_says)
{
	const number_set before = evering::cpus_allowed();
	const int first = *before.begin();

	unsetenv(EVR_CPU_ENVIRONMENT);
	BOOST_TEST(!evering::pin(cpu_role::submitter, 0));
	setenv(EVR_CPU_ENVIRONMENT, ("submitter:" + std::to_string(first)).c_str(), 1);
	BOOST_TEST(!evering::pin(cpu_role::submitter, 1));
	BOOST_TEST(!evering::pin(cpu_role::completer, 0));
	BOOST_TEST((evering::cpus_allowed() == before));
	BOOST_TEST(evering::pin(cpu_role::submitter, 0).value() == first);
	BOOST_TEST((evering::cpus_allowed() == number_set{first}));
	evering::pin(before);
	BOOST_TEST((evering::cpus_allowed() == before));
	setenv(EVR_CPU_ENVIRONMENT, "submitter:x", 1);
	BOOST_CHECK_THROW(evering::pin(cpu_role::submitter, 0), std::system_error);
	BOOST_CHECK_THROW(evering::pin(number_set{}), std::system_error);
}

BOOST_AUTO_TEST_CASE(memory_lies_in_a_node_that_is_allowed)
{
	std::vector<char> memory(1 << 16, 'x');
	const auto node = evering::address_node(memory.data());

	BOOST_TEST(node.has_value());
	BOOST_TEST(evering::nodes_allowed().contains(node.value_or(-1)));
	const int cpu = *evering::cpus_allowed().begin();
	BOOST_TEST(evering::node_cpus(evering::cpu_node(cpu)).contains(cpu));
	BOOST_CHECK_THROW(evering::cpu_node(-1), std::system_error);
}
