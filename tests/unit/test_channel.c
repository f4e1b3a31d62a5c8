/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_channel.c - channel.h: submit, receive, complete, reap, with everybody alive.
 * What death does is in test_recovery.c. */

#include "duo.h"

/* ---- there and back ---- */

Test(channel, a_request_arrives_as_it_was_sent_and_its_answer_as_it_was_given)
{
	struct evr_completion completion;
	struct evr_request request;
	struct duo duo;

	make_duo(&duo, NULL);
	MUST(submit(&duo, 4711, "ping"));
	request = receive(&duo);
	cr_assert_str_eq(request.block.payload, "ping");
	cr_assert_eq(request.operation, 4711);
	cr_assert_eq(request.length_bytes, 5);
	cr_assert_eq(request.attempts, 0);
	cr_assert_eq(request.block.payload_bytes, 64);
	strcpy(request.block.payload, "pong!");
	MUST(evr_completer_complete(duo.completer, request.block.token, 17, 6));
	completion = reap(&duo);
	cr_assert_str_eq(completion.block.payload, "pong!");
	cr_assert_eq(completion.operation, 4711);
	cr_assert_eq(completion.status, 17);
	cr_assert_eq(completion.length_bytes, 6);
	cr_assert_eq(completion.attempts, 0);
	MUST(evr_block_free(&duo.front.agent, completion.block.token));
	end_duo(&duo);
}

Test(channel, the_same_block_goes_there_and_back_and_can_go_again)
{
	struct evr_completion completion;
	struct evr_request request;
	struct duo duo;
	uint32_t index;
	int i;

	make_duo(&duo, NULL);
	MUST(submit(&duo, 0, "x"));
	request = receive(&duo);
	index = evr_token_index(request.block.token);
	MUST(evr_completer_complete(duo.completer, request.block.token, 0, 1));
	for (i = 1; i < 100; i++) {
		completion = reap(&duo);
		cr_assert_eq(evr_token_index(completion.block.token), index);
		request = (struct evr_request){ .block = completion.block,
						.operation = (uint64_t)i };
		MUST(evr_submitter_try_submit(duo.submitter, &request));
		serve_one(&duo);
	}
	reap_one(&duo);
	end_duo(&duo);
}

Test(channel, requests_are_received_in_the_order_in_which_they_were_submitted)
{
	uint64_t submitted = 0;
	uint64_t received = 0;
	struct duo duo;

	make_duo(&duo, NULL);
	while (received < 2000) {
		while (submitted < received + 50)
			MUST(submit(&duo, submitted++, "x"));
		while (received < submitted) {
			struct evr_request request = receive(&duo);

			cr_assert_eq(request.operation, received++);
			MUST(evr_completer_complete(duo.completer, request.block.token, 0,
						    0));
			reap_one(&duo);
		}
	}
	end_duo(&duo);
}

Test(channel, an_answer_goes_to_the_submitter_that_asked)
{
	struct evr_submitter *others[3];
	struct evr_completion completion;
	struct duo duo;
	uint64_t i;

	make_duo(&duo, NULL);
	for (i = 0; i < 3; i++) {
		struct evr_request request = { .block = must_alloc(&duo.front.agent, 64),
					       .operation = i };

		MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL,
					&others[i]));
		cr_assert_neq(evr_submitter_slot(others[i]),
			      evr_submitter_slot(duo.submitter));
		MUST(evr_submitter_try_submit(others[i], &request));
	}
	for (i = 0; i < 3; i++)
		serve_one(&duo);
	FAILS(-EAGAIN, evr_submitter_try_reap(duo.submitter, &completion));
	for (i = 3; i-- > 0;) {
		MUST(evr_submitter_try_reap(others[i], &completion));
		cr_assert_eq(completion.operation, i);
		MUST(evr_block_free(&duo.front.agent, completion.block.token));
		evr_submitter_close(others[i]);
	}
	end_duo(&duo);
}

Test(channel, a_negative_status_is_the_callers_own)
{
	struct evr_completion completion;
	struct duo duo;

	make_duo(&duo, NULL);
	MUST(submit(&duo, 1, "x"));
	MUST(evr_completer_complete(duo.completer, receive(&duo).block.token, -EIO, 0));
	completion = reap(&duo);
	cr_assert_eq(completion.status, -EIO);
	MUST(evr_block_free(&duo.front.agent, completion.block.token));
	end_duo(&duo);
}

