/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * leftovers.c - whole groups of processes are killed again and again, with SIGKILL, each
 * at a moment of its own, and the machine is as it was before.
 *
 * A group has all that a region knows: its creator, who listens at a path and at an
 * abstract name; those who submit and those who complete, who got in by the one and by
 * the other; one who sleeps; one who grows the region and its pool; and one with a region
 * of huge pages, where there are some. In every other round they are killed at once, in
 * the others one by one in any order, so that some see the others die.
 */

#include "machine.h"
#include "process.h"

#define MEMBERS 8
#define REGION_BYTES (UINT64_C(8) << 20)
#define RANGE_BYTES (UINT64_C(1) << 20)
#define RANGES 8
#define HUGE_BYTES (UINT64_C(2) << 20)
#define BLOCKS 256
#define QUIET "quiet" /* a uring that nobody submits to */

/* What other processes of this machine may take meanwhile: less than a tenth of what the
 * groups have together. */
#define SHMEM_TOLERANCE (REGION_BYTES / 10)

/* The kernel needs a moment after the last of a group is buried. */
#define SETTLE_NS (3 * SECOND_NS)

enum kind { BY_PATH, BY_NAME, ANSWERED, ASLEEP, GROWN, HUGE, KINDS };

static const char *const kind_names[KINDS] = { "met at the path", "met at the name",
					       "answered",	  "slept",
					       "grew",		  "had huge pages" };

struct board {
	struct evr_atomic_u32 counts[KINDS];
	struct evr_atomic_u32 met; /* in this round */
	struct evr_atomic_u32 pids[MEMBERS];
};

static struct board *board;
static char directory[64];
static char path_address[80];
static char abstract_address[64];
static char region_name[32];
static const struct names names = { .directory = directory,
				    .abstract = abstract_address,
				    .region = region_name };

static void count(enum kind kind)
{
	evr_fetch_add_relaxed_u32(&board->counts[kind], 1);
}

/* ---- members ---- */

static struct evr_region *get_in(const char *address, enum kind how)
{
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = address };
	struct evr_region *region;

	while (evr_connect(&options, now_ns() + SECOND_NS, &region, NULL) < 0)
		sleep_us(100);
	count(how);
	evr_fetch_add_relaxed_u32(&board->met, 1);
	return region;
}

static struct view enter(const char *address, enum kind how)
{
	struct view view = { .region = get_in(address, how) };

	/* An agent may not move: the caller opens it. */
	MUST(evr_pool_open(view.region, &view.pool) == 0);
	MUST(evr_uring_open(view.pool, NULL, 0, 0, &view.uring) == 0);
	return view;
}

static void submit_for_ever(void)
{
	struct view view = enter(path_address, BY_PATH);
	struct evr_submitter *submitter;

	MUST(evr_agent_open(view.pool, &view.agent) == 0);
	MUST(evr_submitter_open(view.uring, &view.agent, NULL, &submitter) == 0);
	for (;;) {
		struct evr_request request = { .length_bytes = 8 };
		struct evr_completion done;

		if (evr_submitter_in_flight(submitter) < 8 &&
		    evr_block_alloc(&view.agent, 64, &request.block) == 0 &&
		    evr_submitter_try_submit(submitter, &request) < 0)
			(void)!evr_block_free(&view.agent, request.block.token);
		if (evr_submitter_reap(submitter, &done, now_ns() + MILLISECOND_NS) ==
		    0) {
			count(ANSWERED);
			(void)!evr_block_free(&view.agent, done.block.token);
		}
		(void)!evr_recover(&view.agent, NULL);
	}
}

static void complete_for_ever(void)
{
	struct view view = enter(abstract_address, BY_NAME);
	struct evr_completer *completer;
	struct evr_request request;

	MUST(evr_agent_open(view.pool, &view.agent) == 0);
	MUST(evr_completer_open(view.uring, &view.agent, NULL, &completer) == 0);
	for (;;)
		if (evr_completer_receive(completer, &request,
					  now_ns() + SECOND_NS) == 0)
			(void)!evr_completer_complete(completer, request.block.token, 0,
						      8);
}

