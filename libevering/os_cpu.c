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
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What of a policy's mode is not a flag. */
#define MODE_MASK 0xff

#define WORD_BITS 64
#define MASK_WORDS 16
#define MASK_BITS (MASK_WORDS * WORD_BITS)

/* A kernel mask: node n is bit n % 64 of word n / 64. */
struct node_mask {
	unsigned long words[MASK_WORDS];
	unsigned long bits;
};

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

bool evri_os_node_exists(int node)
{
	EVRI_OS_KEEP_ERRNO;
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

int evri_os_current_node(void)
{
	EVRI_OS_KEEP_ERRNO;
	unsigned cpu;
	unsigned node;

	return getcpu(&cpu, &node) == 0 ? (int)node : 0;
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

int evri_os_node_distance(int from, int to)
{
	EVRI_OS_KEEP_ERRNO;

	return nodes_known() ? numa_distance(from, to) : 0;
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

bool evri_os_node_usual(int node)
{
	EVRI_OS_KEEP_ERRNO;
	struct node_mask mask = { .bits = 0 };
	int mode;

	if (!evri_os_node_allowed(node))
		return false;
	if (!nodes_known() || (size_t)node >= MASK_BITS ||
	    get_mempolicy(&mode, mask.words, MASK_BITS, NULL, 0) < 0)
		return true;
	return (mode & MODE_MASK) != MPOL_BIND ||
	       mask.words[node / WORD_BITS] >> (node % WORD_BITS) & 1;
}

int evri_os_node_cpus(int node, int (*take)(void *context, int cpu), void *context)
{
	EVRI_OS_KEEP_ERRNO;

	if (!evri_os_node_exists(node))
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

static int mask_of(const struct evr_number_set *nodes, struct node_mask *mask)
{
	memset(mask, 0, sizeof(*mask));
	/* The kernel wants one more than it reads. */
	mask->bits = MASK_BITS + 1;
	for (int node = evr_number_set_next(nodes, 0); node >= 0;
	     node = evr_number_set_next(nodes, node + 1)) {
		if ((size_t)node >= MASK_BITS)
			return -EINVAL;
		mask->words[node / WORD_BITS] |= 1UL << (node % WORD_BITS);
	}
	return 0;
}

/* Small pages' policy is kept with the file. The kernel passes over a mapping that has
 * none already, and leaves the file's as it is; hence another one first. Where mbind() is
 * forbidden, nobody has left one. */
static void forget_policy(void *address, uint64_t bytes)
{
	if (nodes_known() && mbind(address, bytes, MPOL_LOCAL, NULL, 0, 0) == 0)
		(void)mbind(address, bytes, MPOL_DEFAULT, NULL, 0, 0);
}

int evri_os_memory_place(void *address, uint64_t bytes, enum evri_os_policy policy,
			 const struct evr_number_set *nodes)
{
	EVRI_OS_KEEP_ERRNO;
	static const int modes[] = {
		[EVRI_OS_POLICY_BIND] = MPOL_BIND,
		[EVRI_OS_POLICY_INTERLEAVE] = MPOL_INTERLEAVE,
		[EVRI_OS_POLICY_PREFERRED] = MPOL_PREFERRED,
	};
	struct node_mask mask;
	int error;

	if (policy == EVRI_OS_POLICY_ANY) {
		forget_policy(address, bytes);
		return 0;
	}
	error = mask_of(nodes, &mask);
	if (error < 0)
		return error;
	if (!nodes_known())
		return mask.words[0] == 1 ? 0 : -EINVAL;
	if (mbind(address, bytes, modes[policy], mask.words, mask.bits, 0) < 0)
		return -errno;
	return 0;
}

int evri_os_page_nodes(const void *address, uint64_t page_bytes, uint32_t count,
		       int *ret_nodes)
{
	EVRI_OS_KEEP_ERRNO;
	char *at = (char *)(uintptr_t)address;
	void *pages[256];

	for (uint32_t done = 0; done < count;) {
		uint32_t some = count - done < 256 ? count - done : 256;

		for (uint32_t i = 0; i < some; i++)
			pages[i] = at + (uint64_t)(done + i) * page_bytes;
		if (!nodes_known())
			memset(ret_nodes + done, 0, some * sizeof(*ret_nodes));
		else if (move_pages(0, some, pages, NULL, ret_nodes + done, 0) < 0)
			return -errno;
		done += some;
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
