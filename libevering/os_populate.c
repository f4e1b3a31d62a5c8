/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * os_populate.c - making pages real, huge and locked, so that no later touch can fail.
 *
 * The kernel zeroes a page when it is first touched, at the speed of one CPU's stores. A
 * large range is cut into slices that several threads take in turn; whoever called
 * reports the progress, in his own thread.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <evering/atomic.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define SLICE_BYTES (UINT64_C(64) << 20)
#define GIANT_PAGE_BYTES (UINT64_C(1) << 30)
#define THREADS_MAX 16
#define TRANSPARENT_BYTES (UINT64_C(2) << 20)

/* Each retry follows a signal handler or another thread's change of the address space;
 * the bound only keeps a storm of them from holding the caller for ever. */
#define ADVISE_TRIES_MAX 1000

static int advise(void *address, uint64_t bytes, int advice)
{
	int tries;

	for (tries = 0; tries < ADVISE_TRIES_MAX; tries++) {
		if (madvise(address, bytes, advice) == 0)
			return 0;
		if (errno != EINTR && errno != EAGAIN)
			break;
	}
	/* EFAULT is what a touch would have died of (SIGBUS): no page is left, on the
	 * machine, on the nodes allowed, or in the cgroup. ENOMEM: the same for 4 KiB. */
	if (errno == EFAULT || errno == ENOMEM)
		return -ENOSPC;
	return -errno;
}

int evri_os_memory_populate(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	return advise(address, bytes, MADV_POPULATE_WRITE);
}

int evri_os_memory_populate_read(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	return advise(address, bytes, MADV_POPULATE_READ);
}

/* ---- several threads ---- */

/* A range and what of it is done; shared by the threads of one call. */
struct work {
	char *address;
	uint64_t bytes;
	uint64_t slice_bytes;
	struct evr_atomic_u64 next;  /* the first byte that nobody has taken */
	struct evr_atomic_u64 done;  /* bytes */
	struct evr_atomic_u32 error; /* a positive errno, of whoever failed first */
};

/* One slice. False: nothing is left, or somebody failed. */
static bool populate_slice(struct work *work)
{
	uint64_t at;
	uint64_t bytes;
	int error;

	if (evr_load_relaxed_u32(&work->error))
		return false;
	at = evr_fetch_add_relaxed_u64(&work->next, work->slice_bytes);
	if (at >= work->bytes)
		return false;
	bytes = work->bytes - at < work->slice_bytes ? work->bytes - at :
						       work->slice_bytes;
	error = advise(work->address + at, bytes, MADV_POPULATE_WRITE);
	if (error < 0) {
		evr_store_relaxed_u32(&work->error, (uint32_t)-error);
		return false;
	}
	evr_fetch_add_relaxed_u64(&work->done, bytes);
	return true;
}

static void *populate_slices(void *context)
{
	while (populate_slice(context))
		;
	return NULL;
}

/* As many as the caller may use CPUs: more would only take turns. */
static uint32_t threads_for(uint64_t slices)
{
	cpu_set_t cpus;
	uint64_t threads = THREADS_MAX;

	/* Fails on machines with more CPUs than a cpu_set_t: many. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		threads = (uint64_t)CPU_COUNT(&cpus);
	if (threads > slices)
		threads = slices;
	return threads > THREADS_MAX ? THREADS_MAX : (uint32_t)threads;
}

int evri_os_memory_populate_all(void *address, uint64_t bytes, uint64_t page_bytes,
				void (*progress)(void *context, uint64_t done_bytes,
						 uint64_t all_bytes),
				void *context)
{
	EVRI_OS_KEEP_ERRNO;
	struct work work = {
		.address = address,
		.bytes = bytes,
		.slice_bytes = page_bytes > SLICE_BYTES ? page_bytes : SLICE_BYTES,
	};
	pthread_t threads[THREADS_MAX];
	uint32_t wanted = threads_for((bytes - 1) / work.slice_bytes + 1);
	uint32_t started = 0;

	while (started + 1 < wanted &&
	       evri_os_thread_start(populate_slices, &work, &threads[started]) == 0)
		started++;

	while (populate_slice(&work))
		if (progress)
			progress(context, evr_load_relaxed_u64(&work.done), bytes);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (evr_load_relaxed_u32(&work.error))
		return -(int)evr_load_relaxed_u32(&work.error);
	if (progress)
		progress(context, bytes, bytes);
	return 0;
}

/* ---- huge pages in a file of small ones ---- */

void evri_os_memory_want_huge(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	madvise(address, bytes, MADV_HUGEPAGE);
}

/* Works whatever /sys/kernel/mm/transparent_hugepage/shmem_enabled says, but only on
 * pages that are there, and copies them. A part that cannot be made huge stays small. */
uint64_t evri_os_memory_collapse(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;
	char *at = address;
	uint64_t huge = 0;

	for (uint64_t done = 0; done + TRANSPARENT_BYTES <= bytes;
	     done += TRANSPARENT_BYTES)
		if (madvise(at + done, TRANSPARENT_BYTES, MADV_COLLAPSE) == 0)
			huge += TRANSPARENT_BYTES;
	return huge;
}

/* Is this line of /proc/PID/smaps the first of a mapping? "START-END rw-s ...". */
static bool mapping_line(const char *line, uint64_t *ret_start, uint64_t *ret_end)
{
	return sscanf(line, "%" SCNx64 "-%" SCNx64 " ", ret_start, ret_end) == 2;
}

int evri_os_mapping_inspect(const void *address, uint64_t bytes,
			    struct evri_os_mapping_info *ret)
{
	EVRI_OS_KEEP_ERRNO;
	uint64_t first = (uintptr_t)address;
	FILE *smaps = fopen("/proc/self/smaps", "re");
	struct evri_os_mapping_info info = { .locked = true, .dumped = true };
	bool inside = false;
	bool found = false;
	char line[512];

	if (!smaps)
		return -errno;
	while (fgets(line, sizeof(line), smaps)) {
		uint64_t start;
		uint64_t end;
		uint64_t kib;

		if (mapping_line(line, &start, &end)) {
			/* Neighbours with the same properties are one mapping. */
			inside = start < first + bytes && end > first;
			found |= inside;
		} else if (inside &&
			   sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1) {
			info.huge_bytes += kib * 1024;
		} else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			info.locked &= strstr(line, " lo") != NULL;
			info.dumped &= strstr(line, " dd") == NULL;
		}
	}
	fclose(smaps);
	if (!found)
		return -ENOENT;
	if (info.huge_bytes > bytes)
		info.huge_bytes = bytes;
	*ret = info;
	return 0;
}

int evri_os_memory_lock(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	return mlock(address, bytes) == 0 ? 0 : -errno;
}
