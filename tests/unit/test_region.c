/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_region.c - region.h: making, finding, joining and leaving shared memory; and all
 * that is not a region.
 */

#include "fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "os.h"

#define ONE_MIB (UINT64_C(1) << 20)

/* ---- creating ---- */

Test(region, a_new_region_has_the_size_and_pages_that_were_asked_for)
{
	struct evr_region *region = region_of(ONE_MIB + 1);

	cr_assert_eq(evr_region_bytes(region), ONE_MIB + 4096, "rounded up to whole pages");
	cr_assert_eq(evr_region_page_bytes(region), EVR_PAGE_4K);
	cr_assert_neq(evr_region_number(region), 0);
	cr_assert_eq(evr_region_detach(region), NULL);
}

Test(region, its_size_can_never_be_changed_again)
{
	struct evr_region *region = region_of(ONE_MIB);
	int fd = evr_region_fd(region);

	cr_assert_eq(ftruncate(fd, 4096), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(ftruncate(fd, 2 * ONE_MIB), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
		     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	evr_region_detach(region);
}

Test(region, its_descriptor_does_not_get_into_other_programs)
{
	struct evr_region *region = region_of(ONE_MIB);

	cr_assert(fcntl(evr_region_fd(region), F_GETFD) & FD_CLOEXEC);
	evr_region_detach(region);
}

static bool maps_contain(const char *text)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;
	char line[512];

	cr_assert_neq(maps, NULL);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, text))
			found = true;
	fclose(maps);
	return found;
}

Test(region, its_name_is_seen_where_people_look_for_mappings)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = ONE_MIB,
					      .name = "unit-test-name" };
	struct evr_region *region;

	MUST(evr_region_create(&options, &region));
	cr_assert(maps_contain("memfd:unit-test-name"));
	evr_region_detach(region);
	cr_assert_not(maps_contain("memfd:unit-test-name"));
}

Test(region, all_its_pages_are_real_before_it_is_handed_out)
{
	struct evr_region *region = region_of(8 * ONE_MIB);
	struct stat status;

	cr_assert_eq(fstat(evr_region_fd(region), &status), 0);
	cr_assert_geq((uint64_t)status.st_blocks * 512, 8 * ONE_MIB);
	evr_region_detach(region);
}

Test(region, creating_and_leaving_a_hundred_times_leaves_nothing_behind)
{
	int before = open_descriptors();
	int i;

	for (i = 0; i < 100; i++) {
		struct evr_region *region = region_of(ONE_MIB);
		struct evr_region *second;

		MUST(evr_region_attach(evr_region_fd(region), &second));
		evr_region_detach(second);
		evr_region_detach(region);
	}
	cr_assert_eq(open_descriptors(), before);
	cr_assert_not(maps_contain("memfd:evering"));
}

static int create_with(uint64_t bytes, uint64_t page_bytes, uint32_t participants,
		       uint32_t agents)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = bytes,
					      .page_bytes = page_bytes,
					      .participants = participants,
					      .agents = agents };
	struct evr_region *untouched = (struct evr_region *)0x5a5a;
	struct evr_region *region = untouched;
	int error = evr_region_create(&options, &region);

	if (error == 0)
		evr_region_detach(region);
	else
		cr_assert_eq(region, untouched, "the result was touched");
	return error;
}

Test(region, options_out_of_range_are_the_callers_mistake)
{
	struct evr_region *region;

	FAILS(-EINVAL, create_with(0, 0, 0, 0));
	FAILS(-EINVAL, create_with(ONE_MIB, 12345, 0, 0));
	FAILS(-EINVAL, create_with(ONE_MIB, 0, 65536, 0));
	FAILS(-EINVAL, create_with(ONE_MIB, 0, 0, 65536));
	FAILS(-EINVAL, create_with(UINT64_MAX, 0, 0, 0));
	FAILS(-EINVAL, evr_region_create(NULL, &region));
}

Test(region, a_size_that_cannot_hold_the_tables_names_what_is_wanted)
{
	FAILS(-ENOSPC, create_with(4096, 0, 64, 0));
	cr_assert(strstr(evr_error_detail(), "4096"), "%s", evr_error_detail());
	cr_assert(strstr(evr_error_detail(), "64"), "%s", evr_error_detail());
}

struct newer_options {
	struct evr_region_options known;
	uint64_t field;
};

Test(region, options_of_a_newer_header_work_until_they_use_an_unknown_field)
{
	struct newer_options options = { .known = { .size = sizeof(options),
						    .bytes = ONE_MIB } };
	struct evr_region *region;

	MUST(evr_region_create(&options.known, &region));
	evr_region_detach(region);
	options.field = 1;
	FAILS(-E2BIG, evr_region_create(&options.known, &region));
}

Test(region, options_of_an_older_header_are_shorter_and_work)
{
	struct evr_region_options options = {
		.size = offsetof(struct evr_region_options, participants),
		.bytes = ONE_MIB,
		.participants = 1234567, /* beyond what the caller claims to know */
	};
	struct evr_region *region;

	MUST(evr_region_create(&options, &region));
	evr_region_detach(region);
}

