/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * ring_burst.c - blocks in a block through a ring. See <evering/ring_burst.h>; why each
 * step is where it is, docs/RECOVERY.md.
 */

#include <evering/ring_burst.h>

#include "pool_internal.h"

/* A call returns an int. */
#define CALL_MAX (1U << 30)

/* A burst that is being put together. */
struct burst {
	struct evr_block carrier;
	struct evr_block_shared *shared; /* the carrier's prefix */
	uint32_t count;
	struct evr_block_shared *blocks[EVR_RING_BURST_LIMIT];
	uint64_t words[EVR_RING_BURST_LIMIT]; /* as they were, OWNED */
};

int evr_ring_set_burst_max(struct evr_ring *ring, uint32_t max)
{
	if (max > EVR_RING_BURST_LIMIT)
		return -EINVAL;
	ring->burst_max = max;
	return 0;
}

/* ---- push ---- */

/* A block to carry @wanted others, or as many as the largest there is can; 0: none. */
static uint32_t take_carrier(struct evr_agent *agent, uint32_t wanted,
			     struct evr_block *ret)
{
	const struct evri_magazine *magazine = agent->magazines;
	uint32_t i = 0;

	while (i + 1 < agent->classes_count &&
	       magazine[i].payload_bytes < wanted * sizeof(uint64_t) &&
	       magazine[i + 1].payload_bytes <= EVR_RING_BURST_PAYLOAD_MAX)
		i++;
	if (magazine[i].payload_bytes > EVR_RING_BURST_PAYLOAD_MAX)
		return 0;
	do {
		uint64_t room = magazine[i].payload_bytes / sizeof(uint64_t);

		if (room > wanted)
			room = wanted;
		if (EVR_LIKELY(evr_block_alloc(agent, room * sizeof(uint64_t), ret) == 0))
			return (uint32_t)room;
	} while (i-- > 0);
	return 0;
}

/* Exact at this moment, as a push's -EAGAIN is: putting a burst together for nothing is
 * what a pusher that waits for room should not be doing. */
static bool is_full(const struct evr_ring *ring)
{
	uint64_t tail =
		evri_ring_hint(ring, &ring->shared->tail_hint, 1, ring->tail);
	uint64_t word = evr_load_acquire_u64(&ring->slots[tail & ring->mask]);

	return evri_slot_ahead(word, tail >> ring->order) == -1;
}

static bool contains_others(const struct evr_block_shared *block)
{
	return (evr_plain_load_u64(&block->contents[0]) |
		evr_plain_load_u64(&block->contents[1]) |
		evr_plain_load_u64(&block->contents[2])) != 0;
}

/* The list: of the first tokens, as far as they may be in a burst. */
static void write_list(const struct evr_agent *agent, const evr_token *tokens,
		       uint32_t wanted, struct burst *burst)
{
	uint64_t *entries = burst->carrier.payload;
	uint32_t i;

	for (i = 0; i < wanted; i++) {
		if (evri_block_mine(agent, tokens[i], &burst->blocks[i],
				    &burst->words[i]) < 0 ||
		    contains_others(burst->blocks[i]))
			break;
		evr_plain_store_u64(&entries[i],
				    evri_block_content_entry(evr_token_index(tokens[i]),
							     burst->words[i]));
	}
	burst->count = i;
	evr_plain_store_u32(&burst->shared->request_bytes,
			    i * (uint32_t)sizeof(uint64_t));
}

/*
 * Puts the listed blocks into the carrier. From BURST on the list counts; one who dies
 * here leaves a list that names too much, never a block IN a carrier whose list does not
 * count or lacks it.
 */
static void put_in(const struct evr_agent *agent, struct burst *burst)
{
	uint32_t carrier_index = evr_token_index(burst->carrier.token);
	uint64_t word = evr_load_relaxed_u64(&burst->shared->word);

	/* SYNC block/content (release), pairs with evri_recovery_claim(). */
	evr_store_release_u64(&burst->shared->word,
			      evr_block_word(evr_block_word_generation(word),
					     EVR_BLOCK_BURST, agent->number));
	for (uint32_t i = 0; i < burst->count; i++) {
		/* The same token twice: the second is in the burst already. */
		if (EVR_UNLIKELY(evr_load_relaxed_u64(&burst->blocks[i]->word) !=
				 burst->words[i])) {
			burst->count = i;
			break;
		}
		/* SYNC block/content (release), pairs with evri_recovery_claim(). */
		evr_store_release_u64(
			&burst->blocks[i]->word,
			evr_block_word(evr_block_word_generation(burst->words[i]),
				       EVR_BLOCK_IN, carrier_index));
	}
}

