/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_named_death.c - named.h: who makes a region, gets into it or takes it over is
 * killed or stopped at each of its system calls. The next comer is somewhere within a
 * second, and nobody is ever in another region than he.
 */

#include "named.h"

#include <sys/ptrace.h>

#define STOPS_MAX 2000

struct walker {
	struct member member;
	pid_t thread; /* of the library's, in the child */
};

static struct walker *new_walkers(int count)
{
	return shared_memory(sizeof(struct walker) * (size_t)count);
}

/* Of a process with a traced thread: that one is to be waited for as well, and first. */
static void end_traced(pid_t child)
{
	int status;
	pid_t ended;

	kill(child, SIGKILL);
	do {
		ended = waitpid(-1, &status, __WALL);
		cr_assert_gt(ended, 0);
	} while (ended != child || WIFSTOPPED(status));
}

/* ---- the thread that opens ---- */

static void walk_in(void *argument)
{
	struct walker *walker = argument;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	run_member(&walker->member);
}

/* Starts one who opens the name, and stops him at a system call (each has two stops: on
 * the way in and on the way out). False: he was in before. */
static bool stop_at(struct walker *walker, const char *address, int stop,
		    pid_t *ret_child)
{
	pid_t child;
	int status;

	memset(walker, 0, sizeof(*walker));
	walker->member.address = address;
	walker->member.create = true;
	walker->member.go = 1;
	child = start_child(walk_in, walker);
	*ret_child = child;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(ptrace(PTRACE_SETOPTIONS, child, 0,
			    PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
		     0);
	while (stop-- > 0) {
		cr_assert_eq(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80),
			  "status %#x", status);
		if (GET(walker->member.in))
			return false;
	}
	return true;
}

/* The next one gets in within a second; whose region is it? */
static bool next_one_creates(const char *address, int stop, uint8_t id[16])
{
	struct evr_named_options options = named_options(address);
	struct evr_named *named = NULL;
	uint64_t start_ns = now_ns();
	bool created;

	cr_assert_eq(open_within(&options, 5000, &named), 0, "stop %d: %s", stop,
		     evr_error_detail());
	cr_assert_leq(now_ns() - start_ns, SECOND_NS, "stop %d: late", stop);
	created = evr_named_was_created(named);
	id_of(named, id);
	evr_named_close(named);
	return created;
}

Test(named_death, a_creator_killed_at_any_system_call_is_followed_by_another,
     .timeout = 120)
{
	struct host_board *board = new_board_in_memory();
	struct walker *walker = new_walkers(1);
	bool going = true;
	uint8_t id[16];
	int stop;

	for (stop = 1; going && stop < STOPS_MAX; stop++) {
		pid_t child;

		/* Odd ones begin with what the one before has left. */
		if (stop % 2)
			unlink(board->address);
		going = stop_at(walker, board->address, stop, &child);
		end_child(child);
		cr_assert(next_one_creates(board->address, stop, id));
		cr_assert_eq(names_in(board->directory), 0, "stop %d: left", stop);
	}
	cr_assert_gt(stop, 100, "only %d stops", stop);
	cr_assert_lt(stop, STOPS_MAX);
	remove_board(board);
}

Test(named_death, a_joiner_killed_at_any_system_call_changes_nothing, .timeout = 120)
{
	struct host_board *board = new_board_in_memory();
	struct walker *walker = new_walkers(2);
	bool going = true;
	uint8_t id[16];
	int stop;

	for (stop = 1; going && stop < STOPS_MAX; stop++) {
		struct member *member = &walker[1].member;
		pid_t server = member_that_is_in(member, board->address);
		pid_t child;

		going = stop_at(walker, board->address, stop, &child);
		end_child(child);
		cr_assert_not(next_one_creates(board->address, stop, id));
		cr_assert_arr_eq(id, member->id, 16, "stop %d", stop);
		end_child(server);
		cr_assert(next_one_creates(board->address, stop, id),
			  "stop %d: somebody seems to be there", stop);
		cr_assert_eq(names_in(board->directory), 0, "stop %d: left", stop);
	}
	cr_assert_gt(stop, 50, "only %d stops", stop);
	cr_assert_lt(stop, STOPS_MAX);
	remove_board(board);
}

/* He is stopped on his way in, and meanwhile who serves dies and a newcomer comes. */
Test(named_death, a_joiner_stopped_while_the_server_dies_is_never_in_another_region,
     .timeout = 300)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct walker *walker = new_walkers(2);
	struct member *member = &walker->member;
	int created = 0;
	int waited = 0;
	int old = 0;
	bool going = true;
	int stop;

	for (stop = 1; going && stop < STOPS_MAX; stop++) {
		pid_t server = member_that_is_in(&walker[1].member, board->address);
		struct evr_named *named = NULL;
		uint8_t id[16];
		pid_t child;
		int error;

		going = stop_at(walker, board->address, stop, &child);
		end_child(server);
		error = open_within(&options, 30, &named);
		if (error == 0) {
			id_of(named, id);
			created += evr_named_was_created(named);
		} else {
			cr_assert_eq(error, -ETIMEDOUT, "stop %d: %d", stop, error);
			waited++;
		}
		cr_assert_eq(ptrace(PTRACE_DETACH, child, 0, 0), 0);
		cr_assert(gets_in(member), "stop %d: %d", stop, member->error);
		if (error == 0)
			cr_assert_arr_eq(member->id, id, 16,
					 "stop %d: he is in another region", stop);
		old += same_region(member, &walker[1].member);
		end_child(child);
		evr_named_close(named);
		unlink(board->address);
	}
	/* Each of the three has happened. */
	cr_assert_gt(created, 20, "%d", created);
	cr_assert_gt(waited, 10, "%d", waited);
	cr_assert_gt(old, 0, "%d", old);
	cr_assert_lt(stop, STOPS_MAX);
	remove_board(board);
}

