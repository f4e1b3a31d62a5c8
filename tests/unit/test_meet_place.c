/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_meet_place.c - meet.h: whose a path is. What may be replaced and what not, and one
 * winner only, whoever is killed or stopped at whichever system call on the way there.
 */

#include "meet.h"

#include <fcntl.h>
#include <sys/ptrace.h>

#include "os.h"

/* ---- what is there already ---- */

/* The file of one who is dead. */
static void leave_dead_file(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(name.sun_path, path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
}

static int listen_and_close(const char *address)
{
	struct evr_listener *listener = (struct evr_listener *)0x5a5a;
	int before = open_descriptors();
	int error = listen_at(address, &listener);

	if (error == 0)
		evr_listener_close(listener);
	else
		cr_assert_eq(listener, (struct evr_listener *)0x5a5a);
	cr_assert_eq(open_descriptors(), before, "a descriptor was left behind");
	return error;
}

Test(meet_place, the_file_appears_with_its_mode_and_group_whatever_the_umask)
{
	struct host_board *board = new_board();
	struct evr_listen_options options = { .size = sizeof(options),
					      .address = board->address };
	struct evr_listener *listener = NULL;
	struct stat status;

	MUST(evr_listen(&options, &listener));
	cr_assert_eq(lstat(board->address, &status), 0);
	cr_assert_eq(status.st_mode, (mode_t)(S_IFSOCK | 0600));
	evr_listener_close(listener);
	cr_assert_eq(names_in(board->directory), 0);

	umask(0077);
	options.mode = 0666;
	if (geteuid() == 0) {
		options.has_gid = true;
		options.gid = 777;
	}
	MUST(evr_listen(&options, &listener));
	cr_assert_eq(lstat(board->address, &status), 0);
	cr_assert_eq(status.st_mode, (mode_t)(S_IFSOCK | 0666));
	if (geteuid() == 0)
		cr_assert_eq(status.st_gid, 777);
	evr_listener_close(listener);
	remove_board(board);
}

Test(meet_place, a_symbolic_link_is_neither_followed_nor_touched)
{
	struct host_board *board = new_board();
	char target[128];

	snprintf(target, sizeof(target), "%s/target", board->directory);
	cr_assert_eq(symlink(target, board->address), 0);
	FAILS(-ELOOP, listen_and_close(board->address));
	FAILS(-ELOOP, visit(board->address, ""));
	cr_assert_eq(access(target, F_OK), -1, "the link was followed");
	leave_dead_file(target);
	FAILS(-ELOOP, listen_and_close(board->address));
	cr_assert_eq(names_in(board->directory), 2);
	remove_board(board);
}

Test(meet_place, a_file_that_is_no_socket_is_not_touched)
{
	struct host_board *board = new_board();
	int fd = open(board->address, O_CREAT | O_RDWR, 0600);
	struct stat status;

	cr_assert_eq(write(fd, "precious", 8), 8);
	FAILS(-EEXIST, listen_and_close(board->address));
	FAILS(-EPROTO, visit(board->address, ""));
	cr_assert_eq(stat(board->address, &status), 0);
	cr_assert_eq(status.st_size, 8);
	cr_assert_eq(names_in(board->directory), 1);
	unlink(board->address);
	cr_assert_eq(mkdir(board->address, 0700), 0);
	FAILS(-EEXIST, listen_and_close(board->address));
	remove_board(board);
}

Test(meet_place, a_directory_that_everybody_may_write_to_must_be_sticky)
{
	struct host_board *board = new_board();

	cr_assert_eq(chmod(board->directory, 0777), 0);
	FAILS(-EACCES, listen_and_close(board->address));
	cr_assert_eq(chmod(board->directory, 01777), 0);
	MUST(listen_and_close(board->address));
	remove_board(board);
}

Test(meet_place, a_path_that_cannot_be_one_is_refused)
{
	struct host_board *board = new_board();
	char path[320];

	snprintf(path, sizeof(path), "%s/missing/meet", board->directory);
	FAILS(-ENOENT, listen_and_close(path));
	snprintf(path, sizeof(path), "%s/", board->directory);
	FAILS(-EINVAL, listen_and_close(path));
	snprintf(path, sizeof(path), "%s/%0*d", board->directory, 100, 1);
	FAILS(-ENAMETOOLONG, listen_and_close(path));
	FAILS(-ENAMETOOLONG, visit(path, ""));
	FAILS(-EINVAL, listen_and_close("@"));
	cr_assert_eq(chdir(board->directory), 0);
	MUST(listen_and_close("relative"));
	cr_assert_eq(names_in("."), 0);
	remove_board(board);
}

Test(meet_place, a_dead_ones_file_is_replaced_and_a_living_ones_is_not, .timeout = 20)
{
	struct host_board *board = new_board();
	char process[64];
	pid_t host;

	leave_dead_file(board->address);
	host = plain_host(board);
	FAILS(-EADDRINUSE, listen_and_close(board->address));
	snprintf(process, sizeof(process), "process %d of uid %u", host, geteuid());
	cr_assert(strstr(evr_error_detail(), process), "%s", evr_error_detail());
	MUST(visit(board->address, ""));
	end_child(host);
	MUST(listen_and_close(board->address));
	cr_assert_eq(names_in(board->directory), 0);
	remove_board(board);
}

Test(meet_place, a_foreign_living_socket_of_another_kind_is_not_replaced)
{
	struct host_board *board = new_board();
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(name.sun_path, board->address);
	cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	cr_assert_eq(listen(fd, 5), 0);
	FAILS(-EADDRINUSE, listen_and_close(board->address));
	FAILS(-EPROTO, visit(board->address, ""));
	cr_assert_eq(names_in(board->directory), 1);
	remove_board(board);
}

Test(meet_place, closing_removes_the_file_only_if_it_is_still_ones_own)
{
	struct host_board *board = new_board();
	struct evr_listener *first = NULL;
	struct evr_listener *second = NULL;

	MUST(listen_at(board->address, &first));
	/* Somebody removed it by hand, and another came. */
	unlink(board->address);
	MUST(listen_at(board->address, &second));
	evr_listener_close(first);
	cr_assert_eq(names_in(board->directory), 1);
	evr_listener_close(second);
	cr_assert_eq(names_in(board->directory), 0);
	remove_board(board);
}

/* ---- several at once ---- */

struct race {
	char address[96];
	uint32_t go;
	uint32_t done;
	uint32_t end;
	int32_t result[8];
	int32_t pid[8];
};

struct racer {
	struct race *race;
	int index;
};

static void run_racer(void *argument)
{
	struct racer *racer = argument;
	struct race *race = racer->race;
	struct evr_listener *listener = NULL;

	race->pid[racer->index] = getpid();
	while (!GET(race->go))
		sched_yield();
	race->result[racer->index] = listen_at(race->address, &listener);
	__atomic_add_fetch(&race->done, 1, __ATOMIC_ACQ_REL);
	/* Who won listens on; without cleaning up, as the dead. */
	while (!GET(race->end))
		sleep_ms(1);
}

static pid_t who_listens(const char *address)
{
	struct evri_os_credentials who = { 0 };

	cr_assert_eq(evri_os_socket_probe(address, &who), 0);
	return (pid_t)who.pid;
}

/* Each round ends with a dead file, which the next one begins with. */
Test(meet_place, of_those_who_race_for_a_path_exactly_one_wins, .timeout = 60)
{
	struct host_board *board = new_board_in_memory();
	struct race *race = shared_memory(sizeof(*race));
	struct racer racers[4];
	pid_t children[4];
	int round;
	int i;

	strcpy(race->address, board->address);
	for (round = 0; round < 150; round++) {
		int winner = -1;

		race->go = race->done = race->end = 0;
		for (i = 0; i < 4; i++) {
			racers[i] = (struct racer){ race, i };
			children[i] = start_child(run_racer, &racers[i]);
		}
		SET(race->go, 1);
		cr_assert(HOLDS_WITHIN(10000, GET(race->done) == 4));
		for (i = 0; i < 4; i++) {
			if (race->result[i] == 0) {
				cr_assert_eq(winner, -1, "two won in round %d", round);
				winner = i;
			} else {
				cr_assert_eq(race->result[i], -EADDRINUSE, "%d",
					     race->result[i]);
			}
		}
		cr_assert_neq(winner, -1, "nobody won in round %d", round);
		cr_assert_eq(who_listens(race->address), race->pid[winner]);
		SET(race->end, 1);
		for (i = 0; i < 4; i++)
			child_succeeds(children[i]);
	}
	cr_assert_leq(names_in(board->directory), 2);
	MUST(listen_and_close(board->address));
	cr_assert_eq(names_in(board->directory), 0, "something was left behind");
	remove_board(board);
}

/* ---- killed and stopped at each system call ---- */

struct walk {
	char address[96];
	uint32_t done;
	int32_t result;
};

static void walk_in(void *argument)
{
	struct walk *walk = argument;
	struct evr_listener *listener = NULL;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	walk->result = listen_at(walk->address, &listener);
	SET(walk->done, 1);
	for (;;)
		pause();
}

/* Starts one who listens, and stops it at a system call (each has two stops: on the way
 * in and on the way out). False: it was done before. */
static bool stop_at(struct walk *walk, int stop, pid_t *ret_child)
{
	pid_t child;
	int status;

	walk->done = 0;
	walk->result = 1;
	child = start_child(walk_in, walk);
	*ret_child = child;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSTOPPED(status));
	cr_assert_eq(ptrace(PTRACE_SETOPTIONS, child, 0,
			    PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
		     0);
	while (stop-- > 0) {
		cr_assert_eq(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80),
			  "status %#x", status);
		if (GET(walk->done))
			return false;
	}
	return true;
}

