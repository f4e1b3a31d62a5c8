/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* message.hpp - what is a message, and what can not become one. */

#define BOOST_TEST_MODULE message
#include "fixture.hpp"

#include <cstddef>
#include <span>
#include <string>

#define OPT_IN(TYPE)                                                                    \
	template <>                                                                     \
	struct evering::message_traits<TYPE> : evering::sealed_message<TYPE> {          \
	}

using evering::message;

namespace
{

struct plain {
	std::uint64_t number;
	char text[16];
	struct {
		std::int32_t table[2][3];
	} inner;
	std::uint32_t low : 3, high : 5;
	const double ratio;
};

struct not_opted_in {
	std::uint64_t number;
};

struct derived_from_a_message : plain {
};

struct nothing {
};

struct with_a_pointer {
	std::int32_t number;
	std::int32_t *pointer;
};

struct with_a_pointer_deep_inside {
	std::int32_t number;
	struct {
		std::int32_t number;
		std::array<with_a_pointer, 2> pairs;
	} inner;
};

struct with_an_array_of_pointers {
	const char *names[4];
};

struct with_a_function {
	void (*call)();
};

struct with_a_member_pointer {
	int with_a_member_pointer::*member;
};

struct with_a_reference {
	int &other;
};

struct with_a_span {
	std::span<int> run;
};

struct with_a_string {
	std::string text;
};

struct with_a_union {
	union {
		std::int64_t number;
		void *pointer;
	} either;
};

struct with_a_pointer_as_its_sixteenth_member {
	char a, b, c, d, e, f, g, h, i, j, k, l, m, n, o;
	void *pointer;
};

struct polymorphic {
	virtual ~polymorphic() = default;
	int number;
};

class with_private_members
{
public:
	explicit with_private_members(int number) : number_(number)
	{
	}

	int number() const
	{
		return number_;
	}

private:
	int number_;
};

struct alignas(128) aligned_beyond_a_block {
	char bytes[128];
};

} // namespace

OPT_IN(plain);
OPT_IN(nothing);
OPT_IN(with_a_pointer);
OPT_IN(with_a_pointer_deep_inside);
OPT_IN(with_an_array_of_pointers);
OPT_IN(with_a_function);
OPT_IN(with_a_member_pointer);
OPT_IN(with_a_reference);
OPT_IN(with_a_span);
OPT_IN(with_a_string);
OPT_IN(with_a_union);
OPT_IN(with_a_pointer_as_its_sixteenth_member);
OPT_IN(polymorphic);
OPT_IN(with_private_members);
OPT_IN(aligned_beyond_a_block);

BOOST_AUTO_TEST_CASE(sized_arithmetic_and_bytes_are_messages)
{
	BOOST_TEST(message<std::uint8_t>);
	BOOST_TEST(message<std::int64_t>);
	BOOST_TEST(message<bool>);
	BOOST_TEST(message<char>);
	BOOST_TEST(message<double>);
	BOOST_TEST(message<std::byte>);
	BOOST_TEST(!message<wchar_t>);
	BOOST_TEST(!message<long double>);
}

BOOST_AUTO_TEST_CASE(an_array_is_a_message_when_its_elements_are)
{
	BOOST_TEST((message<std::array<std::uint32_t, 4>>));
	BOOST_TEST((message<std::array<std::array<plain, 3>, 4>>));
	BOOST_TEST(!(message<std::array<not_opted_in, 3>>));
	BOOST_TEST(!(message<std::array<int *, 3>>));
}

BOOST_AUTO_TEST_CASE(a_type_becomes_a_message_by_one_specialisation)
{
	BOOST_TEST(message<plain>);
	BOOST_TEST(message<nothing>);
	BOOST_TEST(message<with_private_members>);
}

BOOST_AUTO_TEST_CASE(nothing_becomes_a_message_by_accident)
{
	BOOST_TEST(!message<not_opted_in>);
	BOOST_TEST(!message<derived_from_a_message>);
	BOOST_TEST(!message<const plain>);
	BOOST_TEST(!message<plain &>);
	BOOST_TEST(!message<plain[2]>);
	BOOST_TEST(!message<void>);
}

BOOST_AUTO_TEST_CASE(what_carries_an_address_is_no_message_even_if_opted_in)
{
	BOOST_TEST(!message<void *>);
	BOOST_TEST(!message<with_a_pointer>);
	BOOST_TEST(!message<with_a_pointer_deep_inside>);
	BOOST_TEST(!message<with_an_array_of_pointers>);
	BOOST_TEST(!message<with_a_function>);
	BOOST_TEST(!message<with_a_member_pointer>);
	BOOST_TEST(!message<with_a_reference>);
	BOOST_TEST(!message<with_a_span>);
	BOOST_TEST(!message<with_a_union>);
	BOOST_TEST(!message<with_a_pointer_as_its_sixteenth_member>);
}

BOOST_AUTO_TEST_CASE(what_is_more_than_its_bytes_is_no_message_even_if_opted_in)
{
	BOOST_TEST(!message<with_a_string>);
	BOOST_TEST(!message<polymorphic>);
	BOOST_TEST(!message<aligned_beyond_a_block>);
}

BOOST_AUTO_TEST_CASE(tokens_and_places_of_boxes_may_lie_in_a_message)
{
	BOOST_TEST(message<evering::shm_token<plain>>);
	BOOST_TEST(message<evering::shm_token<char[]>>);
	BOOST_TEST(message<evering::contained<plain>>);
	BOOST_TEST(message<evering::contained<std::byte[]>>);
	BOOST_TEST(!message<evering::shm_box<plain>>);
}
