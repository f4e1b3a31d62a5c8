/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * party.c - a participant of an experiment: opening, messages, requests, and the checks
 * that each party makes on everything it gets.
 *
 * Every message and request carries a note of who sent it and its number, so that one
 * that is taken twice, out of order, overwritten or lost is seen by whoever holds it.
 */

#include "crash.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pool_internal.h"
#include "watch.h"

enum note_kind { NOTE_MESSAGE = 0x11, NOTE_REQUEST = 0x22, NOTE_CONTENT = 0x33 };

struct note {
	uint32_t from;
	uint32_t number;
	uint32_t kind;
	uint32_t contents;
	uint64_t filler[6];
};

EVR_STATIC_ASSERT(sizeof(struct note) == PAYLOAD_BYTES, "a note fills the payload");

const char *const who_names[PARTIES] = {"house",   "source",   "departed", "victim",
					"partner", "worker A", "worker B"};

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Nobody looks at the clock less often, but one that is not running. */
#define LOOKS_APART_NS 500000000

static uint64_t looked_ns, taken_ns;

void take_time(void)
{
	looked_ns = now_ns();
	taken_ns = 0;
}

bool took_longer_than(uint64_t seconds)
{
	uint64_t now = now_ns();
	uint64_t apart_ns = now - looked_ns;

	taken_ns += apart_ns < LOOKS_APART_NS ? apart_ns : LOOKS_APART_NS;
	looked_ns = now;
	return taken_ns > seconds * UINT64_C(1000000000);
}

void complain(struct party *party, const char *format, ...)
{
	char *text = party->board->complaint[party->who];
	va_list arguments;

	if (!text[0]) {
		int used = snprintf(text, sizeof(party->board->complaint[0]),
				    "%s: ", who_names[party->who]);
		va_start(arguments, format);
		vsnprintf(text + used, sizeof(party->board->complaint[0]) - (size_t)used,
			  format, arguments);
		va_end(arguments);
	}
	__atomic_store_n(&party->board->wrong, 1, __ATOMIC_RELEASE);
	if (party->who != HOUSE)
		_exit(COMPLAINT_EXIT);
}

/* When something is wrong already, nobody need wait for what will not come. */
static void give_up_if_wrong(const struct party *party)
{
	if (party->who != HOUSE &&
	    __atomic_load_n(&party->board->wrong, __ATOMIC_ACQUIRE))
		_exit(COMPLAINT_EXIT);
}

void await(struct party *party, uint32_t *word)
{
	struct timespec moment = {.tv_nsec = 100000000};

	while (!__atomic_load_n(word, __ATOMIC_ACQUIRE)) {
		syscall(SYS_futex, word, FUTEX_WAIT, 0, &moment, NULL, 0);
		give_up_if_wrong(party);
		if (took_longer_than(DEADLINE_SECONDS))
			complain(party, "what it waits for does not happen");
		if (__atomic_load_n(&party->board->wrong, __ATOMIC_ACQUIRE))
			return;
	}
}

