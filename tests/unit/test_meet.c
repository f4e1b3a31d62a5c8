/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_meet.c - meet.h: two processes that know an address, and who may not. */

#include "meet.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>

#include "os.h"

static void work_together(struct evr_region *region)
{
	struct evr_participant_info info;
	uint32_t i;
	int alive = 0;

	for (i = 0; i < evr_participant_records(region); i++) {
		MUST(evr_participant_get(region, i, &info));
		alive += info.state == EVR_PARTICIPANT_ALIVE;
	}
	cr_assert_eq(alive, 2, "%d participants are alive", alive);
}

Test(meet, a_client_gets_into_the_region_by_a_path, .timeout = 20)
{
	struct host_board *board = new_board();
	struct evr_region *region;
	struct evr_peer peer;
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = board->address };
	pid_t host = plain_host(board);

	MUST(evr_connect(&options, now_ns() + 5 * SECOND_NS, &region, &peer));
	work_together(region);
	cr_assert_eq(peer.who.pid, host);
	cr_assert_eq(peer.who.uid, geteuid());
	cr_assert_eq(peer.region, region);
	cr_assert_eq(peer.bell_fd, -1);
	cr_assert(HOLDS_WITHIN(2000, GET(board->accepted) == 1));
	cr_assert_eq(board->peer.who.pid, getpid());
	cr_assert_eq(board->peer.who.gid, getegid());
	cr_assert_eq(board->peer.number, evr_region_number(region));
	cr_assert_eq(board->peer.api_version, (uint32_t)EVR_API_VERSION);
	evr_region_detach(region);
	end_child(host);
	remove_board(board);
}

Test(meet, a_client_gets_into_the_region_by_an_abstract_name, .timeout = 20)
{
	struct host_board *board = new_board();
	struct host_start start = { .board = board };
	char address[64];
	struct evr_region *region;
	pid_t host;

	snprintf(address, sizeof(address), "@evr-unit-%d", getpid());
	start.options.address = address;
	host = start_host(&start);
	cr_assert_eq(board->listen_error, 0);
	FAILS(-EADDRINUSE, listen_at(address, &(struct evr_listener *){ NULL }));
	cr_assert(strstr(evr_error_detail(), "uid"), "%s", evr_error_detail());
	MUST(connect_within(address, NULL, 5000, &region));
	work_together(region);
	end_child(host);
	FAILS(-ECONNREFUSED, visit(address, ""));
	remove_board(board);
}

Test(meet, each_region_of_a_listener_is_got_by_its_name, .timeout = 20)
{
	struct host_board *board = new_board();
	struct host_start start = { .board = board, .names = { "", "second", "third" } };
	pid_t host = start_host(&start);
	int i;

	for (i = 0; i < 3; i++) {
		struct evr_region *region;

		MUST(connect_within(board->address, start.names[i], 5000, &region));
		cr_assert_eq(evr_region_bytes(region), (uint64_t)(i + 1) << 20);
		cr_assert(HOLDS_WITHIN(2000, GET(board->accepted) == (uint32_t)i + 1));
		cr_assert_str_eq(board->peer.name, start.names[i]);
		cr_assert_eq(board->peer_bytes, (uint32_t)(i + 1) << 20);
		evr_region_detach(region);
	}
	FAILS(-ENXIO, visit(board->address, "fourth"));
	cr_assert(strstr(evr_error_detail(), "fourth"), "%s", evr_error_detail());
	cr_assert(HOLDS_WITHIN(2000, GET(board->refused) == 1));
	cr_assert_eq(board->refused_error, -ENXIO);
	end_child(host);
	remove_board(board);
}

static void remove_and_add(struct evr_listener *listener, struct host_board *board)
{
	struct evr_region *region = child_region_of(1 << 20);

	CHILD_MUST(evr_listener_add(listener, region, "") == -EEXIST);
	CHILD_MUST(evr_listener_remove(listener, "other") == -ENXIO);
	CHILD_MUST(evr_listener_remove(listener, "") == 0);
	CHILD_MUST(evr_listener_add(listener, region, "now") == 0);
	SET(board->ready, 2);
	host_accept_all(listener, board);
}

Test(meet, a_region_that_was_removed_is_not_offered_any_more, .timeout = 20)
{
	struct host_board *board = new_board();
	struct host_start start = { .board = board, .act = remove_and_add };
	pid_t host = start_host(&start);

	cr_assert(HOLDS_WITHIN(5000, GET(board->ready) == 2));
	FAILS(-ENXIO, visit(board->address, ""));
	MUST(visit(board->address, "now"));
	end_child(host);
	remove_board(board);
}

/* ---- bells ---- */

