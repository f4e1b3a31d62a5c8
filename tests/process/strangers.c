/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * strangers.c - processes that have nothing in common but an address meet in a region:
 * other users, other namespaces, a chroot without /proc. They work, die, and are
 * recovered. Then whole groups are killed again and again, and nothing is left over.
 */

#include "process.h"

#include <dirent.h>
#include <sys/stat.h>

#define BLOCKS 256

static char directory[64];
static char address[80];

struct board {
	struct evr_atomic_u32 ready;
	struct evr_atomic_u32 met;
	struct evr_atomic_u32 listening;
	uint64_t took_ns[256];
};

static struct board *board;

static void set(struct evr_atomic_u32 *word, uint32_t value)
{
	evr_store_release_u32(word, value);
}

static bool wait_for(struct evr_atomic_u32 *word, uint32_t value, uint64_t seconds)
{
	uint64_t until_ns = now_ns() + seconds * SECOND_NS;

	while (evr_load_acquire_u32(word) < value) {
		if (now_ns() > until_ns)
			return false;
		sleep_us(100);
	}
	return true;
}

static int names_in(const char *path, const char *prefix)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!stream)
		return -1;
	while ((entry = readdir(stream)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 &&
			 strcmp(entry->d_name, "..") != 0 &&
			 strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(stream);
	return count;
}

/* ---- a host, which has the region, and serves ---- */

static void host_open(struct view *view)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = UINT64_C(1) << 20 };
	static const struct evr_pool_class classes[] = { { 64, BLOCKS, 0 } };
	struct evr_pool_options pool = { .size = sizeof(pool),
					 .classes = classes,
					 .classes_count = 1 };

	memset(view, 0, sizeof(*view));
	MUST(evr_region_create(&options, &view->region) == 0);
	MUST(evr_pool_create(view->region, &pool, &view->pool) == 0);
	MUST(evr_uring_create(view->pool, NULL, &view->uring) == 0);
	MUST(evr_agent_open(view->pool, &view->agent) == 0);
}

static bool everybody(void *context, const struct evr_credentials *who, bool listed)
{
	(void)context;
	(void)who;
	(void)listed;
	return true;
}

static const struct evr_meet_policy open_policy = { .size = sizeof(open_policy),
						    .allow = everybody };

static int listen_openly(struct evr_listener **ret)
{
	struct evr_listen_options options = { .size = sizeof(options),
					      .address = address,
					      .mode = 0666,
					      .policy = &open_policy };

	return evr_listen(&options, ret);
}

static int connect_openly(const char *to, struct evr_region **ret)
{
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = to,
					       .policy = &open_policy };

	return evr_connect(&options, now_ns() + 10 * SECOND_NS, ret, NULL);
}

/* ---- a stranger, who takes blocks and dies with them ---- */

/* 0, or the exit status that says what went wrong. */
static int work_and_hold(const char *to)
{
	struct view view = { 0 };
	struct evr_block block;

	if (connect_openly(to, &view.region) < 0) {
		fprintf(stderr, "a stranger: %s\n", evr_error_detail());
		return 20;
	}
	view_open(&view);
	for (int i = 0; i < 100; i++)
		if (evr_block_alloc(&view.agent, 64, &block) < 0)
			return 21;
	return 0;
}

/* The region's memory is not visible in any way but through the listener. */
static int be_another_user(const char *to)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 10;
	return work_and_hold(to);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return written ? 0 : -1;
}

/* In PID, mount, IPC and user namespaces of its own; process 1 of the first does it. */
static int be_in_namespaces(const char *to)
{
	char map[64];
	int status = -1;
	pid_t inner;

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC) < 0)
		return 77;
	(void)!write_file("/proc/self/setgroups", "deny");
	if (write_file("/proc/self/uid_map", map) < 0)
		return 77;
	inner = fork();
	if (inner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getpid() != 1)
			_exit(11);
		_exit(work_and_hold(to));
	}
	return waitpid(inner, &status, 0) == inner && WIFEXITED(status) ?
		       WEXITSTATUS(status) :
		       12;
}

/* In a root directory with nothing in it but the socket. */
static int be_in_a_chroot(const char *to)
{
	struct evr_region *region;
	int error;

	(void)to;
	if (chroot(directory) < 0 || chdir("/") < 0)
		return 10;
	if (access("/proc", F_OK) == 0)
		return 11;
	error = work_and_hold("/meet");
	/* What it did would not have been possible with the descriptor alone. */
	if (error == 0 && connect_openly("/meet", &region) == 0 &&
	    evr_region_attach(evr_region_fd(region), &region) != -ENOENT)
		error = 12;
	return error;
}

