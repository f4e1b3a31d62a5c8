/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_RING_H
#define EVERING_RING_H

/**
 * ring.h - a bounded queue of blocks, for any number of pushers and poppers in any
 * number of processes, or for one on either side. First in, first out over all of them.
 *
 * A push is one compare-and-swap EMPTY(L) -> FULL(L, token) on the slot at the tail, a
 * pop is one FULL(L, token) -> EMPTY(L + 1) on the slot at the head. The positions of
 * tail and head are written nowhere: `tail_hint` and `head_hint` say where they were a
 * moment ago, and each handle remembers where it was itself. From a position that is not
 * ahead of the true one the slots themselves lead to it, because filled positions are
 * contiguous. So a push or pop that fails was overtaken by one that succeeded: whoever is
 * stopped or killed, at any instruction, holds up nobody.
 *
 * What a popper had in its registers when it died is known from its *intent*, the token
 * written to its agent's record before the compare-and-swap and cleared after the block's
 * word was marked. docs/RECOVERY.md has the argument; tests/crash runs it.
 *
 * A side that was declared single at creation belongs to whoever holds its *role*
 * (<evering/ring_role.h>). Nobody else changes slots from that side, so the holder knows
 * its position exactly, and its compare-and-swap is a load and a plain store: the same
 * words, one after the other, without a locked instruction.
 *
 * Design: slot-embedded laps after Tsigas and Zhang, "A simple, fast and scalable
 * non-blocking concurrent FIFO queue" (SPAA 2001), with the shared indices demoted to
 * hints and with detectable takes.
 */

#include <evering/pool.h>
#include <evering/ring_end.h>
#include <evering/ring_slot.h>

/* What ring_burst.c does for a pop of one: the next block of the burst in hand, or the
 * first of the one that came as block @index. -EUCLEAN: it carries nothing. */
EVR_BEGIN_DECLS
EVR_API int evri_ring_burst_next(struct evr_ring *ring, struct evr_agent *agent,
				 struct evr_block *ret);
EVR_API int evri_ring_burst_first(struct evr_ring *ring, struct evr_agent *agent,
				  uint32_t index, struct evr_block *ret);

/* The push and the pop that did not succeed where this end stood: they look for the
 * place, and try until they did it or were told why not. As evri_ring_push() and
 * evri_ring_pop(); in ring_walk.c. */
EVR_API int evri_ring_push_on(struct evr_ring *ring, uint64_t wire);
EVR_API int evri_ring_pop_on(struct evr_ring *ring, struct evr_agent *agent, bool owned,
			     const struct evr_atomic_u64 *guard, uint64_t expected,
			     uint32_t *ret_index, uint64_t *ret_word);
/* Sends for the blocks, and the slots, behind @head, which begins a cache line. */
EVR_API void evri_ring_look_ahead(const struct evr_ring *ring,
				  const struct evr_agent *agent, uint64_t head);
EVR_END_DECLS

/* One attempt to put @wire at @tail, where @word was read, EMPTY of that lap. @alone:
 * nobody else stores to this slot while it says EMPTY. False: overtaken, by what @word
 * says now. */
EVRI_INLINE bool evri_ring_put(struct evr_ring *ring, bool alone, uint64_t tail,
			       uint64_t *word, uint64_t wire)
{
	struct evr_atomic_u64 *slot = &ring->slots[tail & ring->mask];
	uint64_t full = evri_slot_full(tail >> ring->order, wire);

	/* SYNC ring/slot (release), pairs with the loads in evri_ring_pop() and
	 * evri_ring_pop_on(): the block's content is seen by whoever takes it. */
	if (alone)
		evr_store_release_u64(slot, full);
	else if (EVR_UNLIKELY(!evr_cas_acq_rel_u64(slot, word, full)))
		return false;
	ring->tail = ++tail;
	if (EVR_UNLIKELY(tail % EVRI_RING_HINT_EVERY == 0))
		evri_ring_raise_hint(&ring->shared->tail_hint, tail);
	return true;
}

