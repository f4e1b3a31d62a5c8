/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_named_who.c - named.h: who is a member, and who is not: children of members, other
 * users, and what lies at the path.
 */

#include "named.h"

#include <fcntl.h>

#include "os.h"

static pid_t serving(const char *address)
{
	struct evri_os_credentials who = {0};

	return evri_os_socket_probe(address, &who) == 0 ? (pid_t)who.pid : 0;
}

/* ---- forks ---- */

struct forker {
	const char *address;
	uint32_t go;
	uint32_t ready;
	int descriptors;
	pid_t child;
	uint32_t end;
	int reopened;
};

static void fork_and_wait(void *argument)
{
	struct forker *forker = argument;
	struct evr_named_options options = named_options(forker->address);
	struct evr_named *named = NULL;
	pid_t child;

	while (!GET(forker->go))
		sleep_ms(1);
	CHILD_MUST(open_within(&options, 5000, &named) == 0);
	/* The thread sleeps by now: the child may allocate, under sanitizers too. */
	sleep_ms(20);
	child = fork();
	if (child == 0) {
		alarm(CHILD_SECONDS_MAX);
		forker->child = getpid();
		CHILD_MUST(threads() == 1);
		SET(forker->ready, 1);
		while (!GET(forker->end))
			sleep_ms(1);
		evr_named_close(named);
		forker->reopened = open_within(&options, 5000, &named);
		SET(forker->end, 2);
		pause();
	}
	for (;;)
		pause();
}

Test(named_who, a_child_is_no_member_and_may_become_one, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct forker *forker = shared_memory(sizeof(*forker));
	struct evr_named *named = NULL;
	uint64_t start_ns;
	pid_t parent;

	forker->address = board->address;
	forker->go = 1;
	parent = start_child(fork_and_wait, forker);
	cr_assert(HOLDS_WITHIN(5000, GET(forker->ready)));
	end_child(parent);
	/* The child lives, and has nothing that keeps the name. */
	start_ns = now_ns();
	MUST(open_within(&options, 5000, &named));
	cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	cr_assert(evr_named_was_created(named));
	SET(forker->end, 1);
	cr_assert(HOLDS_WITHIN(5000, GET(forker->end) == 2));
	MUST(forker->reopened);
	cr_assert_eq(serving(board->address), getpid());
	cr_assert_eq(names_in(board->directory), 1, "the child has removed the file");
	kill(forker->child, SIGKILL);
	evr_named_close(named);
	remove_board(board);
}

Test(named_who, a_standby_that_forks_is_not_kept_by_its_child, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct forker *forker = shared_memory(sizeof(*forker));
	struct evr_named *named = NULL;
	pid_t standby;

	forker->address = board->address;
	standby = start_child(fork_and_wait, forker);
	MUST(open_within(&options, 1000, &named));
	SET(forker->go, 1);
	cr_assert(HOLDS_WITHIN(5000, GET(forker->ready)));
	end_child(standby);
	evr_named_close(named);
	MUST(evr_named_open(&options, 0, &named));
	cr_assert(evr_named_was_created(named));
	kill(forker->child, SIGKILL);
	evr_named_close(named);
	remove_board(board);
}

/* ---- who may ---- */

Test(named_who, a_symbolic_link_or_a_file_at_the_path_is_not_touched)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	char target[128];
	int fd;

	snprintf(target, sizeof(target), "%s/target", board->directory);
	cr_assert_eq(symlink(target, board->address), 0);
	FAILS(-ELOOP, drop_in(&options, 500));
	cr_assert_eq(access(target, F_OK), -1, "the link was followed");
	unlink(board->address);
	fd = open(board->address, O_CREAT | O_RDWR, 0600);
	cr_assert_eq(write(fd, "precious", 8), 8);
	FAILS(-EPROTO, drop_in(&options, 500));
	cr_assert_eq(lseek(fd, 0, SEEK_END), 8);
	cr_assert_eq(names_in(board->directory), 1);
	close(fd);
	remove_board(board);
}