static void try_stranger(const char *name, int (*be)(const char *), bool wants_root)
{
	struct evr_listener *listener = NULL;
	struct evr_peer peer;
	struct view view;
	uint64_t until_ns;
	int status = -1;
	int arrived = 0;
	pid_t stranger;
	int fd;

	if (wants_root && geteuid() != 0) {
		report_skip(name, "root wanted", "run the tests as root");
		return;
	}
	host_open(&view);
	fd = inheritable(evr_region_fd(view.region));
	MUST(listen_openly(&listener) == 0);
	MUST(evr_listener_add(listener, view.region, "") == 0);
	stranger = fork();
	if (stranger == 0) {
		alarm(PROCESS_SECONDS_MAX);
		_exit(be(address));
	}
	until_ns = now_ns() + 20 * SECOND_NS;
	while (waitpid(stranger, &status, WNOHANG) == 0 && now_ns() < until_ns)
		if (evr_accept(listener, now_ns() + 10 * MILLISECOND_NS, &peer) == 0)
			arrived++;
	/* What the last one had said, and died. */
	while (evr_accept(listener, 0, &peer) == 0)
		arrived++;
	evr_listener_close(listener);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		report_skip(name, "no namespaces for this process",
			    "sysctl user.max_user_namespaces, or run as root");
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || arrived == 0)
		report_not_ok(name, "status %#x, %d arrived", status, arrived);
	else if (evr_participant_find_dead(view.region) != arrived)
		report_not_ok(name, "%d of %d are seen dead",
			      evr_participant_find_dead(view.region), arrived);
	else if (!recover_all(&view.agent, 5))
		report_not_ok(name, "not recovered in 5 s");
	else if (evr_agent_flush(&view.agent),
		 evr_pool_free_count(view.pool) != evr_pool_blocks(view.pool))
		report_not_ok(name, "%u of %u blocks came back",
			      evr_pool_free_count(view.pool), evr_pool_blocks(view.pool));
	else
		report_ok(name);
	view_close(&view);
	close(fd);
}

/* The other way round: the host is in namespaces of its own, and dies there. */
static void try_host_in_namespaces(const char *name)
{
	struct view view = { 0 };
	char map[64];
	pid_t outer;
	int error;

	set(&board->ready, 0);
	outer = fork();
	if (outer == 0) {
		pid_t inner;

		alarm(PROCESS_SECONDS_MAX);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(map, sizeof(map), "0 %u 1", geteuid());
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC) <
			    0 ||
		    write_file("/proc/self/uid_map", map) < 0)
			_exit(77);
		inner = fork();
		if (inner == 0) {
			struct evr_listener *listener = NULL;
			struct view own;
			struct evr_peer peer;
			struct evr_block block;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			host_open(&own);
			MUST(listen_openly(&listener) == 0);
			MUST(evr_listener_add(listener, own.region, "") == 0);
			MUST(evr_block_alloc(&own.agent, 64, &block) == 0);
			set(&board->ready, 1);
			for (;;)
				(void)!evr_accept(listener, EVR_NEVER, &peer);
		}
		waitpid(inner, NULL, 0);
		_exit(0);
	}
	if (!wait_for(&board->ready, 1, 5)) {
		int status = 0;

		if (waitpid(outer, &status, WNOHANG) == outer && WIFEXITED(status) &&
		    WEXITSTATUS(status) == 77)
			report_skip(name, "no namespaces for this process",
				    "sysctl user.max_user_namespaces, or run as root");
		else
			report_not_ok(name, "the host did not start");
		return;
	}
	error = connect_openly(address, &view.region);
	if (error < 0) {
		report_not_ok(name, "%s", evr_error_detail());
		kill(outer, SIGKILL);
		waitpid(outer, NULL, 0);
		return;
	}
	view_open(&view);
	kill(outer, SIGKILL);
	waitpid(outer, NULL, 0);
	/* Its namespaces' process 1 goes a moment later. */
	for (int i = 0; i < 2000 && evr_participant_find_dead(view.region) == 0; i++)
		sleep_us(1000);
	if (!recover_all(&view.agent, 5))
		report_not_ok(name, "not recovered in 5 s");
	else if (evr_agent_flush(&view.agent),
		 evr_pool_free_count(view.pool) != evr_pool_blocks(view.pool))
		report_not_ok(name, "%u of %u blocks came back",
			      evr_pool_free_count(view.pool), evr_pool_blocks(view.pool));
	else
		report_ok(name);
	view_close(&view);
}

