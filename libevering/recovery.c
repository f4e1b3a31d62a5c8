/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * recovery.c - reading off the words what a dead participant held. See
 * <evering/recovery.h>; the argument why each claim is right is in docs/RECOVERY.md.
 *
 * A pass over one dead participant D, by a live one R:
 *
 *  0. D's homes: closed, drained, FREE.
 *  1. A snapshot of all rings. D is dead, so no token that says "D's" enters one later.
 *  2. All blocks that say they are D's: in the snapshot, left in their ring; named by a
 *     live agent's intent, postponed; else claimed, by one compare-and-swap from exactly
 *     the word that was judged.
 *  3. Blocks that D was moving to or from the bitmap.
 *  4. Blocks that D was taking out of a ring: its intents.
 *  5. All bells rung; if nothing was postponed, D's agents and record are free again.
 *
 * Nothing here is stored into another's record; every step may be repeated, and done by
 * several at once. A claimed block is an ordinary block of R's until it is disposed of,
 * so a recoverer that dies leaves nothing special behind.
 */

#include <evering/recovery.h>

#include <stdlib.h>
#include <string.h>

#include "home.h"

/* A claim that lost its race so often is somebody else's business: a later pass looks. */
#define CLAIM_TRIES_MAX 64

#define SEEN_IN_RING (UINT32_C(1) << 31)

struct pass {
	struct evr_agent *agent;
	struct evr_region *region;
	struct evr_pool *pool;
	const struct evri_uring *urings;
	uint32_t urings_count;
	uint32_t *in_ring; /* per block index: SEEN_IN_RING | generation in the token */
	uint32_t blocks_max;
	uint32_t dead;        /* D's attach number */
	uint32_t dead_record; /* D's record */
	struct evr_recovery_stats *stats;
};

static uint32_t token_generation(uint64_t word)
{
	return (uint32_t)(evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK);
}

static bool is_in_ring(const struct pass *pass, uint32_t index, uint64_t word)
{
	return pass->in_ring[index] == (SEEN_IN_RING | token_generation(word));
}

/* ---- whose intents count ---- */

/* SYNC agent/word (acquire), pairs with evri_agent_claim() and evri_agent_release(). */
static bool evri_recovery_agent_is(const struct evr_agent_shared *agent, uint64_t word)
{
	return evr_load_acquire_u64(&agent->word) == word;
}

/* Is the participant that uses this agent alive, as far as is known? */
static bool agent_lives(const struct pass *pass, const struct evr_agent_shared *agent)
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

static bool is_being_taken(const struct pass *pass, uint32_t index, uint64_t word)
{
	uint64_t intent = EVR_INTENT_SET |
			  (uint64_t)index << EVR_TOKEN_GENERATION_BITS |
			  token_generation(word);

	for (uint32_t i = 0; i < pass->region->agents_count; i++) {
		const struct evr_agent_shared *agent = &pass->region->agents[i];

		if (evri_recovery_agent_intends(agent, intent) &&
		    agent_lives(pass, agent))
			return true;
	}
	return false;
}

/* Is a live agent at work in this bitmap word? */
static bool evri_recovery_intent_on(const struct pass *pass, uint32_t chunk)
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
 * settles a block, a changed owner alone does not.
 */
