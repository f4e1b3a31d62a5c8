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
EVR_END_DECLS

/*
 * The push of one among many.
 * 0; -EAGAIN: full; -EPIPE: closed; -EUCLEAN: the slots contradict themselves.
 */
EVRI_INLINE int evri_ring_push_many(struct evr_ring *ring, uint64_t wire)
{
	struct evr_atomic_u64 *hint = &ring->shared->tail_hint;
	/* Most likely this one. Read first and swapped then, it would travel twice. */
	evri_prefetch_write(&ring->slots[ring->tail & ring->mask]);
	uint64_t tail = evri_ring_hint(ring, hint, 1, ring->tail);
	uint64_t steps_left = evri_ring_walk_max(ring);
	bool odd = false;
	uint64_t newer;

	for (;;) {
		uint64_t lap = tail >> ring->order;
		struct evr_atomic_u64 *slot = &ring->slots[tail & ring->mask];
		/* SYNC ring/slot (acquire), pairs with the takes in
		 * evri_ring_pop_many() and evri_ring_pop_single(). Relaxed would let
		 * a recoverer see this push and not the intent of the pop that made
		 * room for it. */
		uint64_t word = evr_load_acquire_u64(slot);
judge:;
		int ahead = evri_slot_ahead(word, lap);

		if (EVR_LIKELY(ahead == 0)) {
			if (EVR_UNLIKELY(word != evri_slot_empty(lap))) {
				/* Right in 15 bits of the lap, wrong in the whole. */
				newer = evri_ring_hint(ring, hint, 1, tail);
				if ((newer == tail && odd) || --steps_left == 0)
					return -EUCLEAN;
				odd = newer == tail;
				tail = newer;
				continue;
			}
			/* SYNC ring/slot (release), pairs with the loads in
			 * evri_ring_pop_many() and evri_ring_pop_single(): the block's
			 * content is seen by whoever takes it. */
			if (EVR_LIKELY(evr_cas_acq_rel_u64(slot, &word,
							   evri_slot_full(lap, wire))))
				break;
			goto judge; /* overtaken: the word that did it is in our hand */
		}
		if (ahead > 0) {
			if (ahead == 1 &&
			    EVR_UNLIKELY(word == evri_slot_full(lap, EVR_SLOT_CLOSED))) {
				ring->tail = tail;
				return -EPIPE;
			}
			tail++;
			if (EVR_UNLIKELY(--steps_left == 0))
				break;
			if ((steps_left & 31) == 0)
				tail = evri_ring_hint(ring, hint, 1, tail);
			continue;
		}
		/* One lap behind: full, unless the tail has moved on meanwhile. */
		newer = evri_ring_hint(ring, hint, 1, tail);
		if (newer != tail) {
			tail = newer;
			if (EVR_UNLIKELY(--steps_left == 0))
				break;
			continue;
		}
		ring->tail = tail;
		return ahead == -1 ? -EAGAIN : -EUCLEAN;
	}
	if (EVR_UNLIKELY(steps_left == 0)) {
		ring->tail = tail;
		return -EAGAIN;
	}
	ring->tail = ++tail;
	if (tail % EVRI_RING_HINT_EVERY == 0)
		evri_ring_raise_hint(hint, tail);
	return 0;
}

/*
 * The push of the one who is alone at this side: whoever was before it has left or is
 * certainly dead, so nobody else stores to this slot while it says EMPTY.
 */
EVRI_INLINE int evri_ring_push_single(struct evr_ring *ring, uint64_t wire)
{
	uint64_t tail = ring->tail;
	uint64_t lap = tail >> ring->order;
	struct evr_atomic_u64 *slot = &ring->slots[tail & ring->mask];

	if (EVR_UNLIKELY(ring->push_side != EVRI_RING_SIDE_MINE))
		return -EPERM;
	/* Read first and written then, it would travel twice. */
	evri_prefetch_write(slot);
	/* SYNC ring/slot (acquire), pairs with the takes in evri_ring_pop_many() and
	 * evri_ring_pop_single(). Relaxed would let a recoverer see this push and not the
	 * intent of the pop that made room for it: a plain store carries nothing on. */
	uint64_t word = evr_load_acquire_u64(slot);
	if (EVR_UNLIKELY(word != evri_slot_empty(lap) ||
			 evr_load_relaxed_u32(&ring->shared->hangup)))
		return evri_ring_push_refused(ring, word);
	/* SYNC ring/slot (release), pairs with the loads in evri_ring_pop_many() and
	 * evri_ring_pop_single(): the block's content is seen by whoever takes it. */
	evr_store_release_u64(slot, evri_slot_full(lap, wire));
	ring->tail = ++tail;
	/* SYNC ring/hint (release), pairs with evri_ring_hint(). A plain store goes only
	 * forwards here: nobody before us at this side will store any more. */
	if (tail % EVRI_RING_HINT_EVERY == 0)
		evr_store_release_u64(&ring->shared->tail_hint, tail);
	return 0;
}

/*
 * Puts @wire (48 bits) at the tail.
 * 0; -EAGAIN: full; -EPIPE: closed; -EPERM: the side is single and not this end's;
 * -EUCLEAN: the slots contradict themselves.
 */