/* ---- whole groups, killed ---- */

static void member(uint64_t seed)
{
	struct view view = { 0 };

	for (;;) {
		struct evr_block block;
		struct evr_region *region;

		if (connect_openly(address, &region) < 0) {
			sleep_us(200);
			continue;
		}
		memset(&view, 0, sizeof(view));
		view.region = region;
		view_open(&view);
		for (int i = 0; i < 50; i++)
			if (evr_block_alloc(&view.agent, 64, &block) == 0 &&
			    next_random(&seed) % 4 != 0)
				(void)!evr_block_free(&view.agent, block.token);
		evr_fetch_add_relaxed_u32(&board->met, 1);
		view_close(&view);
	}
}

/* One listens, the others come and go. */
static void run_group(uint64_t seed)
{
	struct evr_listener *listener = NULL;
	uint64_t start_ns = now_ns();
	struct evr_peer peer;
	struct view view;

	setpgid(0, 0);
	alarm(PROCESS_SECONDS_MAX);
	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			alarm(PROCESS_SECONDS_MAX);
			member(seed + (uint64_t)i);
			_exit(0);
		}
	host_open(&view);
	/* The group before may not quite have ended: its processes are killed one by
	 * one. */
	while (listen_openly(&listener) < 0 && now_ns() - start_ns < 5 * SECOND_NS)
		sleep_us(100);
	MUST(listener && evr_listener_add(listener, view.region, "") == 0);
	board->took_ns[evr_load_relaxed_u32(&board->listening)] = now_ns() - start_ns;
	evr_fetch_add_relaxed_u32(&board->listening, 1);
	for (;;) {
		(void)!evr_accept(listener, now_ns() + MILLISECOND_NS, &peer);
		(void)!evr_recover(&view.agent, NULL);
	}
}

static int sockets_with(const char *text)
{
	FILE *file = fopen("/proc/net/unix", "r");
	char line[512];
	int count = 0;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		count += strstr(line, text) != NULL;
	fclose(file);
	return count;
}

static void try_groups(uint64_t seed)
{
	const char *overtakes =
		"when a whole group was killed another listens within 1 s";
	const char *leaves =
		"100 groups killed leave no more than one file, and no memory, "
		"socket or process";
	uint32_t rounds = report_quick() ? 30 : 100;
	int shm_before = names_in("/dev/shm", "");
	struct evr_listener *listener = NULL;
	uint64_t longest_ns = 0;
	bool group_left = false;
	bool late;
	int names;
	uint32_t i;

	set(&board->listening, 0);
	set(&board->met, 0);
	for (i = 0; i < rounds; i++) {
		uint32_t listened = evr_load_acquire_u32(&board->listening);
		pid_t group = fork();

		if (group == 0) {
			run_group(seed + i);
			_exit(0);
		}
		setpgid(group, group);
		/* Some are killed before they listen, most at work. */
		late = next_random(&seed) % 8 != 0 &&
		       !wait_for(&board->listening, listened + 1, 10);
		sleep_us(next_random(&seed) % 5000);
		kill(-group, SIGKILL);
		waitpid(group, NULL, 0);
		for (int tries = 0; kill(-group, 0) == 0 && tries < 2000; tries++) {
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
			sleep_us(500);
		}
		group_left = group_left || kill(-group, 0) == 0;
		if (late)
			break;
	}
	for (uint32_t j = 0; j < evr_load_acquire_u32(&board->listening); j++)
		if (board->took_ns[j] > longest_ns)
			longest_ns = board->took_ns[j];
	printf("%u groups, %u listened, %u meetings; the slowest took %.1f ms\n", i,
	       evr_load_acquire_u32(&board->listening), evr_load_acquire_u32(&board->met),
	       (double)longest_ns / 1e6);
	if (i < rounds || longest_ns > SECOND_NS)
		report_not_ok(overtakes, "round %u of %u, %.3f s", i, rounds,
			      (double)longest_ns / 1e9);
	else if (evr_load_acquire_u32(&board->met) == 0)
		report_not_ok(overtakes, "nobody ever met");
	else
		report_ok(overtakes);

	/* Who was killed inside evr_listen() may have left a name; who listens next
	 * sweeps it up. That is all that there ever is. */
	MUST(listen_openly(&listener) == 0);
	names = names_in(directory, "");
	evr_listener_close(listener);
	if (names != 1 || names_in(directory, "") != 0)
		report_not_ok(leaves, "%d names, then %d", names,
			      names_in(directory, ""));
	else if (names_in("/dev/shm", "") != shm_before)
		report_not_ok(leaves, "%d names in /dev/shm, %d before",
			      names_in("/dev/shm", ""), shm_before);
	else if (sockets_with(directory) > 0)
		report_not_ok(leaves, "%d sockets", sockets_with(directory));
	else if (group_left)
		report_not_ok(leaves, "processes of a group");
	else
		report_ok(leaves);
}

