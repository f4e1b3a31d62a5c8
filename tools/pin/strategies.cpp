/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * strategies.cpp - five strategies out of a few ideas.
 *
 *	places       the CPUs that may be used, in the order of hwloc's tree (neighbours
 *	             together), each with a rank: whole cores before second siblings,
 *	             fast kinds of core before slow ones
 *	units        what to pick: places one by one, or pairs formed of them, either
 *	             within one thing (core, L3) or across two (L3s, nodes)
 *	by rank      a rank is taken whole while it is not enough; the strategy's way of
 *	             picking decides within the last rank only
 *	nearest      picks units that share as much as can be
 *	in_turn      picks units that share as little as can be
 *
 * At the end stands how each strategy puts these together. Equal choices fall to what
 * comes first in the tree, so the same machine and request give the same plan.
 */

#include "strategies.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>

namespace pin
{

namespace
{

using units = std::vector<unit>;

/* What CPUs can have in common: gives equal numbers for CPUs that have. */
using level = int cpu::*;

/* The units in groups of equal `what`, groups and units in the order they come in. A pair
 * whose two CPUs differ is in nobody's group but its own. */
std::vector<units> group_by(level what, const units &all)
{
	std::vector<units> groups;
	std::map<int, std::size_t> where;

	for (const auto &each : all) {
		int key = each.cpus.front()->*what;

		if (each.cpus.back()->*what != key) {
			groups.push_back({each});
			continue;
		}
		auto [found, is_new] = where.try_emplace(key, groups.size());
		if (is_new)
			groups.emplace_back();
		groups[found->second].push_back(each);
	}
	return groups;
}

units first(const units &all, std::size_t count)
{
	return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)};
}

unit take(units &from, std::size_t index)
{
	unit taken = from[index];

	from.erase(from.begin() + static_cast<std::ptrdiff_t>(index));
	return taken;
}

void append(units &to, const units &more)
{
	to.insert(to.end(), more.begin(), more.end());
}

units of_rank(const units &all, unsigned rank)
{
	units some;

	std::copy_if(all.begin(), all.end(), std::back_inserter(some),
		     [=](const unit &each) { return each.rank == rank; });
	return some;
}

units up_to_rank(const units &all, unsigned rank)
{
	units some;

	std::copy_if(all.begin(), all.end(), std::back_inserter(some),
		     [=](const unit &each) { return each.rank <= rank; });
	return some;
}

unsigned highest_rank(const units &all)
{
	unsigned highest = 0;

	for (const auto &each : all)
		highest = std::max(highest, each.rank);
	return highest;
}

units sorted_by_rank(units all)
{
	std::stable_sort(all.begin(), all.end(),
			 [](const auto &a, const auto &b) { return a.rank < b.rank; });
	return all;
}

/* ---- places ---------------------------------------------------------------------- */

/* The usable CPUs of each core: its first one, and with `siblings` the others as well,
 * which rank behind all whole cores. */
units places(const machine &machine, const number_set &among, bool siblings)
{
	std::map<int, unsigned> taken;
	unsigned kinds = static_cast<unsigned>(machine.kinds.size()) + 1;
	units all;

	for (const auto &each : machine.cpus) {
		if (!among.has(each.number))
			continue;
		unsigned before = taken[each.core]++;
		if (before == 0 || siblings)
			all.push_back({{&each}, before * kinds + machine.slowness(each)});
	}
	return all;
}

/* For those who want siblings: all usable CPUs, cores with several of them first. */
units sibling_places(const machine &machine, const number_set &among)
{
	unsigned kinds = static_cast<unsigned>(machine.kinds.size()) + 1;
	units all = places(machine, among, true);
	std::map<int, unsigned> siblings;

	for (const auto &each : all)
		siblings[each.cpus[0]->core]++;
	for (auto &each : all) {
		bool lonely = siblings[each.cpus[0]->core] < 2;

		each.rank = machine.slowness(*each.cpus[0]) + (lonely ? kinds : 0);
	}
	return all;
}

/* ---- units ----------------------------------------------------------------------- */

/* The first two that are in the same node; else, where a group spans several nodes and
 * each has one CPU left, the first two. */
