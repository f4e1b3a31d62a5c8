/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_OS_ERRNO_H
#define EVERINGI_OS_ERRNO_H

/*
 * os_errno.h - how the os_*.c files leave `errno` as it was.
 *
 * A caller may be a coroutine that goes on in another thread, or a program that has not
 * looked at its own errno yet: both must not see ours.
 */

#include <errno.h>

static inline void evri_os_restore_errno(const int *saved)
{
	errno = *saved;
}

/* At the top of a function: every way out of it restores errno, after the return value
 * (often -errno) has been taken. */
#define EVRI_OS_KEEP_ERRNO                                                               \
	__attribute__((cleanup(evri_os_restore_errno), unused)) const int                \
		evri_os_saved_errno = errno

#endif
