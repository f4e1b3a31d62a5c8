/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * named.c - equals that open one name: all at once; while the one who serves is killed
 * again and again; and after all of them were. There is one region as long as anybody
 * lives, and one file at most.
 */

#include "process.h"

#include <dirent.h>
#include <sys/stat.h>

#define MEMBERS_MAX 12
#define IN_TIME_NS  SECOND_NS

static char directory[64];
static char address[80];

/* What a member tells; shared with it. */
struct member {
	struct evr_atomic_u32 state;
	int32_t error;
	uint32_t created;
	uint32_t was_set_up;
	uint8_t id[16];
	uint64_t took_ns;
	char why[200];
	pid_t pid; /* the test's own */
};

enum { NEW, IN, FAILED };

struct board {
	struct evr_atomic_u32 go;
	struct evr_atomic_u32 end;
	struct evr_atomic_u32 setups;
	struct member members[MEMBERS_MAX];
};

static struct board *board;

static const struct evr_pool_class classes[] = {{64, 16, 0}};

static int set_up(void *context, struct evr_region *region)
{
	struct evr_pool_options options = {.size = sizeof(options),
					   .classes = classes,
					   .classes_count = COUNT_OF(classes)};
	struct evr_pool *pool = NULL;
	int error = evr_pool_create(region, &options, &pool);

	evr_fetch_add_acq_rel_u32(&board->setups, 1);
	sleep_us(*(uint64_t *)context);
	evr_pool_close(pool);
	return error;
}

static int open_name(uint64_t setup_us, uint64_t within_ns, struct evr_named **ret)
{
	struct evr_region_options create = {
		.size = sizeof(create), .bytes = UINT64_C(1) << 20, .participants = 2000};
	struct evr_named_options options = {.size = sizeof(options),
					    .address = address,
					    .create = &create,
					    .setup = set_up,
					    .context = &setup_us};

	return evr_named_open(&options, now_ns() + within_ns, ret);
}

static void tell_region(struct member *member, struct evr_named *named)
{
	struct evr_region *region = evr_named_region(named);
	const struct evr_region_shared *shared;
	struct evr_pool *pool = NULL;
	uint64_t bytes;

	shared = audit_map(evr_region_fd(region), &bytes);
	MUST(shared != NULL);
	memcpy(member->id, shared->id, sizeof(member->id));
	munmap((void *)(uintptr_t)shared, bytes);
	member->was_set_up = evr_pool_open(region, &pool) == 0;
	evr_pool_close(pool);
	member->created = evr_named_was_created(named);
}

static void be_member(struct member *member, bool leaves, uint64_t setup_us)
{
	struct evr_named *named = NULL;
	uint64_t start_ns;

	alarm(PROCESS_SECONDS_MAX);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!evr_load_acquire_u32(&board->go))
		sched_yield();
	start_ns = now_ns();
	member->error = open_name(setup_us, 20 * SECOND_NS, &named);
	member->took_ns = now_ns() - start_ns;
	if (member->error < 0) {
		snprintf(member->why, sizeof(member->why), "%s", evr_error_detail());
		evr_store_release_u32(&member->state, FAILED);
		return;
	}
	tell_region(member, named);
	evr_store_release_u32(&member->state, IN);
	while (!evr_load_acquire_u32(&board->end))
		sleep_us(500);
	if (leaves)
		evr_named_close(named);
}

static void start_member(struct member *member, bool leaves, uint64_t setup_us)
{
	pid_t child;

	memset(member, 0, sizeof(*member));
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		be_member(member, leaves, setup_us);
		_exit(0);
	}
	member->pid = child;
}

static bool is_in(struct member *member, uint64_t seconds)
{
	uint64_t until_ns = now_ns() + seconds * SECOND_NS;

	while (evr_load_acquire_u32(&member->state) == NEW && now_ns() < until_ns)
		sleep_us(100);
	return evr_load_acquire_u32(&member->state) == IN;
}

static void kill_member(struct member *member)
{
	if (member->pid <= 0)
		return;
	kill(member->pid, SIGKILL);
	waitpid(member->pid, NULL, 0);
	member->pid = 0;
}

static bool same_region(const struct member *a, const struct member *b)
{
	return memcmp(a->id, b->id, sizeof(a->id)) == 0;
}

