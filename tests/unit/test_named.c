/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_named.c - named.h: one region behind one name, whoever comes, leaves, is stopped
 * or dies. Who may: test_named_who.c; deaths at every system call: test_named_death.c;
 * many at once: tests/process/named.c.
 */

#include "named.h"

#include "os.h"

static struct member *new_members(int count)
{
	return shared_memory(sizeof(struct member) * (size_t)count);
}

static pid_t serving(const char *address)
{
	struct evri_os_credentials who = {0};

	return evri_os_socket_probe(address, &who) == 0 ? (pid_t)who.pid : 0;
}

/* ---- coming and going ---- */

Test(named, the_first_makes_the_region_and_the_second_gets_into_it)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct evr_named *first = NULL;
	struct evr_named *second = NULL;
	uint8_t ids[2][16];

	MUST(open_within(&options, 1000, &first));
	cr_assert(evr_named_was_created(first));
	MUST(open_within(&options, 5000, &second));
	cr_assert_not(evr_named_was_created(second));
	id_of(first, ids[0]);
	id_of(second, ids[1]);
	cr_assert_arr_eq(ids[0], ids[1], 16);
	cr_assert_neq(evr_region_number(evr_named_region(first)),
		      evr_region_number(evr_named_region(second)));
	evr_named_close(second);
	evr_named_close(first);
	cr_assert_eq(evr_named_close(NULL), NULL);
	remove_board(board);
}

Test(named, who_leaves_leaves_no_thread_no_descriptor_and_the_last_one_no_file)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct evr_named *first = NULL;
	int before = threads();

	MUST(drop_in(&options, 1000));
	cr_assert_eq(names_in(board->directory), 0);
	MUST(open_within(&options, 1000, &first));
	cr_assert_eq(threads(), before + 1);
	MUST(drop_in(&options, 5000));
	cr_assert_eq(threads(), before + 1, "a thread is left");
	cr_assert_eq(names_in(board->directory), 1);
	evr_named_close(first);
	cr_assert_eq(threads(), before);
	cr_assert_eq(names_in(board->directory), 0);
	remove_board(board);
}

Test(named, a_name_without_a_path_lies_where_evr_meet_path_says)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(NULL);
	struct evr_named *named = NULL;
	char path[108];

	setenv("EVERING_RUNTIME_DIR", board->directory, 1);
	options.name = "db";
	MUST(open_within(&options, 1000, &named));
	MUST(evr_meet_path("db", path, sizeof(path)));
	cr_assert_eq(serving(path), getpid());
	evr_named_close(named);
	options.name = "../db";
	FAILS(-EINVAL, drop_in(&options, 0));
	remove_board(board);
}

Test(named, without_create_nobody_makes_it)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *member = new_members(1);
	uint64_t start_ns = now_ns();
	pid_t child;

	options.create = NULL;
	FAILS(-ENOENT, evr_named_open(&options, 0, &(struct evr_named *){NULL}));
	cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	start_ns = now_ns();
	FAILS(-ETIMEDOUT, drop_in(&options, 100));
	cr_assert_geq(now_ns() - start_ns, 100 * MILLISECOND_NS);
	cr_assert_eq(names_in(board->directory), 0);
	/* Nor is what the dead have left a region. */
	child = member_that_is_in(member, board->address);
	MUST(drop_in(&options, 5000));
	end_child(child);
	FAILS(-ENOENT, evr_named_open(&options, 0, &(struct evr_named *){NULL}));
	remove_board(board);
}

Test(named, with_deadline_zero_it_is_made_and_nobody_is_waited_for)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct evr_named *named = NULL;
	struct evr_named *second = NULL;

	MUST(evr_named_open(&options, 0, &named));
	cr_assert(evr_named_was_created(named));
	FAILS(-ETIMEDOUT, evr_named_open(&options, 0, &second));
	evr_named_close(named);
	remove_board(board);
}

Test(named, options_that_cannot_be_are_refused)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);

	options.name = "both";
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options(NULL);
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options("@abstract");
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options("relative/path");
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options(board->address);
	options.flags = EVR_NAMED_VISITOR;
	FAILS(-EINVAL, drop_in(&options, 0));
	options.flags = 1U << 31;
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options(board->address);
	options.mode = 01000;
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options(board->address);
	options.standbys = 4097;
	FAILS(-EINVAL, drop_in(&options, 0));
	options = named_options("/nonexistent/directory/meet");
	FAILS(-ENOENT, drop_in(&options, 0));
	cr_assert_eq(names_in(board->directory), 0);
	remove_board(board);
}

/* ---- setting up ---- */

static int fail_to_set_up(void *context, struct evr_region *region)
{
	cr_assert_neq(region, NULL);
	return *(int *)context;
}

