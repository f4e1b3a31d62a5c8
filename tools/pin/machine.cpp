/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* machine.cpp - from hwloc's tree to plain data, and what hwloc does not tell: what this
 * process may use, and what is free. */

#include "machine.hpp"

#include "kernel.hpp"

#include <hwloc.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

namespace pin
{

namespace
{

using topology_ptr =
	std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>,
			decltype([](hwloc_topology_t t) { hwloc_topology_destroy(t); })>;

const char *variable(const char *name)
{
	const char *value = std::getenv(name);

	return value && *value ? value : nullptr;
}

/* The variable that makes hwloc describe another machine, with its value. Of several,
 * hwloc takes the last in this order. */
std::string foreign_source()
{
	std::string source;

	for (const char *name : {"HWLOC_FSROOT", "HWLOC_CPUID_PATH", "HWLOC_SYNTHETIC",
				 "HWLOC_XMLFILE"})
		if (const char *value = variable(name))
			source = text(name, '=', value);
	return source;
}

/* hwloc would look at the variables by itself, but when it cannot read what they name, it
 * goes on as if they were not there: the plan would be for the wrong machine. */
void set_source(hwloc_topology_t topology)
{
	const char *file = variable("HWLOC_XMLFILE");
	const char *synthetic = variable("HWLOC_SYNTHETIC");

	if (file ? hwloc_topology_set_xml(topology, file) < 0
		 : synthetic && hwloc_topology_set_synthetic(topology, synthetic) < 0)
		throw failure(text(foreign_source(), ": hwloc finds no topology there"));
}

topology_ptr load_topology()
{
	unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
	hwloc_topology_t made;

#if HWLOC_API_VERSION >= 0x00020500
	flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
#endif
	if (hwloc_topology_init(&made) < 0)
		throw failure("hwloc does not start");
	topology_ptr topology(made);
	set_source(made);
	if (hwloc_topology_set_flags(made, flags) < 0 || hwloc_topology_load(made) < 0) {
		auto source = foreign_source();

		throw failure(text(source.empty() ? "this machine" : source,
				   ": hwloc cannot read its topology"));
	}
	return topology;
}

number_set read_set(const std::filesystem::path &path)
{
	std::ifstream file(path);
	std::string list;

	std::getline(file, list);
	return number_set::from_text(list);
}

std::optional<std::uint64_t> read_number(const std::filesystem::path &path)
{
	std::ifstream file(path);
	std::uint64_t number;

	if (file >> number)
		return number;
	return std::nullopt;
}

std::filesystem::path node_path(unsigned number)
{
	return text("/sys/devices/system/node/node", number);
}

std::optional<std::uint64_t> read_free_bytes(unsigned node)
{
	std::ifstream file(node_path(node) / "meminfo");

	for (std::string word; file >> word;) {
		std::uint64_t kib;

		if (word == "MemFree:" && file >> kib)
			return kib * 1024;
	}
	return std::nullopt;
}

std::vector<huge_pages> read_huge_pages(unsigned node)
{
	std::vector<huge_pages> all;
	std::error_code error;
	const std::string prefix = "hugepages-";

	for (const auto &entry : std::filesystem::directory_iterator(
		     node_path(node) / "hugepages", error)) {
		auto name = entry.path().filename().string();

		if (!name.starts_with(prefix))
			continue;
		all.push_back({std::strtoull(name.c_str() + prefix.size(), nullptr, 10) *
				       1024,
			       read_number(entry.path() / "nr_hugepages").value_or(0),
			       read_number(entry.path() / "free_hugepages")});
	}
	std::sort(all.begin(), all.end(),
		  [](const auto &a, const auto &b) { return a.bytes < b.bytes; });
	return all;
}

/* Of another machine: what hwloc has of it. The smallest page is no huge page. */
std::vector<huge_pages> recorded_huge_pages(hwloc_obj_t object)
{
	std::vector<huge_pages> all;
	const auto &attributes = object->attr->numanode;

	for (unsigned i = 1; i < attributes.page_types_len; i++)
		all.push_back({attributes.page_types[i].size,
			       attributes.page_types[i].count, std::nullopt});
	return all;
}

/* Fills a machine from hwloc's tree, one kind of thing after the other. */
class reader
{
public:
	reader(hwloc_topology_t topology_, machine &machine_)
		: topology(topology_), out(machine_)
	{
	}

	void read()
	{
		read_packages();
		read_nodes();
		read_l3s();
		read_kinds();
		read_cpus();
		read_distances();
	}

private:
	unsigned count(hwloc_obj_type_t type) const
	{
		int number = hwloc_get_nbobjs_by_type(topology, type);

		return number > 0 ? static_cast<unsigned>(number) : 0;
	}

