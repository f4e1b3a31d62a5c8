/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_region_attach.c - region.h: all that is not a region, or not one for us. */

#include "fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "os.h"

#define ONE_MIB (UINT64_C(1) << 20)

Test(region_attach, a_descriptor_that_is_none_is_a_bad_descriptor)
{
	int fd = dup(0);

	close(fd);
	FAILS(-EBADF, attach_to(-1));
	FAILS(-EBADF, attach_to(fd));
	FAILS(-EBADF, attach_to(1 << 30));
}

Test(region_attach, a_descriptor_that_can_only_read_is_a_bad_descriptor)
{
	struct evr_region *region = region_of(ONE_MIB);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", evr_region_fd(region));
	fd = open(path, O_RDONLY);
	cr_assert_geq(fd, 0);
	FAILS(-EBADF, attach_to(fd));
	evr_region_detach(region);
}

Test(region_attach, a_pipe_a_device_a_socket_a_directory_and_a_plain_file_are_no_regions)
{
	char path[] = "/tmp/evering-unit-XXXXXX";
	int pipes[2];
	int sockets[2];
	int file = mkstemp(path);

	cr_assert_geq(file, 0);
	unlink(path);
	cr_assert_eq(ftruncate(file, ONE_MIB), 0);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	FAILS(-EMEDIUMTYPE, attach_to(file));
	cr_assert(attach_to(pipes[0]) == -EMEDIUMTYPE || attach_to(pipes[0]) == -EBADF);
	FAILS(-EMEDIUMTYPE, attach_to(sockets[0]));
	FAILS(-EMEDIUMTYPE, attach_to(open("/dev/null", O_RDWR)));
	cr_assert(attach_to(open("/", O_RDONLY)) == -EMEDIUMTYPE ||
		  attach_to(open("/", O_RDONLY)) == -EBADF);
}

Test(region_attach, an_ordinary_memory_file_is_no_region_whatever_its_size_and_content)
{
	static const uint64_t sizes[] = { 0, 1, 255, 256, 4096, 4097, ONE_MIB };
	char garbage[256];
	size_t i;

	memset(garbage, 0xa5, sizeof(garbage));
	for (i = 0; i < COUNT_OF(sizes); i++) {
		int fd = memfd_create("plain", MFD_CLOEXEC);

		cr_assert_eq(ftruncate(fd, (off_t)sizes[i]), 0);
		FAILS(-EMEDIUMTYPE, attach_to(fd));
		cr_assert_eq(pwrite(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
		FAILS(-EMEDIUMTYPE, attach_to(fd));
		close(fd);
	}
}

/* A sealed memory file of @bytes that begins as @region does. */
static int copy_of(const struct evr_region *region, uint64_t bytes)
{
	struct evr_region_shared *raw = scribble_map(region);
	uint64_t copied = bytes < raw->bytes ? bytes : raw->bytes;
	int fd;

	MUST(evri_os_memory_create("copy", bytes, 4096, &fd));
	cr_assert_eq(pwrite(fd, raw, copied, 0), (ssize_t)copied);
	munmap(raw, evr_region_bytes(region));
	return fd;
}

Test(region_attach, a_file_shorter_than_its_header_says_is_named_with_both_sizes)
{
	struct evr_region *region = region_of(ONE_MIB);

	FAILS(-ENODATA, attach_to(copy_of(region, ONE_MIB / 2)));
	cr_assert(strstr(evr_error_detail(), "1048576"), "%s", evr_error_detail());
	cr_assert(strstr(evr_error_detail(), "524288"), "%s", evr_error_detail());
	FAILS(-ENODATA, attach_to(copy_of(region, 4096)));
	evr_region_detach(region);
}

Test(region_attach, a_file_longer_than_its_header_says_contradicts_itself)
{
	struct evr_region *region = region_of(ONE_MIB);

	FAILS(-EUCLEAN, attach_to(copy_of(region, 2 * ONE_MIB)));
	evr_region_detach(region);
}

Test(region_attach, a_file_that_its_sender_could_cut_short_under_us_is_refused)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region_shared *raw = scribble_map(region);
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_eq(ftruncate(fd, ONE_MIB), 0);
	cr_assert_eq(pwrite(fd, raw, 65536, 0), 65536);
	FAILS(-EMEDIUMTYPE, attach_to(fd));
	evr_region_detach(region);
}

Test(region_attach, another_layout_version_is_refused_with_both_named)
{
	struct evr_region *region = region_of(ONE_MIB);
	char ours[32];

	scribble_map(region)->layout_version = 77;
	FAILS(-EPROTO, attach_to(evr_region_fd(region)));
	snprintf(ours, sizeof(ours), "%d", EVR_LAYOUT_VERSION);
	cr_assert(strstr(evr_error_detail(), "77"), "%s", evr_error_detail());
	cr_assert(strstr(evr_error_detail(), ours), "%s", evr_error_detail());
	evr_region_detach(region);
}

Test(region_attach, another_api_or_abi_version_shares_the_region)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region_shared *raw = scribble_map(region);

	raw->api_version = 0x7fffffff;
	raw->abi_version = 99;
	MUST(attach_to(evr_region_fd(region)));
	evr_region_detach(region);
}

