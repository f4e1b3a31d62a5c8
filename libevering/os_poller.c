/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_poller.c - waiting for many descriptors behind one, and for a moment in time. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define WAIT_MS_MAX UINT64_C(1000000)

int evri_os_poller_open(int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int evri_os_poller_add(int poller_fd, int fd, uint64_t key)
{
	EVRI_OS_KEEP_ERRNO;
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.u64 = key };

	return epoll_ctl(poller_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void evri_os_poller_remove(int poller_fd, int fd)
{
	EVRI_OS_KEEP_ERRNO;

	epoll_ctl(poller_fd, EPOLL_CTL_DEL, fd, NULL);
}

int evri_os_poller_wait(int poller_fd, uint64_t deadline_ns, uint64_t *ret_key)
{
	EVRI_OS_KEEP_ERRNO;

	for (;;) {
		uint64_t now_ns = evri_os_now_ns();
		uint64_t left_ms = 0;
		struct epoll_event event;
		int ready;

		if (deadline_ns > now_ns)
			left_ms = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
		if (left_ms > WAIT_MS_MAX)
			left_ms = WAIT_MS_MAX;
		/* One at a time: the kernel goes round among those that are ready. */
		ready = epoll_wait(poller_fd, &event, 1, (int)left_ms);
		if (ready < 0)
			return -errno;
		if (ready > 0) {
			*ret_key = event.data.u64;
			return 0;
		}
		if (deadline_ns != EVR_NEVER && evri_os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

int evri_os_timer_open(int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int evri_os_timer_set(int timer_fd, uint64_t at_ns)
{
	EVRI_OS_KEEP_ERRNO;
	struct itimerspec setting = { 0 };

	/* 0 would switch it off. */
	if (at_ns != EVR_NEVER) {
		setting.it_value.tv_sec = (time_t)(at_ns / 1000000000U);
		setting.it_value.tv_nsec = (long)(at_ns % 1000000000U) + (at_ns == 0);
	}
	return timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &setting, NULL) < 0 ? -errno :
										  0;
}
