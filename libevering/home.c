/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* home.c - homes: opening and releasing them, and sending blocks to them. See
 * <evering/home.h>. */

#include <evering/home.h>

#include <stdlib.h>
#include <string.h>

#include "home.h"

static uint64_t round_up_line(uint64_t bytes)
{
	return (bytes + EVR_CACHE_LINE_BYTES - 1) / EVR_CACHE_LINE_BYTES *
	       EVR_CACHE_LINE_BYTES;
}

/* Return rings have twice the slots: besides what the window allows, there may be late
 * answers to the home's former submitter. */
static uint32_t returns_order(uint32_t completion_order)
{
	return completion_order + 1;
}

uint64_t evri_uring_lay_out(uint32_t submission_order, uint32_t completion_order,
			    uint32_t homes_count, struct evri_uring *ret)
{
	ret->submission_order = submission_order;
	ret->completion_order = completion_order;
	ret->homes_count = homes_count;
	ret->submission_offset = sizeof(struct evr_uring_shared);
	ret->homes_offset = round_up_line(ret->submission_offset +
					  evri_ring_bytes(submission_order));
	ret->home_stride_bytes =
		sizeof(struct evr_home_shared) + evri_ring_bytes(completion_order) +
		evri_ring_bytes(returns_order(completion_order));
	ret->bytes = ret->homes_offset + homes_count * ret->home_stride_bytes;
	return ret->bytes;
}

static void *at(const struct evri_uring *uring, uint64_t offset)
{
	return (char *)uring->shared + offset;
}

static uint64_t home_offset(const struct evri_uring *uring, uint32_t slot)
{
	return uring->homes_offset + slot * uring->home_stride_bytes;
}

struct evr_home_shared *evri_home_at(const struct evri_uring *uring, uint32_t slot)
{
	return at(uring, home_offset(uring, slot));
}

int evri_uring_submissions(const struct evri_uring *uring, struct evr_ring *ret)
{
	return evri_ring_bind(at(uring, uring->submission_offset),
				   uring->homes_offset - uring->submission_offset,
				   uring->submission_order, ret);
}

int evri_home_ring(const struct evri_uring *uring, uint32_t slot,
		   enum evri_home_ring which, struct evr_ring *ret)
{
	uint64_t offset = home_offset(uring, slot) + sizeof(struct evr_home_shared);
	uint32_t order = uring->completion_order;

	if (which == EVRI_HOME_RETURNS) {
		offset += evri_ring_bytes(order);
		order = returns_order(order);
	}
	return evri_ring_bind(at(uring, offset), evri_ring_bytes(order), order,
				   ret);
}

int evri_uring_view(const struct evri_uring *uring, uint64_t nth, struct evr_ring *ret)
{
	uint32_t order = uring->completion_order;
	uint64_t offset;

	if (nth == 0)
		return evri_ring_view(at(uring, uring->submission_offset),
				      uring->homes_offset - uring->submission_offset,
				      uring->submission_order, ret);
	if ((nth - 1) / 2 >= uring->homes_count)
		return -ENOENT;
	offset = home_offset(uring, (uint32_t)((nth - 1) / 2)) +
		 sizeof(struct evr_home_shared);
	if (nth % 2 == 0) {
		offset += evri_ring_bytes(order);
		order = returns_order(order);
	}
	return evri_ring_view(at(uring, offset), evri_ring_bytes(order), order, ret);
}

void evri_uring_init(const struct evri_uring *uring)
{
	struct evr_uring_shared *shared = uring->shared;
	struct evr_ring ring;

	shared->magic = EVR_URING_MAGIC;
	shared->request_bytes = uring->request_bytes;
	shared->response_bytes = uring->response_bytes;
	shared->submission_order = uring->submission_order;
	shared->completion_order = uring->completion_order;
	shared->homes_count = uring->homes_count;
	shared->submission_offset = uring->submission_offset;
	shared->homes_offset = uring->homes_offset;
	shared->home_stride_bytes = uring->home_stride_bytes;
	evr_doorbell_init(&shared->bell);
	evri_ring_init(at(uring, uring->submission_offset), uring->submission_order, 0);

	for (uint32_t slot = 0; slot < uring->homes_count; slot++) {
		struct evr_home_shared *home = evri_home_at(uring, slot);
		struct evr_ring_shared *completions = (void *)(home + 1);
		struct evr_ring_shared *returns = at(
			uring, home_offset(uring, slot) + sizeof(*home) +
				       evri_ring_bytes(uring->completion_order));

		evr_doorbell_init(&home->bell);
		evri_ring_init(completions, uring->completion_order, 0);
		evri_ring_init(returns, returns_order(uring->completion_order), 0);
		if (evri_home_ring(uring, slot, EVRI_HOME_COMPLETIONS, &ring) == 0)
			(void)evri_ring_close_guarded(&ring, NULL, 0);
		if (evri_home_ring(uring, slot, EVRI_HOME_RETURNS, &ring) == 0)
			(void)evri_ring_close_guarded(&ring, NULL, 0);
		evr_store_relaxed_u64(&home->word, evri_home_word(EVR_HOME_FREE, 0, 0));
	}
}

