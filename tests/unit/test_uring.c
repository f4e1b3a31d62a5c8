/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_uring.c - uring.h: making, opening and shutting down; sizes that must agree. */

#include "fixture.h"

#include <string.h>

static struct evr_uring_options options_named(const char *name)
{
	return (struct evr_uring_options){ .size = sizeof(struct evr_uring_options),
					   .name = name };
}

/* A child that opens it knows as much as its creator: both see one uring. */
Test(uring, it_is_found_by_its_name)
{
	struct evr_uring_options options = options_named("work");
	struct evr_uring *first;
	struct evr_uring *second;
	struct peer peer = pool_peer();

	MUST(evr_uring_create(peer.pool, &options, &first));
	MUST(evr_uring_open(peer.pool, "work", 0, 0, &second));
	cr_assert_eq(evr_uring_pool(second), peer.pool);
	cr_assert_eq(evr_uring_window(first), evr_uring_window(second));
	FAILS(-ENOENT, evr_uring_open(peer.pool, NULL, 0, 0, &peer.uring));
	cr_assert_eq(evr_uring_close(second), NULL);
	cr_assert_eq(evr_uring_close(first), NULL);
	cr_assert_eq(evr_uring_close(NULL), NULL);
	peer_close(&peer);
}

Test(uring, without_options_it_has_the_defaults_that_the_header_names)
{
	struct evr_uring_shared *shared;
	struct peer peer;

	peer_create(&peer, NULL);
	shared = find_object(scribble_map(peer.region), EVR_URING_MAGIC);
	cr_assert_eq(shared->submission_order, 10);
	cr_assert_eq(shared->completion_order, 8);
	cr_assert_eq(shared->homes_count, 16);
	cr_assert_eq(evr_uring_window(peer.uring), 255,
		     "one less than the completion ring");
	peer_close(&peer);
}

Test(uring, a_region_may_have_several_and_each_name_once)
{
	struct evr_uring_options options = options_named("second");
	struct evr_uring *uring;
	struct peer peer;

	peer_create(&peer, NULL);
	FAILS(-EEXIST, evr_uring_create(peer.pool, NULL, &uring));
	MUST(evr_uring_create(peer.pool, &options, &uring));
	FAILS(-EEXIST, evr_uring_create(peer.pool, &options, &peer.uring));
	evr_uring_close(uring);
	peer_close(&peer);
}

static int create_with(struct evr_uring_options options)
{
	struct evr_uring *untouched = (struct evr_uring *)0x5a5a;
	struct evr_uring *uring = untouched;
	struct peer peer = pool_peer();
	int error;

	options.size = sizeof(options);
	error = evr_uring_create(peer.pool, &options, &uring);
	if (error == 0)
		evr_uring_close(uring);
	else
		cr_assert_eq(uring, untouched, "the result was touched");
	peer_close(&peer);
	return error;
}

Test(uring, options_out_of_range_are_the_callers_mistake)
{
	FAILS(-EINVAL,
	      create_with((struct evr_uring_options){ .submission_capacity = 3 }));
	FAILS(-EINVAL,
	      create_with((struct evr_uring_options){ .submission_capacity = 1 }));
	FAILS(-EINVAL, create_with((struct evr_uring_options){ .submission_capacity =
								       1U << 25 }));
	FAILS(-EINVAL,
	      create_with((struct evr_uring_options){ .completion_capacity = 100 }));
	FAILS(-EINVAL,
	      create_with((struct evr_uring_options){ .completion_capacity = 1 }));
	FAILS(-EINVAL, create_with((struct evr_uring_options){ .completion_capacity =
								       1U << 24 }));
	FAILS(-EINVAL, create_with((struct evr_uring_options){
			       .submitters = EVR_URING_HOMES_MAX + 1 }));
	FAILS(-EINVAL, create_with((struct evr_uring_options){ .name = "" }));
	MUST(create_with((struct evr_uring_options){ .submission_capacity = 2,
						     .completion_capacity = 2,
						     .submitters = 1 }));
}

Test(uring, one_that_does_not_fit_names_what_it_wants)
{
	FAILS(-ENOSPC, create_with((struct evr_uring_options){ .submission_capacity =
								       1U << 20 }));
	cr_assert(strstr(evr_error_detail(), "uring"), "%s", evr_error_detail());
}

Test(uring, message_sizes_that_differ_are_refused_with_both_named)
{
	struct evr_uring_options options = options_named(NULL);
	struct evr_uring *uring;
	struct peer peer;

	options.request_bytes = 4711;
	options.response_bytes = 815;
	peer_create(&peer, &options);
	FAILS(-EPROTO, evr_uring_open(peer.pool, NULL, 4712, 815, &uring));
	cr_assert(strstr(evr_error_detail(), "4711") &&
			  strstr(evr_error_detail(), "4712"),
		  "%s", evr_error_detail());
	FAILS(-EPROTO, evr_uring_open(peer.pool, NULL, 4711, 816, &uring));
	cr_assert(strstr(evr_error_detail(), "815") && strstr(evr_error_detail(), "816"),
		  "%s", evr_error_detail());
	MUST(evr_uring_open(peer.pool, NULL, 4711, 815, &uring));
	evr_uring_close(uring);
	MUST(evr_uring_open(peer.pool, NULL, 0, 0, &uring));
	evr_uring_close(uring);
	peer_close(&peer);
}

