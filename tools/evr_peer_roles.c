/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* evr_peer_roles.c - what a peer does: submit, complete, alloc, idle. */

#include "evr_peer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long to leave the others in peace when there is no free block. */
#define FULL_PAUSE_NS UINT64_C(1000000)

#define ATTEMPTS_MAX 1000

/* A request, and in its place the answer: the bytes behind it follow from the first two
 * members, and nobody changes them on the way. */
struct message {
	uint64_t sequence;
	uint32_t submitter;   /* attach number */
	uint32_t answered_by; /* attach number; 0 in a request */
	uint64_t checksum;    /* of the bytes behind the message */
	uint64_t reserved;
};

static void print_id(const struct peer *peer, const char *what, evr_token token,
		     const char *where)
{
	if (peer->options->print_ids)
		printf("%s token=0x%016" PRIx64 " index=%u generation=%u at=%s\n", what,
		       token.raw, evr_token_index(token), evr_token_generation(token),
		       where);
}

static void hold(const struct peer *peer)
{
	uint64_t until_ns = peer_now_ns() + peer->options->hold_us * 1000;
	uint64_t now_ns;

	while (peer->options->hold_us && (now_ns = peer_now_ns()) < until_ns &&
	       !peer_should_end(peer))
		peer_sleep_ns(until_ns - now_ns);
}

/* A word that is unlikely to be met by chance where it does not belong. */
static uint64_t word_of(uint64_t sequence, uint64_t submitter, uint64_t place)
{
	uint64_t word =
		sequence * UINT64_C(0x9e3779b97f4a7c15) + (submitter << 32) + place;

	word ^= word >> 31;
	word *= UINT64_C(0xbf58476d1ce4e5b9);
	return word ^ word >> 29;
}

static uint64_t checksum_of(const struct message *message, size_t bytes)
{
	const unsigned char *byte = (const unsigned char *)(message + 1);
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < bytes - sizeof(*message); i++)
		sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static void fill_message(struct message *message, size_t bytes, uint64_t sequence,
			 uint32_t submitter)
{
	unsigned char *byte = (unsigned char *)(message + 1);
	size_t rest = bytes - sizeof(*message);

	for (size_t i = 0; i < rest; i += sizeof(uint64_t)) {
		uint64_t word = word_of(sequence, submitter, i);
		memcpy(byte + i, &word,
		       rest - i < sizeof(word) ? rest - i : sizeof(word));
	}
	message->sequence = sequence;
	message->submitter = submitter;
	message->answered_by = 0;
	message->reserved = 0;
	message->checksum = checksum_of(message, bytes);
}

/* ---- submit ---- */

struct submit_state {
	struct evr_submitter *submitter;
	uint64_t sent;
	uint64_t done;
	uint64_t owner_died;
	uint64_t errors;
};

static int send_block(struct peer *peer, struct submit_state *state,
		      const struct evr_block *block, uint64_t sequence, uint32_t attempts)
{
	struct evr_request request = {
		.block = *block,
		.operation = sequence,
		.length_bytes = peer->options->size_bytes,
		.attempts = attempts,
	};
	int error;

	fill_message(block->payload, peer->options->size_bytes, sequence,
		     evr_region_number(peer->region));
	do {
		error = evr_submitter_submit(state->submitter, &request,
					     peer_tick_ns(peer));
	} while (error == -ETIMEDOUT && !peer_should_end(peer));
	if (error == 0)
		print_id(peer, "sent", block->token, "submit");
	return error;
}

/* 1: sent one; 0: not now, reap first; negative: no more can be sent. */
static int send_next(struct peer *peer, struct submit_state *state)
{
	struct evr_block block;
	int error = evr_block_alloc(&peer->agent, peer->options->size_bytes, &block);

	if (error == -ENOSPC)
		return 0;
	if (error < 0)
		return error;
	print_id(peer, "held", block.token, "alloc");
	hold(peer);
	error = send_block(peer, state, &block, state->sent, 0);
	if (error == 0) {
		state->sent++;
		return 1;
	}
	int freed = evr_block_free(&peer->agent, block.token);
	return freed < 0 ? freed : error == -EAGAIN || error == -ETIMEDOUT ? 0 : error;
}

static bool answer_is_right(const struct peer *peer,
			    const struct evr_completion *completion)
{
	const struct message *message = completion->block.payload;

	return completion->status == 0 &&
	       completion->length_bytes == peer->options->size_bytes &&
	       message->sequence == completion->operation &&
	       message->submitter == evr_region_number(peer->region) &&
	       message->answered_by != 0 &&
	       message->checksum == checksum_of(message, completion->length_bytes);
}

