/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * channel.c - the try_ calls of submitters and completers. See <evering/channel.h>; the
 * waiting ones are in channel_wait.c.
 *
 * The order of a block's words on its way, each one store or one compare-and-swap:
 *
 *	submit    prefix (home, operation, ...), word REQ, slot of the submission ring
 *	receive   intent, slot, word {generation + 1, REQ, completer}, intent 0
 *	complete  response and status, word RESP, slot of the home's completion ring
 *	reap      intent, slot, word {generation + 1, OWNED, submitter}, intent 0
 *
 * So a word that says REQ has a prefix that is complete, and one that says RESP has a
 * response that is; recovery needs no more to act in the place of whoever dies.
 */

#include <evering/channel.h>

#include <stdlib.h>
#include <string.h>

#include "channel_internal.h"
#include "options.h"

int evri_wait_options_check(const struct evr_wait_options *wait,
			    struct evr_wait_options *ret)
{
	struct evr_wait_options known = { .size = sizeof(known),
					  .spin_ns = EVR_SPIN_DEFAULT_NS };

	if (wait) {
		int error = evri_options_take(wait, sizeof(wait->size), &known,
					      sizeof(known), "wait");

		if (error < 0)
			return error;
	}
	*ret = known;
	return 0;
}

static void count_handle(struct evr_agent *agent, uint32_t by)
{
	evr_fetch_add_relaxed_u32(&agent->pool->region->handles_open, by);
}

/* ---- submitter ---- */

static int take_home(struct evr_submitter *submitter)
{
	const struct evri_uring *layout = &submitter->uring->layout;
	int slot =
		evri_home_open(layout, submitter->agent->number, &submitter->home_word);
	int error;

	if (slot < 0)
		return slot;
	submitter->slot = (uint32_t)slot;
	submitter->home = evri_home_at(layout, submitter->slot);
	submitter->address = evri_home_address(submitter->agent->number, layout->id,
					       submitter->slot);
	error = evri_home_ring(layout, submitter->slot, EVRI_HOME_COMPLETIONS,
			       &submitter->completions);
	if (error == 0)
		error = evri_home_ring(layout, submitter->slot, EVRI_HOME_RETURNS,
				       &submitter->returns);
	return error;
}

int evr_submitter_open(struct evr_uring *uring, struct evr_agent *agent,
		       const struct evr_wait_options *wait, struct evr_submitter **ret)
{
	struct evr_submitter *submitter = calloc(1, sizeof(*submitter));
	int error;

	if (!submitter)
		return -ENOMEM;
	submitter->uring = uring;
	submitter->agent = agent;
	submitter->submissions = uring->submissions;
	submitter->window = evr_uring_window(uring);
	error = evri_wait_options_check(wait, &submitter->wait.options);
	if (error == 0)
		error = evr_recover(agent, NULL);
	if (error >= 0) {
		/* Counted before: if a home is taken and turns out to be unusable, it is
		 * to be recovered when we leave. */
		count_handle(agent, 1);
		error = take_home(submitter);
		if (error == -EMFILE)
			count_handle(agent, UINT32_MAX);
	}
	if (error < 0) {
		free(submitter);
		return error;
	}
	*ret = submitter;
	return 0;
}

struct evr_submitter *evr_submitter_close(struct evr_submitter *submitter)
{
	struct evr_recovery_stats stats = { 0 };
	struct evri_home_release release = { 0 };
	uint64_t tokens = UINT64_MAX;

	if (!submitter)
		return NULL;
	evr_recoverer_close(submitter->wait.recoverer);
	if (!evri_region_is_here(submitter->agent->pool->region)) {
		free(submitter);
		return NULL;
	}
	/* What recovery would do. If the rings cannot be closed (somebody scribbled), the
	 * home stays ours and counts as a handle, so that we leave as a dead one does. */
	if (evri_home_release(submitter->agent, &submitter->uring->layout, 1,
			      &submitter->uring->layout, submitter->slot,
			      submitter->home_word, &release, &tokens, &stats) == 0)
		count_handle(submitter->agent, UINT32_MAX);
	free(submitter);
	return NULL;
}

