/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_half_made.c - region.h: memory files on their way to being a region, met before
 * they are. tests/crash (create) has every instruction of it; here is what that cannot
 * have: huge pages where there are none.
 */

#include "fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004U
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int sealed_file(unsigned flags, uint64_t bytes)
{
	int fd = memfd_create("half-made", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd >= 0) {
		cr_assert_eq(ftruncate(fd, (off_t)bytes), 0);
		cr_assert_eq(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	}
	return fd;
}

static int64_t pages_of(int fd)
{
	struct stat status;

	cr_assert_eq(fstat(fd, &status), 0);
	return status.st_blocks;
}

static int look_at(int fd)
{
	struct evr_region *region;
	int error = evr_region_attach_read_only(fd, &region);

	if (error == 0)
		evr_region_detach(region);
	return error;
}

/* A creator has it so for a while, and a listener who means ill may send it. Where no
 * huge page is free, touching it would be a SIGBUS; where one is, somebody wants it. */
Test(half_made, a_file_of_huge_pages_without_any_is_refused_and_stays_without)
{
	int fd = sealed_file(MFD_HUGETLB, UINT64_C(4) << 20);

	if (fd < 0)
		cr_skip_test("the kernel has no huge pages; boot one with hugetlbfs");
	FAILS(-EMEDIUMTYPE, attach_to(fd));
	cr_assert_eq(pages_of(fd), 0);
	FAILS(-EMEDIUMTYPE, look_at(fd));
	cr_assert_eq(pages_of(fd), 0);
	close(fd);
}

Test(half_made, a_file_of_small_pages_without_any_is_refused_and_stays_without)
{
	int fd = sealed_file(0, UINT64_C(1) << 20);

	FAILS(-EMEDIUMTYPE, attach_to(fd));
	FAILS(-EMEDIUMTYPE, look_at(fd));
	cr_assert_eq(pages_of(fd), 0);
	close(fd);
}

/* The page with the header was punched out: as if it had never been. */
Test(half_made, a_region_whose_first_page_was_taken_away_is_none)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	int fd = dup(evr_region_fd(region));

	evr_region_detach(region);
	MUST(attach_to(fd));
	cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096),
		     0);
	FAILS(-EMEDIUMTYPE, attach_to(fd));
	FAILS(-EMEDIUMTYPE, look_at(fd));
	close(fd);
}
