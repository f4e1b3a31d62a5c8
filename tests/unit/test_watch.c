/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_watch.c - a death is answered while everybody sleeps, without anybody's clock. */

#include "fixture.h"

#include "uring_internal.h"
#include "watch.h"

/* Nobody but the watching thread looks for the dead here; so long it may take on a
 * machine that is busy with other things. */
#define PATIENCE_MS 5000

static bool wait_for_word(struct evr_atomic_u32 *word, uint32_t wanted)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (evr_load_acquire_u32(word) == wanted)
			return true;
		usleep(1000);
	}
	return false;
}

static struct evr_region_shared *header(const struct peer *peer)
{
	return peer->region->shared;
}

static void watch_and_wait(struct peer *peer, void *unused)
{
	(void)unused;
	evri_watch_start(peer->region);
	for (;;)
		pause();
}

static void start_watching(struct peer *peer)
{
	uint32_t before = evr_load_acquire_u32(&header(peer)->arrivals);

	evri_watch_start(peer->region);
	cr_assert(wait_for_word(&header(peer)->arrivals, before + 1));
}

/* A child that has a watching thread, and begins to be watched: it has arrived twice, at
 * joining and with its thread. */
static pid_t watched_child(struct peer *peer)
{
	uint32_t before = evr_load_acquire_u32(&header(peer)->arrivals);
	pid_t child = peer_child(peer, watch_and_wait, NULL);

	cr_assert(wait_for_word(&header(peer)->arrivals, before + 2));
	return child;
}

static void kill_child(pid_t child)
{
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, NULL, 0), child);
}

static bool can_watch(void)
{
	struct evri_os_waited waited = { .word = &(uint32_t){ 1 }, .expected = 0 };

	return evri_os_wait_any(&waited, 1, EVR_NEVER) == 0;
}

#define NEEDS_WAITV()                                                                    \
	do {                                                                             \
		if (!can_watch())                                                        \
			cr_skip_test("this kernel has no futex_waitv(); Linux 5.16 or "  \
				     "newer");                                           \
	} while (0)

Test(watch, a_death_is_declared_though_nobody_asks)
{
	struct peer peer;
	pid_t child;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	start_watching(&peer);
	child = watched_child(&peer);
	cr_assert_eq(evr_load_acquire_u32(&header(&peer)->deaths), 0);
	kill_child(child);
	cr_assert(wait_for_word(&header(&peer)->deaths, 1), "nobody noticed");
	peer_close(&peer);
}

Test(watch, one_who_came_before_and_one_who_came_after_are_both_watched)
{
	struct peer peer;
	pid_t early, late;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	early = watched_child(&peer);
	start_watching(&peer);
	late = watched_child(&peer);
	kill_child(late);
	cr_assert(wait_for_word(&header(&peer)->deaths, 1), "the late one");
	kill_child(early);
	cr_assert(wait_for_word(&header(&peer)->deaths, 2), "the early one");
	peer_close(&peer);
}

Test(watch, several_deaths_at_once_are_all_noticed)
{
	enum { CHILDREN = 5 };
	struct peer peer;
	pid_t children[CHILDREN];

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	start_watching(&peer);
	for (int i = 0; i < CHILDREN; i++)
		children[i] = watched_child(&peer);
	for (int i = 0; i < CHILDREN; i++)
		kill(children[i], SIGKILL);
	for (int i = 0; i < CHILDREN; i++)
		cr_assert_eq(waitpid(children[i], NULL, 0), children[i]);
	cr_assert(wait_for_word(&header(&peer)->deaths, CHILDREN), "%u of %d",
		  evr_load_acquire_u32(&header(&peer)->deaths), CHILDREN);
	peer_close(&peer);
}

Test(watch, a_stopped_peer_is_not_dead)
{
	struct peer peer;
	pid_t child;
	int status;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	start_watching(&peer);
	child = watched_child(&peer);
	kill(child, SIGSTOP);
	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	usleep(100000);
	cr_assert_eq(evr_load_acquire_u32(&header(&peer)->deaths), 0);
	kill_child(child);
	cr_assert(wait_for_word(&header(&peer)->deaths, 1));
	peer_close(&peer);
}