static int take_answer(struct peer *peer, struct submit_state *state,
		       const struct evr_completion *completion)
{
	print_id(peer, "held", completion->block.token, "reap");
	if (completion->status == -EOWNERDEAD) {
		state->owner_died++;
		if (completion->attempts < ATTEMPTS_MAX)
			return send_block(peer, state, &completion->block,
					  completion->operation,
					  completion->attempts + 1);
		peer_complain("request %" PRIu64 " has outlived %d completers: given up",
			      completion->operation, ATTEMPTS_MAX);
		state->errors++;
	} else if (!answer_is_right(peer, completion)) {
		peer_complain("the answer to request %" PRIu64
			      " is wrong: status %d, %u bytes",
			      completion->operation, completion->status,
			      completion->length_bytes);
		state->errors++;
	}
	state->done++;
	print_id(peer, "freed", completion->block.token, "done");
	return evr_block_free(&peer->agent, completion->block.token);
}

/* 0: done; PEER_LATE; or a negative errno. */
static int submit_all(struct peer *peer, struct submit_state *state)
{
	const uint64_t count = peer->options->count;
	struct evr_completion completion;
	int error;

	while (count == 0 || state->done < count) {
		if (peer_should_end(peer))
			return PEER_LATE;
		error = 1;
		while (error == 1 && (count == 0 || state->sent < count) &&
		       evr_submitter_in_flight(state->submitter) < peer->options->window)
			error = send_next(peer, state);
		if (error < 0)
			return error;

		error = evr_submitter_reap(state->submitter, &completion,
					   peer_tick_ns(peer));
		if (error == 0)
			error = take_answer(peer, state, &completion);
		else if (error == -ENOENT)
			peer_sleep_ns(FULL_PAUSE_NS);
		if (error < 0 && error != -ETIMEDOUT && error != -ENOENT)
			return error;
	}
	return 0;
}

static int run_submit(struct peer *peer)
{
	struct submit_state state = {0};
	int error = evr_submitter_open(peer->uring, &peer->agent, NULL, &state.submitter);

	if (error < 0)
		return peer_failed("no submitter", error);
	int status = submit_all(peer, &state);
	if (status == -EPIPE) {
		status = peer_complain("the uring was shut down by somebody");
	} else if (status < 0) {
		peer_failed("submit", status);
		status = PEER_FAILED;
	}
	if (peer->options->shutdown) {
		while ((error = evr_uring_shutdown(peer->uring)) == -EAGAIN &&
		       !peer_should_end(peer))
			peer_sleep_ns(FULL_PAUSE_NS);
		if (error < 0)
			status = peer_failed("shutdown", error);
	}
	evr_submitter_close(state.submitter);
	printf("submit number=%u sent=%" PRIu64 " done=%" PRIu64 " owner_died=%" PRIu64
	       " errors=%" PRIu64 "\n",
	       evr_region_number(peer->region), state.sent, state.done, state.owner_died,
	       state.errors);
	return state.errors ? PEER_FAILED : status;
}

/* ---- complete ---- */

struct complete_state {
	struct evr_completer *completer;
	uint64_t received;
	uint64_t answered;
	uint64_t gone;	 /* answers whose submitter was no more */
	uint64_t errors; /* requests that were damaged */
};

static int answer(struct peer *peer, struct complete_state *state,
		  const struct evr_request *request)
{
	struct message *message = request->block.payload;
	int32_t status = 0;
	int error;

	state->received++;
	print_id(peer, "held", request->block.token, "receive");
	hold(peer);
	if (request->length_bytes < sizeof(*message) ||
	    message->checksum != checksum_of(message, request->length_bytes)) {
		peer_complain("request %" PRIu64
			      " of %u bytes is not one of evr-peer, or damaged",
			      request->operation, request->length_bytes);
		state->errors++;
		status = -EBADMSG;
	} else {
		message->answered_by = evr_region_number(peer->region);
	}
	do {
		error = evr_completer_complete(state->completer, request->block.token,
					       status, request->length_bytes);
		if (error == -EAGAIN)
			peer_sleep_ns(FULL_PAUSE_NS);
	} while (error == -EAGAIN && !peer_should_end(peer));
	print_id(peer, "answered", request->block.token,
		 error == -EPIPE ? "nobody" : "complete");
	if (error == -EPIPE) {
		state->gone++;
		return 0;
	}
	state->answered += error == 0;
	return error;
}

static int complete_all(struct peer *peer, struct complete_state *state)
{
	const uint64_t count = peer->options->count;
	struct evr_request request;

	while (count == 0 || state->received < count) {
		if (peer_should_end(peer))
			return PEER_LATE;
		int error = evr_completer_receive(state->completer, &request,
						  peer_tick_ns(peer));
		if (error == -EPIPE)
			return 0;
		if (error == -ETIMEDOUT)
			continue;
		if (error == 0)
			error = answer(peer, state, &request);
		if (error < 0)
			return error;
	}
	return 0;
}