Test(channel, contents_travel_with_the_request_and_come_back_with_the_answer)
{
	struct evr_block input;
	struct evr_block output;
	struct evr_request request = { 0 };
	struct evr_completion completion;
	struct duo duo;

	make_duo(&duo, NULL);
	request.block = must_alloc(&duo.front.agent, 64);
	input = must_alloc(&duo.front.agent, 1024);
	output = must_alloc(&duo.front.agent, 4096);
	strcpy(input.payload, "in");
	cr_assert_eq(
		evr_block_contain(&duo.front.agent, request.block.token, input.token), 0);
	cr_assert_eq(
		evr_block_contain(&duo.front.agent, request.block.token, output.token),
		1);
	MUST(evr_submitter_try_submit(duo.submitter, &request));

	request = receive(&duo);
	MUST(evr_block_content(&duo.back.agent, request.block.token, 0, &input));
	MUST(evr_block_content(&duo.back.agent, request.block.token, 1, &output));
	cr_assert_str_eq(input.payload, "in");
	cr_assert_eq(output.payload_bytes, 4096);
	strcpy(output.payload, "out");
	FAILS(-EBUSY,
	      evr_block_take_out(&duo.back.agent, request.block.token, 0, &input));
	FAILS(-EBUSY, evr_block_free(&duo.back.agent, request.block.token));
	MUST(evr_completer_complete(duo.completer, request.block.token, 0, 0));

	completion = reap(&duo);
	MUST(evr_block_take_out(&duo.front.agent, completion.block.token, 1, &output));
	cr_assert_str_eq(output.payload, "out");
	MUST(evr_block_free(&duo.front.agent, output.token));
	MUST(evr_block_free(&duo.front.agent, completion.block.token));
	end_duo(&duo);
}

/* ---- how much ---- */

Test(channel, no_more_than_the_window_are_in_flight)
{
	struct evr_uring_options options = { .size = sizeof(options),
					     .completion_capacity = 8 };
	struct duo duo;
	uint32_t i;

	make_duo(&duo, &options);
	cr_assert_eq(evr_uring_window(duo.front.uring), 7);
	for (i = 0; i < 7; i++) {
		cr_assert_eq(evr_submitter_in_flight(duo.submitter), i);
		MUST(submit(&duo, i, "x"));
	}
	FAILS(-EAGAIN, submit(&duo, i, "x"));
	for (i = 0; i < 7; i++)
		serve_one(&duo);
	FAILS(-EAGAIN, submit(&duo, i, "x"));
	reap_one(&duo);
	MUST(submit(&duo, i, "x"));
	serve_one(&duo);
	for (i = 0; i < 7; i++)
		reap_one(&duo);
	cr_assert_eq(evr_submitter_in_flight(duo.submitter), 0);
	end_duo(&duo);
}

Test(channel, a_full_submission_ring_refuses_and_leaves_the_block_with_its_owner)
{
	struct evr_uring_options options = { .size = sizeof(options),
					     .submission_capacity = 4 };
	struct duo duo;
	uint64_t i;

	make_duo(&duo, &options);
	for (i = 0; i < 4; i++)
		MUST(submit(&duo, i, "x"));
	FAILS(-EAGAIN, submit(&duo, i, "x"));
	for (i = 0; i < 4; i++) {
		serve_one(&duo);
		reap_one(&duo);
	}
	end_duo(&duo);
}

Test(channel, one_submitter_too_many_is_refused_until_another_closes)
{
	struct evr_uring_options options = { .size = sizeof(options), .submitters = 2 };
	struct evr_submitter *second;
	struct evr_submitter *third;
	struct duo duo;

	make_duo(&duo, &options);
	MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL, &second));
	FAILS(-EMFILE,
	      evr_submitter_open(duo.front.uring, &duo.front.agent, NULL, &third));
	evr_submitter_close(second);
	MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL, &third));
	evr_submitter_close(third);
	cr_assert_eq(evr_submitter_close(NULL), NULL);
	cr_assert_eq(evr_completer_close(NULL), NULL);
	end_duo(&duo);
}

/* ---- what is refused ---- */

Test(channel, a_length_beyond_the_block_is_the_callers_mistake)
{
	struct evr_request request = { .length_bytes = 65 };
	struct duo duo;

	make_duo(&duo, NULL);
	request.block = must_alloc(&duo.front.agent, 64);
	FAILS(-EINVAL, evr_submitter_try_submit(duo.submitter, &request));
	request.length_bytes = 64;
	MUST(evr_submitter_try_submit(duo.submitter, &request));
	request = receive(&duo);
	FAILS(-EINVAL, evr_completer_complete(duo.completer, request.block.token, 0, 65));
	MUST(evr_completer_complete(duo.completer, request.block.token, 0, 64));
	reap_one(&duo);
	end_duo(&duo);
}

