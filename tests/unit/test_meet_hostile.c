/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_meet_hostile.c - meet.h: clients and listeners that are silent, slow, stopped or
 * lying cost themselves their connection, and nobody else anything.
 */

#include "meet.h"

#include <fcntl.h>

#include "meet_internal.h"

/* ---- hostile clients ---- */

static struct evri_os_message hello_message(const char *name)
{
	struct evri_meet_frame frame = evri_meet_frame(EVRI_MEET_HELLO);
	struct evri_os_message message = { 0 };

	snprintf(frame.name, sizeof(frame.name), "%s", name);
	evri_meet_encode(&frame, &message);
	return message;
}

static void put(struct evri_os_message *message, size_t at, uint64_t value, size_t bytes)
{
	memcpy(message->data + at, &value, bytes);
}

/* The answer to what was sent: its status, and its reason in the detail. */
static int answer_to(int fd, const struct evri_os_message *message)
{
	struct evri_os_message answer = { .bytes_max = EVRI_OS_MESSAGE_BYTES_MAX };
	struct evri_meet_frame frame;

	cr_assert_eq(evri_os_message_send(fd, message), 0);
	cr_assert_eq(evri_os_wait_readable(fd, now_ns() + 5 * SECOND_NS), 0);
	MUST(evri_os_message_receive(fd, &answer));
	MUST(evri_meet_decode(&answer, EVRI_MEET_ANSWER, &frame));
	evri_os_message_close(&answer);
	if (frame.status < 0)
		evri_fail_detail("%s", frame.reason);
	return frame.status;
}

static int answer_to_stranger(struct host_board *board,
			      const struct evri_os_message *message)
{
	int fd = raw_connect(board->address);
	int status = answer_to(fd, message);

	close(fd);
	return status;
}

Test(meet_hostile, what_is_no_hello_is_refused_and_the_next_client_gets_in, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	struct evri_os_message good = hello_message("");
	struct evri_os_message bad;
	size_t bytes;

	/* Half of one, a byte less, a byte. */
	for (bytes = 1; bytes < EVRI_MEET_FRAME_BYTES; bytes = bytes * 5 / 3 + 1) {
		bad = good;
		bad.bytes = bytes;
		FAILS(-EPROTO, answer_to_stranger(board, &bad));
	}
	bad = good;
	bad.bytes = EVRI_MEET_FRAME_BYTES - 1;
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	/* Not the magic; an answer; one that is attached; a status that is none. */
	bad = good;
	put(&bad, 0, 0, 8);
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	bad = good;
	put(&bad, 12, EVRI_MEET_ANSWER, 4);
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	put(&bad, 12, EVRI_MEET_ATTACHED, 4);
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	bad = good;
	put(&bad, 16, 1, 4);
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	MUST(visit(board->address, ""));
	MUST(answer_to_stranger(board, &good));
	end_child(host);
	remove_board(board);
}

Test(meet_hostile, a_longer_hello_of_a_later_release_is_understood, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	struct evri_os_message message = hello_message("");

	memset(message.data + message.bytes, 0xff, sizeof(message.data) - message.bytes);
	message.bytes = EVRI_OS_MESSAGE_BYTES_MAX;
	MUST(answer_to_stranger(board, &message));
	end_child(host);
	remove_board(board);
}

Test(meet_hostile, versions_and_features_that_differ_are_named_to_both_sides,
     .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	struct evri_os_message bad = hello_message("");

	put(&bad, 8, 77, 4);
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	cr_assert(strstr(evr_error_detail(), "77"), "%s", evr_error_detail());
	cr_assert(HOLDS_WITHIN(2000, strstr(board->refused_reason, "version 1 here")));
	bad = hello_message("");
	put(&bad, 24, 78, 4);
	put(&bad, 28, 0x020304, 4);
	FAILS(-EPROTO, answer_to_stranger(board, &bad));
	cr_assert(strstr(evr_error_detail(), "layout version 78 (library 2.3.4)"), "%s",
		  evr_error_detail());
	cr_assert(strstr(evr_error_detail(), EVR_VERSION_STRING), "%s",
		  evr_error_detail());
	cr_assert(HOLDS_WITHIN(2000, GET(board->refused) == 2));
	cr_assert_eq(board->refused_error, -EPROTO);
	cr_assert_str_eq(board->refused_reason, evr_error_detail());
	end_child(host);
	remove_board(board);
}

