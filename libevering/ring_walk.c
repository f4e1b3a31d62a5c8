/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * ring_walk.c - push and pop among many where one attempt was not enough: others have
 * moved on meanwhile, the ring is full, empty or closed, or somebody guards it.
 *
 * Out of line, so that what every user compiles in is the one attempt that nearly always
 * succeeds, and is small enough to be compiled in.
 */

#include <evering/ring.h>

/* Of the one who is alone: it was full, or hung up on. */
static int push_alone(struct evr_ring *ring, uint64_t wire)
{
	uint64_t tail = ring->tail;
	uint64_t word = evr_load_acquire_u64(&ring->slots[tail & ring->mask]);

	if (word != evri_slot_empty(tail >> ring->order) ||
	    evr_load_relaxed_u32(&ring->shared->hangup))
		return evri_ring_push_refused(ring, word);
	(void)evri_ring_put(ring, true, tail, &word, wire);
	return 0;
}

int evri_ring_push_on(struct evr_ring *ring, uint64_t wire)
{
	if (ring->push_side != EVRI_RING_SIDE_MANY)
		return ring->push_side == EVRI_RING_SIDE_MINE ? push_alone(ring, wire) :
								-EPERM;

	struct evr_atomic_u64 *hint = &ring->shared->tail_hint;
	uint64_t tail = evri_ring_hint(ring, hint, 1, ring->tail);
	uint64_t steps_left = evri_ring_walk_max(ring);
	bool odd = false;
	uint64_t newer;

	for (;;) {
		uint64_t lap = tail >> ring->order;
		struct evr_atomic_u64 *slot = &ring->slots[tail & ring->mask];
		/* SYNC ring/slot (acquire), pairs with the takes, as in
		 * evri_ring_push(). */
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
			if (EVR_LIKELY(evri_ring_put(ring, false, tail, &word, wire)))
				return 0;
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
	ring->tail = tail;
	return -EAGAIN;
}

/* What may be taken is FULL, at the head. May it? 0, or why not. */
static int refusal(uint64_t word, const struct evr_atomic_u64 *guard, uint64_t expected)
{
	if (EVR_UNLIKELY((word & EVR_TOKEN_WIRE_MASK) == EVR_SLOT_CLOSED))
		return -EPIPE;
	/* SYNC home/guard (acquire), pairs with the slot's release to another holder in
	 * evri_home_release(). */
	if (guard && EVR_UNLIKELY(evr_load_acquire_u64(guard) != expected))
		return -ECANCELED;
	return 0;
}

static int pop_alone_refused(struct evr_ring *ring)
{
	int error = evri_ring_pop_refused(
		ring, evr_load_acquire_u64(&ring->slots[ring->head & ring->mask]));

	return error < 0 ? error : -EUCLEAN; /* never 0: nothing was taken */
}

int evri_ring_pop_on(struct evr_ring *ring, struct evr_agent *agent, bool owned,
		     const struct evr_atomic_u64 *guard, uint64_t expected,
		     uint32_t *ret_index, uint64_t *ret_word)
{
	/* What the one who is alone finds neither EMPTY nor FULL stays so. */
	if (ring->pop_side != EVRI_RING_SIDE_MANY)
		return ring->pop_side == EVRI_RING_SIDE_MINE ? pop_alone_refused(ring) :
							       -EPERM;

	struct evr_atomic_u64 *hint = &ring->shared->head_hint;
	uint64_t head = evri_ring_hint(ring, hint, 2, ring->head);
	uint64_t steps_left = evri_ring_walk_max(ring);
	bool intent_set = false;
	int error;

	for (;;) {
		uint64_t lap = head >> ring->order;
		/* SYNC ring/slot (acquire), pairs with the publishing, as in
		 * evri_ring_pop(). */
		uint64_t word = evr_load_acquire_u64(&ring->slots[head & ring->mask]);
judge:;
		int ahead = evri_slot_ahead(word, lap) - 1;
		uint64_t newer;

		if (EVR_LIKELY(ahead == 0)) {
			/* After the slot, as in evri_ring_pop(). */
			newer = evri_ring_hint(ring, hint, 2, head);
			if (EVR_UNLIKELY(newer != head)) {
				head = newer;
				if (EVR_UNLIKELY(--steps_left == 0)) {
					error = -EAGAIN;
					break;
				}
				continue;
			}
			error = refusal(word, guard, expected);
			if (error < 0)
				break;
			error = evri_ring_take(ring, agent, owned, false, head, &word,
					       ret_index, ret_word);
			if (EVR_LIKELY(error != -EAGAIN))
				return error;
			intent_set = true;
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
	/* SYNC recovery/intent (release), pairs with evri_recovery_agent_intends(), as in
	 * evri_ring_take(). */
	if (intent_set)
		evr_store_release_u64(&agent->shared->intent[0], 0);
	return error;
}