int evr_submitter_try_submit(struct evr_submitter *submitter,
			     const struct evr_request *request)
{
	struct evr_agent *agent = submitter->agent;
	evr_token token = request->block.token;
	struct evr_block_shared *block;
	uint64_t word;
	int error = evri_block_mine(agent, token, &block, &word);

	if (EVR_UNLIKELY(error < 0))
		return error;
	if (EVR_UNLIKELY(request->length_bytes >
			 evri_block_payload_bytes(agent, evr_token_index(token))))
		return -EINVAL;
	if (submitter->in_flight >= submitter->window)
		return -EAGAIN;

	evr_plain_store_u64(&block->home, submitter->address);
	evr_plain_store_u64(&block->operation, request->operation);
	evr_plain_store_u32(&block->delivery,
			    evri_delivery(evri_home_word_session(submitter->home_word),
					  request->attempts));
	evr_plain_store_u32(&block->request_bytes, request->length_bytes);
	/* SYNC block/request (release), pairs with evri_recovery_claim(). Weaker, or
	 * before the prefix: a re-used block's old prefix would send it to a stranger's
	 * home. */
	evr_store_release_u64(&block->word,
			      evr_block_word(evr_block_word_generation(word),
					     EVR_BLOCK_REQ, agent->number));

	error = evri_ring_push(&submitter->submissions, evr_token_wire(token));
	if (EVR_UNLIKELY(error < 0)) {
		evr_store_release_u64(&block->word, word);
		return error;
	}
	submitter->in_flight++;
	evr_doorbell_ring_after_cas(&submitter->uring->layout.shared->bell);
	return 0;
}

/* The next block that came home, from either ring. */
static int pop_home(struct evr_submitter *submitter, uint32_t *ret_index,
		    uint64_t *ret_word)
{
	int error = evri_ring_pop(&submitter->completions, submitter->agent, true,
				       NULL, 0, ret_index, ret_word);

	if (error == -EAGAIN)
		error = evri_ring_pop(&submitter->returns, submitter->agent, true,
					   NULL, 0, ret_index, ret_word);
	/* Nobody but us closes our rings while we live: somebody scribbled. */
	return error == -EPIPE ? -EUCLEAN : error;
}

int evr_submitter_try_reap(struct evr_submitter *submitter, struct evr_completion *ret)
{
	struct evr_agent *agent = submitter->agent;
	uint32_t session = evri_home_word_session(submitter->home_word);
	/* As many late answers to a predecessor as both rings hold. */
	uint64_t strangers_left = 3 * ((uint64_t)submitter->window + 1);

	for (;;) {
		struct evr_block_shared *block;
		struct evr_block handle;
		uint64_t word = 0;
		uint32_t index = 0;
		int error = pop_home(submitter, &index, &word);

		if (error < 0) {
			evri_agent_acknowledge(agent);
			return error;
		}
		block = evri_block_at(agent, index);
		uint32_t delivery = evr_plain_load_u32(&block->delivery);
		evri_block_handle(agent, index, block, word, &handle);
		if (EVR_LIKELY(evr_plain_load_u64(&block->home) == submitter->address &&
			       evri_delivery_session(delivery) == session &&
			       submitter->in_flight > 0)) {
			uint32_t length = evr_plain_load_u32(&block->response_bytes);

			submitter->in_flight--;
			ret->block = handle;
			ret->operation = evr_plain_load_u64(&block->operation);
			ret->status = (int32_t)evr_plain_load_u32(
				(const uint32_t *)&block->status);
			ret->length_bytes = length <= handle.payload_bytes ?
						    length :
						    (uint32_t)handle.payload_bytes;
			ret->attempts = evri_delivery_attempts(delivery);
			return 0;
		}
		/* An answer to this home's former submitter, overtaken by its leaving. */
		if (evr_block_free(agent, handle.token) < 0)
			evri_block_discard(agent, index); /* a scribbler's burst */
		if (strangers_left-- == 0)
			return -EUCLEAN;
	}
}

