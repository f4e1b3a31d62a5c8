/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_meet_death.c - meet.h: whoever got into a region through a listener and died is
 * seen dead, whatever the listener does meanwhile, and whoever forks.
 */

#include "meet.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "os.h"

/* The test's own view, and a server that offers the region. */
struct scene {
	struct host_board *board;
	struct evr_region *region;
	void (*beside)(void); /* in the server */
	uint32_t connected;
	bool traced;
};

static int alive_in(struct evr_region *region)
{
	uint32_t i;
	int alive = 0;

	MUST(evr_participant_find_dead(region));
	for (i = 0; i < evr_participant_records(region); i++) {
		struct evr_participant_info info;

		MUST(evr_participant_get(region, i, &info));
		alive += info.state == EVR_PARTICIPANT_ALIVE;
	}
	return alive;
}

static void serve(void *argument)
{
	struct scene *scene = argument;
	struct evr_region *region = NULL;
	struct evr_listener *listener = NULL;
	struct evr_peer peer;

	CHILD_MUST(evr_region_attach(evr_region_fd(scene->region), &region) == 0);
	CHILD_MUST(listen_at(scene->board->address, &listener) == 0);
	CHILD_MUST(evr_listener_add_with_bells(listener, region, "") == 0);
	if (scene->beside)
		scene->beside();
	SET(scene->board->ready, 1);
	if (scene->traced) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
	}
	for (;;)
		if (evr_accept(listener, EVR_NEVER, &peer) == 0) {
			close(peer.bell_fd);
			close(peer.own_fd);
		}
}

static pid_t start_server(struct scene *scene)
{
	pid_t server;

	SET(scene->board->ready, 0);
	server = start_child(serve, scene);
	cr_assert(HOLDS_WITHIN(5000, GET(scene->board->ready)));
	return server;
}

static struct scene *new_scene(void)
{
	struct scene *scene = shared_memory(sizeof(*scene));
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = 1 << 20,
					      .participants = 1000 };

	scene->board = new_board_in_memory();
	MUST(evr_region_create(&options, &scene->region));
	return scene;
}

/* Gets in, if it can, and dies. */
static void come_and_die(void *argument)
{
	struct scene *scene = argument;
	struct evr_region *region;

	if (connect_within(scene->board->address, "", 100, &region) == 0)
		__atomic_add_fetch(&scene->connected, 1, __ATOMIC_ACQ_REL);
}

/* Were the server to have the description of a client's lock open for one instant in
 * which the client has it too, the one that is stopped there would keep it alive. */