Test(region, huge_pages_are_used_or_their_lack_is_named_with_numbers)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = EVR_PAGE_2M,
					      .page_bytes = EVR_PAGE_2M };
	struct evr_region *region;
	int error = evr_region_create(&options, &region);

	if (error < 0) {
		cr_assert(error == -ENOMEM || error == -ENOSPC || error == -ENODEV, "%d: %s",
			  error, evr_error_detail());
		cr_assert(strstr(evr_error_detail(), "1 huge pages of 2048 KiB wanted"), "%s",
			  evr_error_detail());
		cr_skip_test("no huge page of 2 MiB is free; ./check --reserve as root");
	}
	cr_assert_eq(evr_region_page_bytes(region), EVR_PAGE_2M);
	cr_assert_eq((uintptr_t)scribble_map(region) % 4096, 0);
	evr_region_detach(region);
}

/* ---- attaching ---- */

Test(region, an_attacher_is_a_participant_of_its_own_in_the_same_region)
{
	struct evr_region *first = region_of(ONE_MIB);
	struct evr_region *second;

	MUST(evr_region_attach(evr_region_fd(first), &second));
	cr_assert_eq(evr_region_bytes(second), ONE_MIB);
	cr_assert_neq(evr_region_number(second), evr_region_number(first));
	cr_assert_eq(evr_participant_find_dead(second), 0);
	evr_region_detach(second);
	evr_region_detach(first);
}

Test(region, the_descriptor_may_be_closed_once_attached)
{
	struct evr_region *first = region_of(ONE_MIB);
	struct evr_region *second;
	struct evr_region *third;
	int fd = dup(evr_region_fd(first));

	MUST(evr_region_attach(fd, &second));
	close(fd);
	evr_region_detach(first);
	MUST(evr_region_attach(evr_region_fd(second), &third));
	evr_region_detach(third);
	evr_region_detach(second);
}

static int attach_to(int fd)
{
	struct evr_region *untouched = (struct evr_region *)0x5a5a;
	struct evr_region *region = untouched;
	int before = open_descriptors();
	int error = evr_region_attach(fd, &region);

	if (error == 0)
		evr_region_detach(region);
	else
		cr_assert_eq(region, untouched, "the result was touched");
	cr_assert_eq(open_descriptors(), before, "a descriptor was left behind");
	return error;
}

Test(region, a_descriptor_that_is_none_is_a_bad_descriptor)
{
	int fd = dup(0);

	close(fd);
	FAILS(-EBADF, attach_to(-1));
	FAILS(-EBADF, attach_to(fd));
	FAILS(-EBADF, attach_to(1 << 30));
}

Test(region, a_descriptor_that_can_only_read_is_a_bad_descriptor)
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

Test(region, a_pipe_a_device_a_socket_a_directory_and_a_plain_file_are_no_regions)
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

Test(region, an_ordinary_memory_file_is_no_region_whatever_its_size_and_content)
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

Test(region, a_file_shorter_than_its_header_says_is_named_with_both_sizes)
{
	struct evr_region *region = region_of(ONE_MIB);

	FAILS(-ENODATA, attach_to(copy_of(region, ONE_MIB / 2)));
	cr_assert(strstr(evr_error_detail(), "1048576"), "%s", evr_error_detail());
	cr_assert(strstr(evr_error_detail(), "524288"), "%s", evr_error_detail());
	FAILS(-ENODATA, attach_to(copy_of(region, 4096)));
	evr_region_detach(region);
}

Test(region, a_file_longer_than_its_header_says_contradicts_itself)
{
	struct evr_region *region = region_of(ONE_MIB);

	FAILS(-EUCLEAN, attach_to(copy_of(region, 2 * ONE_MIB)));
	evr_region_detach(region);
}

Test(region, a_file_that_its_sender_could_cut_short_under_us_is_refused)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region_shared *raw = scribble_map(region);
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_eq(ftruncate(fd, ONE_MIB), 0);
	cr_assert_eq(pwrite(fd, raw, 65536, 0), 65536);
	FAILS(-EMEDIUMTYPE, attach_to(fd));
	evr_region_detach(region);
}

Test(region, another_layout_version_is_refused_with_both_named)
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

Test(region, another_api_or_abi_version_shares_the_region)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region_shared *raw = scribble_map(region);

	raw->api_version = 0x7fffffff;
	raw->abi_version = 99;
	MUST(attach_to(evr_region_fd(region)));
	evr_region_detach(region);
}

Test(region, an_unknown_feature_is_refused_unless_it_is_a_compatible_one)
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

Test(region, one_whose_creator_is_still_at_work_is_to_be_tried_again)
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

Test(region, one_whose_creator_was_killed_half_way_cannot_be_recovered, .timeout = 20)
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