Test(region_attach, an_unknown_feature_is_refused_unless_it_is_a_compatible_one)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region_shared *raw = scribble_map(region);

	raw->features_compat = UINT64_C(1) << 40;
	MUST(attach_to(evr_region_fd(region)));
	raw->features_ro_compat = UINT64_C(1) << 41;
	FAILS(-EPROTO, attach_to(evr_region_fd(region)));
	raw->features_ro_compat = 0;
	raw->features_incompat = UINT64_C(0x4321000000000000);
	FAILS(-EPROTO, attach_to(evr_region_fd(region)));
	cr_assert(strstr(evr_error_detail(), "4321"), "%s", evr_error_detail());
	evr_region_detach(region);
}

Test(region_attach, one_whose_creator_is_still_at_work_is_to_be_tried_again)
{
	struct evr_region *region = region_of(ONE_MIB);

	evr_store_release_u32(&scribble_map(region)->status, EVR_REGION_INITIALIZING);
	FAILS(-EAGAIN, attach_to(evr_region_fd(region)));
	evr_region_detach(region);
}

/* Creates a region, hands its descriptor to the test, and dies before it is published. */
static void create_half(void *argument)
{
	struct evr_region_options options = { .size = sizeof(options), .bytes = ONE_MIB };
	struct evr_region *region;
	int *socket_fd = argument;

	CHILD_MUST(evr_region_create(&options, &region) == 0);
	CHILD_MUST(evri_os_send_fd(*socket_fd, evr_region_fd(region), "half", 4) == 0);
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

Test(region_attach, one_whose_creator_was_killed_half_way_cannot_be_recovered,
     .timeout = 20)
{
	int sockets[2];
	char payload[4];
	pid_t creator;
	int fd;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	creator = start_child(create_half, &sockets[1]);
	MUST(evri_os_receive_fd(sockets[0], payload, sizeof(payload), &fd));
	evr_store_release_u32(&((struct evr_region_shared *)mmap(NULL, 4096,
								 PROT_READ | PROT_WRITE,
								 MAP_SHARED, fd, 0))
				       ->status,
			      EVR_REGION_INITIALIZING);
	FAILS(-EAGAIN, attach_to(fd));
	kill(creator, SIGSTOP);
	sleep_ms(5);
	FAILS(-EAGAIN, attach_to(fd));
	end_child(creator);
	FAILS(-ENOTRECOVERABLE, attach_to(fd));
	cr_assert(strstr(evr_error_detail(), "died"), "%s", evr_error_detail());
}

Test(region_attach, one_that_was_marked_corrupted_or_has_no_status_is_not_entered)
{
	static const uint32_t statuses[] = { EVR_REGION_CORRUPTED, 0, 4, UINT32_MAX };
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region_shared *raw = scribble_map(region);
	size_t i;

	for (i = 0; i < COUNT_OF(statuses); i++) {
		evr_store_release_u32(&raw->status, statuses[i]);
		FAILS(-ENOTRECOVERABLE, attach_to(evr_region_fd(region)));
	}
	evr_region_detach(region);
}

/* Each word of the header, one at a time, with values that overflow what is computed. */
Test(region_attach, no_wrong_word_in_the_header_gets_past_the_check, .timeout = 60)
{
	static const uint64_t values[] = { 0,          1,
					   63,         UINT32_MAX,
					   UINT64_MAX, UINT64_C(0x8000000000000000),
					   4096,       UINT64_C(0xfffffffffffff000) };
	struct evr_region *region = region_of(ONE_MIB);
	uint64_t *words = (uint64_t *)scribble_map(region);
	size_t at;
	size_t i;

	for (at = offsetof(struct evr_region_shared, bytes) / 8;
	     at < offsetof(struct evr_region_shared, arrivals) / 8; at++) {
		for (i = 0; i < COUNT_OF(values); i++) {
			uint64_t right = words[at];

			if (values[i] == right)
				continue;
			words[at] = values[i];
			FAILS(at == 8 && values[i] > ONE_MIB ? -ENODATA : -EUCLEAN,
			      attach_to(evr_region_fd(region)));
			words[at] = right;
		}
	}
	MUST(attach_to(evr_region_fd(region)));
	evr_region_detach(region);
}