uint32_t evr_submitter_in_flight(const struct evr_submitter *submitter)
{
	return submitter->in_flight;
}

uint32_t evr_submitter_slot(const struct evr_submitter *submitter)
{
	return submitter->slot;
}

/* ---- completer ---- */

int evr_completer_open(struct evr_uring *uring, struct evr_agent *agent,
		       const struct evr_wait_options *wait, struct evr_completer **ret)
{
	struct evr_completer *completer = calloc(1, sizeof(*completer));
	uint32_t homes = uring->layout.homes_count;
	int error = -ENOMEM;

	if (!completer)
		return -ENOMEM;
	completer->homes = calloc(homes, sizeof(*completer->homes));
	if (!completer->homes)
		goto fail;
	completer->uring = uring;
	completer->agent = agent;
	completer->submissions = uring->submissions;
	error = evri_wait_options_check(wait, &completer->wait.options);
	if (error == 0) {
		error = evr_recover(agent, NULL);
		error = error < 0 ? error : 0;
	}
	for (uint32_t slot = 0; slot < homes && error == 0; slot++)
		error = evri_home_ring(&uring->layout, slot, EVRI_HOME_COMPLETIONS,
				       &completer->homes[slot]);
	if (error < 0)
		goto fail;
	count_handle(agent, 1);
	*ret = completer;
	return 0;
fail:
	free(completer->homes);
	free(completer);
	return error;
}

struct evr_completer *evr_completer_close(struct evr_completer *completer)
{
	if (!completer)
		return NULL;
	evr_recoverer_close(completer->wait.recoverer);
	count_handle(completer->agent, UINT32_MAX);
	free(completer->homes);
	free(completer);
	return NULL;
}

/* Is the submitter that this block belongs to still there? Its slot, if so. */
static bool home_lives(const struct evr_completer *completer,
		       const struct evr_block_shared *block, uint32_t *ret_slot)
{
	const struct evri_uring *layout = &completer->uring->layout;
	uint64_t address = evr_plain_load_u64(&block->home);
	uint32_t number = (uint32_t)(address >> 32);
	uint32_t slot = (uint32_t)address & 0xffff;

	if (address != evri_home_address(number, layout->id, slot) ||
	    slot >= layout->homes_count)
		return false;
	if (evr_load_acquire_u64(&evri_home_at(layout, slot)->word) !=
	    evri_home_word(EVR_HOME_OPEN, evr_plain_load_u32(&block->delivery), number))
		return false;
	*ret_slot = slot;
	return true;
}

/* Frees a request of ours, with its contents: it has no home any more. */
static void drop_request(struct evr_agent *agent, uint32_t index,
			 struct evr_block_shared *block, uint64_t word)
{
	uint64_t generation = evr_block_word_generation(word);

	if (EVR_UNLIKELY(evr_block_word_state(word) == EVR_BLOCK_BURST)) {
		evri_block_discard(agent, index); /* a scribbler's: none is sent here */
		return;
	}
	evr_store_release_u64(&block->word,
			      evr_block_word(generation, EVR_BLOCK_OWNED, agent->number));
	(void)evr_block_free(agent, evr_token_make(agent->tag, index, generation));
}

