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
#ifndef MFD_HUGE_1GB
#define MFD_HUGE_1GB (30U << 26)
#endif

#define SMALL_PAGE_BYTES UINT64_C(4096)
#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)
#define GIANT_PAGE_BYTES (UINT64_C(1) << 30)

static int create_unsized(const char *name, uint64_t page_bytes)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (page_bytes == HUGE_PAGE_BYTES)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	if (page_bytes == GIANT_PAGE_BYTES)
		flags |= MFD_HUGETLB | MFD_HUGE_1GB;

	/* Shared memory is never run. Kernels before 6.3 do not know the flag: EINVAL. */
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	if (fd >= 0)
		return fd;
	if (page_bytes != SMALL_PAGE_BYTES && (errno == ENOSYS || errno == ENOENT))
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

	if (page_bytes != SMALL_PAGE_BYTES && page_bytes != HUGE_PAGE_BYTES &&
	    page_bytes != GIANT_PAGE_BYTES)
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

int evri_os_memory_read(int fd, uint64_t offset, void *buffer, size_t bytes)
{
	EVRI_OS_KEEP_ERRNO;
	char *cursor = buffer;

	while (bytes > 0) {
		ssize_t got = pread(fd, cursor, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENODATA;
		cursor += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

/* More addresses than needed, and what is outside of the aligned part given back. */
int evri_os_memory_reserve(uint64_t bytes, uint64_t alignment, void **ret_address)
{
	EVRI_OS_KEEP_ERRNO;
	uint64_t reserved_bytes;
	uint64_t before_bytes;
	uint64_t after_bytes;
	char *reserved;
	char *aligned;
	int error;

	if (bytes == 0 || bytes % SMALL_PAGE_BYTES != 0 || alignment < SMALL_PAGE_BYTES ||
	    (alignment & (alignment - 1)) != 0 ||
	    __builtin_add_overflow(bytes, alignment, &reserved_bytes))
		return -EINVAL;
	reserved = mmap(NULL, reserved_bytes, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	before_bytes = -(uintptr_t)reserved & (alignment - 1);
	after_bytes = alignment - before_bytes;
	aligned = reserved + before_bytes;
	if (before_bytes > 0)
		munmap(reserved, before_bytes);
	munmap(aligned + bytes, after_bytes);
	if (madvise(aligned, bytes, MADV_DONTFORK) < 0) {
		error = -errno;
		munmap(aligned, bytes);
		return error;
	}
	*ret_address = aligned;
	return 0;
}

/* Puts the reservation back where a mapping failed or is no longer wanted. */
void evri_os_memory_unmap_at(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	if (mmap(address, bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
	    MAP_FAILED)
		madvise(address, bytes, MADV_DONTFORK);
}

int evri_os_memory_map_at(int fd, uint64_t offset, uint64_t bytes, unsigned how,
			  void *address)
{
	EVRI_OS_KEEP_ERRNO;
	int protection = how & EVRI_OS_MAP_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = MAP_SHARED | MAP_FIXED;
	int error;

	if (bytes == 0 || offset > INT64_MAX)
		return -EINVAL;
	if (how & EVRI_OS_MAP_UNRESERVED)
		flags |= MAP_NORESERVE;
	if (mmap(address, bytes, protection, flags, fd, (off_t)offset) == MAP_FAILED) {
		error = -errno;
		/* Older kernels leave a hole there when this fails. */
		evri_os_memory_unmap_at(address, bytes);
		return error;
	}
	/* A process is dead only when its core dump is written, and its peers wait for
	 * that: keep regions out of dumps. Advice; a refusal changes nothing. */
	if (!(how & EVRI_OS_MAP_DUMP))
		madvise(address, bytes, MADV_DONTDUMP);
	/* A child made by fork() must attach anew: two processes that work under one
	 * attach number would not be told apart. */
	if (madvise(address, bytes, MADV_DONTFORK) < 0) {
		error = -errno;
		evri_os_memory_unmap_at(address, bytes);
		return error;
	}
	return 0;
}

int evri_os_memory_map(int fd, uint64_t bytes, uint64_t page_bytes, void **ret_address)
{
	void *address;
	int error;

	if (page_bytes == 0 || (page_bytes & (page_bytes - 1)) != 0 ||
	    bytes % page_bytes != 0)
		return -EINVAL;
	error = evri_os_memory_reserve(bytes, page_bytes, &address);
	if (error == 0) {
		error = evri_os_memory_map_at(fd, 0, bytes, 0, address);
		if (error < 0)
			evri_os_memory_unmap(address, bytes);
		else
			*ret_address = address;
	}
	return error;
}

int evri_os_memory_release(int fd, uint64_t offset, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	/* Refused on a sealed or foreign file; the pages then stay until its end. */
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)bytes) < 0 ?
		       -errno :
		       0;
}

void evri_os_memory_unmap(void *address, uint64_t bytes)
{
	EVRI_OS_KEEP_ERRNO;

	if (address != NULL)
		munmap(address, bytes);
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
