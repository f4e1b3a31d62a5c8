/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_CPU_H
#define EVERING_CPU_H

/**
 * cpu.h - where threads run and where memory lies: CPUs, memory nodes, roles.
 *
 * A message costs what it costs to move a cache line between two CPUs, and that differs
 * several times over with the two CPUs chosen. Choosing is the work of evering-pin(1),
 * which knows the machine's topology; it hands its choice to the program that it starts
 * in the environment, as a list of CPUs for each role:
 *
 *	EVERING_CPUS="submitter:0,2 completer:1,3"
 *
 * A program that honours it says in each thread what the thread is, and nothing about
 * CPUs:
 *
 *	int cpu;
 *	int error = evr_cpu_pin_role(EVR_CPU_SUBMITTER, 0, &cpu);
 *
 *	if (error && error != -ENOENT)
 *		fprintf(stderr, "not pinned: %s\n", evr_error_detail());
 *
 * Started without evering-pin, it gets -ENOENT and runs where the kernel likes.
 *
 * All numbers are the kernel's. A thread may use the CPUs of its affinity mask, a process
 * the nodes of its cpuset; cgroups, containers and taskset(1) narrow both. On a kernel
 * without NUMA everything lies in node 0. All calls here are control-plane calls: they
 * make system calls, read files of /sys, and explain failures by evr_error_detail(). Any
 * thread may call any of them at any time, with sets of its own; not in signal handlers.
 * No call holds anything that another participant waits for, whenever it is stopped.
 */

#include <evering/base.h>
#include <evering/number_set.h>

EVR_BEGIN_DECLS

/* What a thread does. */
enum evr_cpu_role {
	EVR_CPU_SUBMITTER = 0,
	EVR_CPU_COMPLETER = 1,
	EVR_CPU_WORKER = 2, /* whatever else: evering-pin --count */
};

/* The variable of the environment that evering-pin sets. */
#define EVR_CPU_ENVIRONMENT "EVERING_CPUS"

/**
 * evr_cpu_allowed() - the CPUs that the calling thread may use now.
 * @set:  becomes its affinity mask; CPUs that are offline are not in it.
 *
 * Return: 0 or -ENOMEM.
 */
EVR_API EVR_NODISCARD int evr_cpu_allowed(struct evr_number_set *set);

/**
 * evr_cpu_pin() - let the calling thread run on these CPUs only.
 * @set:  the CPUs.
 *
 * What the kernel made of it is read back: if a cpuset leaves less than was asked for,
 * the former mask is put back and the call fails. Threads and processes that the caller
 * creates later inherit the mask; those that exist keep theirs. The thread has moved when
 * the call returns.
 *
 * Return: 0; -EINVAL: the set is empty; -EPERM: a CPU of it may not be used, is offline
 * or is not there, and evr_error_detail() says which may be; -ENOMEM.
 */
EVR_API EVR_NODISCARD int evr_cpu_pin(const struct evr_number_set *set);

/**
 * evr_cpu_of_role() - which CPU evering-pin chose for a role.
 * @role:     what the thread does.
 * @index:    the number of the thread among those of its role, from 0. With evering-pin
 *            --pairs, submitter and completer of the same index are a pair.
 * @ret_cpu:  the CPU.
 *
 * The environment is read anew each time; a thread that changes it meanwhile (setenv())
 * makes that unsafe, as everywhere.
 *
 * Return: 0; -ENOENT: EVERING_CPUS is not set, or has no list for this role; -ERANGE: the
 * list is shorter; -EINVAL: the variable is not what evering-pin writes, or there is no
 * such role. evr_error_detail() shows the value.
 */
EVR_API EVR_NODISCARD int evr_cpu_of_role(enum evr_cpu_role role, uint32_t index,
					  int *ret_cpu);

/**
 * evr_cpu_pin_role() - pin the calling thread to the CPU that evering-pin chose for it.
 * @role:     what the thread does.
 * @index:    its number among those of its role, from 0.
 * @ret_cpu:  the CPU; may be NULL.
 *
 * evr_cpu_of_role() and evr_cpu_pin() in one. On failure the thread is pinned as before.
 *
 * Return: 0, or what either of them says.
 */
EVR_API EVR_NODISCARD int evr_cpu_pin_role(enum evr_cpu_role role, uint32_t index,
					   int *ret_cpu);

/**
 * evr_cpu_current() - the CPU that the calling thread runs on, and its node.
 * @ret_cpu:   the CPU; may be NULL.
 * @ret_node:  the memory node that it belongs to; may be NULL.
 *
 * Unless the thread is pinned to one CPU, this may be past when the call returns.
 *
 * Return: 0.
 */
EVR_API int evr_cpu_current(int *ret_cpu, int *ret_node);

/**
 * evr_cpu_node() - the memory node that a CPU belongs to: its local memory.
 * @cpu:       the CPU.
 * @ret_node:  the node.
 *
 * Return: 0; -ENODEV: there is no such CPU, or it is offline.
 */
EVR_API EVR_NODISCARD int evr_cpu_node(int cpu, int *ret_node);

/**
 * evr_node_allowed() - the nodes whose memory the calling thread may use.
 * @set:  becomes these nodes, nodes without CPUs included.
 *
 * Return: 0 or -ENOMEM.
 */
EVR_API EVR_NODISCARD int evr_node_allowed(struct evr_number_set *set);

/**
 * evr_node_cpus() - the CPUs of a node, whether the caller may use them or not.
 * @node:  the node.
 * @set:   becomes its online CPUs; empty for a node of memory only.
 *
 * Return: 0; -ENODEV: there is no such node; -ENOMEM.
 */
EVR_API EVR_NODISCARD int evr_node_cpus(int node, struct evr_number_set *set);

/**
 * evr_address_node() - the node in which a page of this process lies.
 * @address:   any address in the page; memory of a region or of one's own.
 * @ret_node:  the node. Pages can move later unless a policy binds them.
 *
 * Return: 0; -EFAULT: nothing is mapped there; -ENOENT: mapped, but the page has not been
 * touched yet, or private memory not written to, so it lies nowhere.
 */
EVR_API EVR_NODISCARD int evr_address_node(const void *address, int *ret_node);

EVR_END_DECLS

#endif