/* As if nothing had been: the same generations, so the tokens work. In the order that
 * never leaves a block IN a carrier that is none. */
static void take_back(const struct evr_agent *agent, const struct burst *burst)
{
	uint64_t word = evr_load_relaxed_u64(&burst->shared->word);

	for (uint32_t i = 0; i < burst->count; i++)
		evr_store_release_u64(&burst->blocks[i]->word, burst->words[i]);
	/* SYNC block/content (release), pairs with evri_recovery_claim(). */
	evr_store_release_u64(&burst->shared->word,
			      evr_block_word(evr_block_word_generation(word),
					     EVR_BLOCK_OWNED, agent->number));
}

/* One burst of the first blocks. How many; 0: these do not travel as a burst. */
static int push_carrier(struct evr_ring *ring, struct evr_agent *agent,
			const evr_token *tokens, uint32_t wanted)
{
	struct burst burst;
	int error = 0;

	wanted = take_carrier(agent, wanted, &burst.carrier);
	if (wanted == 0)
		return 0;
	burst.shared = evri_block_at(agent, evr_token_index(burst.carrier.token));
	write_list(agent, tokens, wanted, &burst);
	if (EVR_LIKELY(burst.count >= EVR_RING_BURST_MIN)) {
		put_in(agent, &burst);
		error = evri_ring_push(ring, evr_token_wire(burst.carrier.token));
		if (EVR_LIKELY(error == 0))
			return (int)burst.count;
		take_back(agent, &burst);
	}
	(void)evr_block_free(agent, burst.carrier.token);
	return error;
}

/* A burst, or the first block alone. */
static int push_some(struct evr_ring *ring, struct evr_agent *agent,
		     const evr_token *tokens, uint32_t count)
{
	uint32_t wanted = ring->burst_max ? ring->burst_max : EVR_RING_BURST_DEFAULT;
	int result = 0;

	if (wanted > count)
		wanted = count;
	if (wanted >= EVR_RING_BURST_MIN) {
		if (is_full(ring))
			return -EAGAIN;
		result = push_carrier(ring, agent, tokens, wanted);
	}
	if (result != 0)
		return result;
	result = evr_ring_try_push(ring, agent, tokens[0]);
	return result < 0 ? result : 1;
}

int evr_ring_try_push_burst(struct evr_ring *ring, struct evr_agent *agent,
			    const evr_token *tokens, uint32_t count)
{
	uint32_t pushed = 0;

	if (count > CALL_MAX)
		count = CALL_MAX;
	while (pushed < count) {
		int result = push_some(ring, agent, tokens + pushed, count - pushed);

		if (EVR_UNLIKELY(result < 0))
			return pushed ? (int)pushed : result;
		pushed += (uint32_t)result;
	}
	return (int)pushed;
}

/* ---- pop ---- */

/* A marked carrier comes into this end's hands. */
static void begin_burst(struct evr_ring *ring, const struct evr_agent *agent,
			uint32_t index)
{
	uint32_t count = evri_burst_count(agent, index, evri_block_at(agent, index));

	if (count > EVR_RING_BURST_LIMIT)
		count = EVR_RING_BURST_LIMIT;
	ring->burst = index + 1;
	ring->burst_next = 0;
	ring->burst_count = (uint16_t)count;
}

/*
 * What the next @count entries name. All are sent for before the first is looked at, so
 * that they are on their way together; each entry is read once.
 */
static uint32_t take_next(struct evr_ring *ring, const struct evr_agent *agent,
			  struct evr_block *ret, uint32_t count)
{
	uint32_t carrier_index = ring->burst - 1;
	const uint64_t *entries = evri_block_payload(agent, carrier_index,
						     evri_block_at(agent, carrier_index));
	struct evr_block_shared *blocks[EVR_RING_BURST_LIMIT];
	uint64_t named[EVR_RING_BURST_LIMIT];
	uint32_t taken = 0;