/* Waits for what never comes, with the thread that watches for deaths beside it. */
static void sleep_for_ever(void)
{
	struct view view = enter(path_address, BY_PATH);
	struct evr_completer *completer;
	struct evr_request request;
	struct evr_uring *uring;

	MUST(evr_agent_open(view.pool, &view.agent) == 0);
	MUST(evr_uring_open(view.pool, QUIET, 0, 0, &uring) == 0);
	MUST(evr_completer_open(uring, &view.agent, NULL, &completer) == 0);
	for (;;) {
		(void)!evr_completer_receive(completer, &request,
					     now_ns() + MILLISECOND_NS);
		if (names_in("/proc/self/task") > 1)
			count(ASLEEP);
		(void)!evr_completer_receive(completer, &request, EVR_NEVER);
	}
}

static void grow_for_ever(void)
{
	struct view view = enter(abstract_address, BY_NAME);
	struct evr_range_options more = { .size = sizeof(more), .bytes = RANGE_BYTES };
	struct evr_pool_growth growth = { .size = sizeof(growth),
					  .payload_bytes = 64,
					  .blocks_count = 64 };

	for (;;) {
		if (evr_region_grow(view.region, &more, &growth.range) == 0 &&
		    evr_pool_grow(view.pool, &growth) == 0)
			count(GROWN);
		else
			pause();
		sleep_us(300);
	}
}

static int create(const char *name, uint64_t bytes, uint64_t page_bytes,
		  struct evr_region **ret)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = bytes,
					      .bytes_max = bytes + RANGES * RANGE_BYTES,
					      .page_bytes = page_bytes,
					      .name = name };

	if (page_bytes)
		options.bytes_max = bytes;
	return evr_region_create(&options, ret);
}

/* Nobody but him has it: it goes with him. */
static void have_huge_pages(void)
{
	struct evr_region *region;

	for (;;) {
		if (create(region_name, HUGE_BYTES, EVR_PAGE_2M, &region) == 0) {
			count(HUGE);
			sleep_us(2000);
			evr_region_detach(region);
		}
		sleep_us(100);
	}
}

static int listen_at(const char *address, struct evr_listener **ret)
{
	struct evr_listen_options options = { .size = sizeof(options),
					      .address = address };

	return evr_listen(&options, ret);
}

/* The file of the group before is replaced. That group may not quite have ended. */
static struct evr_listener *host_at(const char *address, struct evr_region *region)
{
	struct evr_listener *listener = NULL;

	while (listen_at(address, &listener) < 0)
		sleep_us(100);
	MUST(evr_listener_add(listener, region, "") == 0);
	return listener;
}

static void host_for_ever(void)
{
	static const struct evr_pool_class classes[] = { { 64, BLOCKS, 0 } };
	struct evr_pool_options pool = { .size = sizeof(pool),
					 .classes = classes,
					 .classes_count = 1 };
	struct evr_uring_options quiet = { .size = sizeof(quiet), .name = QUIET };
	struct evr_listener *at_path, *at_name;
	struct evr_uring *uring;
	struct view view = { 0 };
	struct evr_peer peer;

	MUST(create(region_name, REGION_BYTES, 0, &view.region) == 0);
	MUST(evr_pool_create(view.region, &pool, &view.pool) == 0);
	MUST(evr_uring_create(view.pool, NULL, &view.uring) == 0);
	MUST(evr_uring_create(view.pool, &quiet, &uring) == 0);
	MUST(evr_agent_open(view.pool, &view.agent) == 0);
	at_path = host_at(path_address, view.region);
	at_name = host_at(abstract_address, view.region);
	for (;;) {
		(void)!evr_accept(at_path, now_ns() + MILLISECOND_NS / 2, &peer);
		(void)!evr_accept(at_name, now_ns() + MILLISECOND_NS / 2, &peer);
		(void)!evr_recover(&view.agent, NULL);
	}
}

/* ---- groups ---- */

static void (*const members[MEMBERS])(void) = {
	host_for_ever,	   submit_for_ever, submit_for_ever, complete_for_ever,
	complete_for_ever, sleep_for_ever,  grow_for_ever,   have_huge_pages,
};

