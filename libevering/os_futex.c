/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_futex.c - sleeping on a shared word, and the clock. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)

/* The timespec handed to the kernel is the 64-bit one. */
EVR_STATIC_ASSERT(sizeof(time_t) == 8, "64-bit time");

uint64_t evri_os_now_ns(void)
{
	EVRI_OS_KEEP_ERRNO;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

void evri_os_pause(uint64_t duration_ns)
{
	EVRI_OS_KEEP_ERRNO;
	struct timespec duration = {
		.tv_sec = (time_t)(duration_ns / NS_PER_SECOND),
		.tv_nsec = (long)(duration_ns % NS_PER_SECOND),
	};

	nanosleep(&duration, NULL);
}

int evri_os_futex_wait(const uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	EVRI_OS_KEEP_ERRNO;
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_SECOND),
		.tv_nsec = (long)(deadline_ns % NS_PER_SECOND),
	};

	/* The BITSET form takes an absolute CLOCK_MONOTONIC time, so that a call that is
	 * repeated does not wait longer. Never the PRIVATE forms: peers sleep here. */
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
		    deadline_ns == EVR_NEVER ? NULL : &deadline, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	if (errno == EAGAIN)
		return 0;
	return -errno;
}

int evri_os_futex_wake(const uint32_t *word, int count)
{
	EVRI_OS_KEEP_ERRNO;
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);

	return woken < 0 ? -errno : (int)woken;
}
