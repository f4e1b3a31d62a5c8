/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* plan.cpp - from a request to a plan: lets the strategy choose, says why, or why not. */

#include "plan.hpp"

#include "strategies.hpp"

#include <limits>
#include <map>

namespace pin
{

namespace
{

/* The tree's things by the names that --show prints. */
template <class Thing>
std::string numbered(const char *noun, const std::vector<Thing> &all, int index)
{
	return text(noun, all[static_cast<std::size_t>(index)].number);
}

std::string node_name(const machine &machine, const cpu &cpu)
{
	return numbered("node ", machine.nodes, cpu.node);
}

std::string place_of(const machine &machine, const cpu &cpu)
{
	return text(cpu.l3 != NONE ? numbered("l3:", machine.l3s, cpu.l3) + ", " : "",
		    node_name(machine, cpu), ", ",
		    numbered("package ", machine.packages, cpu.package),
		    cpu.l3 == NONE ? " (no L3 here)" : "");
}

/* How many different things of a level the CPUs are in. */
std::size_t count_of(const machine &machine, const number_set &cpus, int cpu::*level)
{
	number_set found;

	for (const auto &each : machine.cpus)
		if (cpus.has(each.number) && each.*level != NONE)
			found.add(static_cast<unsigned>(each.*level));
	return found.count();
}

std::string summary(const machine &machine, const number_set &cpus)
{
	std::size_t l3s = count_of(machine, cpus, &cpu::l3);

	return text(counted(cpus.count(), "CPU"), " of ",
		    counted(count_of(machine, cpus, &cpu::core), "core"), ", ",
		    l3s ? counted(l3s, "L3") : "no L3 (the node or package stands in)",
		    ", ", counted(count_of(machine, cpus, &cpu::node), "node"), ", ",
		    counted(count_of(machine, cpus, &cpu::package), "package"));
}

/* ---- when it is impossible ------------------------------------------------------- */

class refusal
{
public:
	refusal(const machine &machine_, const request &request_,
		const number_set &among_)
		: machine(machine_), request(request_), among(among_), how(*request_.how),
		  pairs(request_.pairs.has_value()),
		  wanted(pairs ? *request_.pairs : *request_.count),
		  needed(pairs ? std::size_t{2} * wanted : wanted),
		  cores(count_of(machine_, among_, &cpu::core)), cpus(among_.count())
	{
	}

	[[noreturn]] void raise() const
	{
		throw failure(text(name_of(how), ": ", need(), advice()));
	}

private:
	std::size_t possible(strategy strategy, bool smt) const
	{
		return choose(machine, strategy, among, pairs, smt,
			      std::numeric_limits<std::size_t>::max())
			.size();
	}

	std::string asked() const
	{
		return counted(wanted, pairs ? "pair" : "CPU");
	}

	std::string are() const
	{
		return text(wanted == 1 ? " needs " : " need ");
	}

	std::string have() const
	{
		return text(among.named("CPU"), cpus == 1 ? " has " : " have ",
			    counted(cores, "core"));
	}

	std::string need() const
	{
		if (how == strategy::smt)
			return need_siblings();
		if (how == strategy::cross_node &&
		    count_of(machine, among, &cpu::node) < 2)
			return text("needs CPUs of two nodes; ", among.named("CPU"),
				    cpus == 1 ? " is" : " are", " in ",
				    machine.nodes_of(among).named("node"));
		if (request.smt && needed > cpus)
			return text(asked(), are(), counted(needed, "CPU"), ", ",
				    among.named("CPU"),
				    cpus == 1 ? " is one" : text(" are ", cpus));
		if (!request.smt && needed > cores)
			return text(asked(), are(), counted(needed, "core"), ", ", have(),
				    each_core());
		return need_together();
	}

	/* " (2 CPUs each)", if so. */
	std::string each_core() const
	{
		if (cpus == cores || cpus % cores)
			return "";
		for (const auto &core : machine.cores) {
			auto usable = (core.cpus & among).count();

			if (usable && usable != cpus / cores)
				return "";
		}
		return text(" (", counted(cpus / cores, "CPU"), " each)");
	}