void announce(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* ---- opening and closing ---- */

void party_open_objects(struct party *party)
{
	/* Nobody recovers but who is told to. */
	MUST(party, evri_watch_forbid(party->region));
	MUST(party, evr_agent_open(party->pool, &party->agent));
	MUST(party, evr_ring_open(party->region, "ring", &party->ring));
	MUST(party, evr_uring_open(party->pool, "uring", 0, 0, &party->uring));
	MUST(party,
	     evr_completer_open(party->uring, &party->agent, NULL, &party->completer));
}

void party_open(struct party *party, enum who who, struct board *board, int fd)
{
	memset(party, 0, sizeof(*party));
	take_time();
	party->who = who;
	party->board = board;
	MUST(party, evr_region_attach(fd, &party->region));
	board->number[who] = evr_region_number(party->region);
	board->pid[who] = (uint32_t)getpid();
	MUST(party, evr_pool_open(party->region, &party->pool));
	party_open_objects(party);
}

void party_open_submitter(struct party *party)
{
	MUST(party,
	     evr_submitter_open(party->uring, &party->agent, NULL, &party->submitter));
}

/* What lies in a magazine is the agent's, and lies there once. */
static void check_magazines(struct party *party, const struct evr_agent *agent)
{
	uint32_t state = agent->flags & EVR_POOL_UNTRACKED ? EVR_BLOCK_OWNED :
							     EVR_BLOCK_CACHED;

	for (uint32_t class_index = 0; class_index < agent->classes_count;
	     class_index++) {
		const struct evri_magazine *magazine = &agent->magazines[class_index];

		for (uint32_t i = 0; i < magazine->count; i++) {
			uint32_t index = magazine->index[i];
			uint64_t word =
				evr_load_acquire_u64(&evri_block_at(agent, index)->word);
			if (evr_block_word_state(word) != state ||
			    evr_block_word_owner(word) != agent->number)
				complain(party, "block %u in the magazine says %016lx",
					 index, word);
			for (uint32_t k = 0; k < i; k++) {
				if (magazine->index[k] == index)
					complain(party,
						 "block %u is twice in the magazine",
						 index);
			}
		}
	}
}

void party_close(struct party *party)
{
	party->completer = evr_completer_close(party->completer);
	party->submitter = evr_submitter_close(party->submitter);
	party->second_submitter = evr_submitter_close(party->second_submitter);
	if (party->agent.shared) {
		check_magazines(party, &party->agent);
		if (evr_load_acquire_u64(&party->agent.shared->intent[0]) ||
		    evr_load_acquire_u64(&party->agent.shared->bitmap_intent))
			complain(party, "an idle agent still has an intent");
		evr_agent_close(&party->agent);
	}
	party->uring = evr_uring_close(party->uring);
}

void party_rest(struct party *party)
{
	announce(&party->board->resting[party->who]);
	await(party, &party->board->audited);
	party->pool = evr_pool_close(party->pool);
	party->region = evr_region_detach(party->region);
}

/* ---- notes ---- */

static void note_write(void *payload, enum who from, uint32_t kind, uint32_t number,
		       uint32_t contents)
{
	struct note *note = payload;

	note->from = from;
	note->number = number;
	note->kind = kind;
	note->contents = contents;
	for (uint32_t i = 0; i < 6; i++)
		note->filler[i] =
			(uint64_t)number * 0x9e3779b97f4a7c15U + kind * 7 + i + from;
}

/* True if the payload is what note_write() made of its own first fields. */
static bool note_good(const void *payload, uint32_t kind)
{
	const struct note *note = payload;
	struct note copy;

	if (note->kind != kind || note->from >= PARTIES || note->number >= NOTES_MAX)
		return false;
	note_write(&copy, (enum who)note->from, kind, note->number, note->contents);
	return memcmp(&copy, note, sizeof(copy)) == 0;
}

struct evr_block_shared *block_of(struct party *party, evr_token token)
{
	return evri_block_at(&party->agent, evr_token_index(token));
}

struct evr_atomic_u64 *bitmap_word(struct party *party, uint32_t index)
{
	return evri_pool_bits(party->pool, index / EVR_POOL_CHUNK_BLOCKS);
}

void expect_state(struct party *party, evr_token token, uint32_t state)
{
	uint64_t word = evr_load_acquire_u64(&block_of(party, token)->word);

	if (evr_block_word_state(word) != state ||
	    evr_block_word_owner(word) != party->agent.number ||
	    (evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK) !=
		    evr_token_generation(token))
		complain(party,
			 "block %u is mine (%u) at generation %u, but says %016lx, "
			 "state %u, owner %u",
			 evr_token_index(token), party->agent.number,
			 evr_token_generation(token), word, evr_block_word_state(word),
			 evr_block_word_owner(word));
}

void expect_owned(struct party *party, const struct evr_block *block)
{
	expect_state(party, block->token, EVR_BLOCK_OWNED);
}

/* ---- messages through the bare ring ---- */

void message_write(struct party *party, const struct evr_block *block)
{
	note_write(block->payload, party->who, NOTE_MESSAGE, party->next_message + 1, 0);
}

static bool nothing_now(struct party *party, int result, const char *what)
{
	if (result == 0)
		return false;
	if (result == -EPIPE && (party->board->no_ring || party->board->no_uring))
		return true;
	if (result != -EAGAIN && result != -ENOSPC)
		complain(party, "%s: %s", what, evr_strerror(result));
	return true;
}

bool message_send(struct party *party)
{
	struct evr_block block;

	if (party->next_message + 1 >= NOTES_MAX)
		return false;
	if (nothing_now(party, evr_block_alloc(&party->agent, PAYLOAD_BYTES, &block),
			"alloc"))
		return false;
	message_write(party, &block);
	if (nothing_now(party,
			evr_ring_try_push(&party->ring, &party->agent, block.token),
			"push")) {
		MUST(party, evr_block_free(&party->agent, block.token));
		return false;
	}
	party->next_message++;
	__atomic_store_n(&party->board->sent[party->who], party->next_message,
			 __ATOMIC_RELAXED);
	return true;
}

void message_verify(struct party *party, const struct evr_block *block)
{
	const struct note *note = block->payload;

	expect_owned(party, block);
	if (!note_good(block->payload, NOTE_MESSAGE))
		complain(party, "block %u taken from the ring holds no message (kind %x)",
			 evr_token_index(block->token), note->kind);
	if (__atomic_fetch_add(&party->board->taken[note->from][note->number], 1,
			       __ATOMIC_RELAXED))
		complain(party, "message %u of the %s was taken twice", note->number,
			 who_names[note->from]);
	if (note->number <= party->last_message[note->from])
		complain(party, "message %u of the %s came after %u", note->number,
			 who_names[note->from], party->last_message[note->from]);
	party->last_message[note->from] = note->number;
	party->messages_taken++;
}

bool message_take(struct party *party)
{
	struct evr_block block;

	if (nothing_now(party, evr_ring_try_pop(&party->ring, &party->agent, &block),
			"pop"))
		return false;
	message_verify(party, &block);
	MUST(party, evr_block_free(&party->agent, block.token));
	return true;
}

/* ---- requests through the uring ---- */

bool request_make(struct party *party, uint32_t contents, struct evr_request *ret)
{
	uint32_t number = party->next_request + 1;
	struct evr_block block;

	if (number >= NOTES_MAX)
		return false;
	if (nothing_now(party, evr_block_alloc(&party->agent, PAYLOAD_BYTES, &block),
			"alloc"))
		return false;
	note_write(block.payload, party->who, NOTE_REQUEST, number, contents);
	for (uint32_t i = 0; i < contents; i++) {
		struct evr_block content;

		if (nothing_now(party,
				evr_block_alloc(&party->agent, PAYLOAD_BYTES, &content),
				"alloc")) {
			MUST(party, evr_block_free(&party->agent, block.token));
			return false;
		}
		note_write(content.payload, party->who, NOTE_CONTENT, number, i);
		MUST(party, evr_block_contain(&party->agent, block.token, content.token));
	}
	ret->block = block;
	ret->operation = number;
	ret->length_bytes = PAYLOAD_BYTES;
	ret->attempts = 0;
	return true;
}

bool request_send(struct party *party, uint32_t contents)
{
	struct evr_request request;

	if (!request_make(party, contents, &request))
		return false;
	if (nothing_now(party, evr_submitter_try_submit(party->submitter, &request),
			"submit")) {
		MUST(party, evr_block_free(&party->agent, request.block.token));
		return false;
	}
	party->next_request++;
	party->outstanding[request.operation] = 1;
	return true;
}

static void contents_verify(struct party *party, evr_token token, const struct note *note)
{
	for (uint32_t place = 0; place < note->contents; place++) {
		struct evr_block content;
		int error = evr_block_content(&party->agent, token, place, &content);

		if (error < 0)
			complain(party, "content %u of request %u: %s", place,
				 note->number, evr_strerror(error));
		const struct note *inner = content.payload;
		if (!note_good(inner, NOTE_CONTENT) || inner->from != note->from ||
		    inner->number != note->number || inner->contents != place)
			complain(party, "content %u of request %u of the %s is another's",
				 place, note->number, who_names[note->from]);
	}
}

void request_verify(struct party *party, const struct evr_request *request)
{
	const struct note *note = request->block.payload;

	expect_state(party, request->block.token, EVR_BLOCK_REQ);
	if (!note_good(note, NOTE_REQUEST) || request->operation != note->number ||
	    request->length_bytes != PAYLOAD_BYTES)
		complain(party,
			 "block %u received is no request (operation %lu, kind %x)",
			 evr_token_index(request->block.token), request->operation,
			 note->kind);
	if (note->number <= party->last_request[note->from])
		complain(party, "request %u of the %s came after %u", note->number,
			 who_names[note->from], party->last_request[note->from]);
	party->last_request[note->from] = note->number;
	contents_verify(party, request->block.token, note);
}

void request_answer(struct party *party, const struct evr_request *request)
{
	int result =
		evr_completer_complete(party->completer, request->block.token,
				       (int32_t)request->operation + 7, RESPONSE_BYTES);

	/* -EPIPE: the submitter is gone, which is its own affair. */
	if (result < 0 && (result != -EPIPE || !party->board->deaths))
		complain(party, "complete: %s", evr_strerror(result));
}

bool request_serve(struct party *party)
{
	struct evr_request request;

	if (nothing_now(party, evr_completer_try_receive(party->completer, &request),
			"receive"))
		return false;
	request_verify(party, &request);
	request_answer(party, &request);
	return true;
}

void completion_verify(struct party *party, const struct evr_completion *completion)
{
	const struct note *note = completion->block.payload;
	uint64_t number = completion->operation;

	expect_owned(party, &completion->block);
	if (number >= NOTES_MAX || party->outstanding[number] != 1)
		complain(party, "request %lu was completed %s", number,
			 number < NOTES_MAX && party->outstanding[number]
				 ? "twice"
				 : "but never sent");
	party->outstanding[number] = 2;
	if (!note_good(note, NOTE_REQUEST) || note->number != number ||
	    note->from != party->who)
		complain(party, "the completion of request %lu carries another's block",
			 number);
	if (completion->status == -EOWNERDEAD ? !party->board->deaths
					      : completion->status != (int32_t)number + 7)
		complain(party, "request %lu was completed with status %d", number,
			 completion->status);
	if (party->who == SOURCE && number == party->board->answered &&
	    completion->status == -EOWNERDEAD)
		complain(party, "the answer to request %lu was written, and is lost",
			 number);
	if (completion->length_bytes !=
	    (completion->status == -EOWNERDEAD ? PAYLOAD_BYTES : RESPONSE_BYTES))
		complain(party, "the completion of request %lu, status %d, has %u bytes",
			 number, completion->status, completion->length_bytes);
	contents_verify(party, completion->block.token, note);
	party->completions_reaped++;
}

/* Frees a completion's block; one content is taken out and freed by itself. */
void completion_free(struct party *party, const struct evr_completion *completion)
{
	const struct note *note = completion->block.payload;

	if (note->contents > 1) {
		struct evr_block content;

		MUST(party, evr_block_take_out(&party->agent, completion->block.token, 1,
					       &content));
		expect_owned(party, &content);
		MUST(party, evr_block_free(&party->agent, content.token));
	}
	MUST(party, evr_block_free(&party->agent, completion->block.token));
}

bool request_reap(struct party *party)
{
	struct evr_completion completion;

	if (nothing_now(party, evr_submitter_try_reap(party->submitter, &completion),
			"reap"))
		return false;
	completion_verify(party, &completion);
	completion_free(party, &completion);
	return true;
}

/* ---- coming to an end ---- */

void party_reap_all(struct party *party)
{
	struct timespec moment = {.tv_nsec = 30000};

	while (party->submitter && evr_submitter_in_flight(party->submitter) > 0) {
		if (request_reap(party))
			continue;
		give_up_if_wrong(party);
		if (took_longer_than(DEADLINE_SECONDS))
			complain(party, "%u requests were never answered",
				 evr_submitter_in_flight(party->submitter));
		nanosleep(&moment, NULL);
	}
	for (uint32_t i = 0; i < NOTES_MAX && i <= party->next_request; i++) {
		if (party->outstanding[i] == 1)
			complain(party,
				 "request %u is not in flight and was not answered", i);
	}
}

void party_settle(struct party *party)
{
	struct board *board = party->board;
	struct timespec moment = {.tv_nsec = 30000};
	uint32_t turns = 0;

	for (;;) {
		bool busy = request_serve(party);

		busy |= message_take(party);
		if (party->submitter)
			busy |= request_reap(party);
		if (!party->submitter || evr_submitter_in_flight(party->submitter) == 0)
			__atomic_fetch_or(&board->settled, 1U << party->who,
					  __ATOMIC_ACQ_REL);
		uint32_t settled = __atomic_load_n(&board->settled, __ATOMIC_ACQUIRE);
		if (!busy && (settled & board->expected) == board->expected)
			break;
		give_up_if_wrong(party);
		if (took_longer_than(DEADLINE_SECONDS))
			complain(party, "not settled: %u in flight, parties %x of %x",
				 party->submitter
					 ? evr_submitter_in_flight(party->submitter)
					 : 0,
				 settled, board->expected);
		if (++turns % 16 == 0)
			MUST(party, evr_recover(&party->agent, NULL));
		if (!busy)
			nanosleep(&moment, NULL);
	}
	party_reap_all(party);
}