#define STOPS_MAX 400

enum before { NOTHING, DEAD_FILE, DEAD_FILE_WITH_DEAD_CLAIM, BEFORES };

/* Where one who is killed leaves the dead one's file, a claim on it, and his own. */
static int stop_with_claim(struct walk *walk)
{
	int stop;

	for (stop = 1; stop < STOPS_MAX; stop++) {
		char directory[96];
		pid_t child;
		int names;

		strcpy(directory, walk->address);
		*strrchr(directory, '/') = '\0';
		unlink(walk->address);
		leave_dead_file(walk->address);
		stop_at(walk, stop, &child);
		end_child(child);
		names = names_in(directory);
		MUST(listen_and_close(walk->address));
		if (names == 3)
			return stop;
	}
	cr_assert(false, "nobody ever made a claim");
	return 0;
}

static void begin_with(struct walk *walk, enum before before)
{
	static int claim_stop;
	pid_t child;

	if (before == DEAD_FILE_WITH_DEAD_CLAIM && claim_stop == 0)
		claim_stop = stop_with_claim(walk);
	unlink(walk->address);
	if (before != NOTHING)
		leave_dead_file(walk->address);
	if (before == DEAD_FILE_WITH_DEAD_CLAIM) {
		stop_at(walk, claim_stop, &child);
		end_child(child);
	}
}

