/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_CPU_HPP
#define EVERING_CPU_HPP

/**
 * cpu.hpp - CPUs, memory nodes, and the roles that evering-pin gives out.
 *
 *	if (auto cpu = evering::pin(evering::cpu_role::submitter, 0))
 *		std::cout << "on CPU " << *cpu << '\n';
 *
 *	for (int cpu : evering::cpus_allowed())
 *		...
 *
 * What each call does, and what its errors mean, stands in cpu.h and number_set.h.
 * Errors throw std::system_error with evr_error_detail() in its text; memory that runs
 * out throws std::bad_alloc. Threads: any; a number_set is a value, as a std::set is.
 */

#include <evering/cpu.h>
#include <evering/error.hpp>
#include <evering/handle.hpp>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace evering
{

namespace detail
{

inline void throw_cpu(int result, const char *what)
{
	if (result == -ENOMEM) [[unlikely]]
		throw std::bad_alloc();
	throw_with_detail_if(to_error_code(result), what);
}

} // namespace detail

/** number_set - a set of CPU or node numbers: a value, a range of int, a list in text. */
class number_set
{
public:
	/* Visits the members in ascending order. Changing the set ends its meaning. */
	class iterator
	{
	public:
		using value_type = int;
		using difference_type = std::ptrdiff_t;
		using reference = int;
		using pointer = const int *;
		using iterator_category = std::input_iterator_tag;

		iterator() = default;
		iterator(const evr_number_set *set, int number) noexcept
			: set_(set), number_(evr_number_set_next(set, number))
		{
		}

		int operator*() const noexcept
		{
			return number_;
		}

		iterator &operator++() noexcept
		{
			number_ = evr_number_set_next(set_, number_ + 1);
			return *this;
		}

		iterator operator++(int) noexcept
		{
			iterator before = *this;
			++*this;
			return before;
		}

		bool operator==(const iterator &other) const noexcept
		{
			return number_ == other.number_;
		}

		bool operator==(std::default_sentinel_t) const noexcept
		{
			return number_ < 0;
		}

	private:
		const evr_number_set *set_ = nullptr;
		int number_ = -1;
	};

	number_set()
	{
		evr_number_set *set = nullptr;
		detail::throw_cpu(evr_number_set_create(&set), "evering::number_set");
		handle_.reset(set);
	}

	number_set(std::initializer_list<int> numbers) : number_set()
	{
		for (int number : numbers)
			add(number);
	}

	/** "0,2-5", or with the numbers that there are: "all", "!3", "+0-1". */
	static number_set parse(const std::string &text)
	{
		return parse(text, nullptr);
	}

	static number_set parse(const std::string &text, const number_set &within)
	{
		return parse(text, within.get());
	}

	number_set(const number_set &from) : number_set()
	{
		*this = from;
	}

	number_set &operator=(const number_set &from)
	{
		detail::throw_cpu(evr_number_set_copy(get(), from.get()),
				  "evering::number_set");
		return *this;
	}

	/* What was moved from can be destroyed or assigned to by move; no more. */
	number_set(number_set &&) noexcept = default;
	number_set &operator=(number_set &&) noexcept = default;
	~number_set() = default;

	void add(int number)
	{
		detail::throw_cpu(evr_number_set_add(get(), number),
				  "evering::number_set::add");
	}

	void remove(int number) noexcept
	{
		evr_number_set_remove(get(), number);
	}

	void clear() noexcept
	{
		evr_number_set_clear(get());
	}

	bool contains(int number) const noexcept
	{
		return evr_number_set_has(get(), number);
	}

	int size() const noexcept
	{
		return evr_number_set_count(get());
	}

	bool empty() const noexcept
	{
		return evr_number_set_next(get(), 0) < 0;
	}

	iterator begin() const noexcept
	{
		return {get(), 0};
	}

	std::default_sentinel_t end() const noexcept
	{
		return {};
	}

	/** "0,2-5" */
	std::string text() const
	{
		std::string result(evr_number_set_format(get(), nullptr, 0), '\0');
		evr_number_set_format(get(), result.data(), result.size() + 1);
		return result;
	}

	bool operator==(const number_set &other) const noexcept
	{
		return evr_number_set_equal(get(), other.get());
	}

	evr_number_set *get() noexcept
	{
		return handle_.get();
	}

	const evr_number_set *get() const noexcept
	{
		return handle_.get();
	}

private:
	static number_set parse(const std::string &text, const evr_number_set *within)
	{
		number_set result;
		detail::throw_cpu(
			evr_number_set_parse(result.get(), text.c_str(), within),
			"evering::number_set::parse");
		return result;
	}

	detail::handle<evr_number_set, evr_number_set_destroy> handle_;
};

/** cpu_role - what a thread does. */
enum class cpu_role {
	submitter = EVR_CPU_SUBMITTER,
	completer = EVR_CPU_COMPLETER,
	worker = EVR_CPU_WORKER,
};

/** cpus_allowed() - the CPUs that the calling thread may use now. */
inline number_set cpus_allowed()
{
	number_set result;
	detail::throw_cpu(evr_cpu_allowed(result.get()), "evering::cpus_allowed");
	return result;
}

/** pin() - let the calling thread run on these CPUs only; read back. */
inline void pin(const number_set &cpus)
{
	detail::throw_cpu(evr_cpu_pin(cpus.get()), "evering::pin");
}

/**
 * cpu_of() - the CPU that evering-pin chose for a role; none if it chose none, because
 * the program was not started with it, or because it chose fewer than @index + 1.
 */
inline std::optional<int> cpu_of(cpu_role role, std::uint32_t index)
{
	int cpu = 0;
	int result = evr_cpu_of_role(static_cast<evr_cpu_role>(role), index, &cpu);
	if (result == -ENOENT || result == -ERANGE)
		return {};
	detail::throw_cpu(result, "evering::cpu_of");
	return cpu;
}

/** pin() - pin the calling thread to the CPU of its role; none: it stays as it was. */
inline std::optional<int> pin(cpu_role role, std::uint32_t index)
{
	auto cpu = cpu_of(role, index);
	if (cpu)
		pin(number_set{*cpu});
	return cpu;
}

/** cpu_node() - the memory node that a CPU belongs to. */
inline int cpu_node(int cpu)
{
	int node = 0;
	detail::throw_cpu(evr_cpu_node(cpu, &node), "evering::cpu_node");
	return node;
}

/** nodes_allowed() - the nodes whose memory this process may use. */
inline number_set nodes_allowed()
{
	number_set result;
	detail::throw_cpu(evr_node_allowed(result.get()), "evering::nodes_allowed");
	return result;
}

/** node_cpus() - the online CPUs of a node. */
inline number_set node_cpus(int node)
{
	number_set result;
	detail::throw_cpu(evr_node_cpus(node, result.get()), "evering::node_cpus");
	return result;
}

/** address_node() - where a page lies; none if it was never touched. */
inline std::optional<int> address_node(const void *address)
{
	int node = 0;
	int result = evr_address_node(address, &node);
	if (result == -ENOENT)
		return {};
	detail::throw_cpu(result, "evering::address_node");
	return node;
}

} // namespace evering

#endif
