/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_janitor.c - janitor.h: deaths answered from an event loop. */

#include "fixture.h"

#include <poll.h>
#include <sys/resource.h>

#include "watch.h"

#define PATIENCE_MS 5000
#define WITHOUT_CLOCK                                                                    \
	(&(struct evr_janitor_options){ .size = sizeof(struct evr_janitor_options),      \
					.interval_ns = EVR_NEVER })

static bool readable(struct evr_janitor *janitor, int patience_ms)
{
	struct pollfd entry = { .fd = evr_janitor_fd(janitor), .events = POLLIN };

	return poll(&entry, 1, patience_ms) == 1 && entry.revents & POLLIN;
}

static int threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	cr_assert_neq(tasks, NULL);
	while ((entry = readdir(tasks)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

static uint32_t state_of(const struct peer *peer, uint32_t record)
{
	struct evr_participant_info info;

	MUST(evr_participant_get(peer->region, record, &info));
	return info.state;
}

static void hold_and_wait(struct peer *peer, void *ready)
{
	struct evr_block block;

	for (int i = 0; i < 20; i++)
		CHILD_MUST(evr_block_alloc(&peer->agent, 64, &block) == 0);
	evr_fetch_add_acq_rel_u32(ready, 1);
	for (;;)
		pause();
}

/* A child that holds blocks and never sleeps in a call of ours. */
static pid_t holding_child(const struct peer *peer)
{
	struct evr_atomic_u32 *ready = shared_memory(sizeof(*ready));
	pid_t child = peer_child(peer, hold_and_wait, ready);

	cr_assert(HOLDS_WITHIN(PATIENCE_MS, evr_load_acquire_u32(ready) == 1));
	return child;
}

/* Dead, and not yet waited for: a zombie. */
static void kill_only(pid_t child)
{
	siginfo_t info;

	kill(child, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
}

static void came_back(const struct peer *peer, const struct evr_recovery_stats *stats)
{
	cr_assert_eq(stats->finished, 1);
	cr_assert_geq(stats->freed, 20);
	cr_assert_eq(evr_pool_free_count(peer->pool), evr_pool_blocks(peer->pool));
}

Test(janitor, a_death_makes_the_descriptor_readable_and_a_step_brings_everything_back)
{
	struct evr_recovery_stats stats;
	struct evr_janitor *janitor;
	struct peer peer;
	pid_t child;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, WITHOUT_CLOCK, &janitor));
	child = holding_child(&peer);
	cr_assert_eq(evr_janitor_step(janitor, &stats), 0);
	cr_assert_eq(stats.scanned, 0);
	cr_assert(!readable(janitor, 0), "nobody died");
	kill(child, SIGKILL);
	cr_assert(readable(janitor, PATIENCE_MS), "it was not told");
	cr_assert_eq(evr_janitor_step(janitor, &stats), 1);
	came_back(&peer, &stats);
	cr_assert(!readable(janitor, 0), "it is told for ever");
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	end_child(child);
	evr_janitor_close(janitor);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(janitor, the_descriptor_is_readable_at_first_and_after_each_interval)
{
	struct evr_janitor *janitor;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	for (int i = 0; i < 5; i++) {
		cr_assert(readable(janitor, PATIENCE_MS));
		cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	}
	evr_janitor_close(janitor);
	MUST(evr_janitor_open(peer.region, WITHOUT_CLOCK, &janitor));
	cr_assert(readable(janitor, 0));
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	cr_assert(!readable(janitor, 50));
	evr_janitor_close(janitor);
	peer_close(&peer);
}

Test(janitor, a_newcomer_and_one_with_a_wrong_pid_are_found_by_the_clock)
{
	/* None, nobody's, one beyond all, everybody's parent, our own. */
	const uint64_t pids[] = { 0, UINT64_MAX, UINT64_C(1) << 40, 1,
				  (uint64_t)getpid() };
	struct evr_recovery_stats stats;
	struct evr_janitor *janitor;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	for (size_t i = 0; i < COUNT_OF(pids); i++) {
		pid_t child = holding_child(&peer);
		int dead = 0;

		peer.region->participants[1].pid = pids[i];
		cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
		end_child(child);
		for (int k = 0; k < 1000 && dead == 0; k++) {
			cr_assert(readable(janitor, PATIENCE_MS));
			dead = MUST(evr_janitor_step(janitor, &stats));
		}
		cr_assert_eq(dead, 1, "PID %#llx", (unsigned long long)pids[i]);
		came_back(&peer, &stats);
	}
	evr_janitor_close(janitor);
	peer_close(&peer);
}

static void do_nothing(void *unused)
{
	(void)unused;
}

Test(janitor, one_whose_pid_is_that_of_a_dead_process_wakes_the_loop_once)
{
	struct evr_janitor *janitor;
	struct peer peer;
	pid_t zombie = start_child(do_nothing, NULL);
	pid_t child;
	siginfo_t info;

	cr_assert_eq(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, WITHOUT_CLOCK, &janitor));
	child = holding_child(&peer);
	peer.region->participants[1].pid = (uint64_t)zombie;
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	cr_assert(readable(janitor, PATIENCE_MS));
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0, "it lives");
	cr_assert(!readable(janitor, 50), "a loop would never sleep again");
	cr_assert_eq(state_of(&peer, 1), EVR_PARTICIPANT_ALIVE);
	end_child(child);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 1);
	waitpid(zombie, NULL, 0);
	evr_janitor_close(janitor);
	peer_close(&peer);
}

