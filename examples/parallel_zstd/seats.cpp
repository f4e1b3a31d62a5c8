/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* seats.cpp - roles to CPUs. */

#include "seats.hpp"

namespace parallel_zstd
{

using evering::cpu_of;
using evering::cpu_role;

seats::seats() : all_(evering::cpus_allowed())
{
}

std::optional<int> seats::parent() const
{
	return cpu_of(cpu_role::submitter, 0);
}

std::optional<int> seats::worker(std::uint32_t number) const
{
	for (cpu_role role : {cpu_role::completer, cpu_role::submitter}) {
		std::uint32_t there = 0;

		while (auto cpu = cpu_of(role, there)) {
			if (there++ == number)
				return cpu;
		}
		number -= there;
	}
	return {};
}

/* A worker is forked from a parent that sits already, so it has to get up first. */
void seats::sit(std::optional<int> cpu) const
{
	evering::pin(cpu ? evering::number_set{*cpu} : all_);
}

void seats::sit_as_parent() const
{
	sit(parent());
}

void seats::sit_as_worker(std::uint32_t number) const
{
	sit(worker(number));
}

std::string seats::line(std::uint32_t workers) const
{
	evering::number_set cpus;
	evering::number_set nodes;
	bool pinned = true;
	auto count = [&](std::optional<int> seat) {
		pinned = pinned && seat;
		if (seat)
			cpus.add(*seat);
	};

	count(parent());
	for (std::uint32_t i = 0; i < workers; i++)
		count(worker(i));
	if (!pinned)
		cpus = all_;
	for (int cpu : cpus)
		nodes.add(evering::cpu_node(cpu));
	return "cpus=" + cpus.text() + " nodes=" + nodes.text() +
	       (pinned ? " pinned=yes" : " pinned=no");
}

} // namespace parallel_zstd
