/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_recovery_channel.c - recovery.h: what becomes of requests and answers when a
 * completer or a submitter dies.
 */

#include "scene.h"

/* ---- requests in the hands of a completer that dies ---- */

Test(recovery_channel, a_request_in_dead_hands_comes_home_with_its_content_and_contents,
     .timeout = 20)
{
	struct service service = { .requests = 1 };
	struct evr_completion completion;
	struct evr_recovery_stats stats;
	struct evr_block content;
	struct scene scene;

	make_scene(&scene);
	submit_family(&scene, 4711);
	killed_child(&scene.peer, receive_and_die, &service);
	FAILS(-EAGAIN, evr_submitter_try_reap(scene.submitter, &completion));
	stats = recover_all(&scene);
	cr_assert_eq(stats.returned, 1);
	MUST(evr_submitter_try_reap(scene.submitter, &completion));
	cr_assert_eq(completion.status, -EOWNERDEAD);
	cr_assert_eq(completion.operation, 4711);
	cr_assert_eq(completion.length_bytes, sizeof(TEXT));
	cr_assert_str_eq(completion.block.payload, TEXT);
	MUST(evr_block_take_out(&scene.peer.agent, completion.block.token, 0, &content));
	cr_assert_str_eq(content.payload, TEXT);
	MUST(evr_block_free(&scene.peer.agent, content.token));
	MUST(evr_block_content(&scene.peer.agent, completion.block.token, 1, &content));
	cr_assert_eq(content.payload_bytes, 4096);
	MUST(evr_block_free(&scene.peer.agent, completion.block.token));
	cr_assert_eq(evr_submitter_in_flight(scene.submitter), 0);
	end_scene(&scene);
}

Test(recovery_channel, a_request_that_came_home_can_be_sent_again_and_counts_its_attempts,
     .timeout = 20)
{
	struct service service = { .requests = 1 };
	struct evr_completion completion;
	struct evr_request request = { 0 };
	struct scene scene;
	uint32_t attempt;

	make_scene(&scene);
	submit_family(&scene, 9);
	for (attempt = 0; attempt < 5; attempt++) {
		killed_child(&scene.peer, receive_and_die, &service);
		recover_all(&scene);
		MUST(evr_submitter_try_reap(scene.submitter, &completion));
		cr_assert_eq(completion.status, -EOWNERDEAD);
		cr_assert_eq(completion.attempts, attempt);
		request.block = completion.block;
		request.operation = completion.operation;
		request.length_bytes = completion.length_bytes;
		request.attempts = completion.attempts + 1;
		MUST(evr_submitter_try_submit(scene.submitter, &request));
	}
	killed_child(&scene.peer, receive_and_die, &service);
	recover_all(&scene);
	MUST(evr_submitter_try_reap(scene.submitter, &completion));
	MUST(evr_block_free(&scene.peer.agent, completion.block.token));
	end_scene(&scene);
}

Test(recovery_channel, a_whole_response_in_dead_hands_is_posted_in_its_stead,
     .timeout = 20)
{
	struct service service = { .requests = 3, .responds = true };
	struct evr_completion completion;
	struct evr_recovery_stats stats;
	struct scene scene;
	uint64_t i;

	make_scene(&scene);
	for (i = 0; i < 3; i++)
		submit_family(&scene, i);
	killed_child(&scene.peer, receive_and_die, &service);
	stats = recover_all(&scene);
	cr_assert_eq(stats.posted, 3);
	cr_assert_eq(stats.returned, 0);
	for (i = 0; i < 3; i++) {
		MUST(evr_submitter_try_reap(scene.submitter, &completion));
		cr_assert_eq(completion.status, 77);
		cr_assert_eq(completion.length_bytes, 7);
		cr_assert_str_eq(completion.block.payload, "answer");
		MUST(evr_block_free(&scene.peer.agent, completion.block.token));
	}
	FAILS(-EAGAIN, evr_submitter_try_reap(scene.submitter, &completion));
	end_scene(&scene);
}

Test(recovery_channel, a_waiting_submitter_finds_the_death_by_itself, .timeout = 20)
{
	struct service service = { .requests = 1 };
	struct evr_completion completion;
	struct scene scene;
	uint64_t before;

	make_scene(&scene);
	submit_family(&scene, 1);
	killed_child(&scene.peer, receive_and_die, &service);
	before = now_ns();
	MUST(evr_submitter_reap(scene.submitter, &completion,
				before + 5000 * MILLISECOND_NS));
	cr_assert_eq(completion.status, -EOWNERDEAD);
	cr_assert_lt(now_ns() - before, 1000 * MILLISECOND_NS);
	MUST(evr_block_free(&scene.peer.agent, completion.block.token));
	end_scene(&scene);
}

