/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_SCENE_H
#define EVERING_TESTS_UNIT_SCENE_H

/*
 * scene.h - for the tests of recovery: a region with all there is in it, and children
 * that end holding something.
 */

#include "fixture.h"

#include <string.h>

#define TEXT "as the dead one left it"

struct scene {
	struct peer peer;
	struct evr_submitter *submitter;
	struct evr_ring ring;
};

UNUSED static void make_scene(struct scene *scene)
{
	peer_create(&scene->peer, NULL);
	MUST(evr_submitter_open(scene->peer.uring, &scene->peer.agent, NULL,
				&scene->submitter));
	MUST(evr_ring_create(scene->peer.region, "ring", 3, &scene->ring));
}

UNUSED static void end_scene(struct scene *scene)
{
	evr_submitter_close(scene->submitter);
	peer_leaves_all_free(&scene->peer);
	peer_close(&scene->peer);
}

/* A request with two contents, the first one with a text. */
UNUSED static void submit_family(struct scene *scene, uint64_t operation)
{
	struct evr_request request = { .block = must_alloc(&scene->peer.agent, 64),
				       .operation = operation,
				       .length_bytes = sizeof(TEXT) };
	struct evr_block content = must_alloc(&scene->peer.agent, 1024);

	strcpy(request.block.payload, TEXT);
	strcpy(content.payload, TEXT);
	MUST(evr_block_contain(&scene->peer.agent, request.block.token, content.token));
	content = must_alloc(&scene->peer.agent, 4096);
	MUST(evr_block_contain(&scene->peer.agent, request.block.token, content.token));
	MUST(evr_submitter_try_submit(scene->submitter, &request));
}

UNUSED static struct evr_recovery_stats recover_all(struct scene *scene)
{
	struct evr_recovery_stats stats;

	cr_assert_eq(evr_recover(&scene->peer.agent, &stats), 0);
	return stats;
}

/* A completer that looks frees what nobody waits for; nothing else is there. */
UNUSED static void nothing_is_queued(struct scene *scene)
{
	struct evr_completer *completer;
	struct evr_request request;

	MUST(evr_completer_open(scene->peer.uring, &scene->peer.agent, NULL, &completer));
	FAILS(-EAGAIN, evr_completer_try_receive(completer, &request));
	evr_completer_close(completer);
}

/* ---- children ---- */

struct service {
	uint64_t requests;
	bool responds;
};

/* Receives, and scribbles into what it received; perhaps writes a whole response. */
UNUSED static void receive_and_die(struct peer *peer, void *argument)
{
	const struct service *service = argument;
	struct evr_completer *completer;
	struct evr_request request;
	uint64_t i;

	CHILD_MUST(evr_completer_open(peer->uring, &peer->agent, NULL, &completer) == 0);
	for (i = 0; i < service->requests; i++) {
		CHILD_MUST(evr_completer_try_receive(completer, &request) == 0);
		CHILD_MUST(strcmp(request.block.payload, TEXT) == 0);
		if (service->responds) {
			struct evr_block_shared *block = evri_block_at(
				&peer->agent, evr_token_index(request.block.token));
			uint64_t word = evr_load_relaxed_u64(&block->word);

			/* As evr_completer_complete() does it, up to the push. */
			strcpy(request.block.payload, "answer");
			block->status = 77;
			block->response_bytes = 7;
			evr_store_release_u64(
				&block->word,
				evr_block_word(evr_block_word_generation(word),
					       EVR_BLOCK_RESP,
					       evr_region_number(peer->region)));
		}
	}
}

UNUSED static void submit_and_die(struct peer *peer, void *count)
{
	struct evr_submitter *submitter;
	struct evr_request request = { 0 };
	struct evr_block content;
	int i;

	CHILD_MUST(evr_submitter_open(peer->uring, &peer->agent, NULL, &submitter) == 0);
	for (i = 0; i < *(int *)count; i++) {
		CHILD_MUST(evr_block_alloc(&peer->agent, 64, &request.block) == 0);
		CHILD_MUST(evr_block_alloc(&peer->agent, 1024, &content) == 0);
		CHILD_MUST(evr_block_contain(&peer->agent, request.block.token,
					     content.token) == 0);
		CHILD_MUST(evr_submitter_try_submit(submitter, &request) == 0);
	}
}

#endif