	hwloc_obj_t object(hwloc_obj_type_t type, unsigned index) const
	{
		return hwloc_get_obj_by_type(topology, type, index);
	}

	/* A machine that names no packages is one. */
	void read_packages()
	{
		for (unsigned i = 0; i < count(HWLOC_OBJ_PACKAGE); i++)
			out.packages.push_back(
				{i, number_set(object(HWLOC_OBJ_PACKAGE, i)->cpuset)});
		if (out.packages.empty())
			out.packages.push_back({0, out.online});
	}

	/* hwloc counts as a node's CPUs all that are beside it, so a CPU may have several
	 * nodes: its own and, say, a memory-only one that the whole package shares. The
	 * CPUs of the smallest, then the lowest, are its own, as the kernel has it. */
	void read_nodes()
	{
		std::vector<hwloc_obj_t> objects;
		number_set homeless = out.online;

		for (unsigned i = 0; i < count(HWLOC_OBJ_NUMANODE); i++)
			objects.push_back(object(HWLOC_OBJ_NUMANODE, i));
		std::sort(objects.begin(), objects.end(), [](auto a, auto b) {
			return a->os_index < b->os_index;
		});
		for (auto each : objects)
			out.nodes.push_back({each->os_index, number_set(),
					     each->attr->numanode.local_memory,
					     std::nullopt, recorded_huge_pages(each)});

		std::vector<std::size_t> order(objects.size());
		for (std::size_t i = 0; i < order.size(); i++)
			order[i] = i;
		std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
			return hwloc_bitmap_weight(objects[a]->cpuset) <
			       hwloc_bitmap_weight(objects[b]->cpuset);
		});
		for (auto i : order) {
			number_set beside(objects[i]->cpuset);

			out.nodes[i].cpus = beside & homeless;
			homeless = homeless - beside;
		}
		if (out.foreign)
			return;
		for (auto &each : out.nodes) {
			auto list = node_path(each.number) / "cpulist";

			/* The kernel says outright what was worked out above. */
			if (std::filesystem::exists(list))
				each.cpus = read_set(list) & out.online;
			each.free_bytes = read_free_bytes(each.number);
			each.pages = read_huge_pages(each.number);
		}
	}

	void read_l3s()
	{
		for (unsigned i = 0; i < count(HWLOC_OBJ_L3CACHE); i++) {
			hwloc_obj_t each = object(HWLOC_OBJ_L3CACHE, i);

			out.l3s.push_back({i, each->attr->cache.size,
					   number_set(each->cpuset)});
		}
	}

	/* hwloc has them in rising order of efficiency. */
	void read_kinds()
	{
		int number = hwloc_cpukinds_get_nr(topology, 0);

		for (int i = 0; i < number; i++) {
			number_set cpus;
			int efficiency = NONE;

			if (hwloc_cpukinds_get_info(topology, static_cast<unsigned>(i),
						    cpus.get(), &efficiency, nullptr,
						    nullptr, 0) == 0)
				out.kinds.push_back({efficiency, cpus});
		}
	}

	/* Which of the things holds the CPU. */
	template <class Thing>
	static int index_of(const std::vector<Thing> &things, unsigned number)
	{
		for (std::size_t i = 0; i < things.size(); i++)
			if (things[i].cpus.has(number))
				return static_cast<int>(i);
		return NONE;
	}

	void read_cpus()
	{
		for (unsigned i = 0; i < count(HWLOC_OBJ_PU); i++) {
			hwloc_obj_t unit = object(HWLOC_OBJ_PU, i);
			unsigned number = unit->os_index;

			out.cpus.push_back({number, core_of(unit),
					    index_of(out.l3s, number),
					    std::max(index_of(out.nodes, number), 0),
					    std::max(index_of(out.packages, number), 0),
					    index_of(out.kinds, number), 0});
			find_near(out.cpus.back());
		}
	}

	/* A CPU that hwloc has in no core is one by itself. */
	int core_of(hwloc_obj_t unit)
	{
		hwloc_obj_t above = hwloc_get_ancestor_obj_by_type(
			topology, HWLOC_OBJ_CORE, unit);
		hwloc_obj_t core = above ? above : unit;

		if (!out.cores.empty() && out.cores.back().cpus.has(unit->os_index))
			return static_cast<int>(out.cores.size() - 1);
		out.cores.push_back({core->logical_index, number_set(core->cpuset)});
		return static_cast<int>(out.cores.size() - 1);
	}

