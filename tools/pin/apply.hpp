/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_APPLY_HPP
#define EVERING_PIN_APPLY_HPP

/*
 * apply.hpp - a plan made true, and read back: the kernel may silently give less than it
 * was asked for (a cpuset narrows every mask), and less is a failure here.
 */

#include "plan.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace pin
{

struct thread {
	pid_t id;
	std::string name;
	number_set cpus;
};

/* Where a process has its pages, of all sizes, as counted by the kernel. */
struct page_count {
	std::size_t wanted;    /* on the nodes asked for */
	std::size_t elsewhere; /* shared with other processes, so they stay */
};

/* What was read back. */
struct outcome {
	number_set cpus;
	std::optional<memory_plan> memory;
	/* of another process: */
	std::optional<std::size_t> threads;
	std::optional<page_count> pages;
};

/* All throw failure. */

/* Those of a process that run, or can. */
std::vector<thread> threads_of(pid_t process);

/* The calling thread, and with it what it will execute. */
outcome apply_to_self(const plan &plan);

/* All threads, also those that are created meanwhile. Pages that are there are moved. */
outcome apply_to_process(const machine &machine, const plan &plan, pid_t process);

} // namespace pin

#endif
