/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * os_liveness.c - a lock that the kernel lets go of when a process dies.
 *
 * The lock belongs to an open file description, and a description lives as long as
 * something refers to it. A descriptor would be the wrong thing to refer to it by:
 * close() and close_range() in any corner of the program end it, and a child made by
 * fork() keeps a copy. So the one reference left is a mapping of the file that fork()
 * does not copy (MADV_DONTFORK). Nothing but munmap() of these addresses, exec or the end
 * of the address space ends that.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

/*
 * While a hold is being set up there is a descriptor for a few microseconds. A thread
 * that forks just then would give its child a copy, and this process would look alive
 * until that child ends. So fork() waits for the set-up to end.
 */
static pthread_mutex_t fork_guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_guard_once = PTHREAD_ONCE_INIT;
static int fork_guard_error;

static void fork_guard_lock(void)
{
	pthread_mutex_lock(&fork_guard);
}

static void fork_guard_unlock(void)
{
	pthread_mutex_unlock(&fork_guard);
}

static void fork_guard_install(void)
{
	fork_guard_error = -pthread_atfork(fork_guard_lock, fork_guard_unlock,
					   fork_guard_unlock);
}

/* A description of its own for the file of @fd. */
static int reopen(int fd)
{
	char path[32];
	int fresh;

	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fresh = open(path, O_RDWR | O_CLOEXEC);
	return fresh < 0 ? -errno : fresh;
}

static int lock_byte(int fd, uint64_t byte)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int hold_unguarded(int fd, uint64_t page_bytes, uint64_t byte,
			  struct evri_os_hold *ret_hold)
{
	int error = 0;
	void *mapping;
	int fresh;

	fresh = reopen(fd);
	if (fresh < 0)
		return fresh;

	/* No page is ever touched: the mapping is there to refer to the description. */
	mapping = mmap(NULL, page_bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fresh, 0);
	if (mapping == MAP_FAILED) {
		error = -errno;
		close(fresh);
		return error;
	}
	if (madvise(mapping, page_bytes, MADV_DONTFORK) < 0)
		error = -errno;
	if (error == 0)
		error = lock_byte(fresh, byte);
	close(fresh);
	if (error < 0) {
		munmap(mapping, page_bytes);
		return error;
	}
	ret_hold->mapping = mapping;
	ret_hold->bytes = page_bytes;
	return 0;
}

int evri_os_liveness_hold(int fd, uint64_t page_bytes, uint64_t byte,
			  struct evri_os_hold *ret_hold)
{
	EVRI_OS_KEEP_ERRNO;
	sigset_t previous;
	sigset_t all;
	int error;

	if (byte > INT64_MAX)
		return -EINVAL;
	error = -pthread_once(&fork_guard_once, fork_guard_install);
	if (error == 0)
		error = fork_guard_error;
	if (error < 0)
		return error;

	/* A signal handler that forks here would wait for its own thread for ever. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &previous);
	fork_guard_lock();
	error = hold_unguarded(fd, page_bytes, byte, ret_hold);
	fork_guard_unlock();
	pthread_sigmask(SIG_SETMASK, &previous, NULL);
	return error;
}

void evri_os_liveness_drop(struct evri_os_hold *hold)
{
	EVRI_OS_KEEP_ERRNO;

	if (hold == NULL || hold->mapping == NULL)
		return;
	munmap(hold->mapping, hold->bytes);
	hold->mapping = NULL;
	hold->bytes = 0;
}

int evri_os_liveness_test(int fd, uint64_t byte)
{
	EVRI_OS_KEEP_ERRNO;
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	if (byte > INT64_MAX)
		return -EINVAL;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : 1;
}