Test(watch, leaving_ends_the_thread_and_clears_its_word)
{
	struct peer peer;
	struct peer other = { 0 };
	struct evr_participant_shared *record;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	peer_attach(&other, &peer);
	start_watching(&other);
	record = &peer.region->participants[other.region->record];
	cr_assert_neq(evr_load_acquire_u32(&record->life), 0);
	peer_close(&other);
	cr_assert_eq(evr_load_acquire_u32(&record->life), 0);
	cr_assert_eq(evr_load_acquire_u32(&header(&peer)->deaths), 0);
	peer_close(&peer);
}

Test(watch, words_that_a_peer_scribbled_hang_nobody)
{
	const uint32_t words[] = { 1, EVRI_OS_MORTAL_ENDED, UINT32_MAX,
				   EVRI_OS_MORTAL_WAITERS, 0 };
	struct peer peer;
	struct peer other = { 0 };

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	peer_attach(&other, &peer);
	start_watching(&peer);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		evr_store_release_u32(
			&peer.region->participants[other.region->record].life, words[i]);
		evr_store_release_u32(
			&peer.region->participants[peer.region->record].life, words[i]);
		evr_fetch_add_relaxed_u32(&header(&peer)->arrivals, 1);
		evri_os_futex_wake((uint32_t *)&header(&peer)->arrivals, INT32_MAX);
		usleep(30000);
	}
	cr_assert_eq(evr_load_acquire_u32(&header(&peer)->deaths), 0);
	peer_close(&other);
	peer_close(&peer);
}

/* ---- what it held ---- */

static struct evr_participant_info info_of(const struct peer *peer, uint32_t record)
{
	struct evr_participant_info info;

	MUST(evr_participant_get(peer->region, record, &info));
	return info;
}

/* Everything is back, though nobody here calls evr_recover(). */
static bool all_came_back(const struct peer *peer)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (evr_pool_free_count(peer->pool) == evr_pool_blocks(peer->pool) &&
		    info_of(peer, 1).state == EVR_PARTICIPANT_FREE)
			return true;
		usleep(1000);
	}
	return false;
}

/* Nothing in this peer's hands, and a thread that answers. */
static void make_answering(struct peer *peer)
{
	peer_create(peer, NULL);
	start_watching(peer);
}

static void take_some(struct peer *peer)
{
	struct evr_block block;

	for (int i = 0; i < 20; i++)
		CHILD_MUST(evr_block_alloc(&peer->agent, 64, &block) == 0);
}

static void take_some_and_sleep(struct peer *peer, void *unused)
{
	(void)unused;
	take_some(peer);
	watch_and_wait(peer, NULL);
}

/* Never in a waiting call, so without a thread that could be watched. */
static void take_some_and_be_awake(struct peer *peer, void *taken)
{
	take_some(peer);
	evr_store_release_u32(taken, 1);
	for (;;)
		pause();
}

static pid_t awake_child(struct peer *peer)
{
	struct evr_atomic_u32 *taken = shared_memory(sizeof(*taken));
	pid_t child = peer_child(peer, take_some_and_be_awake, taken);

	cr_assert(wait_for_word(taken, 1));
	cr_assert_eq(evr_load_acquire_u32(&peer->region->participants[1].life), 0);
	return child;
}

/* How often the watching thread of this peer went to sleep. */
static long sleeps(const struct peer *peer)
{
	uint32_t life = evr_load_acquire_u32(
		&peer->region->participants[peer->region->record].life);
	char path[64], line[128];
	long count = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%u/status",
		 life & ~EVRI_OS_MORTAL_WAITERS);
	file = fopen(path, "r");
	cr_assert_neq(file, NULL);
	while (fgets(line, sizeof(line), file))
		(void)!sscanf(line, "voluntary_ctxt_switches: %ld", &count);
	fclose(file);
	cr_assert_geq(count, 0);
	return count;
}