static void
evri_recovery_claim(struct pass *pass, uint32_t index, struct evr_block_shared *block,
		    enum verdict (*judge)(const struct pass *pass, uint32_t index,
					  uint64_t word, const void *context),
		    const void *context)
{
	for (int tries = 0; tries < CLAIM_TRIES_MAX; tries++) {
		/* SYNC block/mark (acquire), pairs with evri_ring_mark() and
		 * evri_magazine_refill(); SYNC block/free (acquire), pairs with
		 * give_chunk(); SYNC block/request (acquire), pairs with
		 * evr_submitter_try_submit(); SYNC block/response (acquire), pairs with
		 * evr_completer_complete(); SYNC block/content (acquire), pairs with
		 * evr_block_contain(). Relaxed, in each of them: the word is seen and
		 * what it says is written is not. */
		uint64_t word = evr_load_acquire_u64(&block->word);
		uint32_t state = evr_block_word_state(word);
		uint64_t desired;

		switch (judge(pass, index, word, context)) {
		case NOT_OURS:
			return;
		case POSTPONED:
			pass->stats->postponed++;
			return;
		case IN_RING:
			desired = evr_block_word(evr_block_word_generation(word), state,
						 EVR_OWNER_ORPHAN);
			if (evr_cas_acq_rel_u64(&block->word, &word, desired)) {
				pass->stats->orphaned++;
				return;
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
						   pass->stats);
				return;
			}
			break;
		}
	}
	pass->stats->postponed++;
}

/* A block whose word names the dead one as its owner. */
static enum verdict judge_owned(const struct pass *pass, uint32_t index, uint64_t word,
				const void *context)
{
	uint32_t state = evr_block_word_state(word);

	(void)context;
	/* The state before the owner: in IN that field is an index, and may look so. */
	if (state < EVR_BLOCK_CACHED || state == EVR_BLOCK_IN ||
	    state > EVR_BLOCK_RETIRED || evr_block_word_owner(word) != pass->dead)
		return NOT_OURS;
	/* The word was read before: had others let the extent serve again, it would have
	 * changed. */
	if (state == EVR_BLOCK_RETIRED)
		return evri_pool_chunk_state(pass->pool, index / EVR_POOL_CHUNK_BLOCKS) ==
				       EVR_EXTENT_SERVING ?
			       CLAIM :
			       NOT_OURS;
	if (is_in_ring(pass, index, word))
		return IN_RING;
	return is_being_taken(pass, index, word) ? POSTPONED : CLAIM;
}

/* A block that the dead one's intent names, whoever its word says sent it. */
static enum verdict judge_intended(const struct pass *pass, uint32_t index, uint64_t word,
				   const void *context)
{
	uint32_t generation = *(const uint32_t *)context;
	uint32_t state = evr_block_word_state(word);

	/* Another generation: it did not get it, or had marked it as its own. */
	if (token_generation(word) != generation || state < EVR_BLOCK_OWNED ||
	    state > EVR_BLOCK_RESP)
		return NOT_OURS;
	/* Still in the ring: it died before its compare-and-swap. */
	if (is_in_ring(pass, index, word))
		return NOT_OURS;
	return is_being_taken(pass, index, word) ? POSTPONED : CLAIM;
}

