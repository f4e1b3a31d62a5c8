/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_channel_leave.c - channel.h: what becomes of requests and answers when their
 * submitter leaves; nobody dies here. */

#include "duo.h"

#include "uring_internal.h"

Test(channel_leave, a_submitter_that_leaves_frees_what_it_did_not_reap)
{
	struct duo duo;
	int i;

	make_duo(&duo, NULL);
	for (i = 0; i < 10; i++)
		MUST(submit(&duo, 1, "x"));
	for (i = 0; i < 10; i++)
		serve_one(&duo);
	end_duo(&duo);
}

Test(channel_leave, a_request_of_a_submitter_that_left_is_freed_by_whoever_meets_it)
{
	struct evr_request request;
	struct duo duo;

	make_duo(&duo, NULL);
	MUST(submit(&duo, 1, "x"));
	MUST(submit(&duo, 2, "x"));
	evr_submitter_close(duo.submitter);
	MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL, &duo.submitter));
	MUST(submit(&duo, 3, "of the new one"));
	request = receive(&duo);
	cr_assert_eq(request.operation, 3);
	MUST(evr_completer_complete(duo.completer, request.block.token, 0, 0));
	reap_one(&duo);
	end_duo(&duo);
}

Test(channel_leave, an_answer_to_a_submitter_that_left_is_freed_and_its_sender_told)
{
	struct evr_request request;
	struct evr_block content;
	struct evr_request asked = { 0 };
	struct duo duo;

	make_duo(&duo, NULL);
	asked.block = must_alloc(&duo.front.agent, 64);
	content = must_alloc(&duo.front.agent, 1024);
	MUST(evr_block_contain(&duo.front.agent, asked.block.token, content.token));
	MUST(evr_submitter_try_submit(duo.submitter, &asked));
	request = receive(&duo);
	evr_submitter_close(duo.submitter);
	duo.submitter = NULL;
	FAILS(-EPIPE, evr_completer_complete(duo.completer, request.block.token, 0, 0));
	FAILS(-ESTALE, evr_completer_complete(duo.completer, request.block.token, 0, 0));
	end_duo(&duo);
}

Test(channel_leave, the_next_submitter_at_a_home_gets_no_answer_meant_for_the_last)
{
	struct evr_completion completion;
	struct evr_request request;
	struct duo duo;

	make_duo(&duo, NULL);
	MUST(submit(&duo, 1, "x"));
	request = receive(&duo);
	evr_submitter_close(duo.submitter);
	MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL, &duo.submitter));
	cr_assert_eq(evr_submitter_slot(duo.submitter), 0);
	FAILS(-EPIPE, evr_completer_complete(duo.completer, request.block.token, 0, 0));
	FAILS(-EAGAIN, evr_submitter_try_reap(duo.submitter, &completion));
	end_duo(&duo);
}

/* The completer looked whether the home is there, was stopped, and pushes only after the
 * next submitter has come: by hand, what evr_completer_complete() does after its look. */
Test(channel_leave, an_answer_that_comes_after_the_next_submitter_is_freed_by_it)
{
	struct evr_completion completion;
	struct evr_request request;
	struct evr_block_shared *block;
	struct evr_ring ring;
	struct duo duo;
	uint64_t word;

	make_duo(&duo, NULL);
	MUST(submit(&duo, 1, "x"));
	request = receive(&duo);
	evr_submitter_close(duo.submitter);
	MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL, &duo.submitter));
	MUST(submit(&duo, 2, "x"));
	block = evri_block_at(&duo.back.agent, evr_token_index(request.block.token));
	word = evr_load_relaxed_u64(&block->word);
	evr_store_release_u64(&block->word,
			      evr_block_word(evr_block_word_generation(word),
					     EVR_BLOCK_RESP, duo.back.agent.number));
	MUST(evri_home_ring(&duo.back.uring->layout, 0, EVRI_HOME_COMPLETIONS, &ring));
	MUST(evri_ring_push(&ring, evr_token_wire(request.block.token)));
	FAILS(-EAGAIN, evr_submitter_try_reap(duo.submitter, &completion));
	serve_one(&duo);
	completion = reap(&duo);
	cr_assert_eq(completion.operation, 2);
	MUST(evr_block_free(&duo.front.agent, completion.block.token));
	end_duo(&duo);
}

Test(channel_leave, a_home_can_be_left_and_taken_many_times, .timeout = 30)
{
	struct duo duo;
	int i;

	make_duo(&duo, NULL);
	for (i = 0; i < 2000; i++) {
		MUST(submit(&duo, (uint64_t)i, "x"));
		if (i % 3)
			serve_one(&duo);
		if (i % 3 == 2)
			reap_one(&duo);
		evr_submitter_close(duo.submitter);
		MUST(evr_submitter_open(duo.front.uring, &duo.front.agent, NULL,
					&duo.submitter));
		if (i % 3 == 0) {
			struct evr_request request;

			FAILS(-EAGAIN,
			      evr_completer_try_receive(duo.completer, &request));
		}
	}
	end_duo(&duo);
}
