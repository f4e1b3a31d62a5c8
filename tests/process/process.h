/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_PROCESS_H
#define EVERING_TESTS_PROCESS_H

/*
 * process.h - what tests of several processes share: starting the same program again in
 * another role, and joining a region at another address.
 *
 * A role is started by fork() and exec(), so nothing but descriptors is inherited, and it
 * reserves a gap of random size before it attaches, so that blocks lie at different
 * addresses in each process, with address randomisation switched off too.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <evering/evering.h>

#include "../lib/audit.h"
#include "../lib/report.h"
#include "os.h"

#define UNUSED __attribute__((unused))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MILLISECOND_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)

/* However a test ends, its processes do not outlive it for longer. */
#define PROCESS_SECONDS_MAX 150

/* What cannot fail unless the test itself is wrong: ends this process with a message. */
#define MUST(condition)                                                                  \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: %s is false (%s)\n", __FILE__, __LINE__, \
				#condition, evr_error_detail());                         \
			_exit(9);                                                        \
		}                                                                        \
	} while (0)

UNUSED static uint64_t now_ns(void)
{
	return evri_os_now_ns();
}

UNUSED static void sleep_us(uint64_t microseconds)
{
	struct timespec time = { .tv_sec = (time_t)(microseconds / 1000000),
				 .tv_nsec = (long)(microseconds % 1000000) * 1000 };

	nanosleep(&time, NULL);
}

UNUSED static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number from --NAME=N, else from the environment, else as given. */
UNUSED static uint64_t option(int argc, char **argv, const char *name,
			      const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);
	size_t length = strlen(name);
	int i;

	for (i = 1; i < argc; i++)
		if (strncmp(argv[i], "--", 2) == 0 &&
		    strncmp(argv[i] + 2, name, length) == 0 && argv[i][2 + length] == '=')
			text = argv[i] + 3 + length;
	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- memory beside the region ---- */

/* Zeroed shared memory for the test's own book-keeping; inherited over exec. */
UNUSED static int board_create(size_t bytes)
{
	int fd = memfd_create("board", 0);

	MUST(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	return fd;
}

UNUSED static void *board_map(int fd, size_t bytes)
{
	void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	MUST(address != MAP_FAILED);
	return address;
}

/* ---- roles ---- */

struct role {
	const char *name;
	int board_fd;
	int region_fd; /* or a socket, as the role understands it */
	uint32_t slot;
	uint64_t seed;
};

#define ROLE_OPTION "--role"

/* Starts this program again in a role. */
UNUSED static pid_t role_start(const struct role *role)
{
	char board[16], region[16], slot[16], seed[32];
	pid_t child = fork();

	MUST(child >= 0);
	if (child)
		return child;
	snprintf(board, sizeof(board), "%d", role->board_fd);
	snprintf(region, sizeof(region), "%d", role->region_fd);
	snprintf(slot, sizeof(slot), "%u", role->slot);
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)role->seed);
	execl("/proc/self/exe", "/proc/self/exe", ROLE_OPTION, role->name, board, region,
	      slot, seed, NULL);
	_exit(127);
}

/* Is this program started in a role? Then fills it in. */
UNUSED static bool role_of(int argc, char **argv, struct role *ret)
{
	if (argc != 7 || strcmp(argv[1], ROLE_OPTION) != 0)
		return false;
	ret->name = argv[2];
	ret->board_fd = atoi(argv[3]);
	ret->region_fd = atoi(argv[4]);
	ret->slot = (uint32_t)atoi(argv[5]);
	ret->seed = strtoull(argv[6], NULL, 0);
	alarm(PROCESS_SECONDS_MAX);
	return true;
}

UNUSED static bool ended_well(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

/* ---- joining ---- */

struct view {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
};

/* The next mapping lies somewhere else than it would. */
UNUSED static void reserve_gap(uint64_t seed)
{
	size_t bytes = (size_t)(1 + next_random(&seed) % 4096) << 16;

	MUST(mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
}

UNUSED static void view_open(struct view *view)
{
	MUST(evr_pool_open(view->region, &view->pool) == 0);
	(void)!evr_uring_open(view->pool, NULL, 0, 0, &view->uring);
	MUST(evr_agent_open(view->pool, &view->agent) == 0);
}

UNUSED static void view_attach(struct view *view, int fd, uint64_t seed)
{
	memset(view, 0, sizeof(*view));
	reserve_gap(seed);
	MUST(evr_region_attach(fd, &view->region) == 0);
	view_open(view);
}

UNUSED static void view_close(struct view *view)
{
	evr_uring_close(view->uring);
	evr_agent_close(&view->agent);
	evr_pool_close(view->pool);
	evr_region_detach(view->region);
	memset(view, 0, sizeof(*view));
}

/* A duplicate that exec() keeps. */
UNUSED static int inheritable(int fd)
{
	int copy = dup(fd);

	MUST(copy >= 0);
	return copy;
}

/* Recovers until nothing is postponed, for @seconds at most. */
UNUSED static bool recover_all(struct evr_agent *agent, uint64_t seconds)
{
	uint64_t until_ns = now_ns() + seconds * SECOND_NS;

	while (evr_recover(agent, NULL) != 0) {
		if (now_ns() > until_ns)
			return false;
		sleep_us(1000);
	}
	return true;
}

/* Looks at the words of a region that nobody works in. */
UNUSED static void report_all_free(const char *name, int region_fd)
{
	struct audit audit;
	uint64_t bytes;
	void *base = audit_map(region_fd, &bytes);

	if (base && audit_all_free(base, bytes, &audit))
		report_ok(name);
	else
		report_not_ok(name, "%s", base ? audit.text : "cannot map the region");
	if (base)
		munmap(base, bytes);
}

#endif