	void find_near(cpu &each)
	{
		auto node = static_cast<std::size_t>(each.node);
		auto package = static_cast<std::size_t>(each.package);
		int l3s = static_cast<int>(out.l3s.size());
		int nodes = static_cast<int>(out.nodes.size());

		bool small_node = out.nodes[node].cpus.count() <=
				  out.packages[package].cpus.count();

		if (each.l3 != NONE)
			each.near = each.l3;
		else if (small_node)
			each.near = l3s + each.node;
		else
			each.near = l3s + nodes + each.package;
	}

	void read_distances()
	{
		constexpr unsigned long latency = HWLOC_DISTANCES_KIND_MEANS_LATENCY;
		hwloc_distances_s *found;
		unsigned number = 1;

		if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &number,
						&found, latency, 0) < 0 ||
		    number == 0) {
			if (!out.foreign)
				read_kernel_distances();
			return;
		}
		std::vector<std::vector<std::uint64_t>> distances(
			out.nodes.size(), std::vector<std::uint64_t>(out.nodes.size()));
		for (unsigned i = 0; i < found->nbobjs; i++)
			for (unsigned j = 0; j < found->nbobjs; j++)
				if (found->objs[i] && found->objs[j])
					distances[node_index(found->objs[i])]
						 [node_index(found->objs[j])] =
						found->values[i * found->nbobjs + j];
		hwloc_distances_release(topology, found);
		out.distances = distances;
	}

	std::size_t node_index(hwloc_obj_t object) const
	{
		return static_cast<std::size_t>(
			std::find_if(out.nodes.begin(), out.nodes.end(),
				     [&](const node &each) {
					     return each.number == object->os_index;
				     }) -
			out.nodes.begin());
	}

	/* hwloc leaves out those of a single node. */
	void read_kernel_distances()
	{
		for (const auto &each : out.nodes) {
			std::ifstream file(node_path(each.number) / "distance");
			std::vector<std::uint64_t> row;

			for (std::uint64_t distance; file >> distance;)
				row.push_back(distance);
			if (row.size() != out.nodes.size()) {
				out.distances.clear();
				return;
			}
			out.distances.push_back(row);
		}
	}

	hwloc_topology_t topology;
	machine &out;
};

/* The kernel counts as offline also CPUs that are not there, only possible. */
void read_offline(hwloc_topology_t topology, machine &out)
{
	number_set complete(hwloc_topology_get_complete_cpuset(topology));

	out.offline = complete - out.online;
	if (!out.foreign)
		out.offline |= (read_set("/sys/devices/system/cpu/offline") &
				read_set("/sys/devices/system/cpu/present")) -
			       out.online;
}

void read_allowed(hwloc_topology_t topology, machine &out)
{
	if (out.foreign) {
		out.allowed = number_set(hwloc_topology_get_allowed_cpuset(topology));
		out.allowed_nodes =
			number_set(hwloc_topology_get_allowed_nodeset(topology));
		return;
	}
	out.allowed = kernel::thread_cpus(0) & out.online;
	try {
		out.allowed_nodes = kernel::allowed_nodes();
	} catch (const std::system_error &) {
		/* A kernel that knows no nodes. */
		out.allowed_nodes =
			number_set(hwloc_topology_get_allowed_nodeset(topology));
	}
}

} // namespace

const cpu *machine::find_cpu(unsigned number) const
{
	for (const auto &each : cpus)
		if (each.number == number)
			return &each;
	return nullptr;
}

number_set machine::nodes_of(const number_set &some) const
{
	number_set found;

	for (const auto &each : nodes)
		if (!(each.cpus & some).empty())
			found.add(each.number);
	return found;
}

unsigned machine::slowness(const cpu &each) const
{
	auto known = [](const kind &kind) { return kind.efficiency != NONE; };

	if (!std::all_of(kinds.begin(), kinds.end(), known))
		return 0;
	return static_cast<unsigned>(kinds.size()) -
	       static_cast<unsigned>(each.kind == NONE ? 0 : each.kind + 1);
}

machine load_machine()
{
	topology_ptr topology = load_topology();
	auto source = foreign_source();
	machine out;

	out.foreign = !hwloc_topology_is_thissystem(topology.get());
	out.topology = !out.foreign	? "this machine"
		       : source.empty() ? "another machine"
					: source;
	out.online = number_set(hwloc_topology_get_topology_cpuset(topology.get()));
	read_offline(topology.get(), out);
	read_allowed(topology.get(), out);
	reader(topology.get(), out).read();
	return out;
}

} // namespace pin