/*
 * Puts @wire (48 bits) at the tail.
 * 0; -EAGAIN: full; -EPIPE: closed; -EPERM: the side is single and not this end's;
 * -EUCLEAN: the slots contradict themselves.
 */
EVRI_INLINE int evri_ring_push(struct evr_ring *ring, uint64_t wire)
{
	uint64_t tail = ring->tail;
	struct evr_atomic_u64 *slot = &ring->slots[tail & ring->mask];
	bool alone = ring->push_side == EVRI_RING_SIDE_MINE;

	/* Most likely this one. Read first and written then, it would travel twice. */
	evri_prefetch_write(slot);
	/* SYNC ring/slot (acquire), pairs with the takes in evri_ring_take(). Relaxed
	 * would let a recoverer see this push and not the intent of the pop that made
	 * room for it: a plain store carries nothing on. */
	uint64_t word = evr_load_acquire_u64(slot);
	/* EMPTY of the whole lap, at a position that is not ahead of the tail: it is the
	 * tail, whatever the hint says. */
	if (EVR_LIKELY(word == evri_slot_empty(tail >> ring->order) &&
		       (alone ? !evr_load_relaxed_u32(&ring->shared->hangup) :
				ring->push_side == EVRI_RING_SIDE_MANY) &&
		       evri_ring_put(ring, alone, tail, &word, wire)))
		return 0;
	return evri_ring_push_on(ring, wire);
}

/* Writes the taker's mark into a block that came out of a ring. From here on the block is
 * the agent's. @owned: it becomes OWNED; else a request or response stays one. A block
 * that carries a burst stays that in any case: its contents have to be found. */
EVRI_INLINE int evri_ring_mark(struct evr_agent *agent, uint64_t wire,
			       struct evr_block_shared *block, bool owned,
			       uint64_t *ret_word)
{
	if (EVR_UNLIKELY(!block))
		return -EUCLEAN;

	uint64_t word = evr_load_relaxed_u64(&block->word);
	uint32_t state = evr_block_word_state(word);
	if (EVR_UNLIKELY((evr_block_word_generation(word) & EVR_TOKEN_GENERATION_MASK) !=
				 (wire & EVR_TOKEN_GENERATION_MASK) ||
			 !evri_block_state_travels(state)))
		return -EUCLEAN;

	if (owned && EVR_LIKELY(state != EVR_BLOCK_BURST))
		state = EVR_BLOCK_OWNED;

	uint64_t marked = evr_block_word_next(word, state, agent->number);
	if (EVR_UNLIKELY(agent->flags & EVR_POOL_HARDENED)) {
		uint64_t orphan = evr_block_word(evr_block_word_generation(word),
						 evr_block_word_state(word),
						 EVR_OWNER_ORPHAN);

		/* Nobody may change it now but whoever recovers its sender, which makes
		 * it nobody's: once. Others have misused a token. */
		if (!evr_cas_acq_rel_u64(&block->word, &word, marked) &&
		    (word != orphan || !evr_cas_acq_rel_u64(&block->word, &word, marked)))
			return -EUCLEAN;
	} else {
		/* SYNC block/mark (release), pairs with evri_recovery_claim()'s load: a
		 * recoverer that sees the intent gone sees the mark. The intent's
		 * clearing is a release store too and would do; this one also carries
		 * what batches will need. */
		evr_store_release_u64(&block->word, marked);
	}
	*ret_word = marked;
	return 0;
}

#define EVRI_RING_LINE_SLOTS (EVR_CACHE_LINE_BYTES / 8)

/* Empty, it seems; or, if somebody hung up, is nobody left who closes it? */
EVRI_INLINE int evri_ring_empty(struct evr_ring *ring)
{
	if (EVR_UNLIKELY(evr_load_relaxed_u32(&ring->shared->hangup)))
		evri_ring_drained(ring);
	return -EAGAIN;
}

/*
 * One attempt to take @word, which was read at @head and is FULL of that lap, and to mark
 * its block. @alone: nobody else is at this side, so it cannot fail.
 * 0; -EUCLEAN: what was taken names no block in flight; -EAGAIN: overtaken, by what @word
 * says now, and the intent is still set.
 */