EVRI_INLINE int evri_ring_push(struct evr_ring *ring, uint64_t wire)
{
	if (EVR_UNLIKELY(ring->push_side != EVRI_RING_SIDE_MANY))
		return evri_ring_push_single(ring, wire);
	return evri_ring_push_many(ring, wire);
}

/* Writes the taker's mark into a block that came out of a ring. From here on the block is
 * the agent's. @owned: it becomes OWNED; else a request or response stays one. A block
 * that carries a burst stays that in any case: its contents have to be found. */
EVRI_INLINE int evri_ring_mark(struct evr_agent *agent, uint64_t wire, bool owned,
			       uint32_t *ret_index, uint64_t *ret_word)
{
	uint32_t index = (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS);
	struct evr_block_shared *block = evri_block_at(agent, index);

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
		/* Nobody else may change it now: whoever does has misused a token. */
		if (!evr_cas_acq_rel_u64(&block->word, &word, marked))
			return -EUCLEAN;
	} else {
		/* SYNC block/mark (release), pairs with evri_recovery_claim()'s load: a
		 * recoverer that sees the intent gone sees the mark. The intent's
		 * clearing is a release store too and would do; this one also carries
		 * what batches will need. */
		evr_store_release_u64(&block->word, marked);
	}
	*ret_index = index;
	*ret_word = marked;
	return 0;
}

#define EVRI_RING_LINE_SLOTS (EVR_CACHE_LINE_BYTES / 8)

/* The slots behind @slot came in the same cache line: start fetching their blocks now,
 * all at once, instead of one at each pop. (A ring of less than a line has zeros behind
 * it, which are a FULL of no lap.) */
EVRI_INLINE void evri_ring_look_ahead(const struct evr_agent *agent,
					   const struct evr_atomic_u64 *slot,
					   uint64_t lap)
{
	for (uint32_t i = 1; i < EVRI_RING_LINE_SLOTS; i++) {
		uint64_t word = evr_load_relaxed_u64(slot + i);
		uint32_t index = (uint32_t)((word & EVR_TOKEN_WIRE_MASK) >>
					    EVR_TOKEN_GENERATION_BITS);
		const struct evr_block_shared *block;

		if (evri_slot_ahead(word, lap) != 1)
			break;
		block = evri_block_at(agent, index);
		if (EVR_UNLIKELY(!block))
			break;
		evri_prefetch_write(block);
		evri_prefetch_read(evri_block_payload(agent, index, block));
	}
}

/* Empty, it seems; or, if somebody hung up, is nobody left who closes it? */
EVRI_INLINE int evri_ring_empty(struct evr_ring *ring)
{
	if (EVR_UNLIKELY(evr_load_relaxed_u32(&ring->shared->hangup)))
		evri_ring_drained(ring);
	return -EAGAIN;
}

/* The pop of one among many; see evri_ring_pop(). */
EVRI_INLINE int evri_ring_pop_many(struct evr_ring *ring, struct evr_agent *agent,
				   bool owned, const struct evr_atomic_u64 *guard,
				   uint64_t expected, uint32_t *ret_index,
				   uint64_t *ret_word)
{
	struct evr_atomic_u64 *hint = &ring->shared->head_hint;
	struct evr_atomic_u64 *intent = &agent->shared->intent[0];
	uint64_t head = evri_ring_hint(ring, hint, 2, ring->head);
	uint64_t steps_left = evri_ring_walk_max(ring);
	bool intent_set = false;
	uint64_t wire = 0;
	int error;

	for (;;) {
		uint64_t lap = head >> ring->order;
		struct evr_atomic_u64 *slot = &ring->slots[head & ring->mask];
		/* SYNC ring/slot (acquire), pairs with the publishing in
		 * evri_ring_push_many() and evri_ring_push_single(). Relaxed: the block's
		 * old content is read. */
		uint64_t word = evr_load_acquire_u64(slot);
judge:;
		int ahead = evri_slot_ahead(word, lap) - 1;
		uint64_t newer;

		if (EVR_LIKELY(ahead == 0)) {
			wire = word & EVR_TOKEN_WIRE_MASK;
			/* The slot shows 15 bits of its lap. One who was stopped here
			 * for 2^15 laps sees, by this second look, that the head has
			 * moved. */
			newer = evri_ring_hint(ring, hint, 2, head);
			if (EVR_UNLIKELY(newer != head)) {
				head = newer;
				if (EVR_UNLIKELY(--steps_left == 0)) {
					error = -EAGAIN;
					break;
				}
				continue;
			}
			if (EVR_UNLIKELY(wire == EVR_SLOT_CLOSED)) {
				error = -EPIPE;
				break;
			}
			/* SYNC home/guard (acquire), pairs with the slot's release to
			 * another holder in evri_home_release(). */
			if (guard &&
			    EVR_UNLIKELY(evr_load_acquire_u64(guard) != expected)) {
				error = -ECANCELED;
				break;
			}
			/* SYNC recovery/intent (release), pairs with
			 * evri_recovery_agent_intends(). Relaxed: this intent could be
			 * seen before the mark of the block taken before it, and that
			 * block would get two owners. */
			evr_store_release_u64(intent, EVR_INTENT_SET | wire);
			intent_set = true;

			const struct evr_block_shared *block = evri_block_at(
				agent, (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS));
			if (EVR_LIKELY(block))
				evri_prefetch_write(block);
			if (head % EVRI_RING_LINE_SLOTS == 0)
				evri_ring_look_ahead(agent, slot, lap);
			/* SYNC ring/slot (release), pairs with the loads in
			 * evri_ring_push_many(), evri_ring_push_single() and
			 * evri_pass_look_at_slots(): whoever sees the slot empty sees
			 * the intent. */
			if (EVR_LIKELY(evr_cas_acq_rel_u64(slot, &word,
							   evri_slot_empty(lap + 1)))) {
				error = 0;
				break;
			}
			goto judge;
		}
		if (ahead > 0) {
			head++;
			if (EVR_UNLIKELY(--steps_left == 0)) {
				error = -EAGAIN;
				break;
			}
			if ((steps_left & 31) == 0)
				head = evri_ring_hint(ring, hint, 2, head);
			continue;
		}
		newer = evri_ring_hint(ring, hint, 2, head);
		if (newer != head && --steps_left) {
			head = newer;
			continue;
		}
		error = ahead == -1 ? evri_ring_empty(ring) : -EUCLEAN;
		break;
	}

	ring->head = head;
	if (EVR_LIKELY(error == 0)) {
		ring->head = ++head;
		error = evri_ring_mark(agent, wire, owned, ret_index, ret_word);
		if (head % EVRI_RING_HINT_EVERY == 0)
			evri_ring_raise_hint(hint, head);
	}
	if (intent_set) {
		/* SYNC recovery/intent (release), pairs with
		 * evri_recovery_agent_intends(). Relaxed: the clearing could be seen
		 * before the mark, and the block would get two owners. */
		evr_store_release_u64(intent, 0);
	}
	return error;
}

