/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_watch.c - a death is noticed while everybody sleeps, without anybody's clock. */

#include "fixture.h"

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

/* A child that has a watching thread, and begins to be watched. */
static pid_t watched_child(struct peer *peer)
{
	uint32_t before = evr_load_acquire_u32(&header(peer)->arrivals);
	pid_t child = peer_child(peer, watch_and_wait, NULL);

	cr_assert(wait_for_word(&header(peer)->arrivals, before + 1));
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
	pid_t child;

	NEEDS_WAITV();
	peer_create(&peer, NULL);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	child = peer_child(&peer, take_and_wait, NULL);
	MUST(evr_block_alloc(&peer.agent, 64, &request.block));
	memset(request.block.payload, 0, 64);
	MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
	cr_assert(wait_for_word(request.block.payload, 1), "it was not received");
	cr_assert(wait_for_word(&header(&peer)->arrivals, 1), "it does not sleep");
	kill(child, SIGKILL);
	MUST(evr_submitter_reap(submitter, &done, EVR_NEVER));
	cr_assert_eq(done.status, -EOWNERDEAD);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	evr_submitter_close(submitter);
	peer_close(&peer);
}
