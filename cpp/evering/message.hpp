/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_MESSAGE_HPP
#define EVERING_MESSAGE_HPP

/**
 * message.hpp - what may lie in shared memory and be sent: the concept `message`.
 *
 * A message is bytes that mean the same to every process: trivially copyable, of standard
 * layout, without addresses, aligned to 64 bytes at most (as a block's payload is). The
 * sized arithmetic types, std::byte and std::arrays of messages are messages. A type of
 * your own becomes one by your saying so, once, where it is defined:
 *
 *	struct ask {
 *		std::uint64_t number;
 *		std::array<char, 24> text;
 *	};
 *	template <> struct evering::message_traits<ask> : evering::sealed_message<ask> {};
 *
 * Nothing becomes a message by accident: not by looking like one, and not by deriving
 * from one. And the word is checked. An address hides anywhere, so the members of an
 * aggregate are looked through, as deep as they nest; what the language does not let us
 * look into (a class with constructors or private members, a union) must be opted in
 * itself, and is its author's word.
 *
 * Limits of the looking, each a compile error and never a silent yes: aggregates of more
 * than 16 members (group them), with base classes, or with anonymous unions.
 */

#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>

namespace evering
{

/** The seal: message_traits<T> derives from sealed_message<T> when T is a message. */
template <class T> struct sealed_message {
};

/** Specialise this to make T a message; as it stands, T is none. */
template <class T> struct message_traits {
};

namespace detail
{

template <class T>
concept opted_in = std::derived_from<message_traits<T>, sealed_message<T>>;

/* ---- the members of an aggregate --------------------------------------------------- */

template <class... Members> struct members_list {
};

/* By const reference, so that bit-fields can be named too; arrays stay arrays. */
template <class... Members> members_list<Members...> list_of(const Members &...);

/* An aggregate has as many members as it can be initialised with "{}"s: one "{}" fills
 * one member, be it a number, an array or an aggregate itself. */
#define EVRI_BRACES_1 {}
#define EVRI_BRACES_2 EVRI_BRACES_1, {}
#define EVRI_BRACES_3 EVRI_BRACES_2, {}
#define EVRI_BRACES_4 EVRI_BRACES_3, {}
#define EVRI_BRACES_5 EVRI_BRACES_4, {}
#define EVRI_BRACES_6 EVRI_BRACES_5, {}
#define EVRI_BRACES_7 EVRI_BRACES_6, {}
#define EVRI_BRACES_8 EVRI_BRACES_7, {}
#define EVRI_BRACES_9 EVRI_BRACES_8, {}
#define EVRI_BRACES_10 EVRI_BRACES_9, {}
#define EVRI_BRACES_11 EVRI_BRACES_10, {}
#define EVRI_BRACES_12 EVRI_BRACES_11, {}
#define EVRI_BRACES_13 EVRI_BRACES_12, {}
#define EVRI_BRACES_14 EVRI_BRACES_13, {}
#define EVRI_BRACES_15 EVRI_BRACES_14, {}
#define EVRI_BRACES_16 EVRI_BRACES_15, {}
#define EVRI_BRACES_17 EVRI_BRACES_16, {}

#define EVRI_MEMBERS(COUNT, ...)                                                        \
	if constexpr (requires { T{EVRI_BRACES_##COUNT}; }) {                           \
		const auto &[__VA_ARGS__] = *whole;                                     \
		return decltype(list_of(__VA_ARGS__))();                                \
	} else

template <class T> constexpr auto members_of([[maybe_unused]] const T *whole)
{
	static_assert(!requires { T{EVRI_BRACES_17}; },
		      "a message of more than 16 members: group them into messages");
	EVRI_MEMBERS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
	EVRI_MEMBERS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
	EVRI_MEMBERS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
	EVRI_MEMBERS(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
	EVRI_MEMBERS(12, a, b, c, d, e, f, g, h, i, j, k, l)
	EVRI_MEMBERS(11, a, b, c, d, e, f, g, h, i, j, k)
	EVRI_MEMBERS(10, a, b, c, d, e, f, g, h, i, j)
	EVRI_MEMBERS(9, a, b, c, d, e, f, g, h, i)
	EVRI_MEMBERS(8, a, b, c, d, e, f, g, h)
	EVRI_MEMBERS(7, a, b, c, d, e, f, g)
	EVRI_MEMBERS(6, a, b, c, d, e, f)
	EVRI_MEMBERS(5, a, b, c, d, e)
	EVRI_MEMBERS(4, a, b, c, d)
	EVRI_MEMBERS(3, a, b, c)
	EVRI_MEMBERS(2, a, b)
	EVRI_MEMBERS(1, a)
	{
		static_assert(std::is_empty_v<T>,
			      "a member without a default cannot be looked into");
		return members_list<>();
	}
}

#undef EVRI_MEMBERS
#undef EVRI_BRACES_1
#undef EVRI_BRACES_2
#undef EVRI_BRACES_3
#undef EVRI_BRACES_4
#undef EVRI_BRACES_5
#undef EVRI_BRACES_6
#undef EVRI_BRACES_7
#undef EVRI_BRACES_8
#undef EVRI_BRACES_9
#undef EVRI_BRACES_10
#undef EVRI_BRACES_11
#undef EVRI_BRACES_12
#undef EVRI_BRACES_13
#undef EVRI_BRACES_14
#undef EVRI_BRACES_15
#undef EVRI_BRACES_16
#undef EVRI_BRACES_17

/* ---- no addresses ------------------------------------------------------------------ */

template <class T> consteval bool is_pointer_free();

template <class... Members> consteval bool are_pointer_free(members_list<Members...>)
{
	return (is_pointer_free<std::remove_cv_t<Members>>() && ...);
}

template <class T> struct is_std_array : std::false_type {
};

template <class T, std::size_t N> struct is_std_array<std::array<T, N>> : std::true_type {
};

template <class T> consteval bool is_pointer_free()
{
	if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>)
		return true;
	else if constexpr (std::is_array_v<T>)
		return is_pointer_free<std::remove_cv_t<std::remove_all_extents_t<T>>>();
	else if constexpr (is_std_array<T>::value)
		return is_pointer_free<typename T::value_type>();
	else if constexpr (std::is_union_v<T> ||
			   (std::is_class_v<T> && !std::is_aggregate_v<T>))
		return opted_in<T>;
	else if constexpr (!std::is_class_v<T>)
		return false; /* a pointer of one kind or another */
	else
		return are_pointer_free(
			decltype(members_of(static_cast<T *>(nullptr)))());
}

/* The same bytes in each process, with each compiler for this machine. */
template <class T>
concept sized_arithmetic =
	(std::integral<T> && !std::same_as<T, wchar_t>) || std::same_as<T, float> ||
	std::same_as<T, double>;

} // namespace detail

/* What is approved beforehand. */
template <detail::sized_arithmetic T>
struct message_traits<T> : sealed_message<T> {
};

template <> struct message_traits<std::byte> : sealed_message<std::byte> {
};

template <detail::opted_in T, std::size_t N>
struct message_traits<std::array<T, N>> : sealed_message<std::array<T, N>> {
};

/** message - may be sent, and lie in a box. See above for how a type becomes one. */
template <class T>
concept message = detail::opted_in<T> && std::is_trivially_copyable_v<T> &&
		  std::is_standard_layout_v<T> && std::same_as<T, std::remove_cv_t<T>> &&
		  (alignof(T) <= 64) && detail::is_pointer_free<T>();

} // namespace evering

#endif
