/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * recovery.c - reading off the words what dead participants held. See
 * <evering/recovery.h>; the argument why each claim is right is in docs/RECOVERY.md.
 *
 * A pass over those who were dead when it began, by a live one R:
 *
 *  0. Their homes: closed, drained, FREE.
 *  1. A look at all slots of all rings. They are dead, so no token that says "theirs"
 *     enters one later: what is theirs and lies in a slot is taken out of their names.
 *     Their roles at rings that have some: free.
 *  2. All blocks that still say they are theirs: named by a live agent's intent,
 *     postponed; else claimed, by one compare-and-swap from exactly the word that was
 *     judged. Blocks whose bit says that they are free are not looked at.
 *  3. Blocks that they were moving to or from the bitmap.
 *  4. Blocks that they were taking out of a ring: their intents.
 *  5. All bells rung; agents and records of those with nothing postponed are free again.
 *
 * Nothing here is stored into another's record; every step may be repeated, and done by
 * several at once. A claimed block is an ordinary block of R's until it is disposed of,
 * so a recoverer that dies leaves nothing special behind; and one that goes on after an
 * hour is like one that was stopped for an hour.
 */

#include "recovery_internal.h"

#include <stdlib.h>
#include <string.h>

/* A claim that lost its race so often is somebody else's business: a later pass looks. */
#define CLAIM_TRIES_MAX 64

static uint32_t token_generation(uint64_t word)
{
	return (uint32_t)(evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK);
}

static uint64_t token_wire(uint32_t index, uint64_t word)
{
	return (uint64_t)index << EVR_TOKEN_GENERATION_BITS | token_generation(word);
}

/* ---- whose intents count ---- */

/* SYNC agent/word (acquire), pairs with evri_agent_claim() and evri_agent_release(). */
static bool evri_recovery_agent_is(const struct evr_agent_shared *agent, uint64_t word)
{
	return evr_load_acquire_u64(&agent->word) == word;
}

/* Is the participant that uses this agent alive, as far as is known? */
static bool agent_lives(const struct evri_pass *pass,
			const struct evr_agent_shared *agent)
{
	uint64_t word = evr_load_acquire_u64(&agent->word);
	uint32_t record = (uint32_t)(word >> 32) & 0xffffffU;

	if (word >> 56 != EVR_AGENT_USED || record >= pass->region->participants_count)
		return false;
	return evr_load_acquire_u64(&pass->region->participants[record].word) ==
	       evr_participant_word(EVR_PARTICIPANT_ALIVE, (uint32_t)word);
}

/* Does this agent name the token as one it is taking? */
static bool evri_recovery_agent_intends(const struct evr_agent_shared *agent,
					uint64_t intent)
{
	for (int i = 0; i < EVR_AGENT_INTENTS; i++)
		/* SYNC recovery/intent (acquire), pairs with evri_ring_pop().
		 * Relaxed: the mark before this intent could be missed, and its block
		 * claimed from its owner. */
		if (evr_load_acquire_u64(&agent->intent[i]) == intent)
			return true;
	return false;
}

/*
 * Whoever took this token had his intent standing when its slot was looked at, and all
 * slots were before the filter was filled. If it is not in the filter, nobody took it, or
 * his mark was made before the block's word was read: no need to ask every agent.
 */
static bool may_be_being_taken(const struct evri_pass *pass, uint64_t wire)
{
	uint32_t hash = evri_token_hash(wire, 12);

	return pass->takers_filter[hash / 64] >> hash % 64 & 1;
}

static bool is_being_taken(const struct evri_pass *pass, uint32_t index, uint64_t word)
{
	uint64_t wire = token_wire(index, word);

	if (!may_be_being_taken(pass, wire))
		return false;
	for (uint32_t i = 0; i < pass->region->agents_count; i++) {
		const struct evr_agent_shared *agent = &pass->region->agents[i];

		if (evri_recovery_agent_intends(agent, EVR_INTENT_SET | wire) &&
		    agent_lives(pass, agent))
			return true;
	}
	return false;
}

/* Is a live agent at work in this bitmap word? */
static bool evri_recovery_intent_on(const struct evri_pass *pass, uint32_t chunk)
{
	for (uint32_t i = 0; i < pass->region->agents_count; i++) {
		const struct evr_agent_shared *agent = &pass->region->agents[i];

		/* SYNC pool/bitmap-intent (acquire), pairs with set_bitmap_intent(). */
		if (evr_load_acquire_u64(&agent->bitmap_intent) == (uint64_t)chunk + 1 &&
		    agent_lives(pass, agent))
			return true;
	}
	return false;
}