/* The first of it starts the others, and waits until it is killed, too. */
static pid_t start_group(void)
{
	pid_t group = fork();

	MUST(group >= 0);
	if (group) {
		setpgid(group, group);
		return group;
	}
	setpgid(0, 0);
	alarm(PROCESS_SECONDS_MAX);
	for (int i = 0; i < MEMBERS; i++) {
		pid_t member = fork();

		if (member == 0) {
			alarm(PROCESS_SECONDS_MAX);
			members[i]();
		}
		evr_store_release_u32(&board->pids[i], (uint32_t)member);
	}
	for (;;)
		pause();
}

static bool wait_for_meeting(void)
{
	uint64_t until_ns = now_ns() + 10 * SECOND_NS;

	while (evr_load_acquire_u32(&board->met) == 0 && now_ns() < until_ns)
		sleep_us(100);
	return evr_load_acquire_u32(&board->met) > 0;
}

/* In any order, with pauses of up to a millisecond. */
static void kill_one_by_one(uint64_t *seed)
{
	uint32_t first = (uint32_t)next_random(seed) % MEMBERS;
	uint32_t step = 1 + 2 * ((uint32_t)next_random(seed) % (MEMBERS / 2));

	for (uint32_t i = 0; i < MEMBERS; i++) {
		uint32_t at = (first + i * step) % MEMBERS;
		pid_t pid = (pid_t)evr_load_acquire_u32(&board->pids[at]);

		if (pid > 0)
			kill(pid, SIGKILL);
		sleep_us(next_random(seed) % 1000);
	}
}

/* Who loses his parent is ours to bury. */
static bool bury(pid_t group)
{
	uint64_t until_ns = now_ns() + 5 * SECOND_NS;

	do {
		while (waitpid(-group, NULL, WNOHANG) > 0)
			;
		if (kill(-group, 0) < 0)
			return true;
		sleep_us(100);
	} while (now_ns() < until_ns);
	return false;
}

static uint32_t kill_groups(uint32_t rounds, uint64_t seed, int *most_names)
{
	uint32_t i;

	for (i = 0; i < rounds; i++) {
		pid_t group;
		bool met = true;

		memset(board->pids, 0, sizeof(board->pids));
		evr_store_release_u32(&board->met, 0);
		group = start_group();
		/* Some are killed before they meet, most at work. */
		if (next_random(&seed) % 8 != 0)
			met = wait_for_meeting();
		sleep_us(next_random(&seed) % 10000);
		if (i % 2)
			kill_one_by_one(&seed);
		kill(-group, SIGKILL);
		if (!bury(group) || !met)
			break;
		if (names_in(directory) > *most_names)
			*most_names = names_in(directory);
	}
	return i;
}

/* ---- what is left ---- */

static bool as_before(const struct machine *before, const struct machine *now)
{
	return now->shared_memory_bytes <= before->shared_memory_bytes &&
	       now->huge_free == before->huge_free &&
	       now->huge_reserved == before->huge_reserved &&
	       now->huge_surplus == before->huge_surplus &&
	       now->names == before->names && now->sockets == before->sockets &&
	       now->holders == 0 && now->children == 0;
}

static struct machine settled(const struct machine *before)
{
	uint64_t until_ns = now_ns() + SETTLE_NS;
	struct machine now = machine_now(&names);

	while (!as_before(before, &now) && now_ns() < until_ns) {
		sleep_us(50000);
		now = machine_now(&names);
	}
	return now;
}

static void report_memory(const struct machine *before, const struct machine *now,
			  uint32_t rounds)
{
	const char *none = "killed groups leave no memory";
	int64_t more = now->shared_memory_bytes - before->shared_memory_bytes;
	int64_t tolerance = (int64_t)(rounds * SHMEM_TOLERANCE);

	printf("shared memory: %+lld KiB; the groups had %llu MiB each\n",
	       (long long)more / 1024, (unsigned long long)REGION_BYTES >> 20);
	if (now->holders > 0)
		report_not_ok(none, "%d processes have a region %s", now->holders,
			      region_name);
	else if (more > tolerance)
		report_not_ok(none, "%lld bytes more, of which others may have %lld",
			      (long long)more, (long long)tolerance);
	else
		report_ok(none);
}

