/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_meet_serve.c - meet.h: a listener with a thread of the library's. */

#include "named.h"

/* visit() looks for what is left at once, and the other end is in this process, too. */
static int call_on(const char *address, const char *name)
{
	struct evr_region *region = NULL;
	int error = connect_within(address, name, 5000, &region);

	evr_region_detach(region);
	return error;
}

struct seen {
	uint32_t count;
	uint32_t number;
	struct evr_region *region;
	bool has_bells;
};

static void see(void *context, const struct evr_peer *peer)
{
	struct seen *seen = context;

	seen->number = peer->number;
	seen->region = peer->region;
	seen->has_bells = peer->bell_fd >= 0 && peer->own_fd >= 0;
	close(peer->bell_fd);
	close(peer->own_fd);
	SET(seen->count, seen->count + 1);
}

Test(meet_serve, clients_get_in_and_the_callback_hears_of_each)
{
	struct host_board *board = new_board();
	struct evr_connect_options to = {
		.size = sizeof(to), .address = board->address, .want_bells = true};
	struct evr_region *region = region_of(1 << 20);
	struct evr_region *joined = NULL;
	struct evr_listener *listener = NULL;
	struct seen seen = {0};
	struct evr_peer peer;

	MUST(listen_at(board->address, &listener));
	MUST(evr_listener_serve(listener, see, &seen));
	FAILS(-EALREADY, evr_listener_serve(listener, see, &seen));
	FAILS(-EINVAL, evr_accept(listener, 0, &peer));
	/* What is offered may change while it serves. */
	FAILS(-ENXIO, call_on(board->address, "later"));
	MUST(evr_listener_add_with_bells(listener, region, "later"));
	to.name = "later";
	MUST(evr_connect(&to, now_ns() + 5 * SECOND_NS, &joined, &peer));
	close(peer.bell_fd);
	close(peer.own_fd);
	cr_assert(HOLDS_WITHIN(5000, GET(seen.count) == 1));
	cr_assert_eq(seen.number, evr_region_number(joined));
	cr_assert_eq(seen.region, region);
	cr_assert(seen.has_bells);
	evr_region_detach(joined);
	MUST(evr_listener_remove(listener, "later"));
	FAILS(-ENXIO, call_on(board->address, "later"));
	evr_listener_close(listener);
	evr_region_detach(region);
	remove_board(board);
}

Test(meet_serve, closing_ends_the_thread_and_leaves_no_descriptor)
{
	struct host_board *board = new_board();
	struct evr_region *region = region_of(1 << 20);
	struct evr_listener *listener = NULL;
	int descriptors = open_descriptors();
	int before = threads();

	MUST(listen_at(board->address, &listener));
	MUST(evr_listener_add_with_bells(listener, region, ""));
	MUST(evr_listener_serve(listener, NULL, NULL));
	cr_assert_eq(threads(), before + 1);
	for (int i = 0; i < 20; i++)
		MUST(connect_within(board->address, "", 5000,
				    &(struct evr_region *){NULL}));
	evr_listener_close(listener);
	cr_assert_eq(threads(), before);
	cr_assert_eq(names_in(board->directory), 0);
	/* Those twenty are still in, with one each. */
	cr_assert_eq(open_descriptors(), descriptors + 20);
	evr_region_detach(region);
	remove_board(board);
}

Test(meet_serve, a_child_has_neither_thread_nor_descriptors_and_does_not_keep_the_address)
{
	struct host_board *board = new_board();
	struct evr_region *region = region_of(1 << 20);
	struct evr_listener *listener = NULL;
	int before = open_descriptors();
	pid_t child;

	MUST(listen_at(board->address, &listener));
	MUST(evr_listener_add(listener, region, ""));
	MUST(evr_listener_serve(listener, NULL, NULL));
	child = fork();
	if (child == 0) {
		CHILD_MUST(threads() == 1);
		CHILD_MUST(open_descriptors() == before);
		evr_listener_close(listener);
		CHILD_MUST(open_descriptors() == before);
		/* A grandchild, after it is gone. */
		if (fork() == 0)
			_exit(0);
		_exit(0);
	}
	child_succeeds(child);
	MUST(call_on(board->address, ""));
	child = fork();
	if (child == 0) {
		alarm(CHILD_SECONDS_MAX);
		for (;;)
			pause();
	}
	evr_listener_close(listener);
	FAILS(-ENOENT, call_on(board->address, ""));
	end_child(child);
	evr_region_detach(region);
	remove_board(board);
}

static bool allow_and_fork(void *context, const struct evr_credentials *who, bool listed)
{
	pid_t child = fork();

	(void)who;
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	SET(*(uint32_t *)context, 1);
	return listed;
}

Test(meet_serve, a_policy_that_forks_does_not_lock_itself_out)
{
	struct host_board *board = new_board();
	uint32_t asked = 0;
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .allow = allow_and_fork, .context = &asked};
	struct evr_listen_options at = {
		.size = sizeof(at), .address = board->address, .policy = &policy};
	struct evr_region *region = region_of(1 << 20);
	struct evr_listener *listener = NULL;

	MUST(evr_listen(&at, &listener));
	MUST(evr_listener_add(listener, region, ""));
	MUST(evr_listener_serve(listener, NULL, NULL));
	MUST(call_on(board->address, ""));
	cr_assert(GET(asked));
	evr_listener_close(listener);
	evr_region_detach(region);
	remove_board(board);
}
