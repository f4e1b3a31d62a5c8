/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_MACHINE_HPP
#define EVERING_PIN_MACHINE_HPP

/*
 * machine.hpp - the machine as this process sees it: plain data, so that plans can be
 * made for any machine, and tested without it.
 *
 * CPUs and nodes have the kernel's numbers. Packages, L3s and cores have the logical
 * numbers of hwloc, over the whole machine: the kernel's are not unique.
 */

#include "numbers.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pin
{

constexpr int NONE = -1;

/* One CPU: a hardware thread. What it belongs to is an index into machine's vectors. */
struct cpu {
	unsigned number;
	int core;
	int l3; /* or NONE */
	int node;
	int package;
	int kind; /* or NONE */
	/* The smallest thing whose CPUs exchange data without leaving it: its L3; where
	 * there is none, its node or package stands in. A key, to be compared only. */
	int near;
};

struct core {
	unsigned number;
	number_set cpus;
};

struct l3 {
	unsigned number;
	std::uint64_t bytes;
	number_set cpus;
};

struct huge_pages {
	std::uint64_t bytes;
	std::uint64_t total;
	std::optional<std::uint64_t> free; /* not known of another machine */
};

struct node {
	unsigned number;
	number_set cpus; /* empty: memory only */
	std::uint64_t memory_bytes;
	std::optional<std::uint64_t> free_bytes;
	std::vector<huge_pages> pages;
};

struct package {
	unsigned number;
	number_set cpus;
};

/* Of a hybrid machine. */
struct kind {
	int efficiency; /* the higher, the faster; NONE: not known */
	number_set cpus;
};

struct machine {
	std::string topology; /* "this machine", or which variable gave another one */
	bool foreign = false; /* another one: nothing can be applied */

	number_set online;
	number_set offline;
	number_set allowed; /* this process may use them */
	number_set allowed_nodes;

	std::vector<cpu> cpus; /* online; in the order of the tree, neighbours together */
	std::vector<core> cores;
	std::vector<l3> l3s;
	std::vector<node> nodes; /* in the order of their numbers */
	std::vector<package> packages;
	std::vector<kind> kinds;
	/* [from][to], as nodes are ordered; empty: not known */
	std::vector<std::vector<std::uint64_t>> distances;

	const cpu *find_cpu(unsigned number) const;
	/* Of the CPUs: the numbers of their nodes. */
	number_set nodes_of(const number_set &cpus) const;
	/* 0 for the fastest kind; the same for all where kinds are not told apart. */
	unsigned slowness(const cpu &cpu) const;
};

/* What hwloc, the kernel and this process's own affinity tell. */
machine load_machine();

} // namespace pin

#endif