EVRI_INLINE int evri_ring_take(struct evr_ring *ring, struct evr_agent *agent,
			       bool owned, bool alone, uint64_t head, uint64_t *word,
			       uint32_t *ret_index, uint64_t *ret_word)
{
	struct evr_atomic_u64 *intent = &agent->shared->intent[0];
	struct evr_atomic_u64 *slot = &ring->slots[head & ring->mask];
	uint64_t lap = head >> ring->order;
	uint64_t wire = *word & EVR_TOKEN_WIRE_MASK;
	struct evr_block_shared *block;
	int error;

	/* SYNC recovery/intent (release), pairs with evri_recovery_agent_intends().
	 * Relaxed: this intent could be seen before the mark of the block taken before
	 * it, and that block would get two owners. */
	evr_store_release_u64(intent, EVR_INTENT_SET | wire);

	*ret_index = (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS);
	block = evri_block_at(agent, *ret_index);
	evri_prefetch_write(block);
	if (head % EVRI_RING_LINE_SLOTS == 0)
		evri_ring_look_ahead(ring, agent, head);
	/* SYNC ring/slot (release), pairs with the loads in evri_ring_push(),
	 * evri_ring_push_on() and evri_pass_look_at_slots(): whoever sees the slot empty
	 * sees the intent. */
	if (alone)
		evr_store_release_u64(slot, evri_slot_empty(lap + 1));
	else if (EVR_UNLIKELY(!evr_cas_acq_rel_u64(slot, word, evri_slot_empty(lap + 1))))
		return -EAGAIN;

	ring->head = ++head;
	error = evri_ring_mark(agent, wire, block, owned, ret_word);
	if (EVR_UNLIKELY(head % EVRI_RING_HINT_EVERY == 0))
		evri_ring_raise_hint(&ring->shared->head_hint, head);
	/* SYNC recovery/intent (release), pairs with evri_recovery_agent_intends().
	 * Relaxed: the clearing could be seen before the mark, and the block would get
	 * two owners. */
	evr_store_release_u64(intent, 0);
	return error;
}

/*
 * Takes the token at the head and marks its block.
 *
 * @guard: NULL, or a word that must still say @expected between reading the slot and
 * taking it: recoverers drain a dead one's ring only while it is the dead one's. (Those
 * rings are homes', which no role is ever single in.)
 *
 * 0; -EAGAIN: empty; -EPIPE: closed and drained; -ECANCELED: the guard changed; -EPERM:
 * the side is single and not this end's; -EUCLEAN: the slots contradict themselves, or
 * what was taken names no block in flight (it is gone from the ring then).
 */
EVRI_INLINE int evri_ring_pop(struct evr_ring *ring, struct evr_agent *agent,
				   bool owned, const struct evr_atomic_u64 *guard,
				   uint64_t expected, uint32_t *ret_index,
				   uint64_t *ret_word)
{
	uint64_t head = ring->head;
	uint64_t lap = head >> ring->order;
	/* SYNC ring/slot (acquire), pairs with the publishing in evri_ring_put().
	 * Relaxed: the block's old content is read. */
	uint64_t word = evr_load_acquire_u64(&ring->slots[head & ring->mask]);
	bool alone = ring->pop_side == EVRI_RING_SIDE_MINE;

	/* EMPTY of the whole lap, at a position that is not ahead of the head: nothing
	 * has come there yet. */
	if (word == evri_slot_empty(lap) && ring->pop_side != EVRI_RING_SIDE_OTHERS)
		return evri_ring_empty(ring);
	/* FULL shows 15 bits of its lap. One who was stopped here for 2^15 laps is told
	 * by the hint, which is looked at after the slot, that the head has moved. (One
	 * who is alone moves it itself.)
	 * SYNC ring/hint (acquire), pairs with evri_ring_raise_hint(). */
	if (EVR_LIKELY(word - evri_slot_full(lap, 0) < EVR_SLOT_CLOSED &&
		       ring->pop_side != EVRI_RING_SIDE_OTHERS && !guard &&
		       (alone ||
			evr_load_acquire_u64(&ring->shared->head_hint) <= head))) {
		int error = evri_ring_take(ring, agent, owned, alone, head, &word,
					   ret_index, ret_word);

		if (EVR_LIKELY(error != -EAGAIN))
			return error;
		/* SYNC recovery/intent (release), pairs with
		 * evri_recovery_agent_intends(), as in evri_ring_take(). */
		evr_store_release_u64(&agent->shared->intent[0], 0);
	}
	return evri_ring_pop_on(ring, agent, owned, guard, expected, ret_index, ret_word);
}