/* ---- claims: every one goes through here ---- */

enum verdict {
	NOT_OURS,  /* nothing of the dead one's */
	IN_RING,   /* leave it there, under nobody's name */
	POSTPONED, /* a live one may be taking it */
	CLAIM,
};

/*
 * Judges the word of block @index and claims the block if it is due. @judge is asked
 * again with the new word whenever the compare-and-swap fails: only a changed generation
 * settles a block, a changed owner alone does not. False: it never settled.
 */
static bool
evri_recovery_claim(struct evri_pass *pass, uint32_t index,
		    struct evr_block_shared *block,
		    enum verdict (*judge)(const struct evri_pass *pass, uint32_t index,
					  uint64_t word, const void *context),
		    const void *context)
{
	pass->looks_left -= EVRI_LOOKS_PER_CLAIM;
	for (int tries = 0; tries < CLAIM_TRIES_MAX; tries++) {
		/* SYNC block/mark (acquire), pairs with evri_ring_mark() and
		 * evri_magazine_refill(); SYNC block/free (acquire), pairs with
		 * give_chunk(); SYNC block/request (acquire), pairs with
		 * evr_submitter_try_submit(); SYNC block/response (acquire), pairs with
		 * evr_completer_complete(); SYNC block/content (acquire), pairs with
		 * evr_block_contain() and evr_ring_try_push_burst(). Relaxed, in each of
		 * them: the word is seen and what it says is written is not. */
		uint64_t word = evr_load_acquire_u64(&block->word);
		uint32_t state = evr_block_word_state(word);
		uint64_t desired;

		switch (judge(pass, index, word, context)) {
		case NOT_OURS:
			return true;
		case POSTPONED:
			evri_pass_postpone(pass);
			return true;
		case IN_RING:
			desired = evr_block_word(evr_block_word_generation(word), state,
						 EVR_OWNER_ORPHAN);
			if (evr_cas_acq_rel_u64(&block->word, &word, desired)) {
				pass->stats.orphaned++;
				return true;
			}
			break;
		case CLAIM:
			if (state == EVR_BLOCK_CACHED || state == EVR_BLOCK_FREE ||
			    state == EVR_BLOCK_RETIRED)
				state = EVR_BLOCK_OWNED;
			desired = evr_block_word_next(word, state, pass->agent->number);
			if (evr_cas_acq_rel_u64(&block->word, &word, desired)) {
				evri_block_dispose(pass->agent, pass->urings,
						   pass->urings_count, pass->dead, index,
						   &pass->stats);
				return true;
			}
			break;
		}
	}
	evri_pass_postpone(pass);
	return false;
}

/* Does this word say that the block is the dead one's? The state before the owner: in IN
 * that field is an index, and may look so. */
static bool names_the_dead(const struct evri_pass *pass, uint64_t word)
{
	uint32_t state = evr_block_word_state(word);

	return state >= EVR_BLOCK_CACHED && state != EVR_BLOCK_IN &&
	       state <= EVR_BLOCK_BURST && evr_block_word_owner(word) == pass->dead;
}

/* A block whose token was seen in a slot. */
static enum verdict judge_queued(const struct evri_pass *pass, uint32_t index,
				 uint64_t word, const void *context)
{
	uint32_t generation = *(const uint32_t *)context;

	(void)index;
	return names_the_dead(pass, word) && token_generation(word) == generation ?
		       IN_RING :
		       NOT_OURS;
}

/* A block whose word names the dead one, and that lay in no ring: in step 1 those that
 * did were taken out of its name. */
static enum verdict judge_owned(const struct evri_pass *pass, uint32_t index,
				uint64_t word, const void *context)
{
	(void)context;
	if (!names_the_dead(pass, word))
		return NOT_OURS;
	/* The word was read before: had others let the extent serve again, it would have
	 * changed. */
	if (evr_block_word_state(word) == EVR_BLOCK_RETIRED)
		return evri_pool_chunk_state(pass->pool, index / EVR_POOL_CHUNK_BLOCKS) ==
				       EVR_EXTENT_SERVING ?
			       CLAIM :
			       NOT_OURS;
	return is_being_taken(pass, index, word) ? POSTPONED : CLAIM;
}

