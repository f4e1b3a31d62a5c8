/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_NUMBERS_HPP
#define EVERING_PIN_NUMBERS_HPP

/*
 * numbers.hpp - a set of CPU or node numbers, without an upper bound.
 *
 * A value, held in one of hwloc's bitmaps. It is written as the kernel writes it: 0-3,8.
 */

#include "failure.hpp"

#include <hwloc.h>

#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pin
{

class number_set
{
public:
	number_set() : bits(checked(hwloc_bitmap_alloc()))
	{
	}

	explicit number_set(hwloc_const_bitmap_t other)
		: bits(checked(hwloc_bitmap_dup(other)))
	{
	}

	number_set(const number_set &other) : number_set(other.bits)
	{
	}

	number_set(number_set &&other) noexcept : bits(std::exchange(other.bits, nullptr))
	{
	}

	number_set &operator=(number_set other) noexcept
	{
		std::swap(bits, other.bits);
		return *this;
	}

	~number_set()
	{
		hwloc_bitmap_free(bits);
	}

	/* As the kernel's masks are: 64 numbers a word, the lowest first. */
	static number_set from_words(std::span<const unsigned long> words)
	{
		number_set set;

		checked(hwloc_bitmap_from_ulongs(set.bits,
						 static_cast<unsigned>(words.size()),
						 words.data()));
		return set;
	}

	std::vector<unsigned long> to_words() const
	{
		int count = hwloc_bitmap_nr_ulongs(bits);
		std::vector<unsigned long> words(
			count > 0 ? static_cast<std::size_t>(count) : 1);

		checked(hwloc_bitmap_to_ulongs(
			bits, static_cast<unsigned>(words.size()), words.data()));
		return words;
	}

	/* Of the kernel's text; what is not a list gives an empty set. */
	static number_set from_text(const std::string &list)
	{
		number_set set;

		if (list.find_first_not_of("0123456789-, \n") != std::string::npos ||
		    hwloc_bitmap_list_sscanf(set.bits, list.c_str()) < 0)
			hwloc_bitmap_zero(set.bits);
		return set;
	}

	void add(unsigned number)
	{
		checked(hwloc_bitmap_set(bits, number));
	}

	bool has(unsigned number) const
	{
		return hwloc_bitmap_isset(bits, number);
	}

	bool empty() const
	{
		return hwloc_bitmap_iszero(bits);
	}

	std::size_t count() const
	{
		return static_cast<std::size_t>(hwloc_bitmap_weight(bits));
	}

	/* In rising order. */
	std::vector<unsigned> numbers() const
	{
		std::vector<unsigned> all;

		for (int number = hwloc_bitmap_first(bits); number >= 0;
		     number = hwloc_bitmap_next(bits, number))
			all.push_back(static_cast<unsigned>(number));
		return all;
	}

	std::string list() const
	{
		std::string out(static_cast<std::size_t>(
					hwloc_bitmap_list_snprintf(nullptr, 0, bits)),
				'\0');

		hwloc_bitmap_list_snprintf(out.data(), out.size() + 1, bits);
		return out;
	}

	/* "CPU 3", "CPUs 0-3", "no CPU". */
	std::string named(const char *noun) const
	{
		if (empty())
			return text("no ", noun);
		return text(noun, count() == 1 ? " " : "s ", list());
	}

	number_set &operator|=(const number_set &other)
	{
		checked(hwloc_bitmap_or(bits, bits, other.bits));
		return *this;
	}

	friend number_set operator|(number_set left, const number_set &right)
	{
		left |= right;
		return left;
	}

	friend number_set operator&(number_set left, const number_set &right)
	{
		checked(hwloc_bitmap_and(left.bits, left.bits, right.bits));
		return left;
	}

	friend number_set operator-(number_set left, const number_set &right)
	{
		checked(hwloc_bitmap_andnot(left.bits, left.bits, right.bits));
		return left;
	}

	friend bool operator==(const number_set &left, const number_set &right)
	{
		return hwloc_bitmap_isequal(left.bits, right.bits);
	}

	/* For hwloc to write into. */
	hwloc_bitmap_t get()
	{
		return bits;
	}

	friend bool subset(const number_set &part, const number_set &whole)
	{
		return hwloc_bitmap_isincluded(part.bits, whole.bits);
	}

private:
	static hwloc_bitmap_t checked(hwloc_bitmap_t made)
	{
		if (!made)
			throw std::bad_alloc();
		return made;
	}

	static void checked(int status)
	{
		if (status < 0)
			throw std::bad_alloc();
	}

	hwloc_bitmap_t bits;
};

} // namespace pin

#endif