Test(channel, a_token_works_once)
{
	struct evr_request request = { 0 };
	struct evr_request received;
	struct duo duo;

	make_duo(&duo, NULL);
	request.block = must_alloc(&duo.front.agent, 64);
	MUST(evr_submitter_try_submit(duo.submitter, &request));
	FAILS(-EBUSY, evr_submitter_try_submit(duo.submitter, &request));
	FAILS(-EBUSY, evr_block_free(&duo.front.agent, request.block.token));
	received = receive(&duo);
	FAILS(-ESTALE, evr_submitter_try_submit(duo.submitter, &request));
	FAILS(-ESTALE, evr_block_free(&duo.front.agent, request.block.token));
	FAILS(-ESTALE, evr_completer_complete(duo.completer, request.block.token, 0, 0));
	MUST(evr_completer_complete(duo.completer, received.block.token, 0, 0));
	FAILS(-EBUSY, evr_completer_complete(duo.completer, received.block.token, 0, 0));
	cr_assert_eq(evr_submitter_in_flight(duo.submitter), 1);
	reap_one(&duo);
	FAILS(-ESTALE, evr_completer_complete(duo.completer, received.block.token, 0, 0));
	end_duo(&duo);
}

Test(channel, only_a_request_in_these_hands_can_be_completed)
{
	struct evr_completer *elsewhere;
	struct evr_request request;
	struct evr_block idle;
	struct duo duo;
	evr_token none;

	make_duo(&duo, NULL);
	none = evr_token_make(duo.back.agent.tag, 199 + 57, 1);
	MUST(evr_completer_open(duo.front.uring, &duo.front.agent, NULL, &elsewhere));
	idle = must_alloc(&duo.back.agent, 64);
	FAILS(-EBUSY, evr_completer_complete(duo.completer, idle.token, 0, 0));
	FAILS(-EXDEV, evr_completer_complete(duo.completer, (evr_token){ 0 }, 0, 0));
	FAILS(-EINVAL,
	      evr_completer_complete(
		      duo.completer,
		      evr_token_make(duo.back.agent.tag, EVR_TOKEN_INDEX_MAX, 1), 0, 0));
	FAILS(-ESTALE, evr_completer_complete(duo.completer, none, 0, 0));
	MUST(submit(&duo, 1, "x"));
	request = receive(&duo);
	FAILS(-EPERM, evr_completer_complete(elsewhere, request.block.token, 0, 0));
	MUST(evr_completer_complete(duo.completer, request.block.token, 0, 0));
	reap_one(&duo);
	MUST(evr_block_free(&duo.back.agent, idle.token));
	evr_completer_close(elsewhere);
	end_duo(&duo);
}

Test(channel, any_completer_of_the_participant_may_answer)
{
	struct evr_completer *second;
	struct evr_request request;
	struct duo duo;

	make_duo(&duo, NULL);
	MUST(evr_completer_open(duo.back.uring, &duo.back.agent, NULL, &second));
	MUST(submit(&duo, 1, "x"));
	request = receive(&duo);
	MUST(evr_completer_complete(second, request.block.token, 0, 0));
	reap_one(&duo);
	evr_completer_close(second);
	end_duo(&duo);
}

Test(channel, options_of_a_newer_header_work_until_they_use_an_unknown_field)
{
	struct {
		struct evr_wait_options known;
		uint64_t field;
	} options = { .known = { .size = sizeof(options) } };
	struct evr_completer *completer;
	struct evr_submitter *submitter;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_completer_open(peer.uring, &peer.agent, &options.known, &completer));
	evr_completer_close(completer);
	options.field = 1;
	FAILS(-E2BIG,
	      evr_completer_open(peer.uring, &peer.agent, &options.known, &completer));
	FAILS(-E2BIG,
	      evr_submitter_open(peer.uring, &peer.agent, &options.known, &submitter));
	peer_close(&peer);
}

/* ---- waiting ---- */