/* A block that the dead one's intent names, whoever its word says sent it. */
static enum verdict judge_intended(const struct evri_pass *pass, uint32_t index,
				   uint64_t word, const void *context)
{
	const struct evri_dead_intent *intent = context;
	uint32_t generation = (uint32_t)(intent->value & EVR_TOKEN_GENERATION_MASK);
	uint32_t state = evr_block_word_state(word);

	/* Another generation: it did not get it, or had marked it as its own. */
	if (token_generation(word) != generation || !evri_block_state_travels(state))
		return NOT_OURS;
	/* Still in the ring: it died before its compare-and-swap. */
	if (intent->in_ring)
		return NOT_OURS;
	return is_being_taken(pass, index, word) ? POSTPONED : CLAIM;
}

/* A block of a bitmap word that the dead one was at work in: FREE, its bit not set. */
static enum verdict evri_recovery_limbo(const struct evri_pass *pass, uint32_t index,
					uint64_t word, const void *context)
{
	uint32_t chunk = index / EVR_POOL_CHUNK_BLOCKS;
	bool busy_before, busy_after, bit;

	(void)context;
	if (evr_block_word_state(word) != EVR_BLOCK_FREE)
		return NOT_OURS;
	/* Looked at on both sides of the bit: a flusher that ends and a taker that begins
	 * between one look and the bit would both be missed. */
	busy_before = evri_recovery_intent_on(pass, chunk);
	/* SYNC pool/bit (acquire), pairs with take_bits(): the taker's intent is seen. */
	bit = evr_load_acquire_u64(evri_pool_bits(pass->pool, chunk)) >>
		      index % EVR_POOL_CHUNK_BLOCKS & 1;
	busy_after = evri_recovery_intent_on(pass, chunk);
	if (bit)
		return NOT_OURS;
	return busy_before || busy_after ? POSTPONED : CLAIM;
}

/* ---- the pieces of a pass ---- */

int evri_pass_release_home(struct evri_pass *pass, const struct evri_uring *uring,
			   uint32_t slot, struct evri_home_release *release)
{
	uint64_t word = evr_load_acquire_u64(&evri_home_at(uring, slot)->word);
	struct evri_dead *one = evri_pass_find(pass, (uint32_t)word);
	uint64_t allowed, tokens;
	int error;

	pass->looks_left--;
	if (evri_home_word_state(word) != EVR_HOME_OPEN || !one)
		return 0;
	evri_pass_select(pass, one);
	allowed = pass->looks_left > 0 ?
			  (uint64_t)pass->looks_left / EVRI_LOOKS_PER_CLAIM + 1 :
			  1;
	tokens = allowed;
	error = evri_home_release(pass->agent, pass->urings, pass->urings_count, uring,
				  slot, word, release, &tokens, &pass->stats);
	pass->looks_left -= (int64_t)(allowed - tokens) * EVRI_LOOKS_PER_CLAIM;
	if (error != -EAGAIN)
		return error;
	evri_pass_postpone(pass);
	return 0;
}

/* Of an agent that was the dead one's: what it says, then once more whose it is. If
 * another recoverer was quicker, it is somebody else's by now. */
static int read_agent(struct evri_pass *pass, uint32_t index)
{
	const struct evr_agent_shared *agent = &pass->region->agents[index];
	uint64_t used = evr_agent_word(EVR_AGENT_USED, pass->dead_record, pass->dead);

	for (int k = -1; k < EVR_AGENT_INTENTS; k++) {
		struct evri_dead_intent intent = {
			.value = k < 0 ? evr_load_acquire_u64(&agent->bitmap_intent) :
					 evr_load_acquire_u64(&agent->intent[k]),
			.agent = index,
			.dead = (uint32_t)(pass->one - pass->all),
			.is_bitmap = k < 0,
		};

		if (!evri_recovery_agent_is(agent, used))
			return 0;
		if (intent.value == 0)
			continue;
		if (pass->intents_count == pass->intents_capacity) {
			uint32_t capacity = 2 * pass->intents_capacity + 16;
			struct evri_dead_intent *more =
				realloc(pass->intents, capacity * sizeof(*more));

			if (!more)
				return -ENOMEM;
			pass->intents = more;
			pass->intents_capacity = capacity;
		}
		pass->intents[pass->intents_count++] = intent;
		if (k >= 0)
			pass->intents_filter |=
				UINT64_C(1)
				<< evri_token_hash(intent.value & EVR_TOKEN_WIRE_MASK, 6);
	}
	return 0;
}

