/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_turnover.c - what is used by one participant after the other: homes, agents and
 * records, over thousands of lives. Each test here stands for a fault that was there.
 */

#include "fixture.h"

/* A handle that is opened late has to find the ends of rings that have gone on for long
 * without raising a hint; once, a home was lost after some 5 000 sessions. */
Test(turnover, a_home_serves_twenty_thousand_submitters_one_after_another, .timeout = 60)
{
	struct evr_uring_options options = { .size = sizeof(options), .submitters = 1 };
	struct peer peer;
	int session;

	peer_create(&peer, &options);
	for (session = 0; session < 20000; session++) {
		struct evr_submitter *submitter;

		MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
		evr_submitter_close(submitter);
	}
	peer_close(&peer);
}

static void take_all_agents_and_die(struct peer *peer, void *argument)
{
	struct evr_agent more[8];
	size_t count = 0;

	(void)argument;
	while (count < COUNT_OF(more) && evr_agent_open(peer->pool, &more[count]) == 0)
		count++;
	CHILD_MUST(count > 0 && count < COUNT_OF(more));
}

/* Recovery takes an agent: if the dead have them all, one must still be had. */
Test(turnover, an_agent_can_be_had_when_the_dead_have_them_all)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = FIXTURE_REGION_BYTES,
					      .agents = 4 };
	struct evr_pool_options pool_options = fixture_pool_options();
	struct evr_recovery_stats stats;
	struct peer peer = { 0 };

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool_options, &peer.pool));
	killed_child(&peer, take_all_agents_and_die, NULL);
	MUST(evr_agent_open(peer.pool, &peer.agent));
	cr_assert_eq(MUST(evr_recover(&peer.agent, &stats)), 0);
	cr_assert_eq(stats.finished, 1);
	peer_close(&peer);
}

static void begin_to_answer_and_die(struct peer *peer, void *argument)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct evr_block_shared *prefix;

	(void)argument;
	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, NULL, &completer) == 0);
	CHILD_MUST(evr_completer_try_receive(completer, &request) == 0);
	/* As far as evr_completer_complete() comes before the word says RESP. */
	prefix = (struct evr_block_shared *)request.block.payload - 1;
	prefix->status = 5;
	prefix->response_bytes = 40;
}

Test(turnover, a_request_that_outlives_its_completer_has_its_length_as_submitted)
{
	struct evr_request request = { .operation = 9, .length_bytes = 24 };
	struct evr_submitter *submitter;
	struct evr_completion completion;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	MUST(evr_block_alloc(&peer.agent, 64, &request.block));
	MUST(evr_submitter_try_submit(submitter, &request));
	killed_child(&peer, begin_to_answer_and_die, NULL);
	MUST(evr_recover(&peer.agent, NULL));
	MUST(evr_submitter_try_reap(submitter, &completion));
	cr_assert_eq(completion.status, -EOWNERDEAD);
	cr_assert_eq(completion.operation, 9);
	cr_assert_eq(completion.length_bytes, 24);
	MUST(evr_block_free(&peer.agent, completion.block.token));
	evr_submitter_close(submitter);
	peer_close(&peer);
}

Test(turnover, attempts_count_to_their_maximum_and_stay_there)
{
	struct evr_request request = { .length_bytes = 1, .attempts = 1000 };
	struct evr_completer *completer;
	struct evr_submitter *submitter;
	struct evr_completion completion;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	MUST(evr_completer_open(peer.uring, &peer.agent, NULL, &completer));
	MUST(evr_block_alloc(&peer.agent, 64, &request.block));
	MUST(evr_submitter_try_submit(submitter, &request));
	MUST(evr_completer_try_receive(completer, &request));
	cr_assert_eq(request.attempts, EVR_ATTEMPTS_MAX);
	MUST(evr_completer_complete(completer, request.block.token, 0, 1));
	MUST(evr_submitter_try_reap(submitter, &completion));
	cr_assert_eq(completion.attempts, EVR_ATTEMPTS_MAX);
	MUST(evr_block_free(&peer.agent, completion.block.token));
	evr_completer_close(completer);
	evr_submitter_close(submitter);
	peer_close(&peer);
}