Test(uring, another_kind_of_object_is_named_as_such)
{
	struct evr_ring ring;
	struct evr_uring *uring;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_ring_create(peer.region, "ring", 3, &ring));
	FAILS(-EPROTO, evr_uring_open(peer.pool, "ring", 0, 0, &uring));
	peer_close(&peer);
}

Test(uring, no_wrong_word_in_the_header_gets_past_the_check, .timeout = 30)
{
	static const uint64_t values[] = { 0,
					   1,
					   63,
					   UINT32_MAX,
					   UINT64_MAX,
					   UINT64_C(1) << 63,
					   1U << 30,
					   0xffffffc0,
					   UINT64_C(0xffffffffffffffc0),
					   UINT64_C(0x1800000018) };
	struct evr_submitter *submitter;
	struct evr_uring_shared *shared;
	struct peer peer;
	uint64_t *words;
	size_t at;
	size_t i;

	peer_create(&peer, NULL);
	shared = find_object(scribble_map(peer.region), EVR_URING_MAGIC);
	words = (uint64_t *)shared;
	for (at = 0; at < offsetof(struct evr_uring_shared, bell) / 8; at++) {
		for (i = 0; i < COUNT_OF(values); i++) {
			uint64_t right = words[at];
			struct evr_uring *uring;
			int error;

			words[at] = values[i];
			error = evr_uring_open(peer.pool, NULL, 0, 0, &uring);
			if (error < 0) {
				FAILS(-EUCLEAN, error);
			} else {
				if (evr_submitter_open(uring, &peer.agent, NULL,
						       &submitter) == 0)
					evr_submitter_close(submitter);
				evr_uring_close(uring);
			}
			words[at] = right;
		}
	}
	shared->homes_count = 4096;
	FAILS(-EUCLEAN, evr_uring_open(peer.pool, NULL, 0, 0, &peer.uring));
	peer_close(&peer);
}

Test(uring, shutdown_lets_no_request_in_and_the_queued_ones_out)
{
	struct evr_submitter *submitter;
	struct evr_completer *completer;
	struct evr_request request = { 0 };
	struct evr_request received;
	struct evr_completion completion;
	struct peer peer;

	peer_create(&peer, NULL);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	MUST(evr_completer_open(peer.uring, &peer.agent, NULL, &completer));
	request.block = must_alloc(&peer.agent, 64);
	request.operation = 5;
	MUST(evr_submitter_try_submit(submitter, &request));
	MUST(evr_uring_shutdown(peer.uring));
	MUST(evr_uring_shutdown(peer.uring));
	request.block = must_alloc(&peer.agent, 64);
	FAILS(-EPIPE, evr_submitter_try_submit(submitter, &request));
	MUST(evr_block_free(&peer.agent, request.block.token));
	MUST(evr_completer_try_receive(completer, &received));
	FAILS(-EPIPE, evr_completer_try_receive(completer, &request));
	FAILS(-EPIPE, evr_completer_receive(completer, &request, EVR_NEVER));
	MUST(evr_completer_complete(completer, received.block.token, 3, 0));
	MUST(evr_submitter_try_reap(submitter, &completion));
	cr_assert_eq(completion.operation, 5);
	cr_assert_eq(completion.status, 3);
	MUST(evr_block_free(&peer.agent, completion.block.token));
	evr_completer_close(completer);
	evr_submitter_close(submitter);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

static void receive_until_the_end(struct peer *peer, void *armed)
{
	struct evr_wait_options wait = { .size = sizeof(wait), .spin_ns = 0 };
	struct evr_completer *completer;
	struct evr_request request;

	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, &wait, &completer) == 0);
	evr_fetch_add_acq_rel_u64(armed, 1);
	CHILD_MUST(evr_completer_receive(completer, &request, EVR_NEVER) == -EPIPE);
}

Test(uring, shutdown_wakes_every_sleeper, .timeout = 20)
{
	struct evr_atomic_u64 *armed = shared_memory(4096);
	struct evr_uring_shared *shared;
	struct peer peer;
	pid_t children[3];
	uint32_t epoch;
	int i;

	peer_create(&peer, NULL);
	shared = find_object(scribble_map(peer.region), EVR_URING_MAGIC);
	for (i = 0; i < 3; i++)
		children[i] = peer_child(&peer, receive_until_the_end, armed);
	cr_assert(HOLDS_WITHIN(5000, evr_load_acquire_u64(armed) == 3));
	sleep_ms(20);
	epoch = evr_doorbell_arm(&shared->bell);
	MUST(evr_uring_shutdown(peer.uring));
	/* The back-stop would end their sleep too, so this is looked at by itself. */
	cr_assert(evr_doorbell_rung_since(&shared->bell, epoch), "nobody rang");
	for (i = 0; i < 3; i++)
		child_succeeds(children[i]);
	peer_close(&peer);
}
