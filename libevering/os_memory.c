/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* os_memory.c - memory that several processes map: memfds, their pages, random bytes. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"
#include "os_errno.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Kernel numbers that the headers of glibc 2.36 do not have yet. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SMALL_PAGE_BYTES UINT64_C(4096)
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

/* Each retry follows a signal handler or another thread's change of the address space;
 * the bound only keeps a storm of them from holding the caller for ever. */
#define POPULATE_TRIES_MAX 1000

static int create_unsized(const char *name, uint64_t page_bytes)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (page_bytes == HUGE_PAGE_BYTES)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;

	/* Shared memory is never run. Kernels before 6.3 do not know the flag: EINVAL. */
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd >= 0)
		return fd;
	if (page_bytes == HUGE_PAGE_BYTES && (errno == ENOSYS || errno == ENOENT))
		return -ENODEV;
	return -errno;
}

/* Beyond `ulimit -f` the kernel answers ftruncate() with SIGXFSZ, which ends the process:
 * ask first. */
static bool exceeds_file_size_limit(uint64_t bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	       bytes > limit.rlim_cur;
}

int evri_os_memory_create(const char *name, uint64_t bytes, uint64_t page_bytes,
			  int *ret_fd)
{
	EVRI_OS_KEEP_ERRNO;
	int error;
	int fd;

	if (page_bytes != SMALL_PAGE_BYTES && page_bytes != HUGE_PAGE_BYTES)
		return -EINVAL;
	if (bytes == 0 || bytes % page_bytes != 0 || bytes > INT64_MAX)
		return -EINVAL;
	if (exceeds_file_size_limit(bytes))
		return -EFBIG;

	fd = create_unsized(name, page_bytes);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error = errno == EFBIG ? -EINVAL : -errno;
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

int evri_os_memory_inspect(int fd, struct evri_os_memory_info *ret_info)
{
	EVRI_OS_KEEP_ERRNO;
	struct statfs filesystem;
	struct stat status;
	int flags;
	int seals;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &status) < 0)
		return -errno;

	/* Seals exist for tmpfs and hugetlbfs only, so this also tells apart all that is
	 * no memory: pipes, sockets, directories, files on a disk. */
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !S_ISREG(status.st_mode) || status.st_size < 0)
		return -EMEDIUMTYPE;
	if (fstatfs(fd, &filesystem) < 0)
		return -errno;

	ret_info->bytes = (uint64_t)status.st_size;
	ret_info->page_bytes = (uint64_t)filesystem.f_bsize;
	ret_info->seals = (uint32_t)seals;
	ret_info->may_shrink = !(seals & F_SEAL_SHRINK);
	ret_info->writable = (flags & O_ACCMODE) == O_RDWR;
	return 0;
}

/*
 * The long way: reserve more addresses than needed, map over the aligned part of them,
 * give back the rest.
 *
 * When mapping over fails, older kernels leave a hole where the reservation was, and
 * another thread may have mapped there since: so only the margins are given back then. A
 * stretch of addresses without memory may stay reserved, which costs nothing.
 */
static int map_aligned(int fd, uint64_t bytes, uint64_t page_bytes, void **ret_address)
{
	uint64_t reserved_bytes;
	uint64_t before_bytes;
	uint64_t after_bytes;
	int error = 0;
	char *reserved;
	char *aligned;

	if (__builtin_add_overflow(bytes, page_bytes, &reserved_bytes))
		return -EINVAL;
	reserved = mmap(NULL, reserved_bytes, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;

	before_bytes = -(uintptr_t)reserved & (page_bytes - 1);
	after_bytes = page_bytes - before_bytes;
	aligned = reserved + before_bytes;
	if (mmap(aligned, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		error = -errno;
	if (before_bytes > 0)
		munmap(reserved, before_bytes);
	munmap(aligned + bytes, after_bytes);
	if (error == 0)
		*ret_address = aligned;
	return error;
}

int evri_os_memory_map(int fd, uint64_t bytes, uint64_t page_bytes, void **ret_address)
{
	EVRI_OS_KEEP_ERRNO;
	void *address;
	int error;

	if (bytes == 0 || page_bytes == 0 || (page_bytes & (page_bytes - 1)) != 0 ||
	    bytes % page_bytes != 0)
		return -EINVAL;

	/* A real kernel aligns by itself. An emulator does not know huge pages: it may
	 * pick an address that the kernel refuses (EINVAL), or a misaligned one. */
	address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED && errno != EINVAL)
		return -errno;
	if (address == MAP_FAILED || ((uintptr_t)address & (page_bytes - 1)) != 0) {
		if (address != MAP_FAILED)
			munmap(address, bytes);
		error = map_aligned(fd, bytes, page_bytes, &address);
		if (error < 0)
			return error;
	}

	/* A process is dead only when its core dump is written, and its peers wait for
	 * that: keep regions out of dumps. Advice; a refusal changes nothing. */
	madvise(address, bytes, MADV_DONTDUMP);
	/* A child made by fork() must attach anew: two processes that work under one
	 * attach number would not be told apart. */
	if (madvise(address, bytes, MADV_DONTFORK) < 0) {
		error = -errno;
		munmap(address, bytes);
		return error;
	}
	*ret_address = address;
	return 0;
}

void evri_os_memory_unmap(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	if (address != NULL)
		munmap(address, bytes);
}

int evri_os_memory_populate(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;
	int tries;

	for (tries = 0; tries < POPULATE_TRIES_MAX; tries++) {
		if (madvise(address, bytes, MADV_POPULATE_WRITE) == 0)
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

static uint64_t read_number(const char *path)
{
	char text[32];
	ssize_t length;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	return strtoull(text, NULL, 10);
}

/* Pages that another mapping has reserved are still counted as free by the kernel, but
 * nobody else can have them. */
uint64_t evri_os_huge_pages_free(uint64_t page_bytes)
{
	EVRI_OS_KEEP_ERRNO;
	uint64_t reserved;
	char path[96];
	uint64_t free;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/free_hugepages",
		 page_bytes / 1024);
	free = read_number(path);
	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/resv_hugepages",
		 page_bytes / 1024);
	reserved = read_number(path);
	return free > reserved ? free - reserved : 0;
}

int evri_os_random(void *buffer, size_t bytes)
{
	EVRI_OS_KEEP_ERRNO;
	char *cursor = buffer;

	while (bytes > 0) {
		ssize_t got = getrandom(cursor, bytes, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		cursor += got;
		bytes -= (size_t)got;
	}
	return 0;
}