/* The pop of the one who is alone at this side. Its position is exact, so no lap that
 * only looks right can fool it. */
EVRI_INLINE int evri_ring_pop_single(struct evr_ring *ring, struct evr_agent *agent,
				     bool owned, uint32_t *ret_index, uint64_t *ret_word)
{
	struct evr_atomic_u64 *intent = &agent->shared->intent[0];
	uint64_t head = ring->head;
	uint64_t lap = head >> ring->order;
	struct evr_atomic_u64 *slot = &ring->slots[head & ring->mask];
	const struct evr_block_shared *block;
	int error;

	if (EVR_UNLIKELY(ring->pop_side != EVRI_RING_SIDE_MINE))
		return -EPERM;
	/* SYNC ring/slot (acquire), pairs with the publishing in evri_ring_push_many()
	 * and evri_ring_push_single(). Relaxed: the block's old content is read. */
	uint64_t word = evr_load_acquire_u64(slot);
	uint64_t wire = word & EVR_TOKEN_WIRE_MASK;
	if (EVR_UNLIKELY(word != evri_slot_full(lap, wire) || wire == EVR_SLOT_CLOSED))
		goto refused;

	/* SYNC recovery/intent (release), pairs with evri_recovery_agent_intends().
	 * Relaxed: this intent could be seen before the mark of the block taken before
	 * it, and that block would get two owners. */
	evr_store_release_u64(intent, EVR_INTENT_SET | wire);

	block = evri_block_at(agent, (uint32_t)(wire >> EVR_TOKEN_GENERATION_BITS));
	if (EVR_LIKELY(block))
		evri_prefetch_write(block);
	if (head % EVRI_RING_LINE_SLOTS == 0)
		evri_ring_look_ahead(agent, slot, lap);
	/* SYNC ring/slot (release), pairs with the loads in evri_ring_push_many(),
	 * evri_ring_push_single() and evri_pass_look_at_slots(): whoever sees the slot
	 * empty sees the intent. */
	evr_store_release_u64(slot, evri_slot_empty(lap + 1));
	ring->head = ++head;

	error = evri_ring_mark(agent, wire, owned, ret_index, ret_word);
	/* SYNC ring/hint (release), pairs with evri_ring_hint(), as in
	 * evri_ring_push_single(). */
	if (head % EVRI_RING_HINT_EVERY == 0)
		evr_store_release_u64(&ring->shared->head_hint, head);
	/* SYNC recovery/intent (release), pairs with evri_recovery_agent_intends().
	 * Relaxed: the clearing could be seen before the mark, and the block would get
	 * two owners. */
	evr_store_release_u64(intent, 0);
	return error;

refused:
	error = evri_ring_pop_refused(ring, word);
	return error < 0 ? error : -EUCLEAN; /* never 0: nothing was taken */
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
	if (EVR_UNLIKELY(ring->pop_side != EVRI_RING_SIDE_MANY))
		return evri_ring_pop_single(ring, agent, owned, ret_index, ret_word);
	return evri_ring_pop_many(ring, agent, owned, guard, expected, ret_index,
				  ret_word);
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
	evri_block_handle(agent, index, evri_block_at(agent, index), word, ret);
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
