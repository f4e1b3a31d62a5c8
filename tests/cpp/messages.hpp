/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_CPP_MESSAGES_HPP
#define EVERING_TESTS_CPP_MESSAGES_HPP

/**
 * messages.hpp - what the tests of requests and channels send: "sum up these numbers".
 */

#include <evering/evering.hpp>

#include <cstdint>

struct ask {
	std::uint64_t number = 0;
	evering::contained<std::uint32_t[]> input = {};
	evering::contained<std::uint64_t> total = {};
};

struct answer {
	std::uint64_t sum;
	std::uint64_t product;
};

template <> struct evering::message_traits<ask> : evering::sealed_message<ask> {
};

template <> struct evering::message_traits<answer> : evering::sealed_message<answer> {
};

struct summing {
	using request = ask;
	using response = answer;
};

#endif
