/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_KERNEL_HPP
#define EVERING_PIN_KERNEL_HPP

/*
 * kernel.hpp - the system calls for CPUs and memory, with masks that grow as the kernel's
 * do. All throw std::system_error.
 */

#include "numbers.hpp"

#include <sys/types.h>

namespace pin::kernel
{

/* Thread 0 is the calling one. */
number_set thread_cpus(pid_t thread);
void set_thread_cpus(pid_t thread, const number_set &cpus);

/* Nodes that the cpuset of this process lets it have memory from. */
number_set allowed_nodes();

/* The MPOL_ mode of the calling thread, and its nodes. */
struct memory_mode {
	int mode;
	number_set nodes;
};

memory_mode memory_policy();
void set_memory_policy(int mode, const number_set &nodes);

/* Returns how many pages could not be moved. */
long migrate_pages(pid_t process, const number_set &from, const number_set &to);

} // namespace pin::kernel

#endif
