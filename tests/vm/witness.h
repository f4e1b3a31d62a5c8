/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_VM_WITNESS_H
#define EVERING_TESTS_VM_WITNESS_H

/*
 * witness.h - what the programs that run in the machine with three nodes share: telling
 * the first thing that is not as it should be, children that may fail or be killed, and
 * what the kernel says about a region's pages, asked without the library.
 *
 * The machine is that of machine.sh: what it has is told there and here.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <numaif.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <evering/evering.h>
#include <evering/report.h>

#include "../lib/report.h"

#define UNUSED __attribute__((unused))
#define MIB (UINT64_C(1) << 20)

enum { CPUS = 4, NODES = 3, HUGE_PAGES = 16, TEXT_MAX = 400 };

UNUSED static const int node_of_cpu[CPUS] = {0, 0, 1, 1};

/* ---- telling ---- */

/* One test at a time: the first thing that is not as it should be. In memory that
 * children share, so that they tell it too. */
static char *odd;

UNUSED static void begin(unsigned seconds)
{
	odd = mmap(NULL, TEXT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		   0);
	if (odd == MAP_FAILED)
		exit(EXIT_FAILURE);
	alarm(seconds);
}

__attribute__((format(printf, 2, 3))) UNUSED static bool
wrong_if(bool wrong, const char *text, ...)
{
	va_list arguments;

	if (wrong && !odd[0]) {
		va_start(arguments, text);
		vsnprintf(odd, TEXT_MAX, text, arguments);
		va_end(arguments);
	}
	return wrong;
}

/* What has to work for the test to go on; with the library's own words if it does not. */
#define MUST(call) must((call), #call)

UNUSED static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	wrong_if(true, "%s: %s (%s)", what, evr_strerror(result), evr_error_detail());
	report_not_ok("a step that the next one needs", "%s", odd);
	_exit(EXIT_FAILURE);
}

__attribute__((format(printf, 1, 2))) UNUSED static void settle(const char *format, ...)
{
	char name[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	if (odd[0])
		report_not_ok(name, "%s", odd);
	else
		report_ok(name);
	odd[0] = '\0';
}

/* Is this error here with all these words in its text? */
UNUSED static void expect_refusal(int error, int wanted, const char *first,
				  const char *second)
{
	const char *detail = evr_error_detail();

	wrong_if(error != wanted, "error %d (%s), not %d: %s", error,
		 evr_strerror(error), wanted, error < 0 ? detail : "it worked");
	wrong_if(error < 0 && (!strstr(detail, first) || !strstr(detail, second)),
		 "'%s' says neither '%s' nor '%s', or one only", detail, first, second);
}

/* ---- children ---- */

/* A child that dies with its parent; it returns from @work, or not at all. */
UNUSED static pid_t start_child(void (*work)(void *), void *context)
{
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		exit(EXIT_FAILURE);
	}
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(context);
		_exit(EXIT_SUCCESS);
	}
	return child;
}

UNUSED static void expect_success(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	wrong_if(WIFSIGNALED(status), "the child was killed by signal %d",
		 WTERMSIG(status));
	wrong_if(WIFEXITED(status) && WEXITSTATUS(status), "the child ended with %d",
		 WEXITSTATUS(status));
}

/* In a process of its own: what it takes and changes goes away with it. */
UNUSED static void in_child(void (*work)(void *), void *context)
{
	expect_success(start_child(work, context));
}

UNUSED static void kill_child(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* A byte over a socket says "go on". False: the other side is gone. */
UNUSED static bool nudge(int socket)
{
	return send(socket, "", 1, MSG_NOSIGNAL) == 1;
}

UNUSED static bool nudged(int socket)
{
	char byte;

	return read(socket, &byte, 1) == 1;
}

UNUSED static void make_sockets(int sockets[2])
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
}

/* ---- files ---- */

UNUSED static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	wrong_if(!written, "writing '%s' to %s: %s", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return written;
}

/* The number behind @key in a file of such lines; with an empty key, the file's. */
UNUSED static uint64_t number_in(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	uint64_t number = 0;
	char line[256];
	const char *at;

	while (file && fgets(line, sizeof(line), file))
		if ((at = strstr(line, key)) &&
		    sscanf(at + strlen(key), " %" SCNu64, &number) == 1)
			break;
	wrong_if(!file, "%s: %s", path, strerror(errno));
	if (file)
		fclose(file);
	return number;
}

/* ---- the machine's pages ---- */

