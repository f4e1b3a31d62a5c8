/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * numa_probe.c - cpu.h on a machine with several nodes, one of them memory only; and what
 * this kernel does with memory that is bound to nodes, which the placement of regions
 * builds on. The machine is that of machine.sh: what it has is told there and here.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <numaif.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <evering/cpu.h>
#include <evering/error.h>

#include "../lib/report.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { CPUS = 4, NODES = 3, HUGE_PAGES = 16, TEXT_MAX = 256 };

#define HUGE_BYTES ((size_t)2 << 20)

static const int node_of_cpu[CPUS] = {0, 0, 1, 1};
static const char *const cpus_of_node[NODES] = {"0-1", "2-3", ""};

/* One test at a time: the first thing that is not as it should be. */
static char odd[TEXT_MAX];

__attribute__((format(printf, 2, 3))) static void
wrong_if(bool wrong, const char *text, ...)
{
	va_list arguments;

	if (!wrong || odd[0])
		return;
	va_start(arguments, text);
	vsnprintf(odd, sizeof(odd), text, arguments);
	va_end(arguments);
}

static void settle(const char *name)
{
	if (odd[0])
		report_not_ok(name, "%s", odd);
	else
		report_ok(name);
	odd[0] = '\0';
}

static struct evr_number_set *set;

static void expect_set(const char *what, int number, const char *wanted)
{
	char text[TEXT_MAX];

	evr_number_set_format(set, text, sizeof(text));
	wrong_if(strcmp(text, wanted) != 0, "%s %d has '%s', not '%s'", what, number,
		 text, wanted);
}

static int pin_to(int cpu)
{
	int error;

	evr_number_set_clear(set);
	error = evr_number_set_add(set, cpu);
	return error ? error : evr_cpu_pin(set);
}

/* ---- CPUs and nodes ---------------------------------------------------------------- */

static void test_cpus_and_nodes(void)
{
	int node = -1;
	int error;

	for (int cpu = 0; cpu < CPUS; cpu++) {
		error = evr_cpu_node(cpu, &node);
		wrong_if(error || node != node_of_cpu[cpu],
			 "CPU %d is in node %d, error %d", cpu, node, error);
	}
	settle("each CPU is in the node that the machine was made with");

	for (int i = 0; i < NODES; i++) {
		error = evr_node_cpus(i, set);
		wrong_if(error != 0, "node %d: error %d", i, error);
		expect_set("node", i, cpus_of_node[i]);
	}
	settle("each node has its CPUs, and one of memory only has none");

	node = 77;
	error = evr_cpu_node(CPUS, &node);
	wrong_if(error != -ENODEV || node != 77, "CPU %d: error %d, node %d", CPUS, error,
		 node);
	error = evr_node_cpus(NODES, set);
	wrong_if(error != -ENODEV, "node %d: error %d", NODES, error);
	settle("a CPU and a node that are not there are told");

	error = evr_node_allowed(set);
	wrong_if(error != 0, "error %d", error);
	expect_set("allowed", 0, "0-2");
	settle("a node of memory only is among those whose memory may be used");

	for (int cpu = CPUS - 1; cpu >= 0; cpu--) {
		int current = -1;

		error = pin_to(cpu);
		wrong_if(error != 0, "CPU %d: %s", cpu, evr_error_detail());
		evr_cpu_current(&current, &node);
		wrong_if(current != cpu || node != node_of_cpu[cpu],
			 "pinned to CPU %d, is on CPU %d of node %d", cpu, current, node);
	}
	settle("a thread that is pinned to a CPU is in that CPU's node");
}

/* ---- pages ------------------------------------------------------------------------- */

/* What memory is made of, how big its pages are, and what numa_maps calls it. */
struct kind {
	const char *name;
	unsigned int memfd_flags;
	bool shared;
	size_t page_bytes;
};

static const struct kind kinds[] = {
	{.name = "private memory", .page_bytes = 4096},
	{.name = "a memfd", .shared = true, .page_bytes = 4096},
	{.name = "a memfd of 2 MiB pages", .shared = true, .page_bytes = HUGE_BYTES,
	 .memfd_flags = MFD_HUGETLB | MFD_HUGE_2MB},
};

enum { PAGES = 4 };

