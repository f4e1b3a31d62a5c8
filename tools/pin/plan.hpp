/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_PLAN_HPP
#define EVERING_PIN_PLAN_HPP

/*
 * plan.hpp - which CPU for whom, which nodes, and why: a pure function of a machine and a
 * request. Nothing here asks the system for anything.
 */

#include "machine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pin
{

enum class strategy { close, smt, spread, same_node, cross_node };
constexpr strategy strategies[] = {strategy::close, strategy::smt, strategy::spread,
				   strategy::same_node, strategy::cross_node};
const char *name_of(strategy strategy);

enum class memory_policy { bind, interleave, preferred };
constexpr memory_policy memory_policies[] = {
	memory_policy::bind, memory_policy::interleave, memory_policy::preferred};
const char *name_of(memory_policy policy);

struct memory_wish {
	memory_policy policy;
	std::optional<number_set> nodes; /* without: those of the chosen CPUs */
};

/* What the user asked for, its lists resolved. */
struct request {
	std::optional<number_set> cpus; /* without: all that may be used */
	std::string cpus_list;		/* as written */
	std::optional<strategy> how;	/* set if and only if count or pairs is */
	std::optional<unsigned> count;
	std::optional<unsigned> pairs;
	bool smt = false; /* siblings too, when whole cores run out */
	std::optional<memory_wish> memory;
};

/* Role and index are what evr_cpu_pin_role() asks for. */
struct assignment {
	const char *role;
	unsigned index;
	const cpu *place;
	std::string reason;
};

struct memory_plan {
	memory_policy policy;
	number_set nodes;
};

struct plan {
	std::optional<strategy> how;
	std::string why; /* the strategy's outcome in one line; empty without strategy */
	bool cpus_chosen; /* if not, they are as they were */
	number_set cpus;
	number_set nodes; /* of the CPUs */
	std::vector<assignment> roles; /* role by role, each in the order of its index */
	std::string environment;       /* EVERING_CPUS; empty: leave it as it is */
	std::optional<memory_plan> memory;
};

/* What two CPUs have in common, from the inside out: "l3:0, node 0". */
std::string shared(const machine &machine, const cpu &a, const cpu &b);
/* "; from node 0 to node 1 is distance 21", if they are in different ones. */
std::string distance_note(const machine &machine, const cpu &a, const cpu &b);

/* Points into the machine. Throws failure when it is impossible, saying what would be. */
plan make_plan(const machine &machine, const request &request);

} // namespace pin

#endif