static int names(void)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	int count = 0;

	MUST(stream != NULL);
	while ((entry = readdir(stream)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 &&
			 strcmp(entry->d_name, "..") != 0;
	closedir(stream);
	return count;
}

/* Who serves, as the kernel says; 0: nobody. */
static pid_t server(void)
{
	struct evri_os_credentials who = {0};

	return evri_os_socket_probe(address, &who) == 0 ? (pid_t)who.pid : 0;
}

/* ---- all at once ---- */

/* What is wrong with a round, or NULL. */
static const char *look_at_crowd(int count)
{
	static char text[300];
	int created = 0;

	for (int i = 0; i < count; i++) {
		struct member *member = &board->members[i];

		if (!is_in(member, 20)) {
			snprintf(text, sizeof(text), "one did not get in: %d (%s)",
				 member->error, member->why);
			return text;
		}
		created += (int)member->created;
		if (!member->was_set_up)
			return "one was in before the region was set up";
		if (!same_region(member, &board->members[0]))
			return "they are in different regions";
	}
	snprintf(text, sizeof(text), "%d made the region, %u set it up", created,
		 evr_load_acquire_u32(&board->setups));
	return created == 1 && evr_load_acquire_u32(&board->setups) == 1 ? NULL : text;
}

/* Some rounds end in order, some with a death; those begin with what the dead left. */
static void try_crowds(uint64_t seed)
{
	const char *name = "of those who open a name at once one makes the region, and "
			   "all are in it";
	const char *leave = "who leave leave nothing";
	int rounds = report_quick() ? 20 : 100;
	const char *wrong = NULL;
	int left = 0;
	int round;

	for (round = 0; round < rounds && !wrong; round++) {
		int count = 2 + (int)(next_random(&seed) % (MEMBERS_MAX - 1));
		bool leaves = next_random(&seed) % 2 == 0;

		evr_store_release_u32(&board->go, 0);
		evr_store_release_u32(&board->end, 0);
		evr_store_release_u32(&board->setups, 0);
		for (int i = 0; i < count; i++)
			start_member(&board->members[i], leaves,
				     next_random(&seed) % 4 * 1000);
		evr_store_release_u32(&board->go, 1);
		wrong = look_at_crowd(count);
		evr_store_release_u32(&board->end, 1);
		for (int i = 0; i < count; i++) {
			if (wrong || !leaves)
				kill_member(&board->members[i]);
			else
				waitpid(board->members[i].pid, NULL, 0);
		}
		left += leaves && names() != 0;
	}
	if (wrong)
		report_not_ok(name, "round %d: %s", round, wrong);
	else
		report_ok(name);
	if (left)
		report_not_ok(leave, "%d times there was a file", left);
	else
		report_ok(leave);
}

/* ---- the server, killed ---- */

struct times {
	uint64_t longest_ns;
	uint64_t sum_ns;
	uint32_t count;
};

static void note(struct times *times, uint64_t took_ns)
{
	times->sum_ns += took_ns;
	times->count++;
	if (took_ns > times->longest_ns)
		times->longest_ns = took_ns;
}

/* Kills who serves, and starts another at the same instant, who gets in. */
static const char *follow_server(int members, struct times *times, struct times *gaps,
				 uint64_t *seed)
{
	static char text[300];
	struct member first = board->members[0];
	struct member *fresh = NULL;
	uint64_t start_ns = now_ns();
	pid_t serving;
	bool late;

	while ((serving = server()) == 0 && now_ns() - start_ns < 5 * SECOND_NS)
		sleep_us(100);
	for (int i = 0; i < members; i++)
		if (board->members[i].pid == serving)
			fresh = &board->members[i];
	if (!fresh)
		return "who serves is none of the members";
	kill_member(fresh);
	start_ns = now_ns();
	/* Sometimes the newcomer is there before anybody has noticed, sometimes not. */
	late = next_random(seed) % 2;
	if (late)
		sleep_us(next_random(seed) % 2000);
	start_member(fresh, false, 0);
	while (server() == 0 && now_ns() - start_ns < 5 * SECOND_NS)
		sched_yield();
	if (!late)
		note(gaps, now_ns() - start_ns);
	if (!is_in(fresh, 20)) {
		snprintf(text, sizeof(text), "the newcomer is not in: %d (%s)",
			 fresh->error, fresh->why);
		return text;
	}
	note(times, fresh->took_ns);
	if (fresh->created || !same_region(fresh, &first))
		return "the newcomer made another region";
	return names() == 1 ? NULL : "there is more than one file";
}

static void try_deaths_of_server(uint64_t seed)
{
	const char *name = "when who serves is killed another member goes on, and "
			   "newcomers get into the same region";
	const char *soon = "a newcomer who comes in the gap is in within 1 s";
	int rounds = report_quick() ? 30 : 100;
	struct times times = {0};
	struct times gaps = {0};
	const char *wrong = NULL;
	int round;

	evr_store_release_u32(&board->go, 1);
	evr_store_release_u32(&board->end, 0);
	evr_store_release_u32(&board->setups, 0);
	for (int i = 0; i < 4 && !wrong; i++) {
		start_member(&board->members[i], false, 0);
		wrong = is_in(&board->members[i], 20) ? NULL : "a member is not in";
	}
	for (round = 0; round < rounds && !wrong; round++)
		wrong = follow_server(4, &times, &gaps, &seed);
	printf("%d deaths; another listened after %.2f ms (longest %.2f), a newcomer was "
	       "in after %.2f ms (longest %.2f)\n",
	       round, (double)gaps.sum_ns / 1e6 / (gaps.count ? gaps.count : 1),
	       (double)gaps.longest_ns / 1e6,
	       (double)times.sum_ns / 1e6 / (times.count ? times.count : 1),
	       (double)times.longest_ns / 1e6);
	if (wrong)
		report_not_ok(name, "death %d: %s", round, wrong);
	else if (evr_load_acquire_u32(&board->setups) != 1)
		report_not_ok(name, "%u set-ups", evr_load_acquire_u32(&board->setups));
	else
		report_ok(name);
	if (times.longest_ns > IN_TIME_NS)
		report_not_ok(soon, "%.3f s", (double)times.longest_ns / 1e9);
	else
		report_ok(soon);
	for (int i = 0; i < 4; i++)
		kill_member(&board->members[i]);
}

/* ---- all of them, killed ---- */

static void try_deaths_of_groups(uint64_t seed)
{
	const char *name = "when all were killed the next one makes a new region, and "
			   "one file is all that is left";
	int rounds = report_quick() ? 30 : 100;
	struct times times = {0};
	const char *wrong = NULL;
	uint8_t before[16] = {0};
	int round;

	evr_store_release_u32(&board->go, 1);
	evr_store_release_u32(&board->end, 0);
	for (round = 0; round < rounds && !wrong; round++) {
		struct member *first = &board->members[0];

		start_member(first, false, next_random(&seed) % 2 * 1000);
		/* The others come while it is made, or after, and may still be coming
		 * when they are killed. */
		if (next_random(&seed) % 2 && !is_in(first, 20))
			wrong = "the first is not in";
		for (int i = 1; i < 4; i++)
			start_member(&board->members[i], false, 0);
		if (!is_in(first, 20) || !first->was_set_up)
			wrong = "the first is not in";
		else if (memcmp(first->id, before, sizeof(before)) == 0)
			wrong = "it is in the region of the dead";
		note(&times, first->took_ns);
		memcpy(before, first->id, sizeof(before));
		sleep_us(next_random(&seed) % 3000);
		for (int i = 0; i < 4; i++)
			kill(board->members[i].pid, SIGKILL);
		for (int i = 0; i < 4; i++)
			kill_member(&board->members[i]);
	}
	printf("%d groups; the first was in after %.2f ms (longest %.2f)\n", round,
	       (double)times.sum_ns / 1e6 / (times.count ? times.count : 1),
	       (double)times.longest_ns / 1e6);
	if (!wrong && times.longest_ns > IN_TIME_NS)
		wrong = "it took longer than 1 s";
	if (!wrong) {
		struct evr_named *named = NULL;

		/* Names of those who were killed while they took the place go with the
		 * next one who takes it. */
		MUST(open_name(0, SECOND_NS, &named) == 0);
		wrong = names() == 1 ? NULL : "there is more than one file";
		evr_named_close(named);
		if (!wrong && names() != 0)
			wrong = "the last one who left has left a file";
	}
	if (wrong)
		report_not_ok(name, "group %d: %s", round, wrong);
	else
		report_ok(name);
}

int main(int argc, char **argv)
{
	uint64_t seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	const char *parent = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	int board_fd = board_create(sizeof(*board));

	printf("seed %llu\n", (unsigned long long)seed);
	board = board_map(board_fd, sizeof(*board));
	snprintf(directory, sizeof(directory), "%s/evr-named-XXXXXX", parent);
	MUST(mkdtemp(directory) != NULL);
	snprintf(address, sizeof(address), "%s/meet", directory);

	try_crowds(seed);
	try_deaths_of_server(seed);
	try_deaths_of_groups(seed);

	unlink(address);
	rmdir(directory);
	return report_end();
}