Test(watch, what_a_killed_sleeper_held_comes_back_though_nobody_recovers)
{
	struct peer peer;
	pid_t child;
	uint32_t before;

	NEEDS_WAITV();
	make_answering(&peer);
	before = evr_load_acquire_u32(&header(&peer)->arrivals);
	child = peer_child(&peer, take_some_and_sleep, NULL);
	cr_assert(wait_for_word(&header(&peer)->arrivals, before + 2));
	cr_assert_lt(evr_pool_free_count(peer.pool), evr_pool_blocks(peer.pool));
	kill_child(child);
	cr_assert(all_came_back(&peer));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(watch, what_one_who_never_slept_held_comes_back_too)
{
	struct peer peer;
	pid_t child;

	NEEDS_WAITV();
	make_answering(&peer);
	child = awake_child(&peer);
	kill_child(child);
	cr_assert(all_came_back(&peer));
	cr_assert_eq(evr_load_acquire_u32(&header(&peer)->deaths), 1);
	peer_close(&peer);
}

Test(watch, one_who_never_slept_and_comes_before_or_after_is_looked_after_by_one_thread)
{
	struct peer peer;
	pid_t children[3];
	long before;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	children[0] = awake_child(&peer);
	start_watching(&peer);
	children[1] = watched_child(&peer);
	children[2] = peer_child(&peer, take_some_and_be_awake,
				 shared_memory(sizeof(struct evr_atomic_u32)));
	/* Behind it in the table is the peer of this test, before it the sleeper. */
	for (int i = 0; i < PATIENCE_MS && info_of(&peer, 3).state != 2; i++)
		usleep(1000);
	kill_child(children[0]);
	cr_assert(wait_for_word(&header(&peer)->deaths, 1), "before the sleeper");
	usleep(100000);
	before = sleeps(&peer);
	usleep(100000);
	cr_assert_eq(sleeps(&peer), before, "the other one is the sleeper's business");
	kill_child(children[2]);
	cr_assert(wait_for_word(&header(&peer)->deaths, 2), "after the sleeper");
	kill_child(children[1]);
	cr_assert(wait_for_word(&header(&peer)->deaths, 3), "the sleeper");
	peer_close(&peer);
}

Test(watch, what_one_left_who_did_not_close_it_comes_back)
{
	struct peer peer;
	struct peer other = { 0 };

	NEEDS_WAITV();
	make_answering(&peer);
	for (int watched = 0; watched < 2; watched++) {
		peer_attach(&other, &peer);
		(void)must_alloc(&other.agent, 64);
		if (watched)
			start_watching(&other);
		evr_region_detach(other.region);
		cr_assert(all_came_back(&peer));
	}
	cr_assert_eq(evr_load_acquire_u32(&header(&peer)->deaths), 0);
	peer_close(&peer);
}

Test(watch, a_thread_has_a_clock_only_while_somebody_never_slept)
{
	struct peer peer;
	pid_t child;
	long before;

	NEEDS_WAITV();
	make_answering(&peer);
	child = watched_child(&peer);
	usleep(100000);
	before = sleeps(&peer);
	usleep(100000);
	cr_assert_eq(sleeps(&peer), before, "it woke though nothing happened");
	kill_child(child);
	cr_assert(all_came_back(&peer));

	child = awake_child(&peer);
	before = sleeps(&peer);
	cr_assert(HOLDS_WITHIN(PATIENCE_MS, sleeps(&peer) >= before + 5));
	kill_child(child);
	cr_assert(all_came_back(&peer));
	usleep(100000);
	before = sleeps(&peer);
	usleep(100000);
	cr_assert_eq(sleeps(&peer), before, "it woke though nobody is left");
	peer_close(&peer);
}

Test(watch, what_had_to_be_postponed_is_tried_again)
{
	struct peer peer;
	struct peer other = { 0 };
	struct evr_block block;

	NEEDS_WAITV();
	make_answering(&peer);
	peer_attach(&other, &peer);
	block = must_alloc(&other.agent, 64);
	/* As one that was stopped while it took this block. */
	evr_store_release_u64(&peer.agent.shared->intent[0],
			      EVR_INTENT_SET | evr_token_wire(block.token));
	evr_region_detach(other.region);
	cr_assert(HOLDS_WITHIN(PATIENCE_MS, evr_pool_free_count(peer.pool) ==
						    evr_pool_blocks(peer.pool) - 1));
	cr_assert_eq(info_of(&peer, 1).state, EVR_PARTICIPANT_DEAD);
	evr_store_release_u64(&peer.agent.shared->intent[0], 0);
	cr_assert(all_came_back(&peer));
	peer_close(&peer);
}

Test(watch, without_a_free_agent_sleepers_are_rung_and_the_rest_is_tried_again)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = FIXTURE_REGION_BYTES,
					      .agents = 2 };
	struct evr_pool_options pool = fixture_pool_options();
	struct peer peer = { 0 };
	struct peer other = { 0 };
	struct evr_home_shared *home;
	struct evr_submitter *submitter;
	uint64_t bell;

	NEEDS_WAITV();
	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	MUST(evr_uring_create(peer.pool, NULL, &peer.uring));
	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	start_watching(&peer);
	peer_attach(&other, &peer);
	(void)must_alloc(&other.agent, 64);
	home = evri_home_at(&peer.uring->layout, 0);
	bell = evr_load_acquire_u64(&home->bell.word);
	/* Something in its registers: nobody may take its agent over. */
	evr_store_release_u64(&other.agent.shared->intent[1], EVR_INTENT_SET);
	evr_fetch_add_acq_rel_u32(&header(&peer)->deaths, 1);
	evr_region_detach(other.region);
	cr_assert(HOLDS_WITHIN(PATIENCE_MS,
			       evr_load_acquire_u64(&home->bell.word) != bell));
	usleep(50000);
	cr_assert_eq(info_of(&peer, 1).state, EVR_PARTICIPANT_DEAD);
	evr_submitter_close(submitter);
	evr_agent_close(&peer.agent);
	cr_assert(all_came_back(&peer));
	evr_uring_close(peer.uring);
	evr_pool_close(peer.pool);
	evr_region_detach(peer.region);
}