static int connect_with_bells(struct host_board *board, struct evr_peer *peer)
{
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = board->address,
					       .want_bells = true };
	struct evr_region *region;

	return evr_connect(&options, now_ns() + 5 * SECOND_NS, &region, peer);
}

Test(meet, eventfds_are_exchanged_where_both_want_them, .timeout = 20)
{
	struct host_board *board = new_board();
	struct host_start start = { .board = board, .with_bells = true };
	pid_t host = start_host(&start);
	struct pollfd entry = { .events = POLLIN };
	struct evr_peer peer;
	uint64_t value;

	MUST(connect_with_bells(board, &peer));
	cr_assert_geq(peer.bell_fd, 0);
	cr_assert_geq(peer.own_fd, 0);
	cr_assert_neq(peer.bell_fd, peer.own_fd);
	cr_assert(fcntl(peer.own_fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(peer.own_fd, F_GETFD) & FD_CLOEXEC);
	/* The host writes 7 to its peer's bell. */
	entry.fd = peer.own_fd;
	cr_assert_eq(poll(&entry, 1, 5000), 1);
	cr_assert_eq(read(peer.own_fd, &value, 8), 8);
	cr_assert_eq(value, 7);
	cr_assert_eq(write(peer.bell_fd, &value, 8), 8);
	cr_assert_eq(read(peer.own_fd, &value, 8), -1, "both bells are one");
	/* The same host, to one who does not want any. */
	MUST(visit(board->address, ""));
	end_child(host);
	remove_board(board);
}

Test(meet, no_eventfds_come_from_a_listener_that_offers_none, .timeout = 20)
{
	struct host_board *board = new_board();
	pid_t host = plain_host(board);
	struct evr_peer peer;

	MUST(connect_with_bells(board, &peer));
	cr_assert_eq(peer.bell_fd, -1);
	cr_assert_eq(peer.own_fd, -1);
	end_child(host);
	remove_board(board);
}

/* ---- whom to deal with ---- */

static bool nobody(void *context, const struct evr_credentials *who, bool listed)
{
	(void)who;
	return context && !listed;
}

Test(meet, a_callback_decides_last_and_the_client_hears_why, .timeout = 20)
{
	struct host_board *board = new_board();
	struct evr_meet_policy policy = { .size = sizeof(policy), .allow = nobody };
	struct host_start start = { .board = board, .options = { .policy = &policy } };
	pid_t host = start_host(&start);
	char uid[32];

	FAILS(-EACCES, visit(board->address, ""));
	snprintf(uid, sizeof(uid), "uid %u", geteuid());
	cr_assert(strstr(evr_error_detail(), uid), "%s", evr_error_detail());
	cr_assert(strstr(evr_error_detail(), "refused by the listener"), "%s",
		  evr_error_detail());
	cr_assert(HOLDS_WITHIN(2000, GET(board->refused) == 1));
	cr_assert_eq(board->refused_error, -EACCES);
	cr_assert_eq(board->refused_who.pid, getpid());
	end_child(host);
	remove_board(board);
}

Test(meet, a_client_refuses_a_listener_whom_its_policy_does_not_trust, .timeout = 20)
{
	struct host_board *board = new_board();
	struct evr_meet_policy policy = { .size = sizeof(policy), .allow = nobody };
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = board->address,
					       .policy = &policy };
	pid_t host = plain_host(board);
	struct evr_region *region;

	FAILS(-EACCES, evr_connect(&options, now_ns() + SECOND_NS, &region, NULL));
	cr_assert(strstr(evr_error_detail(), "our policy"), "%s", evr_error_detail());
	cr_assert_eq(GET(board->accepted), 0);
	end_child(host);
	remove_board(board);
}

static void as_nobody(void)
{
	CHILD_MUST(setgid(65534) == 0 && setuid(65534) == 0);
}

/* The listener is root, the client uid 65534, in groups 65534 and 777. */
struct stranger {
	struct host_board *board;
	int expected;
	const char *says;
};

static void stranger_visits(void *argument)
{
	struct stranger *stranger = argument;
	struct evr_region *region;
	gid_t group = 777;
	int error;

	CHILD_MUST(setgroups(1, &group) == 0);
	as_nobody();
	error = connect_within(stranger->board->address, "", 5000, &region);
	if (error != stranger->expected ||
	    (stranger->says && !strstr(evr_error_detail(), stranger->says))) {
		dprintf(2, "%d: %s\n", error, evr_error_detail());
		_exit(1);
	}
}

static void want_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("root wanted, to become other users; run the tests as root");
}