std::pair<std::size_t, std::size_t> partners(const units &group)
{
	for (std::size_t a = 0; a < group.size(); a++)
		for (std::size_t b = a + 1; b < group.size(); b++)
			if (group[a].cpus[0]->node == group[b].cpus[0]->node)
				return {a, b};
	return {0, 1};
}

/* Neighbours of the same group make a pair; who finds none in its rank waits for the
 * next. */
units pairs_within(level what, const units &all)
{
	units pairs;

	for (const auto &group : group_by(what, all)) {
		units left;

		for (unsigned rank = 0; rank <= highest_rank(group); rank++) {
			append(left, of_rank(group, rank));
			while (left.size() > 1) {
				auto [a, b] = partners(left);
				auto other = take(left, b);
				auto one = take(left, a);

				pairs.push_back({{one.cpus[0], other.cpus[0]}, rank});
			}
		}
	}
	return pairs;
}

/* So many pairs of CPUs of different groups can be had from groups of these sizes: only a
 * group larger than all others together leaves CPUs without partner. */
std::size_t pairs_possible(const std::vector<units> &groups)
{
	std::size_t total = 0;
	std::size_t largest = 0;

	for (const auto &group : groups) {
		total += group.size();
		largest = std::max(largest, group.size());
	}
	return std::min(total / 2, total - largest);
}

/* How little a group suits: as the first of a pair, or, given the first, as its partner.
 * The lowest is taken, of equal ones the first. */
using reluctance = std::function<std::uint64_t(const cpu *first, const units &group)>;

std::vector<std::size_t> in_order(const std::vector<units> &groups, const cpu *partner_of,
				  std::size_t but, const reluctance &reluctance)
{
	std::vector<std::size_t> order;

	for (std::size_t i = 0; i < groups.size(); i++)
		if (i != but && !groups[i].empty())
			order.push_back(i);
	std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
		return reluctance(partner_of, groups[a]) <
		       reluctance(partner_of, groups[b]);
	});
	return order;
}

/* Takes the best pair that leaves enough for those still to come. */
unit take_pair(std::vector<units> &groups, std::size_t still_wanted,
	       const reluctance &reluctance)
{
	for (auto a : in_order(groups, nullptr, groups.size(), reluctance)) {
		for (auto b : in_order(groups, groups[a][0].cpus[0], a, reluctance)) {
			unit one = take(groups[a], 0);
			unit other = take(groups[b], 0);

			if (pairs_possible(groups) >= still_wanted)
				return {{one.cpus[0], other.cpus[0]},
					std::max(one.rank, other.rank)};
			groups[a].insert(groups[a].begin(), one);
			groups[b].insert(groups[b].begin(), other);
		}
	}
	throw std::logic_error("pairs_possible() promised too much");
}

/* Pairs whose two CPUs differ in `what`; of the lowest ranks that have enough. */
units pairs_across(level what, const units &all, std::size_t wanted,
		   const reluctance &reluctance)
{
	std::vector<units> groups;
	units pairs;

	for (unsigned rank = 0; rank <= highest_rank(all); rank++) {
		groups = group_by(what, sorted_by_rank(up_to_rank(all, rank)));
		if (pairs_possible(groups) >= wanted)
			break;
	}
	/* Sorting by rank may have brought another group to the front. */
	std::sort(groups.begin(), groups.end(), [=](const auto &a, const auto &b) {
		return a[0].cpus[0]->*what < b[0].cpus[0]->*what;
	});
	for (auto left = std::min(wanted, pairs_possible(groups)); left > 0; left--)
		pairs.push_back(take_pair(groups, left - 1, reluctance));
	return pairs;
}

/* ---- picking --------------------------------------------------------------------- */

using pick = std::function<units(const units &, std::size_t)>;

units by_rank(const units &all, std::size_t wanted, const pick &pick)
{
	units chosen;

	wanted = std::min(wanted, all.size());
	for (unsigned rank = 0; chosen.size() < wanted; rank++) {
		std::size_t missing = wanted - chosen.size();
		units equal = of_rank(all, rank);

		append(chosen, equal.size() <= missing ? equal : pick(equal, missing));
	}
	return chosen;
}

