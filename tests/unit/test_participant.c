/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_participant.c - participant.h: who is attached, and who of them is alive. */

#include "fixture.h"

#include <string.h>

/* The record of the participant with this attach number; FREE ones keep theirs. */
static struct evr_participant_info info_of(const struct evr_region *region,
					   uint32_t number)
{
	struct evr_participant_info info;
	uint32_t i;

	for (i = 0; i < evr_participant_records(region); i++) {
		MUST(evr_participant_get(region, i, &info));
		if (info.number == number)
			return info;
	}
	cr_assert_fail("no record of participant %u", number);
	return info;
}

Test(participant, the_words_of_records_and_agents_are_made_of_their_parts)
{
	cr_assert_eq(evr_participant_word(3, 9), UINT64_C(3) << 32 | 9);
	cr_assert_eq(evr_agent_word(2, 5, 9), UINT64_C(2) << 56 | UINT64_C(5) << 32 | 9);
	cr_assert_eq(evr_agent_word(2, 0xff000005, 9), evr_agent_word(2, 5, 9));
}

Test(participant, an_attached_process_is_told_with_its_pid_and_agents)
{
	uint64_t before = now_ns();
	struct evr_participant_info info;
	struct evr_agent second;
	struct peer peer;

	peer_create(&peer, NULL);
	info = info_of(peer.region, evr_region_number(peer.region));
	cr_assert_eq(info.state, EVR_PARTICIPANT_ALIVE);
	cr_assert_eq(info.pid, getpid());
	cr_assert(info.joined_ns >= before && info.joined_ns <= now_ns());
	cr_assert_eq(info.agents_count, 1);
	MUST(evr_agent_open(peer.pool, &second));
	cr_assert_eq(info_of(peer.region, info.number).agents_count, 2);
	evr_agent_close(&second);
	cr_assert_eq(info_of(peer.region, info.number).agents_count, 1);
	peer_close(&peer);
}

Test(participant, a_region_has_as_many_records_as_it_was_created_with)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = UINT64_C(1) << 20,
					      .participants = 7 };
	struct evr_participant_info info;
	struct evr_region *region;

	MUST(evr_region_create(&options, &region));
	cr_assert_eq(evr_participant_records(region), 7);
	MUST(evr_participant_get(region, 6, &info));
	cr_assert_eq(info.state, EVR_PARTICIPANT_FREE);
	memset(&info, 0x5a, sizeof(info));
	FAILS(-EINVAL, evr_participant_get(region, 7, &info));
	FAILS(-EINVAL, evr_participant_get(region, UINT32_MAX, &info));
	cr_assert_eq(info.state, 0x5a5a5a5a, "the result was touched");
	evr_region_detach(region);
}

Test(participant, no_attach_number_is_ever_given_out_twice)
{
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	uint32_t last = evr_region_number(region);
	int i;

	for (i = 0; i < 200; i++) {
		struct evr_region *view;

		MUST(evr_region_attach(evr_region_fd(region), &view));
		cr_assert_gt(evr_region_number(view), last);
		last = evr_region_number(view);
		evr_region_detach(view);
	}
	evr_region_detach(region);
}

Test(participant, one_that_leaves_with_nothing_in_hand_frees_its_record_at_once)
{
	struct peer first;
	struct peer second;
	uint32_t number;

	peer_create(&first, NULL);
	peer_attach(&second, &first);
	number = evr_region_number(second.region);
	peer_close(&second);
	cr_assert_eq(info_of(first.region, number).state, EVR_PARTICIPANT_FREE);
	peer_close(&first);
}

static void tell_number_and_wait(struct peer *peer, void *number)
{
	evr_store_release_u64(number, evr_region_number(peer->region));
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

/* A child that attached; *ret_number is its attach number. */
static pid_t waiting_child(const struct peer *peer, uint32_t *ret_number)
{
	struct evr_atomic_u64 *number = shared_memory(4096);
	pid_t child = peer_child(peer, tell_number_and_wait, number);

	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(number) != 0));
	*ret_number = (uint32_t)evr_load_acquire_u64(number);
	return child;
}

Test(participant, one_that_lives_is_not_found_dead)
{
	uint32_t number;
	struct peer peer;
	pid_t child;

	peer_create(&peer, NULL);
	child = waiting_child(&peer, &number);
	cr_assert_eq(evr_participant_find_dead(peer.region), 0);
	cr_assert_eq(info_of(peer.region, number).state, EVR_PARTICIPANT_ALIVE);
	end_child(child);
	peer_close(&peer);
}

