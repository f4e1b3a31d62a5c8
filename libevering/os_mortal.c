/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * os_mortal.c - a word that the kernel marks, and wakes for, when a thread ends.
 *
 * The kernel walks the list of robust futexes of each thread that ends, however it ends,
 * and marks and wakes those that still bear the thread's number. The list is meant for
 * mutexes that lie in it; here it has one entry, in private memory, whose futex is a word
 * somewhere else, so that no pointer lies where a peer could change it.
 *
 * It tells that something has ended, soon and without anybody's help; not who, and not
 * for certain: a peer can overwrite the word. Who is dead says os_liveness.c.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define NS_PER_SECOND UINT64_C(1000000000)

EVR_STATIC_ASSERT(sizeof(struct robust_list_head) <=
			  sizeof(((struct evri_os_mortal *)NULL)->head),
		  "room for the kernel's structure");

int evri_os_mortal_begin(struct evri_os_mortal *mortal, struct evr_atomic_u32 *word)
{
	EVRI_OS_KEEP_ERRNO;
	struct robust_list_head *head = (struct robust_list_head *)mortal->head;
	struct robust_list *entry = (struct robust_list *)&mortal->entry;

	entry->next = &head->list;
	head->list.next = entry;
	head->futex_offset = (char *)word - (char *)entry;
	head->list_op_pending = NULL;
	/* "Somebody waits" from the start, so that the kernel always looks. */
	evr_store_release_u32(word, (uint32_t)gettid() | EVRI_OS_MORTAL_WAITERS);
	if (syscall(SYS_set_robust_list, head, sizeof(*head)) < 0) {
		int error = -errno;

		evr_store_release_u32(word, 0);
		return error;
	}
	return 0;
}

void evri_os_mortal_end(struct evri_os_mortal *mortal, struct evr_atomic_u32 *word)
{
	struct robust_list_head *head = (struct robust_list_head *)mortal->head;

	head->list.next = &head->list;
	evr_store_release_u32(word, 0);
	evri_os_futex_wake((const uint32_t *)word, INT32_MAX);
}

int evri_os_wait_any(const struct evri_os_waited *waited, uint32_t count,
		     uint64_t deadline_ns)
{
	EVRI_OS_KEEP_ERRNO;
	struct futex_waitv vector[EVRI_OS_WAITED_MAX];
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_SECOND),
		.tv_nsec = (long)(deadline_ns % NS_PER_SECOND),
	};

	if (count == 0 || count > EVRI_OS_WAITED_MAX)
		return -EINVAL;
	memset(vector, 0, sizeof(vector));
	for (uint32_t i = 0; i < count; i++) {
		vector[i].val = waited[i].expected;
		vector[i].uaddr = (uintptr_t)waited[i].word;
		vector[i].flags = FUTEX_32;
	}
	if (syscall(SYS_futex_waitv, vector, count, 0,
		    deadline_ns == EVR_NEVER ? NULL : &deadline, CLOCK_MONOTONIC) >= 0)
		return 0;
	/* One of them says something else already. */
	return errno == EAGAIN ? 0 : -errno;
}
