/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_UNIT_DUO_H
#define EVERING_TESTS_UNIT_DUO_H

/* duo.h - for the tests of channels: a submitter and a completer, two participants. */

#include "fixture.h"

#include <string.h>

struct duo {
	struct peer front; /* submits */
	struct peer back;  /* completes: another participant */
	struct evr_submitter *submitter;
	struct evr_completer *completer;
};

UNUSED static void make_duo(struct duo *duo, const struct evr_uring_options *options)
{
	peer_create(&duo->front, options);
	peer_attach(&duo->back, &duo->front);
	MUST(evr_submitter_open(duo->front.uring, &duo->front.agent, NULL,
				&duo->submitter));
	MUST(evr_completer_open(duo->back.uring, &duo->back.agent, NULL,
				&duo->completer));
}

UNUSED static void end_duo(struct duo *duo)
{
	evr_completer_close(duo->completer);
	evr_submitter_close(duo->submitter);
	peer_close(&duo->back);
	peer_leaves_all_free(&duo->front);
	peer_close(&duo->front);
}

UNUSED static int submit(struct duo *duo, uint64_t operation, const char *text)
{
	struct evr_request request = { .block = must_alloc(&duo->front.agent, 64),
				       .operation = operation,
				       .length_bytes = (uint32_t)strlen(text) + 1 };
	int error;

	memcpy(request.block.payload, text, request.length_bytes);
	error = evr_submitter_try_submit(duo->submitter, &request);
	if (error < 0)
		MUST(evr_block_free(&duo->front.agent, request.block.token));
	return error;
}

UNUSED static struct evr_request receive(struct duo *duo)
{
	struct evr_request request = { 0 };

	MUST(evr_completer_try_receive(duo->completer, &request));
	return request;
}

UNUSED static struct evr_completion reap(struct duo *duo)
{
	struct evr_completion completion = { 0 };

	MUST(evr_submitter_try_reap(duo->submitter, &completion));
	return completion;
}

UNUSED static void serve_one(struct duo *duo)
{
	struct evr_request request = receive(duo);

	MUST(evr_completer_complete(duo->completer, request.block.token, 0,
				    request.length_bytes));
}

UNUSED static void reap_one(struct duo *duo)
{
	struct evr_completion completion = reap(duo);

	MUST(evr_block_free(&duo->front.agent, completion.block.token));
}

#endif