struct stranger {
	const char *address;
	int plain;
	int allowed;
	uint32_t go;
	uint32_t in;
};

static void come_as_nobody(void *argument)
{
	struct stranger *stranger = argument;
	struct evr_named_options options = named_options(stranger->address);
	static const uint32_t root = 0;
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .uids = &root, .uids_count = 1};
	struct evr_named *named = NULL;

	CHILD_MUST(setgid(65534) == 0 && setuid(65534) == 0);
	while (!GET(stranger->go))
		sleep_ms(1);
	stranger->plain = open_within(&options, 5000, &named);
	options.policy = &policy;
	options.create = NULL;
	stranger->allowed = open_within(&options, 5000, &named);
	SET(stranger->in, 1);
	for (;;)
		pause();
}

/* He is in, and cannot listen in a directory of ours. */
Test(named_who, another_user_gets_in_by_policy_and_blocks_nobody_when_he_cannot_serve,
     .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct stranger *strangers = shared_memory(2 * sizeof(*strangers));
	uint32_t nobody = 65534;
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .uids = &nobody, .uids_count = 1};
	struct evr_named *named = NULL;
	uint64_t start_ns;
	pid_t children[2];
	int i;

	if (geteuid() != 0)
		cr_skip_test("another user wanted; run as root");
	cr_assert_eq(chmod(board->directory, 0755), 0);
	options.mode = 0666;
	for (i = 0; i < 2; i++) {
		strangers[i].address = board->address;
		children[i] = start_child(come_as_nobody, &strangers[i]);
	}
	MUST(open_within(&options, 1000, &named));
	SET(strangers[0].go, 1);
	cr_assert(HOLDS_WITHIN(10000, GET(strangers[0].in)));
	cr_assert_eq(strangers[0].plain, -EACCES);
	cr_assert_eq(strangers[0].allowed, -EACCES);
	end_child(children[0]);
	evr_named_close(named);

	options.policy = &policy;
	MUST(open_within(&options, 1000, &named));
	SET(strangers[1].go, 1);
	cr_assert(HOLDS_WITHIN(10000, GET(strangers[1].in)));
	cr_assert_eq(strangers[1].allowed, 0, "%d", strangers[1].allowed);
	evr_named_close(named);
	start_ns = now_ns();
	MUST(open_within(&options, 5000, &named));
	cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	cr_assert(evr_named_was_created(named));
	evr_named_close(named);
	end_child(children[1]);
	remove_board(board);
}

static void serve_as_nobody(void *argument)
{
	struct stranger *stranger = argument;
	struct evr_named_options options = named_options(stranger->address);
	static const uint32_t root = 0;
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .uids = &root, .uids_count = 1};
	struct evr_named *named = NULL;

	CHILD_MUST(setgid(65534) == 0 && setuid(65534) == 0);
	options.policy = &policy;
	stranger->allowed = open_within(&options, 5000, &named);
	SET(stranger->in, 1);
	for (;;)
		pause();
}

Test(named_who, a_region_of_another_user_is_taken_only_if_the_policy_says_so,
     .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct stranger *stranger = shared_memory(sizeof(*stranger));
	uint32_t nobody = 65534;
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .uids = &nobody, .uids_count = 1};
	pid_t child;

	if (geteuid() != 0)
		cr_skip_test("another user wanted; run as root");
	cr_assert_eq(chown(board->directory, 65534, 65534), 0);
	stranger->address = board->address;
	child = start_child(serve_as_nobody, stranger);
	cr_assert(HOLDS_WITHIN(10000, GET(stranger->in)));
	cr_assert_eq(stranger->allowed, 0, "%d", stranger->allowed);
	FAILS(-EACCES, drop_in(&options, 500));
	options.policy = &policy;
	MUST(drop_in(&options, 5000));
	end_child(child);
	remove_board(board);
}