Test(watch, in_a_region_without_a_pool_a_death_is_noticed_all_the_same)
{
	struct peer peer = { .region = region_of(FIXTURE_REGION_BYTES) };

	NEEDS_WAITV();
	start_watching(&peer);
	kill_child(watched_child(&peer));
	cr_assert(wait_for_word(&header(&peer)->deaths, 1));
	evr_region_detach(peer.region);
}

Test(watch, one_who_recovered_on_the_side_leaves_as_what_it_holds_says)
{
	struct peer peer;
	struct peer other = { 0 };
	struct peer third = { 0 };
	pid_t child;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	peer_attach(&other, &peer);
	peer_attach(&third, &peer);
	start_watching(&other);
	child = watched_child(&peer);
	kill_child(child);
	cr_assert(HOLDS_WITHIN(PATIENCE_MS,
			       info_of(&peer, 3).state == EVR_PARTICIPANT_FREE));
	evri_watch_start(third.region);
	third.region->recovers = true;

	peer_close(&other);
	cr_assert_eq(info_of(&peer, 1).state, EVR_PARTICIPANT_FREE, "it holds nothing");
	(void)must_alloc(&third.agent, 64);
	evr_uring_close(third.uring);
	evr_agent_close(&third.agent);
	evr_pool_close(third.pool);
	/* As a look that was begun before the block was taken, and ended after that. */
	evr_store_relaxed_u32(&third.region->blocks_left, 0);
	evr_region_detach(third.region);
	cr_assert_eq(info_of(&peer, 2).state, EVR_PARTICIPANT_DEAD, "it holds a block");
	cr_assert_eq(evr_recover(&peer.agent, NULL), 0);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

/* ---- through the channel ---- */

static void take_and_wait(struct peer *peer, void *unused)
{
	struct evr_completer *completer;
	struct evr_request request;

	(void)unused;
	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, NULL, &completer) == 0);
	CHILD_MUST(evr_completer_receive(completer, &request, EVR_NEVER) == 0);
	evr_store_release_u32(request.block.payload, 1);
	/* Asleep over the next one, and so watched. */
	CHILD_MUST(evr_completer_receive(completer, &request, EVR_NEVER) == 0);
}

Test(watch, a_submitter_that_sleeps_gets_back_what_a_dead_completer_held)
{
	struct evr_request request = { .operation = 7, .length_bytes = 64 };
	struct evr_completion done = { 0 };
	struct evr_submitter *submitter;
	struct peer peer;
	uint32_t before;
	pid_t child;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	before = evr_load_acquire_u32(&header(&peer)->arrivals);
	child = peer_child(&peer, take_and_wait, NULL);
	MUST(evr_block_alloc(&peer.agent, 64, &request.block));
	memset(request.block.payload, 0, 64);
	MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
	cr_assert(wait_for_word(request.block.payload, 1), "it was not received");
	cr_assert(wait_for_word(&header(&peer)->arrivals, before + 2), "it is awake");
	kill(child, SIGKILL);
	MUST(evr_submitter_reap(submitter, &done, EVR_NEVER));
	cr_assert_eq(done.status, -EOWNERDEAD);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	evr_submitter_close(submitter);
	peer_close(&peer);
}