static void report_huge_pages(const struct machine *before, const struct machine *now)
{
	const char *none = "killed groups leave no huge page taken or reserved";

	if (before->huge_free <= before->huge_reserved)
		report_skip(none, "no huge page of 2 MiB is free", "./check --reserve");
	else if (evr_load_relaxed_u32(&board->counts[HUGE]) == 0)
		report_not_ok(none, "nobody had one");
	else if (now->huge_free != before->huge_free ||
		 now->huge_reserved != before->huge_reserved ||
		 now->huge_surplus != before->huge_surplus)
		report_not_ok(none,
			      "free %lld, reserved %lld, surplus %lld; before: %lld, "
			      "%lld, %lld",
			      (long long)now->huge_free, (long long)now->huge_reserved,
			      (long long)now->huge_surplus, (long long)before->huge_free,
			      (long long)before->huge_reserved,
			      (long long)before->huge_surplus);
	else
		report_ok(none);
}

static void report_count(const char *name, int before, int now)
{
	if (now != before)
		report_not_ok(name, "%d, before: %d", now, before);
	else
		report_ok(name);
}

/* One killed inside evr_listen() may have left a name that he had not yet made the
 * address: who listens next sweeps it up. */
static void report_files(int most_names)
{
	const char *one = "killed groups leave one file at most, which goes with the "
			  "next listener";
	struct evr_listener *listener = NULL;
	int during, after;

	MUST(listen_at(path_address, &listener) == 0);
	during = names_in(directory);
	evr_listener_close(listener);
	after = names_in(directory);
	printf("names at the path: %d at most after a kill\n", most_names);
	if (most_names > 2 || during != 1 || after != 0)
		report_not_ok(one, "%d at most after a kill, %d with a listener, then %d",
			      most_names, during, after);
	else
		report_ok(one);
}

static void report_work(uint32_t done, uint32_t rounds)
{
	const char *name = "groups were killed at all kinds of work";
	bool idle = false;

	for (int kind = 0; kind < HUGE; kind++)
		idle |= evr_load_relaxed_u32(&board->counts[kind]) == 0;
	printf("%u groups of %d", done, MEMBERS);
	for (int kind = 0; kind < KINDS; kind++)
		printf(", %u %s", evr_load_relaxed_u32(&board->counts[kind]),
		       kind_names[kind]);
	putchar('\n');
	if (done < rounds)
		report_not_ok(name, "group %u did not meet, or did not end", done);
	else if (idle)
		report_not_ok(name, "nobody did one of them");
	else
		report_ok(name);
}

int main(int argc, char **argv)
{
	uint64_t seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	uint32_t rounds = report_quick() ? 30 : 100;
	struct machine before, now;
	int most_names = 0;
	uint32_t done;

	alarm(PROCESS_SECONDS_MAX);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	printf("seed: %llu (--seed=N or EVR_SEED=N to repeat)\n",
	       (unsigned long long)seed);
	leave_the_others();
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(board != MAP_FAILED);
	strcpy(directory, "/tmp/evr-leftovers-XXXXXX");
	MUST(mkdtemp(directory));
	snprintf(path_address, sizeof(path_address), "%s/meet", directory);
	snprintf(abstract_address, sizeof(abstract_address), "@evr-leftovers-%d",
		 getpid());
	snprintf(region_name, sizeof(region_name), "leftovers-%d", getpid());

	before = machine_now(&names);
	done = kill_groups(rounds, seed, &most_names);
	now = settled(&before);
	report_work(done, rounds);
	report_count("killed groups leave no process", before.children, now.children);
	report_count("killed groups leave no socket", before.sockets, now.sockets);
	report_count("killed groups leave no name in /dev/shm", before.names, now.names);
	report_memory(&before, &now, rounds);
	report_huge_pages(&before, &now);
	report_files(most_names);
	(void)!rmdir(directory);
	return report_end();
}