	entries += ring->burst_next;
	for (uint32_t i = 0; i < count; i++) {
		named[i] = evr_plain_load_u64(&entries[i]);
		blocks[i] = evri_block_at(agent, (uint32_t)named[i]);
		evri_prefetch_write(blocks[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t generation = named[i] >> EVR_BLOCK_GENERATION_SHIFT;
		uint64_t word;

		if (EVR_UNLIKELY(!blocks[i] ||
				 evr_load_relaxed_u64(&blocks[i]->word) !=
					 evr_block_word(generation, EVR_BLOCK_IN,
							carrier_index)))
			continue;
		word = evr_block_word(generation + 1, EVR_BLOCK_OWNED, agent->number);
		evr_store_release_u64(&blocks[i]->word, word);
		evri_block_handle(agent, (uint32_t)named[i], blocks[i], word,
				  &ret[taken++]);
	}
	ring->burst_next = (uint16_t)(ring->burst_next + count);
	return taken;
}

/* Up to @max blocks of the burst in hand. 0: what is left of it named none. */
static uint32_t take_out(struct evr_ring *ring, struct evr_agent *agent,
			 struct evr_block *ret, uint32_t max)
{
	uint32_t taken = 0;

	while (taken < max && ring->burst_next < ring->burst_count) {
		uint32_t left = (uint32_t)(ring->burst_count - ring->burst_next);
		uint32_t wanted = max - taken;

		taken += take_next(ring, agent, ret + taken,
				   wanted < left ? wanted : left);
	}
	if (ring->burst_next == ring->burst_count) {
		evri_burst_free(agent, ring->burst - 1);
		ring->burst = 0;
	}
	return taken;
}

int evri_ring_burst_next(struct evr_ring *ring, struct evr_agent *agent,
			 struct evr_block *ret)
{
	return take_out(ring, agent, ret, 1) ? 0 : -EUCLEAN;
}

int evri_ring_burst_first(struct evr_ring *ring, struct evr_agent *agent, uint32_t index,
			  struct evr_block *ret)
{
	const uint64_t *entries =
		evri_block_payload(agent, index, evri_block_at(agent, index));

	begin_burst(ring, agent, index);
	/* One is wanted now, and the others will be. */
	for (uint32_t i = 1; i < ring->burst_count; i++)
		evri_prefetch_write(
			evri_block_at(agent, (uint32_t)evr_plain_load_u64(&entries[i])));
	return evri_ring_burst_next(ring, agent, ret);
}

int evr_ring_try_pop_burst(struct evr_ring *ring, struct evr_agent *agent,
			   struct evr_block *ret, uint32_t max)
{
	uint32_t taken = 0;
	int error = 0;

	if (max > CALL_MAX)
		max = CALL_MAX;
	while (taken < max) {
		uint32_t index;
		uint64_t word;

		if (!ring->burst) {
			error = evri_ring_pop(ring, agent, true, NULL, 0, &index, &word);
			if (error < 0)
				break;
			if (evr_block_word_state(word) != EVR_BLOCK_BURST) {
				evri_block_handle(agent, index,
						  evri_block_at(agent, index), word,
						  &ret[taken++]);
				continue;
			}
			begin_burst(ring, agent, index);
		}
		uint32_t more = take_out(ring, agent, ret + taken, max - taken);
		if (EVR_UNLIKELY(more == 0)) {
			error = -EUCLEAN;
			break;
		}
		taken += more;
	}
	return taken ? (int)taken : error;
}

/* ---- what is in hand ---- */

uint32_t evr_ring_in_hand(const struct evr_ring *ring)
{
	return ring->burst ? (uint32_t)(ring->burst_count - ring->burst_next) : 0;
}

int evr_ring_give_back(struct evr_ring *ring, struct evr_agent *agent)
{
	uint32_t index = ring->burst - 1;
	int count = (int)evr_ring_in_hand(ring);
	uint64_t word;
	int error;

	if (!ring->burst)
		return 0;
	/* It is as it was when it was pushed: what has been taken out of it has words
	 * that its entries do not name any more. Its generation is new since the mark. */
	word = evr_load_relaxed_u64(&evri_block_at(agent, index)->word);
	error = evri_ring_push(ring, evr_token_wire(evr_token_make(
					     0, index, evr_block_word_generation(word))));
	if (error < 0)
		return error;
	ring->burst = 0;
	return count;
}