Test(meet_death, a_server_stopped_at_any_system_call_keeps_no_dead_client_alive,
     .timeout = 60)
{
	struct scene *scene = new_scene();
	uint32_t before = 0;
	int attached = 0;
	int stop;

	scene->traced = true;
	for (stop = 1; stop < 80; stop++) {
		pid_t server = start_server(scene);
		pid_t client = 0;
		int status;
		int i;

		cr_assert_eq(waitpid(server, &status, 0), server);
		ptrace(PTRACE_SETOPTIONS, server, 0,
		       PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
		/* The first stops are waiting for somebody. */
		client = start_child(come_and_die, scene);
		for (i = 0; i < stop; i++) {
			cr_assert_eq(ptrace(PTRACE_SYSCALL, server, 0, 0), 0);
			/* It waits for ever in the end: nobody else comes. */
			if (!HOLDS_WITHIN(1000,
					  waitpid(server, &status, WNOHANG) == server))
				break;
		}
		/* The client has long given up, or got in; then it is dead. */
		child_succeeds(client);
		cr_assert_eq(alive_in(scene->region), 2, "stop %d: %d alive", stop,
			     alive_in(scene->region));
		attached += GET(scene->connected) != before;
		before = GET(scene->connected);
		end_child(server);
		cr_assert_eq(alive_in(scene->region), 1);
		if (i < stop)
			break;
	}
	cr_assert_gt(stop, 20, "only %d stops", stop);
	cr_assert_lt(stop, 80);
	cr_assert_gt(attached, 2, "%d clients got in", attached);
	remove_board(scene->board);
}

static void come_traced(void *argument)
{
	struct scene *scene = argument;
	struct evr_region *region;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	if (connect_within(scene->board->address, "", 5000, &region) == 0)
		__atomic_add_fetch(&scene->connected, 1, __ATOMIC_ACQ_REL);
	for (;;)
		pause();
}

Test(meet_death,
     a_client_at_any_system_call_delays_nobody_stopped_and_is_dead_when_killed,
     .timeout = 60)
{
	struct scene *scene = new_scene();
	pid_t server = start_server(scene);
	int in_halfway = 0;
	int stop;

	for (stop = 1; stop < 200 && GET(scene->connected) == 0; stop++) {
		pid_t client = start_child(come_traced, scene);
		uint64_t start_ns;
		int status;
		int i;

		cr_assert_eq(waitpid(client, &status, 0), client);
		ptrace(PTRACE_SETOPTIONS, client, 0,
		       PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
		for (i = 0; i < stop && GET(scene->connected) == 0; i++) {
			cr_assert_eq(ptrace(PTRACE_SYSCALL, client, 0, 0), 0);
			cr_assert_eq(waitpid(client, &status, 0), client);
			cr_assert(WIFSTOPPED(status), "status %#x", status);
		}
		start_ns = now_ns();
		MUST(visit(scene->board->address, ""));
		cr_assert_leq(now_ns() - start_ns, SECOND_NS);
		in_halfway += GET(scene->connected) == 0 && alive_in(scene->region) == 3;
		end_child(client);
		cr_assert_eq(alive_in(scene->region), 2, "stop %d: %d alive", stop,
			     alive_in(scene->region));
	}
	cr_assert_eq(GET(scene->connected), 1, "it never got in");
	cr_assert_gt(stop, 30, "only %d stops", stop);
	cr_assert_gt(in_halfway, 1, "%d stops when it was in", in_halfway);
	end_child(server);
	remove_board(scene->board);
}

/* ---- forks ---- */

static void *fork_for_ever(void *argument)
{
	(void)argument;
	for (;;) {
		pid_t child = fork();

		if (child == 0) {
			alarm(3);
			pause();
			_exit(0);
		}
		usleep(200);
		waitpid(-1, NULL, WNOHANG);
	}
	return NULL;
}

static void begin_to_fork(void)
{
	pthread_t thread;

	CHILD_MUST(pthread_create(&thread, NULL, fork_for_ever, NULL) == 0);
}

Test(meet_death, a_server_that_forks_at_any_moment_keeps_no_dead_client_alive,
     .timeout = 60)
{
	struct scene *scene = new_scene();
	pid_t server;
	int i;

	scene->beside = begin_to_fork;
	server = start_server(scene);
	for (i = 0; i < 100; i++) {
		struct evr_region *region;
		pid_t client = fork();

		if (client == 0) {
			alarm(CHILD_SECONDS_MAX);
			_exit(connect_within(scene->board->address, "", 5000, &region) ==
					      0 ?
				      0 :
				      1);
		}
		child_succeeds(client);
	}
	cr_assert_eq(alive_in(scene->region), 2, "%d alive", alive_in(scene->region));
	end_child(server);
	remove_board(scene->board);
}

static void come_forking_and_die(void *argument)
{
	struct scene *scene = argument;
	struct evr_region *region;
	int i;

	begin_to_fork();
	for (i = 0; i < 40; i++)
		CHILD_MUST(connect_within(scene->board->address, "", 5000, &region) == 0);
	kill(getpid(), SIGKILL);
}

Test(meet_death, a_client_that_forks_at_any_moment_is_not_kept_alive_by_its_children,
     .timeout = 60)
{
	struct scene *scene = new_scene();
	pid_t server = start_server(scene);
	pid_t client = start_child(come_forking_and_die, scene);
	int status = 0;

	cr_assert_eq(waitpid(client, &status, 0), client);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
	cr_assert_eq(alive_in(scene->region), 2, "%d alive", alive_in(scene->region));
	end_child(server);
	remove_board(scene->board);
}

/* ---- a member that closes what it did not open ---- */

static void come_and_close_all(void *argument)
{
	struct scene *scene = argument;
	struct evr_region *region;

	CHILD_MUST(connect_within(scene->board->address, "", 5000, &region) == 0);
	CHILD_MUST(syscall(SYS_close_range, 3, ~0U, 0) == 0);
	SET(scene->connected, 1);
	for (;;)
		pause();
}

Test(meet_death, a_member_that_closes_all_its_descriptors_is_alive_until_it_dies,
     .timeout = 20)
{
	struct scene *scene = new_scene();
	pid_t server = start_server(scene);
	pid_t client = start_child(come_and_close_all, scene);

	cr_assert(HOLDS_WITHIN(5000, GET(scene->connected)));
	cr_assert_eq(alive_in(scene->region), 3);
	kill(client, SIGSTOP);
	cr_assert_eq(alive_in(scene->region), 3);
	end_child(client);
	cr_assert_eq(alive_in(scene->region), 2);
	end_child(server);
	remove_board(scene->board);
}

/* ---- carriers, from near by ---- */

Test(meet_death, what_is_in_a_carrier_is_taken_once_and_is_nobody_elses)
{
	struct evr_region *region = region_of(1 << 20);
	int fd = evr_region_fd(region);
	struct evri_os_hold hold;
	int before = open_descriptors();
	int carrier;

	MUST(evri_os_liveness_pack(fd, &carrier));
	cr_assert_eq(open_descriptors(), before + 1, "the description is still open");
	MUST(evri_os_liveness_prepare(fd, carrier, 4096, &hold));
	MUST(evri_os_liveness_lock(&hold, 99));
	cr_assert_eq(evri_os_liveness_test(fd, 99), 1);
	evri_os_liveness_unlock(&hold, 99);
	cr_assert_eq(evri_os_liveness_test(fd, 99), 0);
	MUST(evri_os_liveness_lock(&hold, 100));
	evri_os_liveness_finish(&hold, true);
	cr_assert_eq(evri_os_liveness_test(fd, 100), 1);
	cr_assert_lt(evri_os_liveness_prepare(fd, carrier, 4096, &hold), 0);
	/* Nor does the carrier keep it. */
	evri_os_liveness_drop(&hold);
	cr_assert_eq(evri_os_liveness_test(fd, 100), 0);
	evri_os_fd_close(carrier);
	cr_assert_eq(open_descriptors(), before);
	evr_region_detach(region);
}