Test(named, a_set_up_that_fails_fails_the_call_and_leaves_nothing)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	/* Also errors that have a meaning of their own on the way. */
	int errors[] = {-EDOM, -EAGAIN, -EADDRINUSE, -EPIPE};
	int before = threads();

	options.setup = fail_to_set_up;
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		options.context = &errors[i];
		FAILS(errors[i], drop_in(&options, 1000));
		cr_assert_eq(names_in(board->directory), 0);
		cr_assert_eq(threads(), before);
	}
	options.setup = NULL;
	MUST(drop_in(&options, 1000));
	remove_board(board);
}

struct slow {
	uint32_t begun;
	uint32_t go_on;
};

static int slowly(void *context, struct evr_region *region)
{
	struct slow *slow = context;
	struct evr_pool_options options = fixture_pool_options();
	struct evr_pool *pool = NULL;
	int error;

	SET(slow->begun, 1);
	while (!GET(slow->go_on))
		sleep_ms(1);
	error = evr_pool_create(region, &options, &pool);
	evr_pool_close(pool);
	return error;
}

struct slow_creator {
	const char *address;
	struct slow slow;
	uint32_t in;
};

static void create_slowly(void *argument)
{
	struct slow_creator *creator = argument;
	struct evr_named_options options = named_options(creator->address);
	struct evr_named *named = NULL;

	options.setup = slowly;
	options.context = &creator->slow;
	CHILD_MUST(open_within(&options, 10000, &named) == 0);
	SET(creator->in, 1);
	for (;;)
		pause();
}

Test(named, others_wait_for_the_set_up_and_take_it_over_if_the_creator_dies,
     .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct slow_creator *creator = shared_memory(sizeof(*creator));
	struct evr_named_options options = named_options(board->address);
	struct evr_named *named = NULL;
	struct evr_pool *pool = NULL;
	struct member *waiting = new_members(1);
	pid_t child;
	pid_t other;

	creator->address = board->address;
	child = start_child(create_slowly, creator);
	cr_assert(HOLDS_WITHIN(5000, GET(creator->slow.begun)));
	FAILS(-ETIMEDOUT, drop_in(&options, 100));
	SET(creator->slow.go_on, 1);
	MUST(open_within(&options, 5000, &named));
	cr_assert_not(evr_named_was_created(named));
	MUST(evr_pool_open(evr_named_region(named), &pool));
	evr_pool_close(pool);
	evr_named_close(named);
	end_child(child);

	memset(creator, 0, sizeof(*creator));
	creator->address = board->address;
	child = start_child(create_slowly, creator);
	cr_assert(HOLDS_WITHIN(5000, GET(creator->slow.begun)));
	other = start_member(waiting, board->address);
	sleep_ms(20);
	end_child(child);
	cr_assert(gets_in(waiting), "%d", waiting->error);
	cr_assert(waiting->created);
	end_child(other);
	remove_board(board);
}

/* ---- who serves ---- */

Test(named, when_who_serves_leaves_another_member_serves, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *members = new_members(3);
	struct evr_named *named = NULL;
	pid_t children[2];
	uint8_t id[16];
	int i;

	for (i = 0; i < 2; i++)
		children[i] = prepare_member(&members[i], board->address);
	MUST(open_within(&options, 1000, &named));
	id_of(named, id);
	let_in(&members[0]);
	cr_assert_eq(serving(board->address), getpid());
	evr_named_close(named);
	cr_assert(HOLDS_WITHIN(5000, serving(board->address) == children[0]));
	let_in(&members[1]);
	cr_assert_not(members[1].created);
	cr_assert_arr_eq(members[1].id, id, 16);
	SET(members[0].leave, 1);
	child_succeeds(children[0]);
	cr_assert(HOLDS_WITHIN(5000, serving(board->address) == children[1]));
	SET(members[1].leave, 1);
	child_succeeds(children[1]);
	cr_assert_eq(names_in(board->directory), 0);
	remove_board(board);
}

Test(named, members_beyond_the_standbys_serve_too, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *members = new_members(4);
	struct evr_named *named = NULL;
	pid_t children[4];
	int i;

	options.standbys = 1;
	for (i = 0; i < 4; i++)
		children[i] = prepare_member(&members[i], board->address);
	MUST(open_within(&options, 1000, &named));
	for (i = 0; i < 3; i++)
		let_in(&members[i]);
	/* The only one that is told. */
	end_child(children[0]);
	evr_named_close(named);
	cr_assert(HOLDS_WITHIN(5000, serving(board->address) != 0));
	let_in(&members[3]);
	cr_assert(same_region(&members[3], &members[1]));
	for (i = 1; i < 4; i++)
		end_child(children[i]);
	remove_board(board);
}