Test(channel, a_wait_ends_at_its_deadline_and_not_before, .timeout = 20)
{
	struct evr_completion completion;
	struct evr_request request;
	uint64_t deadline;
	struct duo duo;

	make_duo(&duo, NULL);
	deadline = now_ns() + 120 * MILLISECOND_NS;
	FAILS(-ETIMEDOUT, evr_completer_receive(duo.completer, &request, deadline));
	cr_assert_geq(now_ns(), deadline);
	FAILS(-ENOENT, evr_submitter_reap(duo.submitter, &completion, EVR_NEVER));
	MUST(submit(&duo, 1, "x"));
	deadline = now_ns() + 120 * MILLISECOND_NS;
	FAILS(-ETIMEDOUT, evr_submitter_reap(duo.submitter, &completion, deadline));
	cr_assert_geq(now_ns(), deadline);
	FAILS(-ETIMEDOUT, evr_submitter_reap(duo.submitter, &completion, 0));
	serve_one(&duo);
	MUST(evr_submitter_reap(duo.submitter, &completion, 0));
	MUST(evr_block_free(&duo.front.agent, completion.block.token));
	end_duo(&duo);
}

Test(channel, submit_waits_for_room_until_its_deadline, .timeout = 20)
{
	struct evr_uring_options options = { .size = sizeof(options),
					     .submission_capacity = 2 };
	struct evr_request request = { 0 };
	uint64_t deadline;
	struct duo duo;

	make_duo(&duo, &options);
	MUST(submit(&duo, 0, "x"));
	MUST(submit(&duo, 1, "x"));
	request.block = must_alloc(&duo.front.agent, 64);
	deadline = now_ns() + 60 * MILLISECOND_NS;
	FAILS(-ETIMEDOUT, evr_submitter_submit(duo.submitter, &request, deadline));
	cr_assert_geq(now_ns(), deadline);
	serve_one(&duo);
	MUST(evr_submitter_submit(duo.submitter, &request, 0));
	serve_one(&duo);
	serve_one(&duo);
	reap_one(&duo);
	reap_one(&duo);
	reap_one(&duo);
	end_duo(&duo);
}

/* Serves with one processor time slice per request at most: sleeps at once. */
static void serve(struct peer *peer, void *count)
{
	struct evr_wait_options wait = { .size = sizeof(wait), .spin_ns = 0 };
	struct evr_completer *completer;
	struct evr_request request;
	int error;

	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, &wait, &completer) == 0);
	while ((error = evr_completer_receive(completer, &request, EVR_NEVER)) == 0) {
		++*(uint64_t *)request.block.payload;
		CHILD_MUST(evr_completer_complete(completer, request.block.token, 0, 8) ==
			   0);
		evr_fetch_add_acq_rel_u64(count, 1);
	}
	CHILD_MUST(error == -EPIPE);
	evr_completer_close(completer);
	peer_close(peer);
}

Test(channel, two_sleepers_wake_each_other_and_lose_no_wake, .timeout = 60)
{
	struct evr_wait_options wait = { .size = sizeof(wait), .spin_ns = 0 };
	struct evr_atomic_u64 *count = shared_memory(4096);
	struct evr_uring_shared *shared;
	struct evr_submitter *submitter;
	struct evr_home_shared *home;
	struct peer peer;
	pid_t child;
	uint64_t i;

	peer_create(&peer, NULL);
	child = peer_child(&peer, serve, count);
	MUST(evr_submitter_open(peer.uring, &peer.agent, &wait, &submitter));
	for (i = 0; i < 5000; i++) {
		struct evr_request request = { .block = must_alloc(&peer.agent, 64) };
		struct evr_completion completion;

		*(uint64_t *)request.block.payload = i;
		MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
		MUST(evr_submitter_reap(submitter, &completion, EVR_NEVER));
		cr_assert_eq(*(uint64_t *)completion.block.payload, i + 1);
		MUST(evr_block_free(&peer.agent, completion.block.token));
	}
	shared = find_object(scribble_map(peer.region), EVR_URING_MAGIC);
	home = (struct evr_home_shared *)((char *)shared + shared->homes_offset);
	/* Lost wakes would be thousands; one that the scheduler keeps off the CPU between
	 * its push and its ring is as good as stopped. */
	cr_assert_leq(evr_doorbell_backstops(&shared->bell), 5);
	cr_assert_leq(evr_doorbell_backstops(&home->bell), 5);
	MUST(evr_uring_shutdown(peer.uring));
	child_succeeds(child);
	cr_assert_eq(evr_load_acquire_u64(count), 5000);
	evr_submitter_close(submitter);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}