Test(region, one_that_was_marked_corrupted_or_has_no_status_is_not_entered)
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
Test(region, no_wrong_word_in_the_header_gets_past_the_check, .timeout = 60)
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
	     at < offsetof(struct evr_region_shared, reserved) / 8; at++) {
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

/* ---- how many ---- */

Test(region, one_participant_too_many_is_refused_until_another_leaves)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = ONE_MIB,
					      .participants = 2 };
	struct evr_region *first;
	struct evr_region *second;

	MUST(evr_region_create(&options, &first));
	MUST(evr_region_attach(evr_region_fd(first), &second));
	FAILS(-EMFILE, attach_to(evr_region_fd(first)));
	cr_assert(strstr(evr_error_detail(), "2"), "%s", evr_error_detail());
	evr_region_detach(second);
	MUST(attach_to(evr_region_fd(first)));
	evr_region_detach(first);
}

/* ---- leaving, forking ---- */

Test(region, leaving_nothing_does_nothing)
{
	cr_assert_eq(evr_region_detach(NULL), NULL);
}

static void expect_no_mapping(void *address)
{
	/* msync() of what is not mapped is ENOMEM. */
	CHILD_MUST(msync(address, 4096, MS_ASYNC) == -1 && errno == ENOMEM);
}

Test(region, a_forked_child_does_not_have_the_mapping)
{
	struct peer peer;
	char *page;

	peer_create(&peer, NULL);
	page = peer.agent.base;
	cr_assert_eq(msync(page, 4096, MS_ASYNC), 0);
	child_succeeds(start_child(expect_no_mapping, page));
	peer_close(&peer);
}

static void detach_inherited(void *region)
{
	CHILD_MUST(evr_region_detach(region) == NULL);
}

Test(region, a_forked_child_that_leaves_does_not_leave_for_its_parent)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_participant_info info;

	child_succeeds(start_child(detach_inherited, region));
	cr_assert_eq(evr_participant_find_dead(region), 0);
	MUST(evr_participant_get(region, 0, &info));
	cr_assert_eq(info.state, EVR_PARTICIPANT_ALIVE);
	MUST(attach_to(evr_region_fd(region)));
	evr_region_detach(region);
}

static void attach_inherited(struct peer *peer, void *expected)
{
	struct evr_region_shared *raw = (struct evr_region_shared *)peer->agent.base;

	CHILD_MUST(raw->magic == EVR_REGION_MAGIC);
	CHILD_MUST(evr_region_number(peer->region) > *(uint32_t *)expected);
}

Test(region, a_forked_child_attaches_anew_and_is_a_participant_of_its_own)
{
	struct peer peer;
	uint32_t number;

	peer_create(&peer, NULL);
	number = evr_region_number(peer.region);
	child_succeeds(peer_child(&peer, attach_inherited, &number));
	peer_close(&peer);
}

/* ---- over a socket ---- */

Test(region, it_can_be_handed_over_a_socket_of_either_kind)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	struct evr_region *region = region_of(ONE_MIB);
	size_t i;

	for (i = 0; i < COUNT_OF(types); i++) {
		struct evr_region *received;
		int sockets[2];

		cr_assert_eq(socketpair(AF_UNIX, types[i], 0, sockets), 0);
		MUST(evr_region_send(region, sockets[0]));
		MUST(evr_region_receive(sockets[1], &received));
		cr_assert_eq(evr_region_bytes(received), ONE_MIB);
		cr_assert_neq(evr_region_number(received), evr_region_number(region));
		evr_region_detach(received);
		close(sockets[0]);
		close(sockets[1]);
	}
	evr_region_detach(region);
}

Test(region, a_message_that_is_not_its_greeting_is_a_protocol_error)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region *received;
	int before = open_descriptors();
	int sockets[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	cr_assert_eq(write(sockets[0], "evering1", 8), 8);
	FAILS(-EPROTO, evr_region_receive(sockets[1], &received));
	MUST(evri_os_send_fd(sockets[0], evr_region_fd(region), "evering2", 8));
	FAILS(-EPROTO, evr_region_receive(sockets[1], &received));
	MUST(evri_os_send_fd(sockets[0], evr_region_fd(region), "evering", 7));
	FAILS(-EPROTO, evr_region_receive(sockets[1], &received));
	MUST(evri_os_send_fd(sockets[0], sockets[0], "evering1", 8));
	FAILS(-EMEDIUMTYPE, evr_region_receive(sockets[1], &received));
	close(sockets[0]);
	close(sockets[1]);
	cr_assert_eq(open_descriptors(), before, "what came was not closed");
	evr_region_detach(region);
}

Test(region, a_closed_socket_is_an_error_and_no_signal)
{
	struct evr_region *region = region_of(ONE_MIB);
	struct evr_region *received;
	int sockets[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	close(sockets[0]);
	FAILS(-EPIPE, evr_region_send(region, sockets[1]));
	FAILS(-EPIPE, evr_region_receive(sockets[1], &received));
	evr_region_detach(region);
}
