/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_meet_name.c - meet.h: descriptors from the service manager, and where a name's
 * socket lies. Each test is a process, so it may change its environment.
 */

#include "meet.h"

#include <fcntl.h>

/* The tests' own descriptor 3 and 4, as a service manager leaves them: not close-on-exec,
 * from the first instruction on. */
struct passed {
	char address[96];
	const char *names;
	const char *count;
	int64_t pid; /* 0: the child's own */
	void (*act)(void);
};

static void pass(void *argument)
{
	struct passed *passed = argument;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct evr_region *region = child_region_of(1 << 20);
	char pid[32];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(name.sun_path, passed->address);
	CHILD_MUST(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
	CHILD_MUST(listen(fd, 5) == 0);
	fd = fcntl(fd, F_DUPFD, 100);
	int memory = fcntl(evr_region_fd(region), F_DUPFD, 100);
	CHILD_MUST(dup2(fd, 3) == 3 && dup2(memory, 4) == 4);
	snprintf(pid, sizeof(pid), "%lld",
		 (long long)(passed->pid ? passed->pid : getpid()));
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", passed->count, 1);
	if (passed->names)
		setenv("LISTEN_FDNAMES", passed->names, 1);
	passed->act();
}

static void in_a_child(struct passed passed)
{
	struct host_board *board = new_board();

	if (!passed.count)
		passed.count = "2";
	strcpy(passed.address, board->address);
	child_succeeds(start_child(pass, &passed));
	remove_board(board);
}

static void use_both(void)
{
	struct evr_listen_options options = { .size = sizeof(options) };
	struct evr_listener *listener = NULL;
	struct evr_region *region = NULL;
	struct evr_region *met = NULL;
	struct evr_peer peer;
	struct sockaddr_un name;
	socklen_t bytes = sizeof(name);
	int fd = -1;
	pid_t child;

	CHILD_MUST(evr_inherited_fd("memory", &fd) == 0 && fd == 4);
	CHILD_MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHILD_MUST(evr_region_attach(fd, &region) == 0);
	CHILD_MUST(evr_inherited_fd(NULL, &options.fd) == 0 && options.fd == 3);
	CHILD_MUST(evr_inherited_fd("meet", &options.fd) == 0 && options.fd == 3);
	CHILD_MUST(getsockname(3, (struct sockaddr *)&name, &bytes) == 0);
	CHILD_MUST(evr_listen(&options, &listener) == 0);
	CHILD_MUST(evr_listener_add(listener, region, "") == 0);
	child = fork();
	if (child == 0)
		_exit(connect_within(name.sun_path, "", 5000, &met) == 0 ? 0 : 1);
	CHILD_MUST(evr_accept(listener, now_ns() + 5 * SECOND_NS, &peer) == 0);
	CHILD_MUST(waitpid(child, NULL, 0) == child);
	evr_listener_close(listener);
	/* The file is the service manager's. */
	CHILD_MUST(access(name.sun_path, F_OK) == 0);
}

Test(meet_name, what_the_service_manager_passed_is_found_by_name_and_works, .timeout = 20)
{
	in_a_child((struct passed){ .names = "meet:memory", .act = use_both });
}

static void find_none(void)
{
	int fd = -77;

	CHILD_MUST(evr_inherited_fd("third", &fd) == -ENOENT);
	CHILD_MUST(strstr(evr_error_detail(), "third"));
	CHILD_MUST(evr_inherited_fd("mee", &fd) == -ENOENT);
	CHILD_MUST(evr_inherited_fd("", &fd) == -ENOENT);
	CHILD_MUST(fd == -77);
}

Test(meet_name, a_name_that_was_not_passed_is_not_found)
{
	in_a_child((struct passed){ .names = "meet:memory", .act = find_none });
	/* A name beyond the count is nobody's. */
	in_a_child((struct passed){ .names = "meet:memory:third", .act = find_none });
}

static void find_nothing_at_all(void)
{
	int fd = -77;

	CHILD_MUST(evr_inherited_fd(NULL, &fd) == -ENOENT && fd == -77);
}

static void find_nonsense(void)
{
	int fd = -77;

	CHILD_MUST(evr_inherited_fd(NULL, &fd) == -EINVAL && fd == -77);
}

static void find_closed(void)
{
	int fd = -77;

	close(3);
	CHILD_MUST(evr_inherited_fd(NULL, &fd) == -EBADF && fd == -77);
}

Test(meet_name, what_was_passed_to_another_process_is_not_ours)
{
	in_a_child((struct passed){ .pid = 1, .act = find_nothing_at_all });
	in_a_child((struct passed){ .count = "0", .act = find_nothing_at_all });
	in_a_child((struct passed){ .pid = -1, .act = find_nonsense });
	in_a_child((struct passed){ .count = "2 ", .act = find_nonsense });
	in_a_child(
		(struct passed){ .count = "99999999999999999999", .act = find_nonsense });
	in_a_child((struct passed){ .act = find_closed });
	unsetenv("LISTEN_PID");
	find_nothing_at_all();
}

Test(meet_name, a_descriptor_that_is_no_listening_socket_of_the_kind_is_refused)
{
	struct evr_listen_options options = { .size = sizeof(options) };
	struct evr_listener *listener = NULL;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	options.fd = ends[0];
	FAILS(-EPROTOTYPE, evr_listen(&options, &listener));
	options.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FAILS(-EPROTOTYPE, evr_listen(&options, &listener));
	cr_assert(strstr(evr_error_detail(), "ListenSequentialPacket"), "%s",
		  evr_error_detail());
	options.fd = open("/dev/null", O_RDWR);
	FAILS(-EPROTOTYPE, evr_listen(&options, &listener));
	options.fd = 1000;
	FAILS(-EBADF, evr_listen(&options, &listener));
}

/* ---- names ---- */

static char path[256];

static int path_of(const char *name)
{
	strcpy(path, "untouched");
	return evr_meet_path(name, path, sizeof(path));
}

Test(meet_name, a_name_has_few_characters_and_no_dot_in_front)
{
	struct host_board *board = new_board();
	char name[66];

	setenv("EVERING_RUNTIME_DIR", board->directory, 1);
	memset(name, 'x', 65);
	name[65] = '\0';
	FAILS(-EINVAL, path_of(name));
	FAILS(-EINVAL, path_of(""));
	FAILS(-EINVAL, path_of(".hidden"));
	FAILS(-EINVAL, path_of("../up"));
	FAILS(-EINVAL, path_of("a/b"));
	FAILS(-EINVAL, path_of("a b"));
	FAILS(-EINVAL, path_of("\303\251"));
	cr_assert_str_eq(path, "untouched");
	name[64] = '\0';
	MUST(path_of(name));
	MUST(path_of("A-z.0_9"));
	FAILS(-ENAMETOOLONG, evr_meet_path("abc", path, strlen(board->directory) + 4));
	MUST(evr_meet_path("abc", path, strlen(board->directory) + 5));
	remove_board(board);
}

Test(meet_name, the_directory_is_the_variables_then_the_users_runtime_directory)
{
	struct host_board *board = new_board();
	char expected[256];
	struct stat status;

	/* Slashes at its end make no difference. */
	snprintf(expected, sizeof(expected), "%s/run//", board->directory);
	setenv("EVERING_RUNTIME_DIR", expected, 1);
	setenv("XDG_RUNTIME_DIR", board->directory, 1);
	MUST(path_of("db"));
	snprintf(expected, sizeof(expected), "%s/run/db", board->directory);
	cr_assert_str_eq(path, expected);
	unsetenv("EVERING_RUNTIME_DIR");
	MUST(path_of("db"));
	snprintf(expected, sizeof(expected), "%s/evering/db", board->directory);
	cr_assert_str_eq(path, expected);
	snprintf(expected, sizeof(expected), "%s/evering", board->directory);
	cr_assert_eq(lstat(expected, &status), 0);
	cr_assert_eq(status.st_mode, (mode_t)(S_IFDIR | 0700));
	/* And then it is an address like any other. */
	MUST(listen_at(path, &(struct evr_listener *){ NULL }));
	remove_board(board);
}

static void fall_back(void *argument)
{
	struct stat status;

	(void)argument;
	unsetenv("EVERING_RUNTIME_DIR");
	unsetenv("XDG_RUNTIME_DIR");
	CHILD_MUST(setgid(60321) == 0 && setuid(60321) == 0);
	CHILD_MUST(path_of("db") == 0);
	CHILD_MUST(strcmp(path, "/tmp/evering-60321/db") == 0);
	CHILD_MUST(lstat("/tmp/evering-60321", &status) == 0);
	CHILD_MUST(status.st_mode == (S_IFDIR | 0700) && status.st_uid == 60321);
	CHILD_MUST(rmdir("/tmp/evering-60321") == 0);
	/* Another was there first. */
	CHILD_MUST(symlink("/tmp", "/tmp/evering-60321") == 0);
	CHILD_MUST(path_of("db") == -ELOOP);
	CHILD_MUST(unlink("/tmp/evering-60321") == 0);
}

Test(meet_name, without_either_it_is_in_tmp_for_a_user)
{
	if (geteuid() != 0)
		cr_skip_test("root wanted, to become a user without directories; run as "
			     "root");
	child_succeeds(start_child(fall_back, NULL));
}

Test(meet_name, a_directory_that_others_could_change_is_refused)
{
	struct host_board *board = new_board();
	char other[256];

	setenv("EVERING_RUNTIME_DIR", board->directory, 1);
	cr_assert_eq(chmod(board->directory, 0720), 0);
	FAILS(-EPERM, path_of("db"));
	cr_assert_eq(chmod(board->directory, 0702), 0);
	FAILS(-EPERM, path_of("db"));
	cr_assert_eq(chmod(board->directory, 0755), 0);
	MUST(path_of("db"));
	if (geteuid() == 0) {
		cr_assert_eq(chown(board->directory, 1234, -1), 0);
		FAILS(-EPERM, path_of("db"));
		cr_assert(strstr(evr_error_detail(), "1234"), "%s", evr_error_detail());
		cr_assert_eq(chown(board->directory, 0, -1), 0);
	}
	snprintf(other, sizeof(other), "%s/link", board->directory);
	cr_assert_eq(symlink(board->directory, other), 0);
	setenv("EVERING_RUNTIME_DIR", other, 1);
	FAILS(-ELOOP, path_of("db"));
	snprintf(other, sizeof(other), "%s/file", board->directory);
	close(open(other, O_CREAT | O_RDWR, 0600));
	setenv("EVERING_RUNTIME_DIR", other, 1);
	FAILS(-ENOTDIR, path_of("db"));
	snprintf(other, sizeof(other), "%s/not/there", board->directory);
	setenv("EVERING_RUNTIME_DIR", other, 1);
	FAILS(-ENOENT, path_of("db"));
	snprintf(other, sizeof(other), "/%0*d", 150, 0);
	setenv("EVERING_RUNTIME_DIR", other, 1);
	FAILS(-ENAMETOOLONG, path_of("db"));
	remove_board(board);
}
