/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* report.cpp - see report.hpp. */

#include "report.hpp"

namespace pin
{

using json = nlohmann::ordered_json;

namespace
{

std::string size_text(std::uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	std::size_t unit = 0;

	while (unit < 4 && bytes >= 1024 && (bytes % 1024 == 0 || bytes >= 10 * 1024)) {
		bytes /= 1024;
		unit++;
	}
	return text(bytes, ' ', units[unit]);
}

/* The numbers of the things that have CPUs in common with these. */
template <class Thing>
number_set with_cpus(const std::vector<Thing> &things, const number_set &cpus)
{
	number_set numbers;

	for (const auto &thing : things)
		if (!(thing.cpus & cpus).empty())
			numbers.add(thing.number);
	return numbers;
}

/* ---- the machine, as text -------------------------------------------------------- */

/* ", 3 not allowed" */
std::string state_text(const machine &machine, const number_set &cpus)
{
	number_set closed = cpus - machine.allowed;

	if (closed.empty())
		return "";
	if (closed == cpus)
		return " (not allowed)";
	return text(" (", closed.list(), " not allowed)");
}

std::string node_text(const machine &machine, const node &node)
{
	std::string line = text("node:", node.number, "  ", node.cpus.named("CPU"), ", ",
				size_text(node.memory_bytes));

	if (node.free_bytes)
		line += text(" (", size_text(*node.free_bytes), " free)");
	for (const auto &pages : node.pages) {
		line += text(", ", pages.total, " pages of ", size_text(pages.bytes));
		if (pages.free)
			line += text(" (", *pages.free, " free)");
	}
	if (!machine.allowed_nodes.has(node.number))
		line += " (not allowed)";
	return line + '\n';
}

std::string distances_text(const machine &machine)
{
	std::ostringstream out;

	out << "distances, from a node (line) to a node (column)\n      ";
	for (const auto &node : machine.nodes)
		out << std::setw(6) << node.number;
	out << '\n';
	for (std::size_t i = 0; i < machine.distances.size(); i++) {
		out << std::setw(6) << machine.nodes[i].number;
		for (auto distance : machine.distances[i])
			out << std::setw(6) << distance;
		out << '\n';
	}
	return out.str();
}

std::string kind_text(const machine &machine, const core &core)
{
	if (machine.kinds.size() < 2)
		return "";
	for (std::size_t i = 0; i < machine.kinds.size(); i++)
		if (!(machine.kinds[i].cpus & core.cpus).empty())
			return text(", kind ", i);
	return "";
}

/* ---- the plan, as text ----------------------------------------------------------- */

std::string cpu_text(const machine &machine, const cpu &cpu)
{
	const auto &core = machine.cores[static_cast<std::size_t>(cpu.core)];

	return text("CPU ", cpu.number, " (core ", core.number, kind_text(machine, core),
		    ')');
}

std::vector<std::string> role_lines(const machine &machine, const request &request,
				    const plan &plan)
{
	std::vector<std::string> lines;
	std::size_t half = plan.roles.size() / 2;

	if (request.pairs) {
		for (std::size_t i = 0; i < half; i++) {
			const cpu &submitter = *plan.roles[i].place;
			const cpu &completer = *plan.roles[half + i].place;

			lines.push_back(
				text("pair ", i, ": submitter ",
				     cpu_text(machine, submitter), ", completer ",
				     cpu_text(machine, completer), ": they share ",
				     shared(machine, submitter, completer),
				     distance_note(machine, submitter, completer)));
		}
		return lines;
	}
	for (const auto &each : plan.roles)
		lines.push_back(text(each.role, ' ', each.index, ": ",
				     cpu_text(machine, *each.place), ": ", each.reason));
	return lines;
}

std::string memory_text(const std::optional<memory_plan> &memory)
{
	if (!memory)
		return "";
	return text("memory ", name_of(memory->policy), ' ', memory->nodes.list());
}

std::string strategy_text(const request &request, const plan &plan)
{
	if (plan.how)
		return text(name_of(*plan.how), ": ",
			    request.pairs ? counted(*request.pairs, "pair")
					  : counted(*request.count, "worker"),
			    " on ", plan.why, '\n');
	if (plan.cpus_chosen)
		return text("all of --cpus ", request.cpus_list, '\n');
	return "the CPUs stay as they are\n";
}

json memory_json(const std::optional<memory_plan> &memory)
{
	if (!memory)
		return nullptr;
	return {{"policy", name_of(memory->policy)}, {"nodes", memory->nodes.list()}};
}

json optional_json(const std::optional<std::uint64_t> &number)
{
	return number ? json(*number) : json(nullptr);
}

template <class Thing> json number_json(const std::vector<Thing> &things, int index)
{
	return index == NONE ? json(nullptr)
			     : json(things[static_cast<std::size_t>(index)].number);
}

json kind_json(const machine &machine, const core &core)
{
	for (std::size_t i = 0; i < machine.kinds.size(); i++)
		if (!(machine.kinds[i].cpus & core.cpus).empty())
			return i;
	return nullptr;
}

} // namespace

std::string machine_text(const machine &machine)
{
	std::string out = text(machine.topology, ": ",
			       counted(machine.packages.size(), "package"), ", ",
			       counted(machine.nodes.size(), "node"), ", ",
			       counted(machine.l3s.size(), "L3"), ", ",
			       counted(machine.cores.size(), "core"), ", ",
			       counted(machine.online.count(), "CPU"), "\nallowed  ",
			       machine.allowed.named("CPU"), ", ",
			       machine.allowed_nodes.named("node"), "\nonline   ",
			       machine.online.named("CPU"), "\noffline  ",
			       machine.offline.named("CPU"), '\n');

	for (const auto &package : machine.packages)
		out += text("package:", package.number, "  ",
			    with_cpus(machine.nodes, package.cpus).named("node"),
			    machine.l3s.empty() ? ", no L3" : ", l3:",
			    with_cpus(machine.l3s, package.cpus).list(), ", core:",
			    with_cpus(machine.cores, package.cpus).list(), ", ",
			    package.cpus.named("CPU"),
			    state_text(machine, package.cpus), '\n');
	for (const auto &node : machine.nodes)
		out += node_text(machine, node);
	for (const auto &l3 : machine.l3s)
		out += text("l3:", l3.number, "  ", l3.cpus.named("CPU"), ", ",
			    size_text(l3.bytes), state_text(machine, l3.cpus), '\n');
	for (const auto &core : machine.cores)
		out += text("core:", core.number, "  ", core.cpus.named("CPU"),
			    kind_text(machine, core), state_text(machine, core.cpus),
			    '\n');
	for (std::size_t i = 0; machine.kinds.size() > 1 && i < machine.kinds.size(); i++)
		out += text("kind ", i, "  ", machine.kinds[i].cpus.named("CPU"),
			    ", efficiency ", machine.kinds[i].efficiency, '\n');
	if (!machine.distances.empty())
		out += distances_text(machine);
	return out;
}

std::string plan_text(const machine &machine, const request &request, const plan &plan,
		      const std::vector<thread> &threads)
{
	std::string out = strategy_text(request, plan);

	for (const auto &line : role_lines(machine, request, plan))
		out += line + '\n';
	for (const auto &each : threads)
		out += text("thread ", each.id, " (", each.name, "): ",
			    plan.cpus_chosen && each.cpus != plan.cpus
				    ? text("from ", each.cpus.named("CPU"), " to ",
					   plan.cpus.named("CPU"))
				    : text("stays on ", each.cpus.named("CPU")),
			    '\n');
	out += text(plan.cpus.named("CPU"), ", ", plan.nodes.named("node"), '\n');
	out += plan.memory ? memory_text(plan.memory) + '\n' : "memory as it is\n";
	if (!plan.environment.empty() && threads.empty())
		out += text("EVERING_CPUS=\"", plan.environment, "\"\n");
	return out;
}

std::string outcome_text(const machine &machine, const request &request, const plan &plan,
			 const outcome &outcome)
{
	std::string out;
	auto line = [&](const auto &...parts) {
		out += text("evering-pin: ", parts..., '\n');
	};

	/* Of a list, the user knows. */
	if (plan.how)
		for (const auto &each : role_lines(machine, request, plan))
			line(each);
	line("got ", outcome.cpus.named("CPU"), ", ",
	     machine.nodes_of(outcome.cpus).named("node"), outcome.memory ? "; " : "",
	     memory_text(outcome.memory),
	     outcome.threads ? text("; ", counted(*outcome.threads, "thread")) : "");
	if (outcome.pages) {
		auto [wanted, elsewhere] = *outcome.pages;

		line(counted(wanted, "page"), wanted == 1 ? " is" : " are", " there, ",
		     elsewhere, " elsewhere",
		     elsewhere ? ", shared with other processes" : "");
		line("new pages come from the nodes of the CPUs: the policy of another "
		     "process cannot be set");
	}
	return out;
}

json machine_json(const machine &machine)
{
	json out = {{"topology", machine.topology},
		    {"allowed", machine.allowed.list()},
		    {"allowed_nodes", machine.allowed_nodes.list()},
		    {"online", machine.online.list()},
		    {"offline", machine.offline.list()}};

	auto &packages = out["packages"] = json::array();
	for (const auto &each : machine.packages)
		packages.push_back(
			{{"package", each.number},
			 {"nodes", with_cpus(machine.nodes, each.cpus).list()},
			 {"l3", with_cpus(machine.l3s, each.cpus).list()},
			 {"cores", with_cpus(machine.cores, each.cpus).list()},
			 {"cpus", each.cpus.list()}});
	auto &nodes = out["nodes"] = json::array();
	for (const auto &each : machine.nodes) {
		json huge = json::array();

		for (const auto &pages : each.pages)
			huge.push_back({{"bytes", pages.bytes},
					{"total", pages.total},
					{"free", optional_json(pages.free)}});
		nodes.push_back({{"node", each.number},
				 {"cpus", each.cpus.list()},
				 {"memory_bytes", each.memory_bytes},
				 {"free_bytes", optional_json(each.free_bytes)},
				 {"huge_pages", huge}});
	}
	auto &l3s = out["l3"] = json::array();
	for (const auto &each : machine.l3s)
		l3s.push_back({{"l3", each.number},
			       {"bytes", each.bytes},
			       {"cpus", each.cpus.list()}});
	auto &cores = out["cores"] = json::array();
	for (const auto &each : machine.cores)
		cores.push_back({{"core", each.number},
				 {"cpus", each.cpus.list()},
				 {"kind", kind_json(machine, each)}});
	auto &kinds = out["kinds"] = json::array();
	for (std::size_t i = 0; i < machine.kinds.size(); i++)
		kinds.push_back({{"kind", i},
				 {"cpus", machine.kinds[i].cpus.list()},
				 {"efficiency", machine.kinds[i].efficiency}});
	out["distances"] = machine.distances;
	return out;
}

json plan_json(const machine &machine, const plan &plan,
	       const std::vector<thread> *threads)
{
	json out = {{"version", 1},
		    {"strategy", plan.how ? json(name_of(*plan.how)) : json(nullptr)},
		    {"topology", machine.topology},
		    {"allowed", machine.allowed.list()},
		    {"cpus", plan.cpus.list()},
		    {"nodes", plan.nodes.list()},
		    {"environment", plan.environment}};

	auto &roles = out["roles"] = json::array();
	for (const auto &each : plan.roles)
		roles.push_back(
			{{"role", each.role},
			 {"index", each.index},
			 {"cpu", each.place->number},
			 {"core", number_json(machine.cores, each.place->core)},
			 {"l3", number_json(machine.l3s, each.place->l3)},
			 {"node", number_json(machine.nodes, each.place->node)},
			 {"package", number_json(machine.packages, each.place->package)},
			 {"reason", each.reason}});
	out["memory"] = memory_json(plan.memory);
	if (threads) {
		auto &list = out["threads"] = json::array();

		for (const auto &each : *threads)
			list.push_back(
				{{"tid", each.id},
				 {"name", each.name},
				 {"cpus_now", each.cpus.list()},
				 {"cpus", (plan.cpus_chosen ? plan.cpus : each.cpus)
						  .list()}});
	}
	return out;
}

json outcome_json(const outcome &outcome)
{
	json out = {{"cpus", outcome.cpus.list()},
		    {"memory", memory_json(outcome.memory)}};

	if (outcome.threads)
		out["threads"] = *outcome.threads;
	if (outcome.pages)
		out["pages"] = {{"there", outcome.pages->wanted},
				{"elsewhere", outcome.pages->elsewhere}};
	return out;
}

} // namespace pin