int evr_completer_try_receive(struct evr_completer *completer, struct evr_request *ret)
{
	struct evr_agent *agent = completer->agent;
	/* Requests without a home are freed on the way, at most a ring full of them. */
	uint64_t homeless_left = completer->submissions.mask + 1;

	for (;;) {
		const struct evr_ring *likely;
		struct evr_block_shared *block;
		uint64_t word;
		uint32_t index, slot;
		int error = evri_ring_pop(&completer->submissions, agent, false,
					       NULL, 0, &index, &word);

		if (error < 0) {
			evri_agent_acknowledge(agent);
			return error;
		}
		/* Where the answer will go stands in the prefix, which is still on its
		 * way to us; a guess lets both lines travel at the same time. */
		likely = &completer->homes[completer->likely_slot];
		evri_prefetch_write(&likely->slots[likely->tail & likely->mask]);
		block = evri_block_at(agent, index);
		if (EVR_LIKELY(evr_block_word_state(word) == EVR_BLOCK_REQ &&
			       home_lives(completer, block, &slot))) {
			uint32_t length = evr_plain_load_u32(&block->request_bytes);

			evri_block_handle(agent, index, block, word, &ret->block);
			ret->operation = evr_plain_load_u64(&block->operation);
			ret->length_bytes = length <= ret->block.payload_bytes ?
						    length :
						    (uint32_t)ret->block.payload_bytes;
			ret->attempts = evri_delivery_attempts(
				evr_plain_load_u32(&block->delivery));
			completer->likely_slot = slot;
			return 0;
		}
		drop_request(agent, index, block, word);
		if (homeless_left-- == 0)
			return -EAGAIN;
	}
}

/* The request that a token names, if it is in this participant's hands. */
static int my_request(const struct evr_agent *agent, evr_token token,
		      struct evr_block_shared **ret, uint64_t *ret_word)
{
	struct evr_block_shared *block;
	uint64_t word;

	if (evr_token_tag(token) != agent->tag)
		return -EXDEV;
	block = evri_block_at(agent, evr_token_index(token));
	if (!block)
		return -EINVAL;
	*ret = block;
	*ret_word = word = evr_load_relaxed_u64(&block->word);
	if (EVR_UNLIKELY((evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK) !=
				 evr_token_generation(token) ||
			 evr_block_word_state(word) != EVR_BLOCK_REQ ||
			 evr_block_word_owner(word) != agent->number))
		return evri_block_refusal(agent, token, word);
	return 0;
}

/* Pushes an answer on the home's completion ring; when that has no room, which takes a
 * former submitter's late answers, on its return ring. */
static int push_home(struct evr_completer *completer, uint32_t slot, uint64_t wire)
{
	struct evr_ring returns;
	int error = evri_ring_push(&completer->homes[slot], wire);

	if (EVR_LIKELY(error != -EAGAIN))
		return error;
	error = evri_home_ring(&completer->uring->layout, slot, EVRI_HOME_RETURNS,
			       &returns);
	return error < 0 ? error : evri_ring_push(&returns, wire);
}

int evr_completer_complete(struct evr_completer *completer, evr_token token,
			   int32_t status, uint32_t length_bytes)
{
	struct evr_agent *agent = completer->agent;
	uint32_t index = evr_token_index(token);
	struct evr_block_shared *block;
	uint64_t word;
	uint32_t slot;
	int error = my_request(agent, token, &block, &word);

	if (EVR_UNLIKELY(error < 0))
		return error;
	if (EVR_UNLIKELY(length_bytes > evri_block_payload_bytes(agent, index)))
		return -EINVAL;
	if (EVR_UNLIKELY(!home_lives(completer, block, &slot))) {
		drop_request(agent, index, block, word);
		return -EPIPE;
	}

	evr_plain_store_u32((uint32_t *)&block->status, (uint32_t)status);
	evr_plain_store_u32(&block->response_bytes, length_bytes);
	/* SYNC block/response (release), pairs with evri_recovery_claim(). Weaker: the
	 * response could be posted in our stead before it is written. */
	evr_store_release_u64(&block->word,
			      evr_block_word(evr_block_word_generation(word),
					     EVR_BLOCK_RESP, agent->number));

	error = push_home(completer, slot, evr_token_wire(token));
	if (EVR_LIKELY(error == 0)) {
		evr_doorbell_ring_after_cas(
			&evri_home_at(&completer->uring->layout, slot)->bell);
		return 0;
	}
	if (error == -EPIPE)
		drop_request(agent, index, block, word);
	else
		evr_store_release_u64(&block->word, word);
	return error;
}