/* A block of a bitmap word that the dead one was at work in: FREE, its bit not set. */
static enum verdict evri_recovery_limbo(const struct pass *pass, uint32_t index,
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

/* ---- the steps ---- */

static int release_homes(struct pass *pass)
{
	for (uint32_t i = 0; i < pass->urings_count; i++) {
		const struct evri_uring *uring = &pass->urings[i];

		for (uint32_t slot = 0; slot < uring->homes_count; slot++) {
			uint64_t word =
				evr_load_acquire_u64(&evri_home_at(uring, slot)->word);
			int error;

			if (evri_home_word_state(word) != EVR_HOME_OPEN ||
			    (uint32_t)word != pass->dead)
				continue;
			error = evri_home_release(pass->agent, pass->urings,
						  pass->urings_count, uring, slot, word,
						  pass->stats);
			if (error == -EAGAIN)
				pass->stats->postponed++;
			else if (error < 0)
				return error;
		}
	}
	return 0;
}

static void snapshot_ring(struct pass *pass, const struct evr_ring *ring)
{
	for (uint64_t i = 0; i <= ring->mask; i++) {
		/* SYNC ring/slot (acquire), pairs with evri_ring_pop(): whoever sees
		 * a slot emptied sees the intent of who did it. */
		uint64_t word = evr_load_acquire_u64(&ring->slots[i]);
		uint64_t wire = word & EVR_TOKEN_WIRE_MASK;
		uint64_t index = wire >> EVR_TOKEN_GENERATION_BITS;

		if (evri_slot_is_full(word) && index < pass->blocks_max)
			pass->in_ring[index] =
				SEEN_IN_RING |
				(uint32_t)(wire & EVR_TOKEN_GENERATION_MASK);
	}
	pass->stats->scanned += ring->mask + 1;
}

static int snapshot_all(struct pass *pass)
{
	struct evri_directory_cursor cursor = { 0 };
	struct evri_object object;
	struct evr_ring ring;
	int error = 0;

	memset(pass->in_ring, 0, pass->blocks_max * sizeof(*pass->in_ring));
	while (evri_directory_next(pass->region, &cursor, &object)) {
		if (object.state != EVRI_ENTRY_READY || object.kind != EVRI_OBJECT_RING)
			continue;
		error = evri_ring_bind(object.address, object.bytes, 0, &ring);
		if (error < 0)
			return evri_fail(error,
					 "the header of ring \"%s\" contradicts itself",
					 object.name);
		snapshot_ring(pass, &ring);
	}
	if (cursor.error < 0)
		return cursor.error;
	for (uint32_t i = 0; i < pass->urings_count && error == 0; i++) {
		const struct evri_uring *uring = &pass->urings[i];

		error = evri_uring_submissions(uring, &ring);
		if (error == 0)
			snapshot_ring(pass, &ring);
		for (uint32_t slot = 0; slot < uring->homes_count && error == 0; slot++) {
			error = evri_home_ring(uring, slot, EVRI_HOME_COMPLETIONS, &ring);
			if (error < 0)
				break;
			snapshot_ring(pass, &ring);
			error = evri_home_ring(uring, slot, EVRI_HOME_RETURNS, &ring);
			if (error == 0)
				snapshot_ring(pass, &ring);
		}
	}
	if (error < 0)
		return evri_fail(error, "a ring of a uring contradicts itself");
	return 0;
}

static void scan_blocks(struct pass *pass)
{
	for (uint32_t i = 0; i < pass->blocks_max / EVR_POOL_CHUNK_BLOCKS; i++) {
		uint32_t blocks = evri_chunk_blocks(&pass->pool->chunks[i]);

		for (uint32_t k = 0; k < blocks; k++) {
			uint32_t index = i * EVR_POOL_CHUNK_BLOCKS + k;
			struct evr_block_shared *block =
				evri_block_at(pass->agent, index);

			/* A first look without order: most blocks are others'. */
			if (evr_block_word_owner(evr_load_relaxed_u64(&block->word)) ==
			    pass->dead)
				evri_recovery_claim(pass, index, block, judge_owned,
						    NULL);
		}
		pass->stats->scanned += blocks;
	}
}

static void look_into_chunk(struct pass *pass, uint64_t bitmap_intent)
{
	uint64_t chunk = bitmap_intent - 1;

	if (bitmap_intent == 0 || chunk >= pass->blocks_max / EVR_POOL_CHUNK_BLOCKS)
		return;
	for (uint32_t k = 0; k < evri_chunk_blocks(&pass->pool->chunks[chunk]); k++) {
		uint32_t index = (uint32_t)chunk * EVR_POOL_CHUNK_BLOCKS + k;

		evri_recovery_claim(pass, index, evri_block_at(pass->agent, index),
				    evri_recovery_limbo, NULL);
	}
}

static void look_for_intended(struct pass *pass, uint64_t intent)
{
	uint32_t generation = (uint32_t)(intent & EVR_TOKEN_GENERATION_MASK);
	uint32_t index =
		(uint32_t)((intent & EVR_TOKEN_WIRE_MASK) >> EVR_TOKEN_GENERATION_BITS);
	struct evr_block_shared *block = evri_block_at(pass->agent, index);

	if (intent & EVR_INTENT_SET && block)
		evri_recovery_claim(pass, index, block, judge_intended, &generation);
}

/* What the dead one's agents were in the middle of. */
static void read_agents(struct pass *pass)
{
	uint64_t used = evr_agent_word(EVR_AGENT_USED, pass->dead_record, pass->dead);

	for (uint32_t i = 0; i < pass->region->agents_count; i++) {
		const struct evr_agent_shared *agent = &pass->region->agents[i];

		if (!evri_recovery_agent_is(agent, used))
			continue;
		for (int k = -1; k < EVR_AGENT_INTENTS; k++) {
			uint64_t value =
				k < 0 ? evr_load_acquire_u64(&agent->bitmap_intent)
				      : evr_load_acquire_u64(&agent->intent[k]);

			/* Read, then asked again whose it is: if another recoverer was
			 * quicker, this agent is somebody else's by now. */
			if (!evri_recovery_agent_is(agent, used))
				break;
			if (k < 0)
				look_into_chunk(pass, value);
			else
				look_for_intended(pass, value);
		}
	}
}

/* Everything is back: agents first, the record last, so that one who finds the record
 * still DEAD looks at the agents that are left. */
static void finish(struct pass *pass)
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
		pass->stats->finished++;
}