Test(janitor, without_descriptors_the_clock_is_left)
{
	struct evr_recovery_stats stats;
	struct evr_janitor *janitor;
	struct rlimit limit;
	struct peer peer;
	pid_t child, other;
	int dead = 0;
	int first_free;
	int before;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	child = holding_child(&peer);
	other = holding_child(&peer);
	before = open_descriptors();
	first_free = dup(0);
	close(first_free);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)first_free;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_lt(dup(0), 0, "the test's own limit");
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	kill_only(child);
	for (int k = 0; k < 1000 && dead == 0; k++) {
		cr_assert(readable(janitor, PATIENCE_MS));
		dead = MUST(evr_janitor_step(janitor, &stats));
	}
	cr_assert_eq(dead, 1);
	cr_assert_eq(stats.finished, 1);
	/* And they are used as soon as there are some. */
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	cr_assert_eq(open_descriptors(), before + 1, "for the one who lives");
	waitpid(child, NULL, 0);
	end_child(other);
	evr_janitor_close(janitor);
	peer_close(&peer);
}

Test(janitor, descriptors_of_the_dead_and_of_a_closed_janitor_are_closed)
{
	struct evr_janitor *janitor;
	struct peer other = { 0 };
	struct peer peer;
	int before, with;

	peer_create(&peer, NULL);
	before = open_descriptors();
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	with = open_descriptors();
	cr_assert_eq(with, before + 2);
	for (int i = 0; i < 5; i++) {
		pid_t child = holding_child(&peer);

		cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
		cr_assert_eq(open_descriptors(), with + 1);
		end_child(child);
		cr_assert_eq(evr_janitor_step(janitor, NULL), 1);
		cr_assert_eq(open_descriptors(), with);
	}
	/* Gone, though its process is not. */
	peer_attach(&other, &peer);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	peer_close(&other);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	cr_assert_eq(open_descriptors(), with);
	evr_janitor_close(janitor);
	cr_assert_eq(open_descriptors(), before);
	cr_assert_eq(evr_janitor_close(NULL), NULL);
	peer_close(&peer);
}

/* ---- in place of the thread ---- */