void evri_pass_release_roles(struct evri_pass *pass, const struct evri_object *object)
{
	struct evr_ring ring;

	/* One that contradicts itself is told of where its slots are looked at. */
	if (evri_ring_bind(object->address, object->bytes, 0, &ring) < 0)
		return;
	for (uint32_t i = 0; i < pass->all_count; i++)
		evri_ring_release_roles(pass->region, &ring, pass->all[i].number);
}

int evri_pass_read_intents(struct evri_pass *pass)
{
	pass->intents_count = 0;
	pass->intents_filter = 0;
	for (uint32_t i = 0; i < pass->region->agents_count; i++) {
		uint64_t word = evr_load_acquire_u64(&pass->region->agents[i].word);
		struct evri_dead *one = evri_pass_find(pass, (uint32_t)word);
		int error;

		if (!one ||
		    word != evr_agent_word(EVR_AGENT_USED, one->record, one->number))
			continue;
		evri_pass_select(pass, one);
		error = read_agent(pass, i);
		if (error < 0)
			return error;
	}
	pass->looks_left -= pass->region->agents_count;
	return 0;
}

/* One of the dead had this token in its intent: it had not got it. */
static void note_intended(struct evri_pass *pass, uint64_t wire)
{
	for (uint32_t i = 0; i < pass->intents_count; i++)
		if (!pass->intents[i].is_bitmap &&
		    (pass->intents[i].value & EVR_TOKEN_WIRE_MASK) == wire)
			pass->intents[i].in_ring = true;
}

/* A token in a slot: is its block one of theirs? */
static void look_at_token(struct evri_pass *pass, uint64_t wire)
{
	uint32_t index = (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS);
	uint32_t generation = (uint32_t)(wire & EVR_TOKEN_GENERATION_MASK);
	struct evr_block_shared *block = evri_block_at(pass->agent, index);
	struct evri_dead *one;

	if (pass->intents_filter >> evri_token_hash(wire, 6) & 1)
		note_intended(pass, wire);
	if (!block)
		return;
	/* A first look without order: most blocks are others'. */
	one = evri_pass_find(pass,
			     evr_block_word_owner(evr_load_relaxed_u64(&block->word)));
	if (EVR_LIKELY(!one))
		return;
	evri_pass_select(pass, one);
	if (!evri_recovery_claim(pass, index, block, judge_queued, &generation))
		pass->blind = true;
}

uint64_t evri_pass_look_at_slots(struct evri_pass *pass, const struct evr_ring *ring,
				 uint64_t from)
{
	uint64_t i;

	for (i = from; i <= ring->mask && pass->looks_left > 0; i++) {
		/* SYNC ring/slot (acquire), pairs with evri_ring_pop(): whoever sees
		 * a slot emptied sees the intent of who did it. */
		uint64_t word = evr_load_acquire_u64(&ring->slots[i]);

		pass->looks_left--;
		if (evri_slot_is_full(word))
			look_at_token(pass, word & EVR_TOKEN_WIRE_MASK);
	}
	pass->stats.scanned += i - from;
	return i;
}

void evri_pass_look_at_takers(struct evri_pass *pass)
{
	memset(pass->takers_filter, 0, sizeof(pass->takers_filter));
	for (uint32_t i = 0; i < pass->region->agents_count; i++) {
		const struct evr_agent_shared *agent = &pass->region->agents[i];

		for (int k = 0; k < EVR_AGENT_INTENTS; k++) {
			/* SYNC recovery/intent (acquire), pairs with evri_ring_pop().
			 * Relaxed: an intent is seen cleared, and the mark before it
			 * is not. */
			uint64_t intent = evr_load_acquire_u64(&agent->intent[k]);
			uint32_t hash = evri_token_hash(intent & EVR_TOKEN_WIRE_MASK, 12);

			if (intent)
				pass->takers_filter[hash / 64] |= UINT64_C(1)
								  << hash % 64;
		}
	}
	pass->looks_left -= pass->region->agents_count;
}

/* Which blocks of a chunk somebody has: those whose bit is clear. */
static uint64_t held_blocks(const struct evri_pass *pass, uint32_t chunk)
{
	uint32_t blocks = evri_chunk_blocks(&pass->pool->chunks[chunk]);
	uint64_t all = blocks >= EVR_POOL_CHUNK_BLOCKS ? UINT64_MAX :
							 (UINT64_C(1) << blocks) - 1;

	/* SYNC pool/bit (acquire), pairs with take_bits() and give_chunk(): the bit of
	 * what a dead one had was cleared before it died. If it is set, the block went
	 * back to the bitmap since, by whoever had it after the dead one. */
	return all && evri_pool_bits(pass->pool, chunk) ?
		       all & ~evr_load_acquire_u64(evri_pool_bits(pass->pool, chunk)) :
		       0;
}