static int make_file(const struct kind *kind, size_t bytes)
{
	int fd = memfd_create("numa_probe", MFD_CLOEXEC | kind->memfd_flags);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) {
		wrong_if(true, "memfd: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	return fd;
}

static char *map(const struct kind *kind, int fd, size_t bytes)
{
	int flags = kind->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
	if (kind->page_bytes == 4096)
		madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

static void bind_to(char *memory, size_t bytes, int node)
{
	unsigned long mask = 1ul << node;

	wrong_if(mbind(memory, bytes, MPOL_BIND, &mask, 8 * sizeof(mask), 0) != 0,
		 "mbind to node %d: %s", node, strerror(errno));
}

/* How many pages of the mapping lie in the node, as numa_maps of this process tells:
 * "7f5c00000000 bind:2 file=/memfd:numa_probe huge dirty=4 N2=4 kernelpagesize_kB=2048"
 */
static int pages_in_numa_maps(const char *memory, int node)
{
	char line[4096], wanted[32];
	int pages = 0;
	FILE *maps = fopen("/proc/self/numa_maps", "re");

	if (!maps)
		return -1;
	snprintf(wanted, sizeof(wanted), " N%d=", node);
	while (fgets(line, sizeof(line), maps)) {
		const char *found = strstr(line, wanted);

		if (strtoul(line, NULL, 16) == (unsigned long)memory && found)
			pages = atoi(found + strlen(wanted));
	}
	fclose(maps);
	return pages;
}

static void expect_pages_in(const struct kind *kind, char *memory, int node)
{
	for (size_t i = 0; i < PAGES; i++) {
		int found = -1;
		int error = evr_address_node(memory + i * kind->page_bytes + 17, &found);

		wrong_if(error || found != node,
			 "%s for node %d: page %zu is in node %d, error %d", kind->name,
			 node, i, found, error);
	}
	wrong_if(pages_in_numa_maps(memory, node) != PAGES,
		 "%s for node %d: numa_maps has %d of %d pages", kind->name, node,
		 pages_in_numa_maps(memory, node), PAGES);
}

static void test_bound_pages(const struct kind *kind)
{
	const size_t bytes = PAGES * kind->page_bytes;
	char name[TEXT_MAX];

	for (int node = 0; node < NODES; node++) {
		int fd = kind->shared ? make_file(kind, bytes) : -1;
		char *memory = map(kind, fd, bytes);
		int found = 77;
		int error;

		bind_to(memory, bytes, node);
		error = evr_address_node(memory, &found);
		wrong_if(error != -ENOENT || found != 77,
			 "%s not yet touched: error %d, node %d", kind->name, error,
			 found);
		wrong_if(madvise(memory, bytes, MADV_POPULATE_WRITE) != 0,
			 "%s for node %d: %s", kind->name, node, strerror(errno));
		expect_pages_in(kind, memory, node);
		munmap(memory, bytes);
		if (fd >= 0)
			close(fd);
	}
	snprintf(name, sizeof(name), "%s bound to a node lies there, in each node",
		 kind->name);
	settle(name);
}

static void test_first_touch(const struct kind *kind)
{
	const size_t bytes = PAGES * kind->page_bytes;
	char name[TEXT_MAX];

	for (int cpu = 0; cpu < CPUS; cpu++) {
		int fd = kind->shared ? make_file(kind, bytes) : -1;
		char *memory = map(kind, fd, bytes);
		int error = pin_to(cpu);

		wrong_if(error != 0, "CPU %d: error %d", cpu, error);
		for (size_t i = 0; i < PAGES; i++)
			memory[i * kind->page_bytes] = 1;
		expect_pages_in(kind, memory, node_of_cpu[cpu]);
		munmap(memory, bytes);
		if (fd >= 0)
			close(fd);
	}
	snprintf(name, sizeof(name),
		 "%s lies in the node of the CPU that first touches it", kind->name);
	settle(name);
}

/* Bound through one mapping, first touched through another, by a CPU of node 0. */
static void test_policy_of_another_mapping(const struct kind *kind, int wanted,
					   const char *name)
{
	const size_t bytes = PAGES * kind->page_bytes;
	int fd = make_file(kind, bytes);
	char *bound = map(kind, fd, bytes);
	char *other = map(kind, fd, bytes);

	wrong_if(pin_to(0) != 0, "CPU 0: %s", evr_error_detail());
	bind_to(bound, bytes, 1);
	for (size_t i = 0; i < PAGES; i++)
		other[i * kind->page_bytes] = 1;
	expect_pages_in(kind, other, wanted);
	settle(name);
	munmap(bound, bytes);
	munmap(other, bytes);
	close(fd);
}

/* More than one node has, less than all have: the reservation of the mapping succeeds. */
static void test_too_few_in_the_node(const struct kind *kind)
{
	const size_t bytes = (HUGE_PAGES + 4) * kind->page_bytes;
	int fd = make_file(kind, bytes);
	char *memory = map(kind, fd, bytes);
	int result;

	bind_to(memory, bytes, 2);
	result = madvise(memory, bytes, MADV_POPULATE_WRITE);
	wrong_if(result == 0 || errno != EFAULT, "populate: %d, %s", result,
		 strerror(errno));
	wrong_if(pages_in_numa_maps(memory, 2) != HUGE_PAGES, "%d pages were taken",
		 pages_in_numa_maps(memory, 2));
	settle("populating more huge pages than the node has is EFAULT, and no signal");
	munmap(memory, bytes);
	close(fd);

	memory = map(&kinds[0], -1, 4096);
	munmap(memory, 4096);
	wrong_if(evr_address_node(memory, &result) != -EFAULT, "it is not");
	settle("the node of an address where nothing is mapped is EFAULT");
}

int main(void)
{
	if (evr_number_set_create(&set) != 0)
		return EXIT_FAILURE;
	alarm(60);
	test_cpus_and_nodes();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		test_bound_pages(&kinds[i]);
		test_first_touch(&kinds[i]);
	}
	test_policy_of_another_mapping(
		&kinds[1], 1, "the policy of a memfd holds for all of its mappings");
	test_policy_of_another_mapping(
		&kinds[2], 0, "the policy of huge pages holds for the one mapping only");
	test_too_few_in_the_node(&kinds[2]);
	evr_number_set_destroy(set);
	return report_end();
}