static void sleep_a_little(struct peer *peer)
{
	struct evr_completer *completer;
	struct evr_request request;

	MUST(evr_completer_open(peer->uring, &peer->agent, NULL, &completer));
	FAILS(-ETIMEDOUT, evr_completer_receive(completer, &request,
						now_ns() + 5 * MILLISECOND_NS));
	evr_completer_close(completer);
}

Test(janitor, there_is_no_thread_while_there_is_a_janitor)
{
	struct evr_janitor *janitor;
	struct peer peer;
	int others = threads();

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	sleep_a_little(&peer);
	cr_assert_eq(threads(), others, "a sleep started one");
	evr_janitor_close(janitor);
	cr_assert_eq(threads(), others);
	sleep_a_little(&peer);
	cr_assert_eq(threads(), others + 1, "it may begin again");
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	/* One that was joined is to be seen for a moment longer. */
	cr_assert(HOLDS_WITHIN(PATIENCE_MS, threads() == others), "it was not stopped");
	sleep_a_little(&peer);
	cr_assert_eq(threads(), others);
	evr_janitor_close(janitor);
	sleep_a_little(&peer);
	cr_assert_eq(threads(), others + 1);
	peer_close(&peer);
	cr_assert(HOLDS_WITHIN(PATIENCE_MS, threads() == others));
}

Test(janitor, what_one_left_who_did_not_close_it_comes_back)
{
	struct evr_recovery_stats stats;
	struct evr_janitor *janitor;
	struct peer other = { 0 };
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	peer_attach(&other, &peer);
	(void)must_alloc(&other.agent, 64);
	evr_region_detach(other.region);
	cr_assert_eq(evr_janitor_step(janitor, &stats), 1);
	cr_assert_eq(stats.finished, 1);
	cr_assert_eq(evr_pool_free_count(peer.pool), evr_pool_blocks(peer.pool));
	evr_janitor_close(janitor);
	peer_close(&peer);
}

Test(janitor, what_had_to_be_postponed_is_tried_again_and_counted_once)
{
	struct evr_recovery_stats stats;
	struct evr_janitor *janitor;
	struct peer other = { 0 };
	struct peer peer;
	struct evr_block block;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, WITHOUT_CLOCK, &janitor));
	peer_attach(&other, &peer);
	block = must_alloc(&other.agent, 64);
	evr_store_release_u64(&peer.agent.shared->intent[0],
			      EVR_INTENT_SET | evr_token_wire(block.token));
	evr_region_detach(other.region);
	cr_assert_eq(evr_janitor_step(janitor, &stats), 1);
	cr_assert_eq(stats.postponed, 1);
	cr_assert_eq(evr_janitor_step(janitor, &stats), 0);
	cr_assert_eq(stats.dead, 0, "a pass each time");
	evr_store_release_u64(&peer.agent.shared->intent[0], 0);
	cr_assert(readable(janitor, PATIENCE_MS), "nobody tries again");
	cr_assert_eq(evr_janitor_step(janitor, &stats), 0);
	cr_assert_eq(stats.finished, 1);
	cr_assert(!readable(janitor, 20));
	evr_janitor_close(janitor);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(janitor, without_a_free_agent_a_step_says_so_and_tries_again)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = FIXTURE_REGION_BYTES,
					      .agents = 2 };
	struct evr_pool_options pool = fixture_pool_options();
	struct evr_recovery_stats stats = { 0 };
	struct evr_janitor *janitor;
	struct peer other = { 0 };
	struct peer peer = { 0 };

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_janitor_open(peer.region, WITHOUT_CLOCK, &janitor));
	peer_attach(&other, &peer);
	(void)must_alloc(&other.agent, 64);
	evr_store_release_u64(&other.agent.shared->intent[1], EVR_INTENT_SET);
	evr_region_detach(other.region);
	FAILS(-EMFILE, evr_janitor_step(janitor, NULL));
	evr_agent_close(&peer.agent);
	cr_assert(readable(janitor, PATIENCE_MS));
	cr_assert_eq(evr_janitor_step(janitor, &stats), 0);
	cr_assert_eq(stats.finished, 1);
	evr_janitor_close(janitor);
	evr_pool_close(peer.pool);
	evr_region_detach(peer.region);
}