static void visit_as_stranger(const struct evr_meet_policy *policy, uint32_t mode,
			      int expected, const char *says)
{
	struct host_board *board = new_board();
	struct host_start start = { .board = board,
				    .options = { .policy = policy, .mode = mode } };
	struct stranger stranger = { board, expected, says };
	pid_t host = start_host(&start);

	cr_assert_eq(chmod(board->directory, 0755), 0);
	child_succeeds(start_child(stranger_visits, &stranger));
	end_child(host);
	remove_board(board);
}

Test(meet, another_user_is_not_let_in_without_being_listed, .timeout = 20)
{
	want_root();
	visit_as_stranger(NULL, 0666, -EACCES, "uid 65534, gid 65534 is not allowed");
}

Test(meet, another_user_cannot_even_connect_when_the_mode_does_not_permit, .timeout = 20)
{
	uint32_t uid = 65534;
	struct evr_meet_policy policy = { .size = sizeof(policy),
					  .uids = &uid,
					  .uids_count = 1 };

	want_root();
	visit_as_stranger(&policy, 0, -EACCES, "no right to write to the socket's file");
}

Test(meet, a_listed_user_is_let_in, .timeout = 20)
{
	uint32_t uids[] = { 1, 65534 };
	struct evr_meet_policy policy = { .size = sizeof(policy),
					  .uids = uids,
					  .uids_count = 2 };

	want_root();
	visit_as_stranger(&policy, 0666, 0, NULL);
}

Test(meet, a_user_of_a_listed_group_is_let_in_be_it_supplementary, .timeout = 20)
{
	uint32_t gids[] = { 65534, 777, 778 };
	struct evr_meet_policy policy = { .size = sizeof(policy),
					  .gids = gids,
					  .gids_count = 1 };

	want_root();
	visit_as_stranger(&policy, 0666, 0, NULL);
	policy.gids = gids + 1;
	visit_as_stranger(&policy, 0666, 0, NULL);
	policy.gids = gids + 2;
	visit_as_stranger(&policy, 0666, -EACCES, NULL);
}

Test(meet, a_client_trusts_no_listener_of_another_user_but_root, .timeout = 20)
{
	uint32_t root = 0;
	uint32_t other = 65534;
	struct evr_meet_policy lets_root = { .size = sizeof(lets_root),
					     .uids = &root,
					     .uids_count = 1 };
	struct evr_meet_policy trusts = { .size = sizeof(trusts),
					  .uids = &other,
					  .uids_count = 1 };
	struct host_board *board = new_board();
	struct host_start start = { .board = board,
				    .options = { .policy = &lets_root },
				    .before = as_nobody };
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = board->address };
	struct evr_region *region;
	pid_t host;

	want_root();
	cr_assert_eq(chmod(board->directory, 01777), 0);
	host = start_host(&start);
	cr_assert_eq(board->listen_error, 0);
	FAILS(-EACCES, evr_connect(&options, now_ns() + SECOND_NS, &region, NULL));
	cr_assert(strstr(evr_error_detail(), "65534"), "%s", evr_error_detail());
	options.policy = &trusts;
	MUST(evr_connect(&options, now_ns() + SECOND_NS, &region, NULL));
	end_child(host);
	remove_board(board);
}

/* ---- being too late, and options ---- */

Test(meet, without_a_file_there_is_nobody_yet_and_with_a_dead_ones_nobody_any_more,
     .timeout = 20)
{
	struct host_board *board = new_board();
	pid_t host;

	FAILS(-ENOENT, visit(board->address, ""));
	host = plain_host(board);
	MUST(visit(board->address, ""));
	end_child(host);
	FAILS(-ECONNREFUSED, visit(board->address, ""));
	cr_assert(strstr(evr_error_detail(), "evr_listen()"), "%s", evr_error_detail());
	remove_board(board);
}

Test(meet, a_member_takes_over_when_the_creator_is_gone, .timeout = 20)
{
	struct host_board *board = new_board();
	pid_t host = plain_host(board);
	struct evr_listener *listener = NULL;
	struct evr_region *region;
	struct evr_region *again;
	struct evr_peer peer;
	pid_t child;

	MUST(connect_within(board->address, "", 5000, &region));
	FAILS(-EADDRINUSE, listen_at(board->address, &listener));
	end_child(host);
	MUST(listen_at(board->address, &listener));
	MUST(evr_listener_add(listener, region, ""));
	child = fork();
	if (child == 0)
		_exit(connect_within(board->address, "", 5000, &again) == 0 ? 0 : 1);
	MUST(evr_accept(listener, now_ns() + 5 * SECOND_NS, &peer));
	cr_assert_eq(peer.who.pid, child);
	cr_assert_eq(peer.region, region);
	child_succeeds(child);
	cr_assert_eq(evr_listener_close(listener), NULL);
	cr_assert_eq(names_in(board->directory), 0);
	remove_board(board);
}

