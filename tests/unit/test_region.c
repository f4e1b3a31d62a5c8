/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_region.c - region.h: making, joining, handing over and leaving shared memory. */

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

	cr_assert_eq(evr_region_bytes(region), ONE_MIB + 4096,
		     "rounded up to whole pages");
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
		cr_assert(error == -ENOMEM || error == -ENOSPC || error == -ENODEV,
			  "%d: %s", error, evr_error_detail());
		cr_assert(strstr(evr_error_detail(), "1 huge pages of 2048 KiB wanted"),
			  "%s", evr_error_detail());
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