/* The host's region has a feature that no client of today knows. */
static void add_feature(struct evr_listener *listener, struct host_board *board)
{
	struct evr_region *region = child_region_of(1 << 20);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			 evr_region_fd(region), 0);

	((struct evr_region_shared *)map)->features_incompat = 0x4321;
	CHILD_MUST(evr_listener_add(listener, region, "new") == 0);
	SET(board->ready, 2);
	host_accept_all(listener, board);
}

Test(meet_hostile, a_region_with_an_unknown_feature_is_not_handed_over, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct host_start start = { .board = board, .act = add_feature };
	struct evri_os_message message = hello_message("new");
	pid_t host = start_host(&start);

	cr_assert(HOLDS_WITHIN(5000, GET(board->ready) == 2));
	FAILS(-EPROTO, visit(board->address, "new"));
	cr_assert(strstr(evr_error_detail(), "refused by the listener"), "%s",
		  evr_error_detail());
	cr_assert(strstr(evr_error_detail(), "0x4321"), "%s", evr_error_detail());
	/* One that says that it knows it gets it. */
	put(&message, 56, 0x4321, 8);
	MUST(answer_to_stranger(board, &message));
	end_child(host);
	remove_board(board);
}

Test(meet_hostile, a_name_without_end_or_with_control_characters_is_only_unknown,
     .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	struct evri_os_message bad = hello_message("");

	memset(bad.data + 80, 'x', EVR_NAME_BYTES);
	FAILS(-ENXIO, answer_to_stranger(board, &bad));
	memcpy(bad.data + 80, "\033[2Jhello\n", 11);
	FAILS(-ENXIO, answer_to_stranger(board, &bad));
	cr_assert(strstr(evr_error_detail(), "'?[2Jhello?'"), "%s", evr_error_detail());
	end_child(host);
	remove_board(board);
}

static int descriptors_of(pid_t process)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", process);
	return names_in(path);
}

Test(meet_hostile, descriptors_that_a_client_sends_never_become_the_listeners,
     .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	struct evri_os_message message = hello_message("");
	int before = descriptors_of(host);
	int fd = raw_connect(board->address);
	int i;

	for (i = 1; i <= EVRI_OS_MESSAGE_FDS_MAX; i++) {
		message.fds_count = (size_t)i;
		memset(message.fds, 0, sizeof(message.fds));
		FAILS(-EPROTO, answer_to_stranger(board, &message));
	}
	/* As late as at the end of the handshake. */
	message = hello_message("");
	MUST(answer_to(fd, &message));
	message.fds_count = 1;
	put(&message, 12, EVRI_MEET_ATTACHED, 4);
	cr_assert_eq(evri_os_message_send(fd, &message), 0);
	cr_assert(HOLDS_WITHIN(2000, GET(board->refused) == 5));
	cr_assert_eq(board->accepted, 0);
	cr_assert(HOLDS_WITHIN(2000, descriptors_of(host) == before), "%d, %d before",
		  descriptors_of(host), before);
	end_child(host);
	remove_board(board);
}

Test(meet_hostile, a_client_that_hangs_up_at_any_step_leaves_nothing, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct host_start start = { .board = board, .with_bells = true };
	pid_t host = start_host(&start);
	struct evri_os_message message = hello_message("");
	int before = descriptors_of(host);
	int i;

	put(&message, 20, EVRI_MEET_WITH_BELLS, 4);
	for (i = 0; i < 20; i++) {
		close(raw_connect(board->address));
		MUST(answer_to_stranger(board, &message));
	}
	cr_assert(HOLDS_WITHIN(2000, descriptors_of(host) == before), "%d, %d before",
		  descriptors_of(host), before);
	cr_assert_eq(GET(board->refused), 0, "hanging up is no refusal");
	end_child(host);
	remove_board(board);
}

