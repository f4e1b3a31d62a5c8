/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_evering.c - evering.h: the tour on its first screen, as two processes. */

#include "fixture.h"

#include <evering/evering.h>

#include <string.h>

static void serve_once(void *fd)
{
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
	struct evr_completer *completer;
	struct evr_request request;

	CHILD_MUST(evr_region_attach(*(int *)fd, &region) == 0);
	CHILD_MUST(evr_pool_open(region, &pool) == 0);
	CHILD_MUST(evr_uring_open(pool, NULL, 0, 0, &uring) == 0);
	CHILD_MUST(evr_agent_open(pool, &agent) == 0);
	CHILD_MUST(evr_completer_open(uring, &agent, NULL, &completer) == 0);

	CHILD_MUST(evr_completer_receive(completer, &request, EVR_NEVER) == 0);
	CHILD_MUST(strcmp(request.block.payload, "ping") == 0);
	memcpy(request.block.payload, "pong", 5);
	CHILD_MUST(evr_completer_complete(completer, request.block.token, 0, 5) == 0);

	evr_completer_close(completer);
	evr_agent_close(&agent);
	evr_uring_close(uring);
	evr_pool_close(pool);
	evr_region_detach(region);
}

Test(evering, the_tour_in_the_header_works_between_two_processes, .timeout = 20)
{
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(1) << 20 };
	struct evr_pool_class class = { .payload_bytes = 64, .blocks_count = 64 };
	struct evr_pool_options pool_options = { .size = sizeof(pool_options),
						 .classes = &class,
						 .classes_count = 1 };
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
	struct evr_submitter *submitter;
	struct evr_request request = { 0 };
	struct evr_completion completion;
	pid_t child;
	int fd;

	MUST(evr_region_create(&region_options, &region));
	MUST(evr_pool_create(region, &pool_options, &pool));
	MUST(evr_uring_create(pool, NULL, &uring));
	MUST(evr_agent_open(pool, &agent));
	MUST(evr_submitter_open(uring, &agent, NULL, &submitter));
	fd = evr_region_fd(region);
	child = start_child(serve_once, &fd);

	MUST(evr_block_alloc(&agent, 64, &request.block));
	memcpy(request.block.payload, "ping", 5);
	request.length_bytes = 5;
	MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
	MUST(evr_submitter_reap(submitter, &completion, EVR_NEVER));
	cr_assert_str_eq(completion.block.payload, "pong");
	cr_assert_eq(completion.status, 0);
	MUST(evr_block_free(&agent, completion.block.token));
	child_succeeds(child);

	cr_assert_eq(evr_submitter_close(submitter), NULL);
	evr_agent_close(&agent);
	all_blocks_are_free(region);
	cr_assert_eq(evr_uring_close(uring), NULL);
	cr_assert_eq(evr_pool_close(pool), NULL);
	cr_assert_eq(evr_region_detach(region), NULL);
}

/* errno is the caller's: a coroutine may go on in another thread. */
Test(evering, no_call_touches_errno)
{
	struct evr_completion completion;
	struct evr_submitter *submitter;
	struct evr_uring *second;
	struct evr_region *none;
	struct evr_block block;
	struct peer peer;
	struct peer other;

	errno = 4711;
	peer_create(&peer, NULL);
	peer_attach(&other, &peer);
	MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
	block = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&peer.agent, block.token));
	FAILS(-EBADF, evr_region_attach(-1, &none));
	FAILS(-EEXIST, evr_uring_create(peer.pool, NULL, &second));
	FAILS(-EAGAIN, evr_submitter_try_reap(submitter, &completion));
	(void)evr_recover(&peer.agent, NULL);
	evr_submitter_close(submitter);
	peer_close(&other);
	peer_close(&peer);
	cr_assert_eq(errno, 4711);
}

/* One word in eight of a whole region in use is garbage: whoever comes gets an error or
 * goes on, and whoever is inside too. */
static void use_everything(int fd)
{
	struct evr_completion completion;
	struct evr_completer *completer;
	struct evr_submitter *submitter;
	struct evr_request request = { 0 };
	struct peer peer;
	int i;

	alarm(20);
	if (!peer_try_attach(&peer, fd) || !peer.pool)
		return;
	if (peer.uring) {
		if (evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter) < 0)
			submitter = NULL;
		if (evr_completer_open(peer.uring, &peer.agent, NULL, &completer) < 0)
			completer = NULL;
		for (i = 0; i < 50; i++) {
			if (submitter &&
			    evr_block_alloc(&peer.agent, 64, &request.block) == 0 &&
			    evr_submitter_try_submit(submitter, &request) < 0)
				(void)!evr_block_free(&peer.agent, request.block.token);
			if (completer &&
			    evr_completer_receive(completer, &request, 1) == 0)
				(void)!evr_completer_complete(completer,
							      request.block.token, 0, 0);
			if (submitter &&
			    evr_submitter_reap(submitter, &completion, 1) == 0)
				(void)!evr_block_free(&peer.agent,
						      completion.block.token);
		}
		(void)!evr_uring_shutdown(peer.uring);
		evr_completer_close(completer);
		evr_submitter_close(submitter);
	}
	(void)!evr_recover(&peer.agent, NULL);
	peer_close(&peer);
}

Test(evering, a_region_full_of_garbage_crashes_and_hangs_nobody, .timeout = 100)
{
	uint64_t seed = 31;
	int round;

	for (round = 0; round < 200; round++) {
		struct evr_region_shared *raw;
		uint64_t *words;
		struct peer peer;
		uint64_t begin;
		uint64_t i;
		int status;
		pid_t child;

		peer_create(&peer, NULL);
		raw = scribble_map(peer.region);
		words = (uint64_t *)raw;
		/* The header too in half of the rounds. */
		begin = round % 2 ? raw->objects_offset / 8 : 8;
		for (i = begin; i < FIXTURE_REGION_BYTES / 8; i++)
			if (next_random(&seed) % (round % 4 < 2 ? 8 : 512) == 0)
				words[i] =
					round % 3
						? next_random(&seed) >>
							  next_random(&seed) % 64
						: words[i] ^
							  UINT64_C(1)
								  << next_random(&seed) %
									     64;
		child = fork();
		cr_assert_geq(child, 0);
		if (child == 0) {
			use_everything(evr_region_fd(peer.region));
			_exit(0);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert_eq(status, 0, "round %d: status %#x", round, status);
		munmap(raw, FIXTURE_REGION_BYTES);
		peer_close(&peer);
	}
}