/* ---- how long it takes ---- */

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* evr_connect() until the first answer, everything opened in between. */
static void measure(void)
{
	const char *name =
		"from connecting to the first round trip it takes milliseconds";
	uint64_t took_ns[101];
	pid_t server = fork();
	uint64_t worst_ns = 100 * MILLISECOND_NS;
	int i;

	if (server == 0) {
		struct evr_listener *listener = NULL;
		struct evr_completer *completer;
		struct evr_request request;
		struct evr_peer peer;
		struct view view;

		alarm(PROCESS_SECONDS_MAX);
		host_open(&view);
		MUST(evr_completer_open(view.uring, &view.agent, NULL, &completer) == 0);
		MUST(listen_openly(&listener) == 0);
		MUST(evr_listener_add(listener, view.region, "") == 0);
		set(&board->ready, 2);
		for (;;) {
			(void)!evr_accept(listener, 0, &peer);
			if (evr_completer_receive(completer, &request,
						  now_ns() + MILLISECOND_NS / 10) == 0)
				MUST(evr_completer_complete(completer,
							    request.block.token, 0,
							    request.length_bytes) == 0);
		}
	}
	MUST(wait_for(&board->ready, 2, 10));
	for (i = 0; i < 101; i++) {
		struct evr_request request = { .length_bytes = 8 };
		struct evr_submitter *submitter;
		struct evr_completion done;
		struct view view = { 0 };
		uint64_t start_ns = now_ns();

		MUST(connect_openly(address, &view.region) == 0);
		view_open(&view);
		MUST(evr_submitter_open(view.uring, &view.agent, NULL, &submitter) == 0);
		MUST(evr_block_alloc(&view.agent, 8, &request.block) == 0);
		MUST(evr_submitter_submit(submitter, &request, EVR_NEVER) == 0);
		MUST(evr_submitter_reap(submitter, &done, now_ns() + 5 * SECOND_NS) == 0);
		took_ns[i] = now_ns() - start_ns;
		MUST(evr_block_free(&view.agent, done.block.token) == 0);
		evr_submitter_close(submitter);
		view_close(&view);
	}
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	qsort(took_ns, 101, sizeof(took_ns[0]), by_size);
	printf("from connecting to the first round trip, of 101: median %.3f ms, 90 %% "
	       "%.3f ms, longest %.3f ms\n",
	       (double)took_ns[50] / 1e6, (double)took_ns[90] / 1e6,
	       (double)took_ns[100] / 1e6);
	if (took_ns[50] < worst_ns)
		report_ok(name);
	else
		report_not_ok(name, "%.1f ms", (double)took_ns[50] / 1e6);
}

int main(int argc, char **argv)
{
	uint64_t seed = option(argc, argv, "seed", "EVR_SEED", now_ns());

	alarm(PROCESS_SECONDS_MAX);
	/* What dies without its parent becomes ours to bury. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	printf("seed: %llu (--seed=N or EVR_SEED=N to repeat)\n",
	       (unsigned long long)seed);
	board = board_map(board_create(sizeof(*board)), sizeof(*board));
	strcpy(directory, "/tmp/evr-strangers-XXXXXX");
	MUST(mkdtemp(directory) && chmod(directory, 0755) == 0);
	snprintf(address, sizeof(address), "%s/meet", directory);

	try_stranger(
		"a process of another user works in the region, dies and is recovered",
		be_another_user, true);
	try_stranger("a process in PID, mount, IPC and user namespaces of its own works, "
		     "dies and is recovered",
		     be_in_namespaces, false);
	try_stranger("a process in a chroot without /proc works, dies and is recovered",
		     be_in_a_chroot, true);
	try_host_in_namespaces(
		"a host in namespaces of its own is seen dead and recovered outside");
	measure();
	unlink(address);
	try_groups(seed);
	MUST(rmdir(directory) == 0);
	return report_end();
}