/* Pages of 2 MiB: how many each node has, how many are free, and how many promised. */
struct huge_pages {
	uint64_t total[NODES];
	uint64_t free[NODES];
	uint64_t reserved;
};

UNUSED static struct huge_pages huge_pages_now(void)
{
	struct huge_pages pages;

	for (int node = 0; node < NODES; node++) {
		char path[128];

#define HUGE_FILE "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/"
		snprintf(path, sizeof(path), HUGE_FILE "nr_hugepages", node);
		pages.total[node] = number_in(path, "");
		snprintf(path, sizeof(path), HUGE_FILE "free_hugepages", node);
		pages.free[node] = number_in(path, "");
	}
	pages.reserved = number_in("/proc/meminfo", "HugePages_Rsvd:");
	return pages;
}

UNUSED static void expect_huge_pages(const struct huge_pages *before)
{
	struct huge_pages now = huge_pages_now();

	for (int node = 0; node < NODES; node++)
		wrong_if(now.total[node] != before->total[node] ||
				 now.free[node] != before->free[node],
			 "node %d: %" PRIu64 " of %" PRIu64 " huge pages free, %" PRIu64
			 " of %" PRIu64 " before",
			 node, now.free[node], now.total[node], before->free[node],
			 before->total[node]);
	wrong_if(now.reserved != before->reserved,
		 "%" PRIu64 " huge pages are reserved, %" PRIu64 " before", now.reserved,
		 before->reserved);
}

/* As it was when the program began, and whom the kernel has killed for lack of memory. */
static struct huge_pages pages_before UNUSED;
static uint64_t kills_before UNUSED;

UNUSED static uint64_t kills_now(void)
{
	return number_in("/proc/vmstat", "oom_kill ");
}

UNUSED static void remember(void)
{
	pages_before = huge_pages_now();
	kills_before = kills_now();
}

/* Settles a test: are all pages back, and all processes alive? */
#define SETTLE(...)                                                                      \
	do {                                                                             \
		expect_huge_pages(&pages_before);                                        \
		wrong_if(kills_now() != kills_before, "the kernel killed somebody");     \
		kills_before = kills_now();                                              \
		settle(__VA_ARGS__);                                                     \
	} while (0)

UNUSED static uint64_t node_free_bytes(int node)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	return number_in(path, "MemFree:") * 1024;
}

/* ---- a region's pages, by three witnesses ---- */

struct spread {
	uint64_t bytes[NODES];
};

UNUSED static uint64_t spread_sum(const struct spread *spread)
{
	return spread->bytes[0] + spread->bytes[1] + spread->bytes[2];
}

UNUSED static void expect_spread(const char *witness, const struct spread *found,
				 const struct spread *wanted)
{
	wrong_if(memcmp(found, wanted, sizeof(*found)) != 0,
		 "%s says %" PRIu64 ", %" PRIu64 ", %" PRIu64
		 " KiB in the nodes, not %" PRIu64 ", %" PRIu64 ", %" PRIu64,
		 witness, found->bytes[0] >> 10, found->bytes[1] >> 10,
		 found->bytes[2] >> 10, wanted->bytes[0] >> 10, wanted->bytes[1] >> 10,
		 wanted->bytes[2] >> 10);
}

/* What a process's numa_maps tells of its mappings of the memfd @name, as in
 * "7f5c00000000 bind:2 file=/memfd:name huge dirty=4 N2=4 kernelpagesize_kB=2048" */
UNUSED static struct spread spread_of_numa_maps(pid_t pid, const char *name)
{
	struct spread spread = {0};
	char path[64], line[1024], file[64];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)pid);
	snprintf(file, sizeof(file), "file=/memfd:%s", name);
	maps = fopen(path, "re");
	wrong_if(!maps, "%s: %s", path, strerror(errno));
	while (maps && fgets(line, sizeof(line), maps)) {
		const char *size = strstr(line, "kernelpagesize_kB=");

		if (!size || !strstr(line, file))
			continue;
		for (int node = 0; node < NODES; node++) {
			uint64_t page_bytes = strtoull(size + 18, NULL, 10) * 1024;
			char key[16];
			const char *at;

			snprintf(key, sizeof(key), " N%d=", node);
			at = strstr(line, key);
			if (at)
				spread.bytes[node] +=
					strtoull(at + strlen(key), NULL, 10) * page_bytes;
		}
	}
	if (maps)
		fclose(maps);
	return spread;
}