int evri_uring_bind(const struct evri_object *object, struct evri_uring *ret)
{
	struct evr_uring_shared header;
	struct evri_uring uring;

	if (object->bytes < sizeof(header))
		return -EUCLEAN;
	memcpy(&header, object->address, sizeof(header));
	if (header.magic != EVR_URING_MAGIC ||
	    header.submission_order < EVR_RING_ORDER_MIN ||
	    header.submission_order > EVR_RING_ORDER_MAX ||
	    header.completion_order < EVR_RING_ORDER_MIN ||
	    returns_order(header.completion_order) > EVR_RING_ORDER_MAX ||
	    header.homes_count == 0 || header.homes_count > EVR_URING_HOMES_MAX)
		return -EUCLEAN;

	memset(&uring, 0, sizeof(uring));
	evri_uring_lay_out(header.submission_order, header.completion_order,
			   header.homes_count, &uring);
	if (header.submission_offset != uring.submission_offset ||
	    header.homes_offset != uring.homes_offset ||
	    header.home_stride_bytes != uring.home_stride_bytes ||
	    uring.bytes > object->bytes)
		return -EUCLEAN;
	uring.shared = object->address;
	uring.id = object->index;
	uring.request_bytes = header.request_bytes;
	uring.response_bytes = header.response_bytes;
	*ret = uring;
	return 0;
}

int evri_urings_find(struct evr_region *region, struct evri_uring **ret,
		     uint32_t *ret_count)
{
	struct evri_directory_cursor cursor = { 0 };
	struct evri_object object;
	struct evri_uring *urings = NULL;
	uint32_t count = 0;

	while (evri_directory_next(region, &cursor, &object)) {
		struct evri_uring *more;
		int error;

		if (object.state != EVRI_ENTRY_READY || object.kind != EVRI_OBJECT_URING)
			continue;
		more = realloc(urings, (count + 1) * sizeof(*urings));
		if (!more) {
			free(urings);
			return -ENOMEM;
		}
		urings = more;
		error = evri_uring_bind(&object, &urings[count]);
		if (error < 0) {
			free(urings);
			return evri_fail(error,
					 "the header of uring \"%s\" contradicts itself",
					 object.name);
		}
		count++;
	}
	if (cursor.error < 0) {
		free(urings);
		return cursor.error;
	}
	*ret = urings;
	*ret_count = count;
	return 0;
}

int evri_home_open(const struct evri_uring *uring, uint32_t number, uint64_t *ret_word)
{
	for (uint32_t slot = 0; slot < uring->homes_count; slot++) {
		struct evr_home_shared *home = evri_home_at(uring, slot);
		struct evr_ring ring;
		/* SYNC home/word (acquire), pairs with evri_home_release(): both rings
		 * are closed and drained for whoever sees FREE. */
		uint64_t word = evr_load_acquire_u64(&home->word);
		uint64_t open;
		int error;

		if (evri_home_word_state(word) != EVR_HOME_FREE)
			continue;
		open = evri_home_word(EVR_HOME_OPEN, evri_home_word_session(word) + 1,
				      number);
		/* From here on it is recovered if we die, rings open or not. */
		if (!evr_cas_acq_rel_u64(&home->word, &word, open))
			continue;
		error = evri_home_ring(uring, slot, EVRI_HOME_RETURNS, &ring);
		if (error == 0)
			error = evri_ring_reopen(&ring);
		if (error == 0)
			error = evri_home_ring(uring, slot, EVRI_HOME_COMPLETIONS, &ring);
		if (error == 0)
			error = evri_ring_reopen(&ring);
		if (error < 0)
			return evri_fail(-EUCLEAN, "the rings of home %u are not closed",
					 slot);
		*ret_word = open;
		return (int)slot;
	}
	return evri_fail(-EMFILE, "all %u homes of the uring have a submitter",
			 uring->homes_count);
}

/* The home that a block's prefix names, if it is still that submitter's. */
static const struct evri_uring *find_home(const struct evri_uring *urings,
					  uint32_t urings_count,
					  const struct evr_block_shared *block,
					  uint32_t dead, uint32_t *ret_slot)
{
	uint64_t address = evr_plain_load_u64(&block->home);
	uint32_t session = evri_delivery_session(evr_plain_load_u32(&block->delivery));
	uint32_t number = (uint32_t)(address >> 32);
	uint32_t id = (uint32_t)(address >> 16) & 0xffff;
	uint32_t slot = (uint32_t)address & 0xffff;

	for (uint32_t i = 0; i < urings_count; i++) {
		if (urings[i].id != id)
			continue;
		if (number == dead || slot >= urings[i].homes_count)
			return NULL;
		if (evr_load_acquire_u64(&evri_home_at(&urings[i], slot)->word) !=
		    evri_home_word(EVR_HOME_OPEN, session, number))
			return NULL;
		*ret_slot = slot;
		return &urings[i];
	}
	return NULL;
}