static void receive_and_wait(struct peer *peer, void *received)
{
	struct evr_completer *completer;
	struct evr_request request;

	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, NULL, &completer) == 0);
	CHILD_MUST(evr_completer_try_receive(completer, &request) == 0);
	evr_store_release_u64(received, 1);
	sleep_ms(CHILD_SECONDS_MAX * 1000);
}

Test(recovery_channel, a_request_in_the_hands_of_a_stopped_completer_is_left_there,
     .timeout = 20)
{
	struct evr_atomic_u64 *received = shared_memory(4096);
	struct evr_completion completion;
	struct scene scene;
	int status;
	pid_t child;

	make_scene(&scene);
	submit_family(&scene, 1);
	child = peer_child(&scene.peer, receive_and_wait, received);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(received) == 1));
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	cr_assert_eq(recover_all(&scene).dead, 0);
	FAILS(-ETIMEDOUT, evr_submitter_reap(scene.submitter, &completion,
					     now_ns() + 200 * MILLISECOND_NS));
	end_child(child);
	MUST(evr_submitter_reap(scene.submitter, &completion, EVR_NEVER));
	cr_assert_eq(completion.status, -EOWNERDEAD);
	MUST(evr_block_free(&scene.peer.agent, completion.block.token));
	end_scene(&scene);
}

/* ---- submitters that die ---- */

Test(recovery_channel,
     requests_of_a_dead_submitter_are_freed_by_completers_that_meet_them, .timeout = 20)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct scene scene;
	int count = 10;

	make_scene(&scene);
	killed_child(&scene.peer, submit_and_die, &count);
	submit_family(&scene, 5);
	recover_all(&scene);
	MUST(evr_completer_open(scene.peer.uring, &scene.peer.agent, NULL, &completer));
	MUST(evr_completer_try_receive(completer, &request));
	cr_assert_eq(request.operation, 5, "the dead one's were not handed out");
	MUST(evr_completer_complete(completer, request.block.token, 0, 0));
	FAILS(-EAGAIN, evr_completer_try_receive(completer, &request));
	evr_completer_close(completer);
	end_scene(&scene);
}

Test(recovery_channel, an_answer_to_a_dead_submitter_is_freed_and_its_sender_told,
     .timeout = 20)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct scene scene;
	int count = 1;

	make_scene(&scene);
	killed_child(&scene.peer, submit_and_die, &count);
	MUST(evr_completer_open(scene.peer.uring, &scene.peer.agent, NULL, &completer));
	/* Nobody has noticed the death yet, so the request may be handed out. */
	if (evr_completer_try_receive(completer, &request) == 0) {
		recover_all(&scene);
		FAILS(-EPIPE,
		      evr_completer_complete(completer, request.block.token, 0, 0));
	}
	recover_all(&scene);
	evr_completer_close(completer);
	end_scene(&scene);
}

Test(recovery_channel, the_homes_of_dead_submitters_serve_the_next_ones, .timeout = 60)
{
	struct evr_uring_options options = { .size = sizeof(options), .submitters = 1 };
	struct evr_completer *completer;
	struct evr_request request;
	struct peer peer;
	int count = 2;
	int i;

	peer_create(&peer, &options);
	MUST(evr_completer_open(peer.uring, &peer.agent, NULL, &completer));
	for (i = 0; i < 30; i++) {
		killed_child(&peer, submit_and_die, &count);
		cr_assert_eq(evr_recover(&peer.agent, NULL), 0);
	}
	FAILS(-EAGAIN, evr_completer_try_receive(completer, &request));
	evr_completer_close(completer);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(recovery_channel, what_a_dead_submitter_had_not_reaped_is_freed, .timeout = 20)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct scene scene;
	int count = 4;
	int i;

	make_scene(&scene);
	killed_child(&scene.peer, submit_and_die, &count);
	MUST(evr_completer_open(scene.peer.uring, &scene.peer.agent, NULL, &completer));
	for (i = 0; i < 2 && evr_completer_try_receive(completer, &request) == 0; i++)
		MUST(evr_completer_complete(completer, request.block.token, 0, 0));
	recover_all(&scene);
	FAILS(-EAGAIN, evr_completer_try_receive(completer, &request));
	evr_completer_close(completer);
	end_scene(&scene);
}