/* Whatever the dead one had published without ringing for it. */
static void ring_all(const struct pass *pass)
{
	for (uint32_t i = 0; i < pass->urings_count; i++) {
		const struct evri_uring *uring = &pass->urings[i];

		evr_doorbell_ring_all(&uring->shared->bell);
		for (uint32_t slot = 0; slot < uring->homes_count; slot++)
			evr_doorbell_ring_all(&evri_home_at(uring, slot)->bell);
	}
}

/* 1: something is postponed; 0: all is back; or an error. */
static int recover_one(struct pass *pass)
{
	uint32_t postponed = pass->stats->postponed;
	int error = release_homes(pass);

	if (error == 0)
		error = snapshot_all(pass);
	if (error < 0)
		return error;
	scan_blocks(pass);
	read_agents(pass);
	ring_all(pass);
	if (pass->stats->postponed != postponed)
		return 1;
	finish(pass);
	return 0;
}

static int recover_all(struct pass *pass)
{
	struct evr_region *region = pass->region;
	int left = 0;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		/* SYNC participant/word (acquire), pairs with evri_participant_leave()
		 * and with whoever marked it DEAD: its last stores are seen. */
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);
		int error;

		if (word >> 32 != EVR_PARTICIPANT_DEAD)
			continue;
		pass->dead = (uint32_t)word;
		pass->dead_record = i;
		pass->stats->dead++;
		error = recover_one(pass);
		if (error < 0)
			return error;
		left += error;
	}
	return left;
}

int evr_recover(struct evr_agent *agent, struct evr_recovery_stats *stats)
{
	struct evr_recovery_stats mine = { 0 };
	struct evr_region *region = agent->pool->region;
	uint64_t begun_ns = evri_os_now_ns();
	struct evri_uring *urings = NULL;
	struct pass pass = {
		.agent = agent,
		.region = region,
		.pool = agent->pool,
		.stats = &mine,
	};
	int result = evr_participant_find_dead(region);

	/* Of the extents, too, that only the dead ever used: they were there before the
	 * deaths were. */
	if (result > 0) {
		int learnt = evri_pool_learn(agent->pool);

		if (learnt < 0)
			result = learnt;
		pass.blocks_max = evri_pool_chunks(agent->pool) * EVR_POOL_CHUNK_BLOCKS;
	}
	if (result > 0) {
		result = evri_urings_find(region, &urings, &pass.urings_count);
		pass.urings = urings;
		pass.in_ring = calloc(pass.blocks_max, sizeof(*pass.in_ring));
		if (result == 0 && !pass.in_ring)
			result = -ENOMEM;
		if (result == 0)
			result = recover_all(&pass);
		free(pass.in_ring);
		free(urings);
	}
	if (stats) {
		mine.elapsed_ns = evri_os_now_ns() - begun_ns;
		*stats = mine;
	}
	return result;
}