static int run_complete(struct peer *peer)
{
	struct complete_state state = {0};
	int error = evr_completer_open(peer->uring, &peer->agent, NULL, &state.completer);

	if (error < 0)
		return peer_failed("no completer", error);
	int status = complete_all(peer, &state);
	if (status < 0)
		status = peer_failed("complete", status);
	/* Without a count the deadline is how it ends. */
	if (status == PEER_LATE && peer->options->count == 0)
		status = PEER_DONE;
	evr_completer_close(state.completer);
	printf("complete number=%u received=%" PRIu64 " answered=%" PRIu64
	       " gone=%" PRIu64 " errors=%" PRIu64 "\n",
	       evr_region_number(peer->region), state.received, state.answered,
	       state.gone, state.errors);
	return state.errors ? PEER_FAILED : status;
}

/* ---- alloc ---- */

struct alloc_state {
	struct evr_block *held; /* the last `window` ones, in a circle */
	uint64_t taken;
	uint64_t freed;
	uint64_t full;
	uint64_t errors;
};

/* Frees the oldest one, if nobody else has written to it. */
static int free_oldest(struct peer *peer, struct alloc_state *state)
{
	const struct evr_block *block =
		&state->held[state->freed % peer->options->window];
	const struct message *message = block->payload;

	if (message->sequence != state->freed ||
	    message->submitter != evr_region_number(peer->region) ||
	    message->checksum != checksum_of(message, peer->options->size_bytes)) {
		peer_complain("block %u was overwritten while it was ours",
			      evr_token_index(block->token));
		state->errors++;
	}
	int error = evr_block_free(&peer->agent, block->token);
	if (error == 0) {
		state->freed++;
		print_id(peer, "freed", block->token, "free");
	}
	return error;
}

/* 1: took one; 0: there is none; or a negative errno. */
static int take_one(struct peer *peer, struct alloc_state *state)
{
	struct evr_block *block = &state->held[state->taken % peer->options->window];
	int error = evr_block_alloc(&peer->agent, peer->options->size_bytes, block);

	if (error == -ENOSPC) {
		/* The dead may have some. */
		state->full++;
		error = evr_recover(&peer->agent, NULL);
		return error < 0 ? error : 0;
	}
	if (error < 0)
		return error;
	fill_message(block->payload, peer->options->size_bytes, state->taken,
		     evr_region_number(peer->region));
	state->taken++;
	print_id(peer, "held", block->token, "alloc");
	return 1;
}

static int alloc_all(struct peer *peer, struct alloc_state *state)
{
	const uint64_t count = peer->options->count;
	int error;

	while (count == 0 || state->taken < count) {
		if (peer_should_end(peer))
			return PEER_LATE;
		error = take_one(peer, state);
		if (error < 0)
			return error;
		if (error == 1)
			hold(peer);
		if (state->taken - state->freed == peer->options->window ||
		    (error == 0 && state->taken > state->freed)) {
			int freed = free_oldest(peer, state);
			if (freed < 0)
				return freed;
		} else if (error == 0) {
			peer_sleep_ns(FULL_PAUSE_NS);
		}
	}
	return 0;
}

static int run_alloc(struct peer *peer)
{
	struct alloc_state state = {
		.held = calloc(peer->options->window, sizeof(struct evr_block)),
	};
	int error = 0;

	if (!state.held)
		return peer_complain("no memory");
	int status = alloc_all(peer, &state);
	if (status < 0)
		status = peer_failed("alloc", status);
	while (state.freed < state.taken && error == 0)
		error = free_oldest(peer, &state);
	if (error < 0)
		status = peer_failed("free", error);
	free(state.held);
	printf("alloc number=%u taken=%" PRIu64 " freed=%" PRIu64 " full=%" PRIu64
	       " errors=%" PRIu64 "\n",
	       evr_region_number(peer->region), state.taken, state.freed, state.full,
	       state.errors);
	return state.errors ? PEER_FAILED : status;
}

/* ---- idle ---- */

static int run_idle(struct peer *peer)
{
	while (!peer_should_end(peer)) {
		uint64_t now_ns = peer_now_ns();
		uint64_t left_ms = (peer->deadline_ns - now_ns) / 1000000 + 1;

		/* Bounded, for the signal that comes just before. */
		poll(NULL, 0, left_ms < 200 ? (int)left_ms : 200);
	}
	printf("idle number=%u\n", evr_region_number(peer->region));
	return PEER_DONE;
}

int peer_run(struct peer *peer)
{
	switch (peer->options->role) {
	case PEER_SUBMIT:
		return run_submit(peer);
	case PEER_COMPLETE:
		return run_complete(peer);
	case PEER_ALLOC:
		return run_alloc(peer);
	default:
		return run_idle(peer);
	}
}