/**
 * struct evr_ring_options - how to create a ring. Zero means the default.
 * @size:  sizeof(struct evr_ring_options).
 * @name:  1 to EVR_NAME_BYTES - 1 characters, not in use by another object.
 * @order: log2 of its capacity, EVR_RING_ORDER_MIN to EVR_RING_ORDER_MAX.
 * @flags: EVR_RING_SINGLE_PUSHER, EVR_RING_SINGLE_POPPER, or both; default: any number
 *         on either side.
 * @range: the range of the region that it is to lie in, from evr_region_grow() for
 *         example; default the first, 0.
 */
struct evr_ring_options {
	size_t size;
	const char *name;
	uint32_t order;
	uint32_t flags;
	uint32_t range;
	uint32_t reserved32;
};

EVR_BEGIN_DECLS

/**
 * evr_ring_create_with() - makes a ring in the region's directory.
 * @region:  an attached region.
 * @options: which kind, of what size, where.
 * @ret:     this thread's end. It holds no role.
 *
 * Threads: any. Killed inside: the next creator takes over the place.
 *
 * Return: 0, -EINVAL also when there is no such range, -E2BIG for options newer than the
 * library, -EEXIST, -EBUSY while another process is making an object of this name,
 * -ENOSPC when the range or the directory is full, -EROFS when the region is attached for
 * reading.
 */
EVR_API int evr_ring_create_with(struct evr_region *region,
				 const struct evr_ring_options *options,
				 struct evr_ring *ret) EVR_NODISCARD;

/**
 * evr_ring_create() - makes a ring for any number of pushers and poppers.
 * @region: an attached region.
 * @name:   1 to EVR_NAME_BYTES - 1 characters, not in use by another object.
 * @order:  log2 of its capacity, EVR_RING_ORDER_MIN to EVR_RING_ORDER_MAX.
 * @ret:    this thread's end.
 *
 * Threads: any. Killed inside: the next creator takes over the place.
 *
 * Return: 0, -EINVAL, -EEXIST, -EBUSY while another process is making an object of this
 * name, -ENOSPC when the range or the directory is full, -EROFS when the region is
 * attached for reading.
 */
EVR_API int evr_ring_create(struct evr_region *region, const char *name,
				 uint32_t order, struct evr_ring *ret) EVR_NODISCARD;

/**
 * evr_ring_create_in() - makes a ring in a range of the region.
 * @region: an attached region.
 * @range:  the range that the ring is to lie in, from evr_region_grow() for example;
 *          evr_ring_create() takes the first, 0.
 * @name:   1 to EVR_NAME_BYTES - 1 characters, not in use by another object.
 * @order:  log2 of its capacity, EVR_RING_ORDER_MIN to EVR_RING_ORDER_MAX.
 * @ret:    this thread's end.
 *
 * All else as evr_ring_create(); -EINVAL also when there is no such range.
 */
EVR_API int evr_ring_create_in(struct evr_region *region, uint32_t range,
				    const char *name, uint32_t order,
				    struct evr_ring *ret) EVR_NODISCARD;

/**
 * evr_ring_open() - an end of the ring of this name.
 *
 * Threads: each thread opens its own end; one caller at a time per end.
 *
 * Return: 0, -ENOENT, -EAGAIN while it is being made, -EPROTO when the name is another
 * kind of object, -EUCLEAN when the ring's header contradicts itself, -EROFS when the
 * region is attached for reading.
 */
EVR_API int evr_ring_open(struct evr_region *region, const char *name,
			       struct evr_ring *ret) EVR_NODISCARD;

