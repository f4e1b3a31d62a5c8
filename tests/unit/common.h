/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_COMMON_H
#define EVERING_TESTS_UNIT_COMMON_H

/*
 * common.h - what several unit tests need: shared pages, children, waiting with a bound.
 * A test's own process ends by Criterion's .timeout; its children end by an alarm.
 */

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MILLISECOND_NS UINT64_C(1000000)
#define UNUSED __attribute__((unused))

/* However a test ends, its children do not outlive it for longer. */
#define CHILD_SECONDS_MAX 30

UNUSED static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * MILLISECOND_NS + (uint64_t)now.tv_nsec;
}

UNUSED static void sleep_ms(unsigned int milliseconds)
{
	struct timespec time = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = (long)(milliseconds % 1000) * 1000000,
	};

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

/* Zeroed memory that children made by fork() share. */
UNUSED static void *shared_memory(size_t bytes)
{
	void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(address, MAP_FAILED);
	return address;
}

/* fork() for a child that must never go back into the test. */
UNUSED static pid_t start_child(void (*run)(void *), void *argument)
{
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		alarm(CHILD_SECONDS_MAX);
		run(argument);
		_exit(0);
	}
	return child;
}

UNUSED static void end_child(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Waits until the condition holds; false after that many milliseconds. */
#define HOLDS_WITHIN(milliseconds, condition)                                   \
	__extension__({                                                         \
		uint64_t evrt_until = now_ns() + (milliseconds) * MILLISECOND_NS; \
		bool evrt_holds;                                                \
		while (!(evrt_holds = (condition)) && now_ns() < evrt_until)    \
			sched_yield();                                          \
		evrt_holds;                                                     \
	})

/*
 * For a race between two instants, which never happens on one CPU: side 0 and side 1 each
 * call this and stay on CPUs of their own from then on. Side 0 first sees that there are
 * two: want_two_cpus().
 */
UNUSED static void keep_to_cpu(int side)
{
	cpu_set_t allowed;
	cpu_set_t one;
	int cpu;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &allowed) && side-- == 0) {
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
	}
}

UNUSED static void want_two_cpus(void)
{
	cpu_set_t allowed;

	cr_assert_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	if (CPU_COUNT(&allowed) < 2)
		cr_skip_test("2 CPUs wanted, 1 allowed; run on a machine with more, or "
			     "without taskset");
}

UNUSED static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	cr_assert_neq(directory, NULL);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
