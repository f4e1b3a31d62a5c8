/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* lists.cpp - see lists.hpp. */

#include "lists.hpp"

#include <string_view>

namespace pin
{

namespace
{

/* Far above what a kernel can count, and small enough for a bitmap. */
constexpr unsigned NUMBER_MAX = (1U << 20) - 1;

struct range {
	unsigned first;
	unsigned last;
};

class parser
{
public:
	parser(const machine &machine_, bool nodes_, const std::string &written,
	       const std::string &list_)
		: machine(machine_), nodes(nodes_), noun(nodes ? "node" : "CPU"),
		  usable(nodes ? machine.allowed_nodes : machine.allowed), list(list_),
		  where(text(written, list.empty() ? "''" : list, ": "))
	{
	}

	number_set parse()
	{
		std::string_view rest = list;

		if (rest == "all")
			return usable;
		inverted = take(rest, '!');
		relative = take(rest, '+');
		if (rest.empty())
			fail("the list is empty: ", examples());
		for (;;) {
			auto comma = rest.find(',');

			parse_term(rest.substr(0, comma));
			if (comma == rest.npos)
				break;
			rest.remove_prefix(comma + 1);
		}
		return inverted ? all_but() : found;
	}

private:
	template <class... T> [[noreturn]] void fail(const T &...parts) const
	{
		throw failure(where + text(parts...));
	}

	static bool take(std::string_view &rest, char sign)
	{
		if (!rest.starts_with(sign))
			return false;
		rest.remove_prefix(1);
		return true;
	}

	std::string examples() const
	{
		return nodes ? "give nodes such as 0, 0-1, !0, package:0 or all"
			     : "give CPUs such as 0,2-5, !3, node:0, l3:0 or all";
	}

	std::string possible() const
	{
		return text("this process may use ", usable.named(noun));
	}

	number_set all_but() const
	{
		auto left = usable - found;

		if (left.empty())
			fail("leaves no ", noun, ": ", possible());
		return left;
	}

	void parse_term(std::string_view term)
	{
		auto colon = term.find(':');

		if (term.empty())
			fail("nothing is between two commas, or at an end: ",
			     examples());
		if (colon == term.npos) {
			add_numbers(parse_range(term, term));
			return;
		}
		auto word = term.substr(0, colon);
		auto numbers = term.substr(colon + 1);
		if (word == "node")
			add_word(word, numbers, machine.nodes);
		else if (word == "package")
			add_word(word, numbers, machine.packages);
		else if (word == "l3")
			add_word(word, numbers, machine.l3s);
		else if (word == "core")
			add_word(word, numbers, machine.cores);
		else
			fail("there is no word '", word,
			     "': it can be node, package, l3 or core");
	}

	range parse_range(std::string_view numbers, std::string_view term) const
	{
		auto dash = numbers.find('-');
		unsigned first = parse_number(numbers.substr(0, dash), term);
		unsigned last = first;

		if (dash != numbers.npos) {
			auto end = numbers.substr(dash + 1);

			if (end.empty())
				fail("'", term, "' lacks the end of its range");
			last = parse_number(end, term);
		}
		if (last < first)
			fail("'", term, "' runs backwards: the lower number comes first");
		return {first, last};
	}

	unsigned parse_number(std::string_view digits, std::string_view term) const
	{
		unsigned number = 0;

		if (digits.empty() ||
		    digits.find_first_not_of("0123456789") != digits.npos)
			fail("'", term, "' is no number and no range: ", examples());
		for (char digit : digits) {
			number = number * 10 + static_cast<unsigned>(digit - '0');
			if (number > NUMBER_MAX)
				fail(digits, " is too big a number: ", possible());
		}
		return number;
	}

	void add_numbers(range numbers)
	{
		for (unsigned n = numbers.first; n <= numbers.last; n++)
			if (relative)
				found.add(nth_usable(n));
			else
				found.add(checked(n));
	}

	unsigned nth_usable(unsigned n) const
	{
		auto numbers = usable.numbers();

		if (n >= numbers.size())
			fail("there is no +", n, ": this process may use ",
			     counted(numbers.size(), noun), ", +0 to +",
			     numbers.size() - 1);
		return numbers[n];
	}

	/* To leave out what may not be used anyway does no harm; to name what there is
	 * not is a mistake all the same. */
	unsigned checked(unsigned number) const
	{
		auto there = present();

		if (usable.has(number) || (inverted && there.has(number)))
			return number;
		if (inverted)
			fail("there is no ", noun, ' ', number, ": this machine has ",
			     there.named(noun));
		if (!nodes && machine.offline.has(number))
			fail("CPU ", number, " is offline; online are ",
			     machine.online.list());
		fail("cannot use ", noun, ' ', number, ": ", possible());
	}

	number_set present() const
	{
		return nodes ? numbers_of(machine.nodes)
			     : machine.online | machine.offline;
	}

	template <class Thing>
	static number_set numbers_of(const std::vector<Thing> &things)
	{
		number_set numbers;

		for (const auto &thing : things)
			numbers.add(thing.number);
		return numbers;
	}

	template <class Thing>
	void add_word(std::string_view word, std::string_view numbers,
		      const std::vector<Thing> &things)
	{
		auto there = numbers_of(things);
		auto has = text("this machine has ", there.empty() ? "no " : "", word,
				there.empty() ? "" : ":", there.list());
		if (numbers.empty())
			fail("'", word, ":' lacks its number: ", has);
		range wanted = parse_range(numbers, text(word, ':', numbers));
		for (unsigned n = wanted.first; n <= wanted.last; n++) {
			if (!there.has(n))
				fail("there is no ", word, ':', n, ": ", has);
			for (const auto &thing : things)
				if (thing.number == n)
					add_thing(text(word, ':', n), thing);
		}
	}

	template <class Thing>
	void add_thing(const std::string &name, const Thing &thing)
	{
		number_set all = nodes ? nodes_of(thing) : thing.cpus;

		if (all.empty())
			fail(name, " has no CPUs, only memory");
		if ((all & usable).empty() && !inverted)
			fail("cannot use ", name, " (", all.named(noun), "): ",
			     possible());
		found |= all & usable;
	}

	template <class Thing> number_set nodes_of(const Thing &thing) const
	{
		return machine.nodes_of(thing.cpus);
	}

	/* Itself, also if it has no CPUs. */
	number_set nodes_of(const node &node) const
	{
		number_set itself;

		itself.add(node.number);
		return itself;
	}

	const pin::machine &machine;
	bool nodes;
	const char *noun;
	number_set usable;
	const std::string &list;
	std::string where;
	bool inverted = false;
	bool relative = false;
	number_set found;
};

} // namespace

number_set parse_cpus(const machine &machine, const std::string &written,
		      const std::string &list)
{
	return parser(machine, false, written, list).parse();
}

number_set parse_nodes(const machine &machine, const std::string &written,
		       const std::string &list)
{
	return parser(machine, true, written, list).parse();
}

} // namespace pin