/** evr_ring_flags() - which sides are single: EVR_RING_SINGLE_... Threads: any. */
EVR_INLINE uint32_t evr_ring_flags(const struct evr_ring *ring)
{
	return ring->flags;
}

/** evr_ring_capacity() - in blocks. Threads: any. */
EVR_INLINE uint64_t evr_ring_capacity(const struct evr_ring *ring)
{
	return ring->mask + 1;
}

/**
 * evr_ring_try_push() - appends a block.
 * @ring:  the calling thread's end.
 * @agent: the calling thread's.
 * @token: of a block OWNED by this participant. Spent on success: the block is whoever's
 *         pops it. (Until then its word still names the sender, so using the token again
 *         is the one misuse that is not noticed.)
 *
 * Ordering: all that this thread wrote before is visible to whoever pops the block.
 * Threads:  one caller at a time per end; any number of ends.
 * Stopped inside: delays nobody. Killed inside: the block is in the ring, or comes back
 * by recovery.
 *
 * Return: 0, -EAGAIN when the ring is full, -EPIPE when it is closed or, being the single
 * pusher, this thread was told to close it, -EUCLEAN when its slots contradict
 * themselves, or the errors of evr_block_free(); -EPERM also when the side is single and
 * its role not this end's. On failure the block stays the caller's.
 */
EVR_INLINE int evr_ring_try_push(struct evr_ring *ring, struct evr_agent *agent,
				      evr_token token)
{
	struct evr_block_shared *block;
	uint64_t word;
	int error = evri_block_mine(agent, token, &block, &word);

	if (EVR_UNLIKELY(error < 0))
		return error;
	return evri_ring_push(ring, evr_token_wire(token));
}

/**
 * evr_ring_try_pop() - takes the oldest block.
 * @ring:  the calling thread's end.
 * @agent: the calling thread's.
 * @ret:   the block, OWNED by this participant.
 *
 * If it came in a burst, the rest of the burst stays in this end, and is what the next
 * pops give; evr_ring_give_back() (ring_burst.h) puts it back.
 *
 * Ordering, threads: as evr_ring_try_push().
 * Stopped inside: delays nobody. Killed inside: the block is in the ring, or comes back
 * by recovery.
 *
 * Return: 0, -EAGAIN when the ring is empty, -EPIPE when it is closed and drained,
 * -EPERM when the side is single and its role not this end's, -EUCLEAN when its slots
 * contradict themselves or held something that is no block.
 */
EVR_INLINE int evr_ring_try_pop(struct evr_ring *ring, struct evr_agent *agent,
				     struct evr_block *ret)
{
	uint32_t index;
	uint64_t word;
	int error;

	if (EVR_UNLIKELY(ring->burst))
		return evri_ring_burst_next(ring, agent, ret);
	error = evri_ring_pop(ring, agent, true, NULL, 0, &index, &word);
	if (EVR_UNLIKELY(error < 0))
		return error;
	if (EVR_UNLIKELY(evr_block_word_state(word) == EVR_BLOCK_BURST))
		return evri_ring_burst_first(ring, agent, index, ret);
	evri_block_handle(agent, index, evri_block_known(agent, index), word, ret);
	return 0;
}

/**
 * evr_ring_close() - lets nothing more in.
 *
 * Pushes fail with -EPIPE from here on; pops drain what is there, then fail with -EPIPE.
 * Closing a closed ring does nothing.
 *
 * A ring with a single pusher is closed by that one, since it could not see a stranger's
 * word in the slot that it is about to store to. Others who call this *hang up*: the
 * pusher is told at its next push, which fails with -EPIPE and closes the ring. Once it
 * has left its role, or is certainly dead, anybody closes.
 *
 * Threads: any number of closers, each with its own end. Killed inside: open, or closed;
 * or hung up, and then whoever calls this, drains the ring, leaves the pusher's role or
 * recovers its holder, closes it.
 *
 * Return: 0, -EAGAIN when the ring is full (pop one, try again), -EINPROGRESS when a
 * living single pusher was told to close it, -EUCLEAN.
 */
EVR_API int evr_ring_close(struct evr_ring *ring) EVR_NODISCARD;

EVR_END_DECLS
#endif