Test(meet_hostile, a_silent_client_is_dropped_after_its_time_and_told, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	struct evri_os_message answer = { .bytes_max = EVRI_OS_MESSAGE_BYTES_MAX };
	struct evri_meet_frame frame;
	uint64_t start_ns = now_ns();
	int fd = raw_connect(board->address);

	cr_assert_eq(evri_os_wait_readable(fd, start_ns + 20 * SECOND_NS), 0);
	cr_assert_geq(now_ns() - start_ns, EVR_MEET_PENDING_NS);
	cr_assert_leq(now_ns() - start_ns, EVR_MEET_PENDING_NS + 3 * SECOND_NS);
	MUST(evri_os_message_receive(fd, &answer));
	MUST(evri_meet_decode(&answer, EVRI_MEET_ANSWER, &frame));
	cr_assert_eq(frame.status, -ETIMEDOUT);
	end_child(host);
	remove_board(board);
}

/* Not more than the slots that there are, and of them the silent ones go first. */
Test(meet_hostile, a_flood_of_silent_clients_keeps_nobody_out, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct host_start start = { .board = board, .options = { .pending = 8 } };
	pid_t host = start_host(&start);
	struct evri_os_message message = hello_message("");
	int before = descriptors_of(host);
	int busy = raw_connect(board->address);
	uint64_t start_ns;
	int i;

	/* One that got its answer and is about to attach. */
	MUST(answer_to(busy, &message));
	for (i = 0; i < 100; i++)
		raw_connect(board->address);
	start_ns = now_ns();
	MUST(visit(board->address, ""));
	cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	cr_assert_leq(descriptors_of(host), before + 8);
	cr_assert_geq(GET(board->refused), 90);
	cr_assert_eq(board->refused_error, -EBUSY);
	put(&message, 12, EVRI_MEET_ATTACHED, 4);
	cr_assert_eq(evri_os_message_send(busy, &message), 0);
	cr_assert(HOLDS_WITHIN(2000, GET(board->accepted) == 2),
		  "the one that had said something was dropped");
	end_child(host);
	remove_board(board);
}