/* From the inside out. Usually an L3 is within a node and a node within a package, but
 * there are nodes within an L3, and nodes over several packages. */
std::vector<level> levels_of(const machine &machine)
{
	std::vector<level> levels = {&cpu::near, &cpu::node, &cpu::package};
	auto largest = [&](level what) {
		std::map<int, std::size_t> sizes;
		std::size_t most = 0;

		for (const auto &each : machine.cpus)
			most = std::max(most, ++sizes[each.*what]);
		return most;
	};

	std::stable_sort(levels.begin(), levels.end(),
			 [&](level a, level b) { return largest(a) < largest(b); });
	return levels;
}

/* The first group of the innermost level that has room for all. The groups inside it had
 * no room, so the largest of those is taken whole, and the rest is again picked as near
 * as can be: that makes them as few as can be. */
units nearest(const std::vector<level> &levels, const units &all, std::size_t wanted)
{
	std::vector<level> without_room;
	units room = all;

	for (auto what : levels) {
		auto groups = group_by(what, all);
		auto found = std::find_if(
			groups.begin(), groups.end(),
			[=](const auto &group) { return group.size() >= wanted; });

		if (found != groups.end()) {
			room = *found;
			break;
		}
		without_room.push_back(what);
	}
	if (without_room.empty())
		return first(room, wanted);

	auto groups = group_by(without_room.back(), room);
	auto largest = std::max_element(
		groups.begin(), groups.end(),
		[](const auto &a, const auto &b) { return a.size() < b.size(); });
	units chosen = *largest;
	groups.erase(largest);
	units rest;
	for (const auto &group : groups)
		append(rest, group);
	append(chosen, nearest(levels, rest, wanted - chosen.size()));
	return chosen;
}

/* The units reordered so that those at the front are far from each other: a turn takes
 * the next of each group, and within a group it is the turn of the next inner group. */
units in_turn(const std::vector<level> &levels_inwards, const units &all)
{
	if (levels_inwards.empty())
		return all;

	std::vector<units> groups;
	for (const auto &group : group_by(levels_inwards[0], all))
		groups.push_back(in_turn(
			{levels_inwards.begin() + 1, levels_inwards.end()}, group));
	units order;
	for (std::size_t turn = 0; order.size() < all.size(); turn++)
		for (const auto &group : groups)
			if (turn < group.size())
				order.push_back(group[turn]);
	return order;
}

/* ---- the strategies -------------------------------------------------------------- */

class chooser
{
public:
	chooser(const machine &machine_, const number_set &among_, bool smt_)
		: machine(machine_), among(among_), smt(smt_), levels(levels_of(machine_))
	{
	}

	/* Share caches. One CPU per core, so that nobody shares a core's pipelines. */
	units close(bool pairs, std::size_t wanted) const
	{
		auto all = places(machine, among, smt);

		if (pairs)
			all = pairs_within(&cpu::near, all);
		return by_rank(all, wanted, pick_nearest());
	}

	/* Share cores: both siblings of a core before the next. CPUs alone in their core
	 * are a last resort, and not what was asked for if there is nothing else. */
	units siblings(bool pairs, std::size_t wanted) const
	{
		auto all = sibling_places(machine, among);
		auto together = pairs_within(&cpu::core, all);

		if (pairs || (together.empty() && wanted > 1))
			all = together;
		return by_rank(all, wanted, pick_nearest());
	}

	/* Share nothing: each worker, or each pair, has as much cache and memory
	 * bandwidth for itself as the machine can give. The two of a pair still share an
	 * L3. */
	units spread(bool pairs, std::size_t wanted) const
	{
		auto all = places(machine, among, smt);

		if (pairs)
			all = pairs_within(&cpu::near, all);
		return by_rank(all, wanted, pick_farthest());
	}

	/* All the cache that one node has, and no remote memory: one node, its L3s in
	 * turn. */
	units same_node(bool pairs, std::size_t wanted) const
	{
		auto all = places(machine, among, smt);

		return pairs ? pairs_in_nodes(all, wanted) : workers_in_node(all, wanted);
	}

