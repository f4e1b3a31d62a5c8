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
 *
 * Whoever cannot open the file anew (another user's, or no /proc) is given a description.
 * The giver must not keep it for an instant longer than the taker lives: stopped at the
 * wrong place, it would make a dead taker look alive. So what the giver sends is a
 * carrier: a socket in whose queue the description already lies, sent there and closed
 * by the giver before anybody can have it. Taken out of the queue, it is the taker's
 * alone, whoever else still has the socket.
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
#include <sys/socket.h>
#include <sys/stat.h>
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

/* The description that came in a carrier: of the same file as @fd, or none. */
static int unpack(int fd, int carrier_fd)
{
	struct stat wanted;
	struct stat got;
	struct evri_os_message message = { .bytes_max = 1 };
	int error = evri_os_message_receive(carrier_fd, &message);
	int fresh = message.fds[0];

	if (error == 0 && message.fds_count != 1)
		error = -EPROTO;
	if (error < 0) {
		evri_os_message_close(&message);
		return error;
	}
	/* A lock on another file would show nobody that we live. */
	if (fstat(fd, &wanted) < 0 || fstat(fresh, &got) < 0)
		error = -errno;
	else if (wanted.st_dev != got.st_dev || wanted.st_ino != got.st_ino)
		error = -EPROTO;
	if (error == 0)
		return fresh;
	close(fresh);
	return error;
}

static int set_lock(int fd, short type, uint64_t byte)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* No page is ever touched: the mapping is there to refer to the description. */
static int map_description(int fd, uint64_t page_bytes, void **ret_mapping)
{
	void *mapping =
		mmap(NULL, page_bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	int error;

	if (mapping == MAP_FAILED)
		return -errno;
	if (madvise(mapping, page_bytes, MADV_DONTFORK) < 0) {
		error = -errno;
		munmap(mapping, page_bytes);
		return error;
	}
	*ret_mapping = mapping;
	return 0;
}

int evri_os_liveness_install(void)
{
	int error = -pthread_once(&fork_guard_once, fork_guard_install);

	return error < 0 ? error : fork_guard_error;
}

/* How the thread that is in the guard was before it came in; the guard's. */
static sigset_t guarded_signals;
static int guarded_cancel_state;

static int guard_enter(void)
{
	sigset_t previous;
	sigset_t all;
	int cancel_state;
	int error = evri_os_liveness_install();

	if (error < 0)
		return error;
	/* A signal handler that forks here would wait for its own thread for ever, and a
	 * thread that is cancelled here would leave the guard locked. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &previous);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	fork_guard_lock();
	guarded_signals = previous;
	guarded_cancel_state = cancel_state;
	return 0;
}

static void guard_leave(void)
{
	sigset_t previous = guarded_signals;
	int cancel_state = guarded_cancel_state;

	fork_guard_unlock();
	pthread_setcancelstate(cancel_state, &cancel_state);
	pthread_sigmask(SIG_SETMASK, &previous, NULL);
}

int evri_os_liveness_prepare(int fd, int carrier_fd, uint64_t page_bytes,
			     struct evri_os_hold *ret_hold)
{
	EVRI_OS_KEEP_ERRNO;
	void *mapping = NULL;
	int fresh;
	int error = guard_enter();

	if (error < 0)
		return error;
	fresh = carrier_fd < 0 ? reopen(fd) : unpack(fd, carrier_fd);
	error = fresh < 0 ? fresh : map_description(fresh, page_bytes, &mapping);
	if (error < 0) {
		if (fresh >= 0)
			close(fresh);
		guard_leave();
		return error;
	}
	*ret_hold = (struct evri_os_hold){ .mapping = mapping,
					   .bytes = page_bytes,
					   .lock_fd = fresh };
	return 0;
}

int evri_os_liveness_lock(const struct evri_os_hold *hold, uint64_t byte)
{
	EVRI_OS_KEEP_ERRNO;

	if (byte > INT64_MAX)
		return -EINVAL;
	return set_lock(hold->lock_fd, F_WRLCK, byte);
}

void evri_os_liveness_unlock(const struct evri_os_hold *hold, uint64_t byte)
{
	EVRI_OS_KEEP_ERRNO;

	(void)!set_lock(hold->lock_fd, F_UNLCK, byte);
}

void evri_os_liveness_finish(struct evri_os_hold *hold, bool keep)
{
	EVRI_OS_KEEP_ERRNO;

	close(hold->lock_fd);
	hold->lock_fd = -1;
	if (!keep)
		evri_os_liveness_drop(hold);
	guard_leave();
}

int evri_os_liveness_hold(int fd, uint64_t page_bytes, uint64_t byte,
			  struct evri_os_hold *ret_hold)
{
	struct evri_os_hold hold;
	int error = byte > INT64_MAX ? -EINVAL : 0;

	if (error == 0)
		error = evri_os_liveness_prepare(fd, -1, page_bytes, &hold);
	if (error < 0)
		return error;
	error = evri_os_liveness_lock(&hold, byte);
	evri_os_liveness_finish(&hold, error == 0);
	if (error == 0)
		*ret_hold = hold;
	return error;
}

int evri_os_liveness_pack(int fd, int *ret_carrier_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int ends[2];
	int fresh;
	int error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) <
	    0)
		return -errno;
	error = guard_enter();
	if (error == 0) {
		fresh = reopen(fd);
		error = fresh < 0 ? fresh : evri_os_send_fd(ends[0], fresh, "f", 1);
		if (fresh >= 0)
			close(fresh);
		guard_leave();
	}
	close(ends[0]);
	if (error < 0)
		close(ends[1]);
	else
		*ret_carrier_fd = ends[1];
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