Test(participant, one_that_was_killed_is_found_dead_before_its_parent_has_waited_for_it,
     .timeout = 20)
{
	uint32_t number;
	struct peer peer;
	siginfo_t end;
	pid_t child;

	peer_create(&peer, NULL);
	child = waiting_child(&peer, &number);
	kill(child, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)child, &end, WEXITED | WNOWAIT), 0);
	cr_assert_eq(evr_participant_find_dead(peer.region), 1);
	cr_assert_eq(info_of(peer.region, number).state, EVR_PARTICIPANT_DEAD);
	cr_assert_eq(info_of(peer.region, number).pid, child);
	cr_assert_eq(evr_participant_find_dead(peer.region), 1, "it stays dead");
	waitpid(child, NULL, 0);
	peer_close(&peer);
}

Test(participant, one_that_is_stopped_is_alive, .timeout = 20)
{
	uint32_t number;
	struct peer peer;
	int status;
	pid_t child;

	peer_create(&peer, NULL);
	child = waiting_child(&peer, &number);
	kill(child, SIGSTOP);
	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status));
	cr_assert_eq(evr_participant_find_dead(peer.region), 0);
	cr_assert_eq(info_of(peer.region, number).state, EVR_PARTICIPANT_ALIVE);
	end_child(child);
	cr_assert_eq(evr_participant_find_dead(peer.region), 1);
	peer_close(&peer);
}

/* The dead one's child has copies of all its descriptors: they must not keep it alive. */
static void fork_and_wait(struct peer *peer, void *number)
{
	pid_t grandchild = fork();

	CHILD_MUST(grandchild >= 0);
	if (grandchild == 0) {
		alarm(10);
		sleep_ms(10000);
		_exit(0);
	}
	tell_number_and_wait(peer, number);
}

Test(participant, one_whose_forked_child_lives_on_is_found_dead, .timeout = 20)
{
	struct evr_atomic_u64 *number = shared_memory(4096);
	struct peer peer;
	pid_t child;

	peer_create(&peer, NULL);
	child = peer_child(&peer, fork_and_wait, number);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(number) != 0));
	end_child(child);
	cr_assert_eq(evr_participant_find_dead(peer.region), 1);
	peer_close(&peer);
}

static void close_everything_and_wait(struct peer *peer, void *number)
{
	uint64_t mine = evr_region_number(peer->region);
	int fd;

	for (fd = 3; fd < 1024; fd++)
		close(fd);
	evr_store_release_u64(number, mine);
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

Test(participant, one_that_closed_all_its_descriptors_is_alive, .timeout = 20)
{
	struct evr_atomic_u64 *number = shared_memory(4096);
	struct peer peer;
	pid_t child;

	peer_create(&peer, NULL);
	child = peer_child(&peer, close_everything_and_wait, number);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(number) != 0));
	cr_assert_eq(evr_participant_find_dead(peer.region), 0);
	end_child(child);
	cr_assert_eq(evr_participant_find_dead(peer.region), 1);
	peer_close(&peer);
}

static void do_nothing(struct peer *peer, void *argument)
{
	(void)peer;
	(void)argument;
}

Test(participant, the_records_of_the_dead_are_used_again_after_recovery, .timeout = 60)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = FIXTURE_REGION_BYTES,
					      .participants = 2,
					      .agents = 2 };
	struct evr_pool_options pool_options = fixture_pool_options();
	struct peer peer = { 0 };
	int i;

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool_options, &peer.pool));
	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (i = 0; i < 20; i++) {
		killed_child(&peer, do_nothing, NULL);
		cr_assert_eq(evr_recover(&peer.agent, NULL), 0);
	}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(participant, a_record_full_of_garbage_is_told_and_harms_nobody)
{
	struct evr_region_shared *raw;
	struct evr_participant_shared *records;
	struct evr_participant_info info;
	struct peer peer;
	uint32_t i;

	peer_create(&peer, NULL);
	raw = scribble_map(peer.region);
	records =
		(struct evr_participant_shared *)((char *)raw + raw->participants_offset);
	for (i = 1; i < raw->participants_count; i++)
		memset(&records[i], (int)i, sizeof(records[i]));
	MUST(evr_participant_get(peer.region, 5, &info));
	cr_assert_geq(evr_participant_find_dead(peer.region), 0);
	(void)evr_recover(&peer.agent, NULL);
	peer_close(&peer);
}