Test(meet, options_that_contradict_themselves_are_refused)
{
	struct host_board *board = new_board();
	struct evr_listener *listener = NULL;
	struct evr_region *region = NULL;
	struct evr_listen_options listen = { 0 };
	struct evr_connect_options connect = { .size = sizeof(connect) };
	struct evr_meet_policy policy = { .size = sizeof(policy), .uids_count = 1 };
	char name[EVR_NAME_BYTES + 1];

	FAILS(-EINVAL, evr_listen(NULL, &listener));
	FAILS(-EINVAL, evr_listen(&listen, &listener));
	listen.size = sizeof(listen);
	FAILS(-EINVAL, evr_listen(&listen, &listener));
	listen.address = board->address;
	listen.fd = 7;
	FAILS(-EINVAL, evr_listen(&listen, &listener));
	listen.fd = 0;
	listen.mode = 01777;
	FAILS(-EINVAL, evr_listen(&listen, &listener));
	listen.mode = 0;
	listen.pending = 4097;
	FAILS(-EINVAL, evr_listen(&listen, &listener));
	listen.pending = 0;
	listen.policy = &policy;
	FAILS(-EINVAL, evr_listen(&listen, &listener));
	listen.policy = NULL;

	FAILS(-EINVAL, evr_connect(NULL, 0, &region, NULL));
	FAILS(-EINVAL, evr_connect(&connect, 0, &region, NULL));
	connect.address = board->address;
	connect.want_bells = true;
	FAILS(-EINVAL, evr_connect(&connect, 0, &region, NULL));
	connect.want_bells = false;
	memset(name, 'x', EVR_NAME_BYTES);
	name[EVR_NAME_BYTES] = '\0';
	connect.name = name;
	FAILS(-EINVAL, evr_connect(&connect, 0, &region, NULL));

	MUST(evr_listen(&listen, &listener));
	region = region_of(1 << 20);
	FAILS(-EINVAL, evr_listener_add(listener, region, name));
	FAILS(-EINVAL, evr_listener_add(listener, NULL, ""));
	name[EVR_NAME_BYTES - 1] = '\0';
	MUST(evr_listener_add(listener, region, name));
	evr_listener_close(listener);
	cr_assert_eq(evr_listener_close(NULL), NULL);
	remove_board(board);
}

static void accept_in_child(void *argument)
{
	struct evr_listener *listener = argument;
	struct evr_peer peer;

	CHILD_MUST(evr_accept(listener, 0, &peer) == -EINVAL);
	evr_listener_close(listener);
}

Test(meet, a_forked_child_may_only_close_its_copy_of_a_listener, .timeout = 20)
{
	struct host_board *board = new_board();
	struct evr_listener *listener = NULL;
	struct evr_peer peer;
	int half;

	MUST(listen_at(board->address, &listener));
	half = raw_connect(board->address);
	FAILS(-ETIMEDOUT, evr_accept(listener, 0, &peer));
	child_succeeds(start_child(accept_in_child, listener));
	cr_assert_eq(names_in(board->directory), 1, "the child removed the file");
	/* The parent still hears the client whose handshake the child had a copy of. */
	cr_assert_eq(send(half, "x", 1, 0), 1);
	FAILS(-ETIMEDOUT, evr_accept(listener, now_ns() + SECOND_NS / 5, &peer));
	cr_assert_gt(recv(half, (char[400]){ 0 }, 400, MSG_DONTWAIT), 0);
	evr_listener_close(listener);
	remove_board(board);
}

Test(meet, a_listeners_descriptor_tells_when_there_is_something_to_do, .timeout = 20)
{
	struct host_board *board = new_board();
	struct evr_listener *listener = NULL;
	struct pollfd entry = { .events = POLLIN };
	struct evr_peer peer;
	int fd;

	MUST(listen_at(board->address, &listener));
	entry.fd = evr_listener_fd(listener);
	cr_assert_eq(poll(&entry, 1, 0), 0);
	FAILS(-ETIMEDOUT, evr_accept(listener, 0, &peer));
	fd = raw_connect(board->address);
	cr_assert_eq(poll(&entry, 1, 1000), 1);
	FAILS(-ETIMEDOUT, evr_accept(listener, 0, &peer));
	cr_assert_eq(poll(&entry, 1, 0), 0, "admitted, and silent: nothing to do");
	close(fd);
	cr_assert_eq(poll(&entry, 1, 1000), 1);
	evr_listener_close(listener);
	remove_board(board);
}
