/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_process.c - processes and plain descriptors. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Below are stdin, stdout and stderr: a program that closed them writes there blindly. */
#define FIRST_DUPLICATE_FD 3

int evri_os_pidfd_open(int64_t pid, int *ret_pidfd)
{
	EVRI_OS_KEEP_ERRNO;
	long pidfd;

	if (pid <= 0 || pid > INT_MAX)
		return -EINVAL;
	/* The kernel makes it close-on-exec by itself. */
	pidfd = syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (pidfd < 0)
		return -errno;
	*ret_pidfd = (int)pidfd;
	return 0;
}

int evri_os_pidfd_ended(int pidfd)
{
	EVRI_OS_KEEP_ERRNO;
	struct pollfd entry = { .fd = pidfd, .events = POLLIN };
	int ready;

	if (pidfd < 0)
		return -EBADF;
	do {
		ready = poll(&entry, 1, 0);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	if (entry.revents & POLLNVAL)
		return -EBADF;
	return ready > 0 ? 1 : 0;
}

int64_t evri_os_pid(void)
{
	return getpid();
}

int evri_os_process_state(int64_t pid, char *ret_state)
{
	EVRI_OS_KEEP_ERRNO;
	char text[256];
	const char *name_end;
	ssize_t bytes;
	int fd;

	snprintf(text, sizeof(text), "/proc/%lld/stat", (long long)pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (bytes <= 0)
		return -ENOENT;
	text[bytes] = '\0';
	/* "PID (NAME) STATE ...", and a name may hold anything, parentheses too. */
	name_end = strrchr(text, ')');
	if (!name_end || name_end[1] != ' ' || !name_end[2])
		return -ENOENT;
	*ret_state = name_end[2];
	return 0;
}

int evri_os_fd_duplicate(int fd, int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_DUPLICATE_FD);

	if (duplicate < 0)
		return -errno;
	*ret_fd = duplicate;
	return 0;
}

void evri_os_fd_close(int fd)
{
	EVRI_OS_KEEP_ERRNO;

	if (fd >= 0)
		close(fd);
}

int evri_os_fd_set_close_on_exec(int fd)
{
	EVRI_OS_KEEP_ERRNO;
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

const char *evri_os_environment(const char *name)
{
	return secure_getenv(name);
}

int evri_os_write(int fd, const void *buffer, size_t bytes)
{
	EVRI_OS_KEEP_ERRNO;
	const char *cursor = buffer;

	while (bytes > 0) {
		ssize_t written = write(fd, cursor, bytes);

		if (written < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (written == 0)
			return -EIO;
		cursor += written;
		bytes -= (size_t)written;
	}
	return 0;
}

int evri_os_thread_start(void *(*run)(void *argument), void *argument, pthread_t *ret)
{
	EVRI_OS_KEEP_ERRNO;
	sigset_t previous;
	sigset_t all;
	int error;

	/* A thread begins with its maker's mask. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &previous);
	error = -pthread_create(ret, NULL, run, argument);
	pthread_sigmask(SIG_SETMASK, &previous, NULL);
	return error;
}