	/* Remote memory, on purpose: workers in all nodes in turn, or submitters in one
	 * node with their completers in the nearest other one. */
	units cross_node(bool pairs, std::size_t wanted) const
	{
		auto all = places(machine, among, smt);

		if (pairs)
			return pairs_across(
				&cpu::node, all, wanted,
				[this](const cpu *one, const units &other) {
					return distance(one, *other[0].cpus[0]);
				});
		for (unsigned rank = 0; rank <= highest_rank(all); rank++) {
			auto some = sorted_by_rank(up_to_rank(all, rank));

			if (some.size() >= wanted && nodes_of(some).size() > 1)
				return first(in_turn({&cpu::node}, some), wanted);
		}
		return nodes_of(all).size() > 1 ? all : units{};
	}

private:
	pick pick_nearest() const
	{
		return [this](const units &all, std::size_t count) {
			return nearest(levels, all, count);
		};
	}

	pick pick_farthest() const
	{
		std::vector<level> inwards(levels.rbegin(), levels.rend());

		inwards.push_back(&cpu::core);
		return [inwards](const units &all, std::size_t count) {
			return first(in_turn(inwards, all), count);
		};
	}

	/* The first node that has enough CPUs of low rank; if none has, what the largest
	 * one has. */
	units workers_in_node(const units &all, std::size_t wanted) const
	{
		units most;

		for (unsigned rank = 0; rank <= highest_rank(all); rank++)
			for (const auto &node : nodes_of(up_to_rank(all, rank))) {
				auto chosen = by_rank(node, wanted, pick_farthest());

				if (chosen.size() == wanted)
					return chosen;
				if (chosen.size() > most.size())
					most = chosen;
			}
		return most;
	}

	/* All pairs in the first node that has room for them, else node after node. */
	units pairs_in_nodes(const units &all, std::size_t wanted) const
	{
		units most;

		for (unsigned rank = 0; rank <= highest_rank(all); rank++) {
			units chosen;

			for (const auto &node : nodes_of(up_to_rank(all, rank))) {
				auto whole = pairs_in_node(node, wanted);

				if (whole.size() == wanted)
					return whole;
				append(chosen,
				       pairs_in_node(node, wanted - chosen.size()));
			}
			if (chosen.size() == wanted)
				return chosen;
			if (chosen.size() > most.size())
				most = chosen;
		}
		return most;
	}

	/* Over different L3s, all in turn; within the only one if there is no other. */
	units pairs_in_node(const units &node, std::size_t wanted) const
	{
		if (group_by(&cpu::near, node).size() == 1) {
			auto pairs = pairs_within(&cpu::near, node);

			return first(sorted_by_rank(pairs),
				     std::min(wanted, pairs.size()));
		}
		/* The L3s that have most left: so all take their turn, and none is left
		 * with CPUs without partner. */
		return pairs_across(&cpu::near, node, wanted,
				    [&](const cpu *, const units &group) {
					    return node.size() - group.size();
				    });
	}

	static std::vector<units> nodes_of(const units &some)
	{
		return group_by(&cpu::node, some);
	}

	std::uint64_t distance(const cpu *from, const cpu &to) const
	{
		if (!from || machine.distances.empty())
			return 0;
		return machine.distances[static_cast<std::size_t>(from->node)]
					[static_cast<std::size_t>(to.node)];
	}

	const pin::machine &machine;
	const number_set &among;
	bool smt;
	std::vector<level> levels;
};

} // namespace

std::vector<unit> choose(const machine &machine, strategy how, const number_set &among,
			 bool pairs, bool smt, std::size_t wanted)
{
	chooser chooser(machine, among, smt);

	switch (how) {
	case strategy::close:
		return chooser.close(pairs, wanted);
	case strategy::smt:
		return chooser.siblings(pairs, wanted);
	case strategy::spread:
		return chooser.spread(pairs, wanted);
	case strategy::same_node:
		return chooser.same_node(pairs, wanted);
	case strategy::cross_node:
		return chooser.cross_node(pairs, wanted);
	}
	throw std::logic_error("no such strategy");
}

} // namespace pin