/* The return ring is recovery's own; the completion ring helps out when former
 * submitters' late answers fill it. */
static int post(const struct evri_uring *uring, uint32_t slot, uint64_t wire)
{
	static const enum evri_home_ring order[] = { EVRI_HOME_RETURNS,
						     EVRI_HOME_COMPLETIONS };
	int error = -EAGAIN;

	for (int i = 0; i < 2 && error == -EAGAIN; i++) {
		struct evr_ring ring;

		error = evri_home_ring(uring, slot, order[i], &ring);
		if (error == 0)
			error = evri_ring_push(&ring, wire);
	}
	return error;
}

void evri_block_dispose(struct evr_agent *agent, const struct evri_uring *urings,
			uint32_t urings_count, uint32_t dead, uint32_t index,
			struct evr_recovery_stats *stats)
{
	struct evr_block_shared *block = evri_block_at(agent, index);
	uint64_t word = evr_load_relaxed_u64(&block->word);
	uint32_t state = evr_block_word_state(word);
	const struct evri_uring *uring;
	uint32_t slot;
	int error;

	uring = state == EVR_BLOCK_REQ || state == EVR_BLOCK_RESP ?
			find_home(urings, urings_count, block, dead, &slot) :
			NULL;
	if (!uring) {
		evri_block_discard(agent, index);
		stats->freed++;
		return;
	}
	if (state == EVR_BLOCK_REQ) {
		evr_plain_store_u32((uint32_t *)&block->status, (uint32_t)-EOWNERDEAD);
		evr_plain_store_u32(&block->response_bytes,
				    evr_plain_load_u32(&block->request_bytes));
		word = evr_block_word(evr_block_word_generation(word), EVR_BLOCK_RESP,
				      agent->number);
		/* SYNC block/response (release), pairs with evri_recovery_claim():
		 * whoever sees RESP sees the status. Killed before: the next one answers
		 * again. */
		evr_store_release_u64(&block->word, word);
	}
	error = post(uring, slot,
		     evr_token_wire(evr_token_make(0, index,
						   evr_block_word_generation(word))));
	if (error == 0) {
		if (state == EVR_BLOCK_REQ)
			stats->returned++;
		else
			stats->posted++;
		evr_doorbell_ring_after_cas(&evri_home_at(uring, slot)->bell);
		return;
	}
	if (error != -EPIPE)
		stats->undeliverable++;
	evri_block_discard(agent, index);
	stats->freed++;
}

/* Closes one ring of the home and empties it. 1: @tokens are used up; -ECANCELED: it is
 * no longer that session's. */
static int close_and_drain(struct evr_agent *agent, const struct evri_uring *urings,
			   uint32_t urings_count, const struct evr_atomic_u64 *guard,
			   uint64_t expected, struct evri_home_release *release,
			   uint64_t *tokens, struct evr_recovery_stats *stats)
{
	struct evr_ring *ring = &release->ring;
	uint32_t dead = (uint32_t)expected;

	while (release->tries) {
		uint32_t index = 0;
		uint64_t word = 0;
		int error;

		if (*tokens == 0)
			return 1;
		--*tokens;
		release->tries--;
		if (!release->closed) {
			error = evri_ring_close_guarded(ring, guard, expected);
			if (error < 0 && error != -EAGAIN)
				return error;
			release->closed = error == 0;
		}
		error = evri_ring_pop(ring, agent, false, guard, expected, &index,
					   &word);
		if (error == -EPIPE)
			return 0;
		if (error == 0)
			evri_block_dispose(agent, urings, urings_count, dead, index,
					   stats);
		else if (error == -ECANCELED)
			return error;
	}
	return -EAGAIN;
}

int evri_home_release(struct evr_agent *agent, const struct evri_uring *urings,
		      uint32_t urings_count, const struct evri_uring *uring,
		      uint32_t slot, uint64_t expected, struct evri_home_release *release,
		      uint64_t *tokens, struct evr_recovery_stats *stats)
{
	struct evr_home_shared *home = evri_home_at(uring, slot);
	int error = 0;

	for (; release->which <= EVRI_HOME_RETURNS; release->which++) {
		if (!release->bound) {
			error = evri_home_ring(uring, slot, release->which,
					       &release->ring);
			if (error < 0)
				return error;
			/* Twice the ring: what is in it, and what comes in while it
			 * cannot be closed. */
			release->tries = 2 * (release->ring.mask + 1) + 2;
			release->bound = true;
		}
		error = close_and_drain(agent, urings, urings_count, &home->word,
					expected, release, tokens, stats);
		if (error)
			return error == -ECANCELED ? 0 : error;
		release->bound = false;
		release->closed = false;
	}

	/* SYNC home/guard (release), pairs with the guard's load in evri_ring_pop()
	 * and evri_ring_close_guarded(). SYNC home/word (release), pairs with
	 * evri_home_open(): the next submitter sees rings closed and drained. */
	evr_cas_acq_rel_u64(
		&home->word, &expected,
		evri_home_word(EVR_HOME_FREE, evri_home_word_session(expected), 0));
	return 0;
}