/* Adds pages from @start on, as move_pages() tells; returns how many it was asked for. */
UNUSED static uint64_t look_at_pages(uint64_t start, uint64_t end, uint64_t page_bytes,
				     struct spread *spread)
{
	enum { AT_ONCE = 512 };
	void *pages[AT_ONCE];
	int nodes[AT_ONCE];
	uint64_t count = 0;

	for (; count < AT_ONCE && start + count * page_bytes < end; count++)
		pages[count] = (void *)(uintptr_t)(start + count * page_bytes);
	if (move_pages(0, count, pages, NULL, nodes, 0) != 0)
		return count;
	for (uint64_t i = 0; i < count; i++)
		if (nodes[i] >= 0 && nodes[i] < NODES)
			spread->bytes[nodes[i]] += page_bytes;
	return count;
}

/* move_pages() of each page of this process's mappings of the memfd @name that may be
 * read: "7f5c00000000-7f5c00800000 rw-s 00000000 00:01 12 /memfd:name (deleted)" */
UNUSED static struct spread spread_of_pages(const char *name, uint64_t page_bytes)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct spread spread = {0};
	char line[512], file[64];

	snprintf(file, sizeof(file), "/memfd:%s ", name);
	while (maps && fgets(line, sizeof(line), maps)) {
		uint64_t start, end;
		char may_read;

		if (!strstr(line, file) ||
		    sscanf(line, "%" SCNx64 "-%" SCNx64 " %c", &start, &end,
			   &may_read) != 3 ||
		    may_read != 'r')
			continue;
		while (start < end)
			start += page_bytes *
				 look_at_pages(start, end, page_bytes, &spread);
	}
	if (maps)
		fclose(maps);
	return spread;
}

UNUSED static struct spread spread_of_range(const struct evr_range_report *range)
{
	struct spread spread = {0};

	for (uint32_t i = 0; i < range->nodes_count; i++)
		if (range->nodes[i].node < NODES)
			spread.bytes[range->nodes[i].node] = range->nodes[i].bytes;
	return spread;
}

UNUSED static struct spread spread_of_report(const struct evr_report *report)
{
	struct spread spread = {0};

	for (uint32_t i = 0; i < report->ranges_count; i++) {
		struct spread range = spread_of_range(&report->ranges[i]);

		for (int node = 0; node < NODES; node++)
			spread.bytes[node] += range.bytes[node];
		wrong_if(report->ranges[i].absent_bytes != 0, "range %u lacks pages", i);
	}
	return spread;
}

/* The report, after the kernel has been asked twice whether it is true. @name is the
 * region's, which no other region of this process has. */
UNUSED static struct evr_report *true_report(struct evr_region *region,
						    const char *name)
{
	struct evr_report *report;
	struct spread reported, found;

	MUST(evr_region_report(region, &report));
	reported = spread_of_report(report);
	wrong_if(spread_sum(&reported) != report->bytes,
		 "the report has %" PRIu64 " bytes in nodes, %" PRIu64 " in all",
		 spread_sum(&reported), report->bytes);
	found = spread_of_numa_maps(getpid(), name);
	expect_spread("numa_maps", &found, &reported);
	found = spread_of_pages(name, report->page_bytes);
	expect_spread("move_pages", &found, &reported);
	return report;
}

/* ---- regions ---- */

UNUSED static struct evr_number_set *nodes_of(const char *list)
{
	struct evr_number_set *nodes;

	MUST(evr_number_set_create(&nodes));
	MUST(evr_number_set_parse(nodes, list, NULL));
	return nodes;
}

/* The sets are few and live as long as the program. */
UNUSED static struct evr_placement placed(uint32_t policy, const char *list)
{
	return (struct evr_placement){.policy = policy, .nodes = nodes_of(list)};
}

UNUSED static struct evr_region_options region_of(const char *name, uint64_t bytes,
						  uint64_t page_bytes)
{
	return (struct evr_region_options){
		.size = sizeof(struct evr_region_options),
		.bytes = bytes,
		.page_bytes = page_bytes,
		.name = name,
		.participants = 8,
	};
}

/* More huge pages than a node has. */
#define TOO_MANY_BYTES ((HUGE_PAGES + 4) * EVR_PAGE_2M)

UNUSED static struct evr_range_options range_of(uint64_t bytes, const char *node)
{
	return (struct evr_range_options){
		.size = sizeof(struct evr_range_options),
		.bytes = bytes,
		.placement = placed(EVR_POLICY_BIND, node),
	};
}

#endif