/* He has found nobody; then others come, and the one who serves them dies, before he goes
 * on. The only other member is stopped, so that nobody else listens in time. */
Test(named_death, a_creator_who_was_overtaken_makes_no_second_region, .timeout = 300)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct walker *walkers = new_walkers(2);
	struct member *member = &walkers[0].member;
	struct member *other = &walkers[1].member;
	bool going = true;
	int overtaken = 0;
	int stop;

	for (stop = 1; going && stop < STOPS_MAX; stop++) {
		struct evr_named *named = NULL;
		pid_t late = prepare_member(other, board->address);
		pid_t child;
		int error;

		going = stop_at(&walkers[0], board->address, stop, &child);
		error = open_within(&options, 20, &named);
		/* Else he has taken the place already, or serves even. */
		if (error == 0 && evr_named_was_created(named)) {
			let_in(other);
			stop_child(late);
			evr_named_close(named);
			cr_assert_eq(ptrace(PTRACE_DETACH, child, 0, 0), 0);
			/* As long as a creation takes, and more. */
			sleep_ms(10);
			cr_assert_not(GET(member->in), "stop %d: in what?", stop);
			kill(late, SIGCONT);
			cr_assert(gets_in(member), "stop %d: %d", stop, member->error);
			cr_assert(same_region(member, other), "stop %d", stop);
			overtaken++;
		} else {
			cr_assert(error == 0 || error == -ETIMEDOUT, "stop %d: %d", stop,
				  error);
			if (error == 0)
				evr_named_close(named);
		}
		end_child(late);
		end_child(child);
		unlink(board->address);
	}
	cr_assert_gt(overtaken, 10, "%d", overtaken);
	cr_assert_lt(stop, STOPS_MAX);
	remove_board(board);
}

/* ---- the thread that takes over ---- */

static pid_t other_thread(pid_t process)
{
	char path[64];
	struct dirent *entry;
	DIR *directory;
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", process);
	directory = opendir(path);
	cr_assert_neq(directory, NULL);
	while ((entry = readdir(directory)) != NULL)
		if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != process)
			found = atoi(entry->d_name);
	closedir(directory);
	cr_assert_gt(found, 0, "no thread of the library's");
	return found;
}

/* Stops the thread of a standby, kills who serves, and lets the thread go on by so many
 * stops. False: it waits for ever before. */
static bool take_over_until(pid_t standby, pid_t server, int stop)
{
	pid_t thread = other_thread(standby);
	int status;

	cr_assert_eq(ptrace(PTRACE_SEIZE, thread, 0,
			    PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
		     0);
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, thread, 0, 0), 0);
	cr_assert_eq(waitpid(thread, &status, __WALL), thread);
	end_child(server);
	while (stop-- > 0) {
		cr_assert_eq(ptrace(PTRACE_SYSCALL, thread, 0, 0), 0);
		if (!HOLDS_WITHIN(300,
				  waitpid(thread, &status, __WALL | WNOHANG) == thread))
			return false;
	}
	return true;
}

/* There is nobody else: newcomers wait for him, and no longer when he is dead. */
Test(named_death, one_who_takes_over_alone_is_waited_for_stopped_and_followed_dead,
     .timeout = 300)
{
	struct host_board *board = new_board_in_memory();
	struct evr_named_options options = named_options(board->address);
	struct walker *walkers = new_walkers(2);
	bool going = true;
	int waited = 0;
	uint8_t id[16];
	int stop;

	for (stop = 1; going && stop < STOPS_MAX; stop++) {
		pid_t server = member_that_is_in(&walkers[0].member, board->address);
		pid_t standby = member_that_is_in(&walkers[1].member, board->address);
		struct evr_named *named = NULL;
		int error;

		going = take_over_until(standby, server, stop);
		error = open_within(&options, 20, &named);
		if (error == 0) {
			cr_assert_not(evr_named_was_created(named),
				      "stop %d: a second region", stop);
			evr_named_close(named);
		} else {
			cr_assert_eq(error, -ETIMEDOUT, "stop %d: %d", stop, error);
			waited++;
		}
		end_traced(standby);
		cr_assert(next_one_creates(board->address, stop, id));
		cr_assert_eq(names_in(board->directory), 0, "stop %d: left", stop);
	}
	cr_assert_gt(waited, 50, "%d", waited);
	cr_assert_lt(stop, STOPS_MAX);
	remove_board(board);
}

Test(named_death, one_who_takes_over_and_is_killed_is_followed_by_another_member,
     .timeout = 300)
{
	struct host_board *board = new_board_in_memory();
	struct walker *walkers = new_walkers(3);
	bool going = true;
	uint8_t id[16];
	int stop;

	for (stop = 1; going && stop < STOPS_MAX; stop++) {
		pid_t server = member_that_is_in(&walkers[0].member, board->address);
		pid_t standby = member_that_is_in(&walkers[1].member, board->address);
		pid_t other = member_that_is_in(&walkers[2].member, board->address);

		/* So that it is the first one's turn for as long as it lives. */
		stop_child(other);
		going = take_over_until(standby, server, stop);
		end_traced(standby);
		kill(other, SIGCONT);
		cr_assert_not(next_one_creates(board->address, stop, id),
			      "stop %d: a second region", stop);
		cr_assert_arr_eq(id, walkers[2].member.id, 16);
		end_child(other);
		cr_assert(next_one_creates(board->address, stop, id));
		cr_assert_eq(names_in(board->directory), 0, "stop %d: left", stop);
	}
	cr_assert_gt(stop, 50, "only %d stops", stop);
	cr_assert_lt(stop, STOPS_MAX);
	remove_board(board);
}