void evri_pass_look_at_chunk(struct evri_pass *pass, uint32_t chunk)
{
	const struct evri_chunk *place = &pass->pool->chunks[chunk];
	uint64_t held = held_blocks(pass, chunk);
	int count = __builtin_popcountll(held);
	char *first = pass->agent->base + place->offset;
	uint64_t stride = place->stride_bytes;

	pass->looks_left -= 1 + count;
	pass->stats.scanned += 1 + (uint64_t)count;
	for (uint64_t rest = held; rest; rest &= rest - 1)
		evri_prefetch_read(first + (uint64_t)__builtin_ctzll(rest) * stride);
	for (; held; held &= held - 1) {
		uint32_t within = (uint32_t)__builtin_ctzll(held);
		struct evr_block_shared *block =
			(struct evr_block_shared *)(first + within * stride);
		/* A first look without order: most blocks are others'. */
		struct evri_dead *one = evri_pass_find(
			pass, evr_block_word_owner(evr_load_relaxed_u64(&block->word)));

		if (EVR_LIKELY(!one))
			continue;
		evri_pass_select(pass, one);
		(void)evri_recovery_claim(pass, chunk * EVR_POOL_CHUNK_BLOCKS + within,
					  block, judge_owned, NULL);
	}
}

/* All of its blocks: the bits may change until each is judged. */
static void look_into_chunk(struct evri_pass *pass, uint64_t bitmap_intent)
{
	uint64_t chunk = bitmap_intent - 1;

	if (chunk >= pass->chunks_count)
		return;
	for (uint32_t k = 0; k < evri_chunk_blocks(&pass->pool->chunks[chunk]); k++) {
		uint32_t index = (uint32_t)chunk * EVR_POOL_CHUNK_BLOCKS + k;

		(void)evri_recovery_claim(pass, index, evri_block_at(pass->agent, index),
					  evri_recovery_limbo, NULL);
	}
}

void evri_pass_look_at_intent(struct evri_pass *pass,
			      const struct evri_dead_intent *intent)
{
	const struct evr_agent_shared *agent = &pass->region->agents[intent->agent];
	uint32_t index = (uint32_t)((intent->value & EVR_TOKEN_WIRE_MASK) >>
				    EVR_TOKEN_GENERATION_BITS);
	struct evr_block_shared *block;

	evri_pass_select(pass, &pass->all[intent->dead]);
	pass->looks_left--;
	/* Others have finished with it. */
	if (!evri_recovery_agent_is(agent, evr_agent_word(EVR_AGENT_USED,
							  pass->dead_record, pass->dead)))
		return;
	if (intent->is_bitmap) {
		look_into_chunk(pass, intent->value);
		return;
	}
	block = evri_block_at(pass->agent, index);
	if (intent->value & EVR_INTENT_SET && block)
		(void)evri_recovery_claim(pass, index, block, judge_intended, intent);
}

/* Everything is back: agents first, the record last, so that one who finds the record
 * still DEAD looks at the agents that are left. */
static void finish(struct evri_pass *pass)
{
	struct evr_region *region = pass->region;
	uint64_t dead = evr_participant_word(EVR_PARTICIPANT_DEAD, pass->dead);

	for (uint32_t i = 0; i < region->agents_count; i++) {
		struct evr_atomic_u64 *shared_word = &region->agents[i].word;
		uint64_t word = evr_load_relaxed_u64(shared_word);
		uint32_t state = (uint32_t)(word >> 56);

		if ((state == EVR_AGENT_USED || state == EVR_AGENT_CLAIMED) &&
		    (uint32_t)word == pass->dead)
			evr_cas_acq_rel_u64(shared_word, &word,
					    evr_agent_word(EVR_AGENT_FREE,
							   pass->dead_record,
							   pass->dead));
	}
	if (evr_cas_acq_rel_u64(&region->participants[pass->dead_record].word, &dead,
				evr_participant_word(EVR_PARTICIPANT_FREE, pass->dead)))
		pass->stats.finished++;
}

void evri_pass_finish(struct evri_pass *pass, struct evri_dead *one)
{
	evri_pass_select(pass, one);
	pass->looks_left -= pass->region->agents_count;
	if (one->postponed)
		return;
	finish(pass);
}
