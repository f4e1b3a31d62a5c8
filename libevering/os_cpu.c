/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * os_cpu.c - CPUs and memory nodes.
 *
 * libnuma reads /sys and prints to stderr what it does not find there, so it is asked
 * only about nodes that are there. Where the kernel has no NUMA, or a container forbids
 * asking about it, everything is in node 0.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int evri_os_affinity_get(uint64_t *words, size_t words_count)
{
	EVRI_OS_KEEP_ERRNO;

	/* glibc clears what the kernel did not fill. */
	if (sched_getaffinity(0, words_count * sizeof(*words), (cpu_set_t *)words) < 0)
		return -errno;
	return 0;
}

int evri_os_affinity_set(const uint64_t *words, size_t words_count)
{
	EVRI_OS_KEEP_ERRNO;

	if (sched_setaffinity(0, words_count * sizeof(*words), (const cpu_set_t *)words) <
	    0)
		return -errno;
	return 0;
}

static bool node_exists(int node)
{
	char path[64];

	if (node < 0 || numa_available() < 0)
		return node == 0;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpumap", node);
	if (access(path, R_OK) == 0)
		return true;
	/* No /sys at all, in a bare chroot. */
	return node == 0 && access("/sys/devices/system/node/node0", F_OK) < 0;
}

/* Does libnuma know the machine's nodes, or is everything node 0? */
static bool nodes_known(void)
{
	return numa_available() >= 0 &&
	       access("/sys/devices/system/node/node0", F_OK) == 0;
}

static bool cpu_online(int cpu)
{
	char path[64];

	if (cpu < 0)
		return false;
	/* cpu0 cannot be taken offline on most machines, and then has no such file. */
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	FILE *file = fopen(path, "re");
	int state = '1';

	if (file) {
		state = fgetc(file);
		fclose(file);
		return state == '1';
	}
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d", cpu);
	return access(path, F_OK) == 0 || (cpu < sysconf(_SC_NPROCESSORS_CONF) &&
					   access("/sys/devices/system/cpu", F_OK) < 0);
}

int evri_os_current_cpu(int *ret_cpu, int *ret_node)
{
	EVRI_OS_KEEP_ERRNO;
	unsigned cpu;
	unsigned node;

	if (syscall(SYS_getcpu, &cpu, &node, NULL) < 0)
		return -errno;
	*ret_cpu = (int)cpu;
	*ret_node = (int)node;
	return 0;
}

int evri_os_cpu_node(int cpu, int *ret_node)
{
	EVRI_OS_KEEP_ERRNO;
	int node = 0;

	if (!cpu_online(cpu))
		return -ENODEV;
	if (nodes_known())
		node = numa_node_of_cpu(cpu);
	if (node < 0)
		return -ENODEV;
	*ret_node = node;
	return 0;
}

int evri_os_nodes_limit(void)
{
	EVRI_OS_KEEP_ERRNO;

	return nodes_known() ? numa_max_node() + 1 : 1;
}

bool evri_os_node_allowed(int node)
{
	EVRI_OS_KEEP_ERRNO;
	struct bitmask *allowed;
	bool found;

	if (!nodes_known())
		return node == 0;
	allowed = numa_get_mems_allowed();
	found = node >= 0 && numa_bitmask_isbitset(allowed, (unsigned)node);
	numa_bitmask_free(allowed);
	return found;
}

int evri_os_node_cpus(int node, int (*take)(void *context, int cpu), void *context)
{
	EVRI_OS_KEEP_ERRNO;

	if (!node_exists(node))
		return -ENODEV;
	/* CPU numbers have holes, so all that the kernel could have are asked. */
	for (int cpu = 0; cpu < numa_num_possible_cpus(); cpu++) {
		int its_node;
		int stop;

		if (evri_os_cpu_node(cpu, &its_node) < 0 || its_node != node)
			continue;
		stop = take(context, cpu);
		if (stop)
			return stop;
	}
	return 0;
}

int evri_os_address_node(const void *address, int *ret_node)
{
	EVRI_OS_KEEP_ERRNO;
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)address & ~(page_bytes - 1));
	unsigned char resident;
	int status = 0;

	if (numa_available() < 0) {
		if (mincore(page, 1, &resident) < 0)
			return -EFAULT;
		*ret_node = 0;
		return 0;
	}
	if (move_pages(0, 1, &page, NULL, &status, 0) < 0)
		return -errno;
	/* Linux 6.1 says EFAULT also of private memory that nobody has touched, and every
	 * Linux of what was only read: the page of zeroes, which is in no node. */
	if (status == -EFAULT && mincore(page, 1, &resident) == 0)
		return -ENOENT;
	if (status < 0)
		return status;
	*ret_node = status;
	return 0;
}