static void flood(void *argument)
{
	struct host_board *board = argument;
	int i;

	CHILD_MUST(setgid(65534) == 0 && setuid(65534) == 0);
	for (i = 0; i < 100; i++)
		raw_connect(board->address);
	SET(board->ready, 3);
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

Test(meet_hostile, one_users_flood_does_not_drop_anothers_client, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	uint32_t uid = 65534;
	struct evr_meet_policy policy = { .size = sizeof(policy),
					  .uids = &uid,
					  .uids_count = 1 };
	struct host_start start = {
		.board = board,
		.options = { .policy = &policy, .mode = 0666, .pending = 8 }
	};
	struct evri_os_message message = hello_message("");
	pid_t host, other;
	int first;

	if (geteuid() != 0)
		cr_skip_test("root wanted, to become another user; run as root");
	host = start_host(&start);
	cr_assert_eq(chmod(board->directory, 0755), 0);
	first = raw_connect(board->address);
	other = start_child(flood, board);
	cr_assert(HOLDS_WITHIN(10000, GET(board->ready) == 3));
	cr_assert(HOLDS_WITHIN(5000, GET(board->refused) >= 90));
	MUST(answer_to(first, &message));
	end_child(other);
	end_child(host);
	remove_board(board);
}

Test(meet_hostile, a_call_that_must_not_wait_does_a_bounded_number_of_steps,
     .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct evr_listen_options options = { .size = sizeof(options),
					      .address = board->address,
					      .backlog = 1000,
					      .pending = 4,
					      .refused = host_note_refused,
					      .context = board };
	struct evr_listener *listener = NULL;
	struct evr_peer peer;
	int i;

	MUST(evr_listen(&options, &listener));
	for (i = 0; i < 600; i++)
		raw_connect(board->address);
	FAILS(-ETIMEDOUT, evr_accept(listener, 0, &peer));
	cr_assert_gt(board->refused, 100);
	cr_assert_lt(board->refused, 400, "%u clients in one call", board->refused);
	for (i = 0; i < 4; i++)
		FAILS(-ETIMEDOUT, evr_accept(listener, 0, &peer));
	cr_assert_gt(board->refused, 590);
	evr_listener_close(listener);
	remove_board(board);
}

static void connect_and_stop(void *argument)
{
	struct host_board *board = argument;
	struct evri_os_message message = hello_message("");
	int fd = raw_connect(board->address);

	if (evri_os_message_send(fd, &message) == 0)
		raise(SIGSTOP);
}

Test(meet_hostile, a_stopped_client_delays_nobody, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	pid_t client = start_child(connect_and_stop, board);
	uint64_t start_ns;
	int status;

	cr_assert_eq(waitpid(client, &status, WUNTRACED), client);
	cr_assert(WIFSTOPPED(status));
	start_ns = now_ns();
	MUST(visit(board->address, ""));
	cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	end_child(client);
	end_child(host);
	remove_board(board);
}

/* Bytes of all kinds in frames of all lengths; the host serves everybody else. */
Test(meet_hostile, no_bytes_at_all_bring_a_listener_down, .timeout = 60)
{
	struct host_board *board = new_board_in_memory();
	pid_t host = plain_host(board);
	uint64_t random = 42;
	int i;

	for (i = 0; i < 2000; i++) {
		struct evri_os_message message = hello_message("");
		int fd = raw_connect(board->address);
		int faults = (int)(next_random(&random) % 6);

		while (faults--)
			message.data[next_random(&random) % 256] =
				(unsigned char)next_random(&random);
		if (next_random(&random) % 4 == 0)
			message.bytes = 1 + next_random(&random) % 512;
		cr_assert_eq(evri_os_message_send(fd, &message), 0);
		(void)!evri_os_message_send(fd, &message);
		close(fd);
	}
	cr_assert_eq(waitpid(host, NULL, WNOHANG), 0, "the host has ended");
	MUST(visit(board->address, ""));
	end_child(host);
	remove_board(board);
}

/* ---- a listener that is stopped ---- */

Test(meet_hostile, a_stopped_listener_is_a_timeout_that_leaves_nothing, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct host_start start = { .board = board, .options = { .backlog = 4 } };
	pid_t host = start_host(&start);
	struct evr_region *region = NULL;
	int before = open_descriptors();
	uint64_t start_ns;
	int i;

	MUST(visit(board->address, ""));
	kill(host, SIGSTOP);
	/* The last of these do not even get a place in the kernel's queue. */
	for (i = 0; i < 10; i++) {
		start_ns = now_ns();
		FAILS(-ETIMEDOUT, connect_within(board->address, "", 50, &region));
		cr_assert_geq(now_ns() - start_ns, 50 * MILLISECOND_NS);
		cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	}
	FAILS(-ETIMEDOUT, connect_within(board->address, "", 0, &region));
	cr_assert_eq(open_descriptors(), before);
	FAILS(-EADDRINUSE, listen_at(board->address, &(struct evr_listener *){ NULL }));
	kill(host, SIGCONT);
	MUST(visit(board->address, ""));
	end_child(host);
	remove_board(board);
}

/* ---- descriptors ---- */

Test(meet_hostile, a_thousand_meetings_leave_no_descriptor_on_either_side, .timeout = 60)
{
	struct host_board *board = new_board_in_memory();
	struct host_start start = { .board = board, .with_bells = true };
	pid_t host = start_host(&start);
	int theirs = descriptors_of(host);
	int ours = open_descriptors();
	int i;

	for (i = 0; i < 1000; i++) {
		struct evr_connect_options options = { .size = sizeof(options),
						       .address = board->address,
						       .want_bells = true };
		struct evr_region *region = NULL;
		struct evr_peer peer;

		MUST(evr_connect(&options, now_ns() + 5 * SECOND_NS, &region, &peer));
		close(peer.bell_fd);
		close(peer.own_fd);
		evr_region_detach(region);
	}
	cr_assert_eq(open_descriptors(), ours);
	cr_assert(HOLDS_WITHIN(2000, GET(board->accepted) == 1000));
	cr_assert(HOLDS_WITHIN(2000, descriptors_of(host) == theirs), "%d, %d before",
		  descriptors_of(host), theirs);
	end_child(host);
	remove_board(board);
}