Test(meet_place, killed_at_any_system_call_the_next_one_listens_and_sweeps_up,
     .timeout = 60)
{
	struct host_board *board = new_board_in_memory();
	struct walk *walk = shared_memory(sizeof(*walk));
	enum before before;

	strcpy(walk->address, board->address);
	for (before = NOTHING; before < BEFORES; before++) {
		bool going = true;
		int stop;

		for (stop = 1; going && stop < STOPS_MAX; stop++) {
			uint64_t start_ns;
			pid_t child;

			begin_with(walk, before);
			going = stop_at(walk, stop, &child);
			end_child(child);
			start_ns = now_ns();
			cr_assert_eq(listen_and_close(board->address), 0, "stop %d: %s",
				     stop, evr_error_detail());
			cr_assert_leq(now_ns() - start_ns, SECOND_NS);
			cr_assert_eq(names_in(board->directory), 0,
				     "stop %d: something is left", stop);
		}
		cr_assert_gt(stop, 20, "%d stops", stop);
		cr_assert_lt(stop, STOPS_MAX);
	}
	remove_board(board);
}

/* The second finds the claim of the first, and both are dead when the third comes. */
Test(meet_place, two_killed_one_after_the_other_do_not_hold_up_the_third, .timeout = 120)
{
	struct host_board *board = new_board_in_memory();
	struct walk *walk = shared_memory(sizeof(*walk));
	bool first_going = true;
	int first;

	strcpy(walk->address, board->address);
	for (first = 1; first_going && first < STOPS_MAX; first += 2) {
		bool second_going = true;
		int second;

		for (second = 1; second_going && second < STOPS_MAX; second += 2) {
			pid_t child;

			begin_with(walk, DEAD_FILE);
			first_going = stop_at(walk, first, &child);
			end_child(child);
			second_going = stop_at(walk, second, &child);
			end_child(child);
			cr_assert_eq(listen_and_close(board->address), 0, "%d, %d: %s",
				     first, second, evr_error_detail());
			cr_assert_eq(names_in(board->directory), 0, "%d, %d: left", first,
				     second);
		}
	}
	remove_board(board);
}

Test(meet_place, stopped_at_any_system_call_and_overtaken_there_is_still_one_winner,
     .timeout = 60)
{
	struct host_board *board = new_board_in_memory();
	struct walk *walk = shared_memory(sizeof(*walk));
	int overtaken = 0;
	enum before before;

	strcpy(walk->address, board->address);
	for (before = NOTHING; before < BEFORES; before++) {
		bool going = true;
		int stop;

		for (stop = 1; going && stop < STOPS_MAX; stop++) {
			struct evr_listener *listener = NULL;
			uint64_t start_ns = now_ns();
			pid_t child;
			int ours;

			begin_with(walk, before);
			going = stop_at(walk, stop, &child);
			ours = listen_at(board->address, &listener);
			cr_assert(ours == 0 || ours == -EADDRINUSE, "stop %d: %d", stop,
				  ours);
			cr_assert_leq(now_ns() - start_ns, 2 * SECOND_NS);
			cr_assert_eq(ptrace(PTRACE_DETACH, child, 0, 0), 0);
			cr_assert(HOLDS_WITHIN(5000, GET(walk->done)));
			cr_assert_eq(walk->result, ours == 0 ? -EADDRINUSE : 0,
				     "stop %d: he got %d, we %d", stop, walk->result,
				     ours);
			cr_assert_eq(who_listens(board->address),
				     ours == 0 ? getpid() : child);
			overtaken += ours == 0;
			/* A name may stay that he made after we had swept up. */
			end_child(child);
			evr_listener_close(listener);
			MUST(listen_and_close(board->address));
			cr_assert_eq(names_in(board->directory), 0, "stop %d", stop);
		}
	}
	cr_assert_gt(overtaken, 10, "%d times", overtaken);
	remove_board(board);
}