Test(janitor, in_a_region_without_a_pool_the_dead_are_counted)
{
	struct peer peer = { .region = region_of(FIXTURE_REGION_BYTES) };
	struct evr_janitor *janitor;
	pid_t child;

	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	child = fork();
	if (child == 0) {
		struct evr_region *mine;

		_exit(evr_region_attach(evr_region_fd(peer.region), &mine) < 0);
	}
	child_succeeds(child);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 1);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	evr_janitor_close(janitor);
	evr_region_detach(peer.region);
}

/* ---- after fork ---- */

static void use_the_parents(void *janitor)
{
	CHILD_MUST(evr_janitor_step(janitor, NULL) == -EINVAL);
	CHILD_MUST(evr_janitor_close(janitor) == NULL);
}

Test(janitor, a_forked_child_can_close_it_and_the_parents_goes_on)
{
	struct evr_recovery_stats stats;
	struct evr_janitor *janitor;
	struct peer peer;
	pid_t child;

	peer_create(&peer, NULL);
	MUST(evr_janitor_open(peer.region, WITHOUT_CLOCK, &janitor));
	child = holding_child(&peer);
	cr_assert_eq(evr_janitor_step(janitor, NULL), 0);
	child_succeeds(start_child(use_the_parents, janitor));
	cr_assert(!readable(janitor, 0));
	kill(child, SIGKILL);
	cr_assert(readable(janitor, PATIENCE_MS), "the child took it out");
	cr_assert_eq(evr_janitor_step(janitor, &stats), 1);
	came_back(&peer, &stats);
	waitpid(child, NULL, 0);
	evr_janitor_close(janitor);
	peer_close(&peer);
}

/* ---- refusals ---- */

static void open_the_parents(void *region)
{
	struct evr_janitor *janitor;

	CHILD_MUST(evr_janitor_open(region, NULL, &janitor) == -EINVAL);
}

Test(janitor, what_cannot_work_is_refused_and_touches_nothing)
{
	struct evr_janitor *untouched = (struct evr_janitor *)0x5a5a;
	struct evr_janitor *janitor = untouched;
	struct evr_janitor_options options = { .size = sizeof(options) };
	struct evr_region *reader;
	struct rlimit limit;
	struct peer peer;
	int before;

	peer_create(&peer, NULL);
	MUST(evr_region_attach_read_only(evr_region_fd(peer.region), &reader));
	before = open_descriptors();
	FAILS(-EROFS, evr_janitor_open(reader, NULL, &janitor));
	options.flags = 1;
	FAILS(-EINVAL, evr_janitor_open(peer.region, &options, &janitor));
	options.flags = 0;
	options.interval_ns = EVR_JANITOR_INTERVAL_MIN_NS - 1;
	FAILS(-EINVAL, evr_janitor_open(peer.region, &options, &janitor));
	options.size = 1;
	FAILS(-EINVAL, evr_janitor_open(peer.region, &options, &janitor));
	child_succeeds(start_child(open_the_parents, peer.region));

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int room = 0; room < 2; room++) {
		struct rlimit low = limit;
		int next = dup(0);

		close(next);
		low.rlim_cur = (rlim_t)(next + room);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
		FAILS(-EMFILE, evr_janitor_open(peer.region, NULL, &janitor));
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	cr_assert_eq(janitor, untouched);
	cr_assert_eq(open_descriptors(), before);

	MUST(evr_janitor_open(peer.region, NULL, &janitor));
	untouched = janitor;
	FAILS(-EBUSY, evr_janitor_open(peer.region, NULL, &janitor));
	cr_assert_eq(janitor, untouched);
	cr_assert_eq(open_descriptors(), before + 2);
	evr_janitor_close(janitor);
	evr_region_detach(reader);
	peer_close(&peer);
}