/* A connection of a standby is not one of a client that says nothing. */
Test(named, standing_by_costs_no_place_in_the_handshake_and_lasts, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct evr_listener *listener = NULL;
	struct evr_listen_options at = {.size = sizeof(at),
					.address = board->address,
					.pending = 2,
					.standbys = 8};
	struct evr_region *region = region_of(1 << 20);
	struct evr_named_options options = named_options(board->address);
	struct evr_named *named[5] = {NULL};
	int before;
	int i;

	MUST(evr_listen(&at, &listener));
	MUST(evr_listener_add(listener, region, ""));
	MUST(evr_listener_serve(listener, NULL, NULL));
	options.create = NULL;
	for (i = 0; i < 5; i++)
		MUST(open_within(&options, 5000, &named[i]));
	before = open_descriptors();
	sleep_ms(EVR_MEET_PENDING_NS / MILLISECOND_NS + 500);
	cr_assert_eq(open_descriptors(), before, "a connection was dropped");
	for (i = 0; i < 5; i++)
		evr_named_close(named[i]);
	/* Each connection had two ends here, each member a lock, a thread's two
	 * descriptors and a region. */
	cr_assert(HOLDS_WITHIN(1000, open_descriptors() == before - 5 * 6),
		  "%d descriptors, %d before", open_descriptors(), before);
	evr_listener_close(listener);
	evr_region_detach(region);
	remove_board(board);
}

Test(named, nobody_takes_the_place_of_one_that_is_stopped, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *members = new_members(3);
	pid_t server = member_that_is_in(&members[0], board->address);
	pid_t other = member_that_is_in(&members[1], board->address);
	pid_t late;

	stop_child(server);
	FAILS(-ETIMEDOUT, drop_in(&options, 300));
	cr_assert_eq(serving(board->address), server);
	kill(server, SIGCONT);
	late = member_that_is_in(&members[2], board->address);
	cr_assert(same_region(&members[2], &members[0]));
	end_child(late);
	end_child(other);
	end_child(server);
	remove_board(board);
}

/* The gap between the death of who serves and the next one, made as long as one likes. */
Test(named, in_the_gap_nobody_makes_a_second_region, .timeout = 30)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *members = new_members(3);
	pid_t server = member_that_is_in(&members[0], board->address);
	pid_t other = member_that_is_in(&members[1], board->address);
	uint64_t start_ns;
	pid_t late;

	stop_child(other);
	end_child(server);
	cr_assert_eq(serving(board->address), 0);
	FAILS(-ETIMEDOUT, drop_in(&options, 300));
	cr_assert(strstr(evr_error_detail(), "members of its region live"), "%s",
		  evr_error_detail());
	/* Nor when somebody has removed the file. */
	cr_assert_eq(unlink(board->address), 0);
	FAILS(-ETIMEDOUT, drop_in(&options, 100));
	late = start_member(&members[2], board->address);
	sleep_ms(20);
	kill(other, SIGCONT);
	cr_assert(gets_in(&members[2]), "%d", members[2].error);
	cr_assert(same_region(&members[2], &members[1]));
	end_child(late);

	/* And when the stopped one is killed, it is over at once. */
	stop_child(other);
	end_child(other);
	start_ns = now_ns();
	MUST(drop_in(&options, 5000));
	cr_assert_leq(now_ns() - start_ns, SECOND_NS);
	remove_board(board);
}

Test(named, a_file_removed_by_hand_makes_no_second_region_either, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *members = new_members(1);
	pid_t server = member_that_is_in(&members[0], board->address);

	cr_assert_eq(unlink(board->address), 0);
	FAILS(-ETIMEDOUT, drop_in(&options, 100));
	cr_assert_eq(names_in(board->directory), 0);
	end_child(server);
	MUST(drop_in(&options, 5000));
	remove_board(board);
}

Test(named, another_name_in_the_same_directory_is_another_region)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct evr_named *first = NULL;
	struct evr_named *second = NULL;
	char path[108];

	snprintf(path, sizeof(path), "%s/other", board->directory);
	MUST(open_within(&options, 1000, &first));
	options.address = path;
	MUST(open_within(&options, 1000, &second));
	cr_assert(evr_named_was_created(second));
	evr_named_close(second);
	evr_named_close(first);
	remove_board(board);
}

Test(named, a_visitor_gets_in_and_is_nobody_to_wait_for, .timeout = 20)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct member *member = new_members(1);
	struct evr_named *visitor = NULL;
	pid_t server = member_that_is_in(member, board->address);
	int before = threads();

	options.create = NULL;
	options.flags = EVR_NAMED_VISITOR;
	MUST(open_within(&options, 5000, &visitor));
	cr_assert_eq(threads(), before);
	end_child(server);
	options = named_options(board->address);
	MUST(drop_in(&options, 1000));
	evr_named_close(visitor);
	remove_board(board);
}