	std::string need_siblings() const
	{
		std::size_t several = 0;

		for (const auto &core : machine.cores)
			several += (core.cpus & among).count() > 1;
		if (pairs || several == 0)
			return text(asked(), are(),
				    !pairs	 ? "a core with two CPUs, "
				    : wanted > 1 ? "two CPUs of one core each, "
						 : "two CPUs of one core, ",
				    among.named("CPU"), cpus == 1 ? " has " : " have ",
				    several ? text(several) : "no", " such core",
				    several > 1 ? "s" : "");
		return text(asked(), " asked for, ", among.named("CPU"),
			    cpus == 1 ? " is one" : text(" are ", cpus));
	}

	/* There are enough, but not where they are wanted. */
	std::string need_together() const
	{
		const char *unit = request.smt ? "CPU" : "core";
		std::string what;

		if (how == strategy::same_node && !pairs)
			what = text(counted(wanted, unit), " of one node");
		else if (how == strategy::same_node)
			what = text("two ", unit, "s of one node each, of different L3s "
				    "if it has several");
		else if (how == strategy::cross_node)
			what = text("a ", unit, " in each of two nodes");
		else
			what = text("two ", unit, "s ",
				    machine.l3s.empty() ? "of one node" : "of one L3",
				    " each");
		bool by_l3 = how == strategy::close || how == strategy::spread;
		return text(asked(), are(), what, ", but of ", among.named("CPU"), ' ',
			    by_l3 && !machine.l3s.empty()
				    ? tally("l3:", machine.l3s, unit)
				    : tally("node ", machine.nodes, unit));
	}

	/* "node 0 has 2 cores, node 1 has 3 cores" */
	template <class Thing>
	std::string tally(const char *noun, const std::vector<Thing> &things,
			  const char *unit) const
	{
		std::string all;

		for (const auto &thing : things) {
			number_set usable = thing.cpus & among;
			auto count = request.smt ? usable.count()
						 : count_of(machine, usable, &cpu::core);

			if (count)
				all += text(all.empty() ? "" : ", ", noun, thing.number,
					    " has ", counted(count, unit));
		}
		return all;
	}

	std::string advice() const
	{
		bool for_cores = how != strategy::smt && how != strategy::cross_node;
		bool smt_helps = !request.smt && how != strategy::smt &&
				 possible(how, true) >= wanted;
		bool siblings_help = !request.smt && for_cores &&
				     possible(strategy::smt, false) >= wanted;
		auto most = possible(how, request.smt);

		if (smt_helps)
			return text(": add --smt",
				    siblings_help ? ", or use --strategy smt" : "");
		if (siblings_help)
			return ": use --strategy smt";
		if (most)
			return text("; ", counted(most, pairs ? "pair" : "CPU"),
				    most == 1 ? " is" : " are", " possible");
		if (!for_cores && possible(strategy::close, request.smt) >= wanted)
			return ": use --strategy close";
		return "";
	}

	const pin::machine &machine;
	const pin::request &request;
	const number_set &among;
	strategy how;
	bool pairs;
	std::size_t wanted;
	std::size_t needed;
	std::size_t cores;
	std::size_t cpus;
};

/* ---- when it is possible --------------------------------------------------------- */

void assign_pairs(const machine &machine, const std::vector<unit> &units, plan &out)
{
	for (std::size_t side = 0; side < 2; side++)
		for (unsigned i = 0; i < units.size(); i++) {
			const cpu *mine = units[i].cpus[side];
			const cpu *other = units[i].cpus[1 - side];

			out.roles.push_back(
				{side ? "completer" : "submitter", i, mine,
				 text("shares ", shared(machine, *mine, *other), " with ",
				      side ? "submitter " : "completer ", i,
				      distance_note(machine, *mine, *other))});
		}
}

void assign_workers(const machine &machine, const std::vector<unit> &units, plan &out)
{
	const cpu *before = nullptr;

	for (unsigned i = 0; i < units.size(); i++) {
		const cpu *mine = units[i].cpus[0];

		out.roles.push_back(
			{"worker", i, mine,
			 before ? text("shares ", shared(machine, *mine, *before),
				       " with worker ", i - 1,
				       distance_note(machine, *before, *mine))
				: text("in ", place_of(machine, *mine))});
		before = mine;
	}
}

void assign_list(const machine &machine, const request &request, plan &out)
{
	unsigned index = 0;

	for (auto number : request.cpus->numbers())
		out.roles.push_back({"worker", index++, machine.find_cpu(number),
				     text("one of --cpus ", request.cpus_list)});
}

/* "submitter:0,2 completer:1,3" */
std::string environment_of(const plan &plan)
{
	std::string all;
	const char *role = nullptr;

	for (const auto &each : plan.roles) {
		if (!role || std::string(role) != each.role)
			all += text(role ? " " : "", each.role, ':');
		else
			all += ',';
		role = each.role;
		all += text(each.place->number);
	}
	return all;
}

memory_plan plan_memory(const machine &machine, const memory_wish &wish,
			const number_set &nodes)
{
	memory_plan memory = {wish.policy, wish.nodes.value_or(nodes)};

	auto possible = machine.allowed_nodes;

	if (!subset(memory.nodes, possible))
		throw failure(text("--memory ", name_of(wish.policy),
				   ": the CPUs are in ", memory.nodes.named("node"),
				   ", this process may use memory of ",
				   possible.named("node"), ": give a list, as in ",
				   name_of(wish.policy), '=', possible.list()));
	return memory;
}

} // namespace

std::string shared(const machine &machine, const cpu &a, const cpu &b)
{
	std::string all;
	auto add = [&](const std::string &name) {
		all += all.empty() ? name : ", " + name;
	};

	if (a.core == b.core)
		add(numbered("core ", machine.cores, a.core));
	if (a.l3 == b.l3 && a.l3 != NONE)
		add(numbered("l3:", machine.l3s, a.l3));
	if (a.node == b.node)
		add(node_name(machine, a));
	else if (a.package == b.package)
		add(numbered("package ", machine.packages, a.package));
	if (all.empty())
		all = "nothing but the machine";
	if (a.l3 == NONE && b.l3 == NONE)
		all += " (no L3 here)";
	return all;
}

std::string distance_note(const machine &machine, const cpu &a, const cpu &b)
{
	auto from = static_cast<std::size_t>(a.node);
	auto to = static_cast<std::size_t>(b.node);

	if (a.node == b.node || machine.distances.empty())
		return "";
	return text("; from ", node_name(machine, a), " to ", node_name(machine, b),
		    " is distance ", machine.distances[from][to]);
}

const char *name_of(strategy strategy)
{
	switch (strategy) {
	case strategy::close:
		return "close";
	case strategy::smt:
		return "smt";
	case strategy::spread:
		return "spread";
	case strategy::same_node:
		return "same-node";
	case strategy::cross_node:
		return "cross-node";
	}
	return "?";
}

const char *name_of(memory_policy policy)
{
	switch (policy) {
	case memory_policy::bind:
		return "bind";
	case memory_policy::interleave:
		return "interleave";
	case memory_policy::preferred:
		return "preferred";
	}
	return "?";
}

plan make_plan(const machine &machine, const request &request)
{
	number_set among = request.cpus.value_or(machine.allowed);
	plan out;

	out.how = request.how;
	out.cpus_chosen = request.how || request.cpus;
	if (request.how) {
		std::size_t wanted = request.pairs ? *request.pairs : *request.count;
		auto units = choose(machine, *request.how, among,
				    request.pairs.has_value(), request.smt, wanted);

		if (units.size() < wanted)
			refusal(machine, request, among).raise();
		if (request.pairs)
			assign_pairs(machine, units, out);
		else
			assign_workers(machine, units, out);
		for (const auto &each : out.roles)
			out.cpus.add(each.place->number);
		out.why = summary(machine, out.cpus);
	} else {
		out.cpus = among;
		if (request.cpus)
			assign_list(machine, request, out);
	}
	out.nodes = machine.nodes_of(out.cpus);
	out.environment = environment_of(out);
	if (request.memory)
		out.memory = plan_memory(machine, *request.memory, out.nodes);
	return out;
}

} // namespace pin
