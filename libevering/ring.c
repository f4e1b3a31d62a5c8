/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* ring.c - making, opening, closing. Push and pop are in <evering/ring.h>; what a side
 * that is single is, in ring_role.c. */

#include <evering/ring.h>

#include <stddef.h>

#include "options.h"
#include "pool_internal.h"
#include "ring_internal.h"

#define KNOWN_FLAGS (EVR_RING_SINGLE_PUSHER | EVR_RING_SINGLE_POPPER)

void evri_ring_init(struct evr_ring_shared *shared, uint32_t order, uint32_t flags)
{
	struct evr_atomic_u64 *slots = (struct evr_atomic_u64 *)(shared + 1);
	uint64_t first = (uint64_t)EVR_RING_FIRST_LAP << order;

	shared->magic = EVR_RING_MAGIC;
	shared->order = order;
	shared->flags = flags;
	evr_store_relaxed_u64(&shared->tail_hint, first);
	evr_store_relaxed_u64(&shared->head_hint, first);
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		evr_store_relaxed_u64(&slots[i], evri_slot_empty(EVR_RING_FIRST_LAP));
}

/*
 * An EMPTY word carries its whole lap, so one empty slot tells where the ring is: slot i
 * EMPTY(L) means that position i of lap L - 1 was drained (or L is the first lap), and as
 * draining is contiguous, that neither end is at or before that position.
 */
uint64_t evri_ring_locate(const struct evr_ring *ring, uint64_t hint, int ahead,
			       uint64_t local)
{
	uint64_t base = local;
	bool found = false;

	/* Behind the head and at the tail are empty slots: begin there. */
	for (uint64_t i = 0; i <= ring->mask && !found; i++) {
		uint64_t slot = (hint - 1 + i) & ring->mask;
		uint64_t word = evr_load_acquire_u64(&ring->slots[slot]);

		if (evri_slot_is_full(word))
			continue;
		found = true;
		if (((evri_slot_empty_lap(word) - 1) << ring->order) + slot + 1 > base)
			base = ((evri_slot_empty_lap(word) - 1) << ring->order) + slot +
			       1;
	}
	/* The hint is better, if it is where the slots say that the ends can be. In a
	 * ring that is full, the slots say 15 bits; then the hint is all there is, and
	 * going on from @local, which may be 2^15 laps behind, would break the ring. */
	uint64_t range = found ? 2 * (ring->mask + 1) : UINT64_MAX;
	uint64_t before = hint - 1;
	if (hint > base && hint - base <= range &&
	    evri_slot_ahead(evr_load_acquire_u64(&ring->slots[before & ring->mask]),
			    before >> ring->order) >= ahead)
		return hint;
	return base;
}

void evri_ring_raise_hint(struct evr_atomic_u64 *hint, uint64_t position)
{
	uint64_t seen = evr_load_relaxed_u64(hint);

	/* A hint that others keep raising need not be raised by us. SYNC ring/hint
	 * (release), pairs with evri_ring_hint(): the slots up to @position are seen
	 * as passed by whoever sees the hint. */
	for (int tries = 0; tries < EVRI_RING_HINT_EVERY && seen < position; tries++)
		if (evr_cas_release_u64(hint, &seen, position))
			break;
}

/* The blocks that the slots of one line name. True: all of them are there, FULL. */
static bool send_for_blocks(const struct evr_ring *ring, const struct evr_agent *agent,
			    uint64_t first)
{
	for (uint64_t at = first; at < first + EVRI_RING_LINE_SLOTS; at++) {
		uint64_t word = evr_load_relaxed_u64(&ring->slots[at & ring->mask]);
		uint32_t index = (uint32_t)((word & EVR_TOKEN_WIRE_MASK) >>
					    EVR_TOKEN_GENERATION_BITS);
		const struct evr_block_shared *block;

		if (evri_slot_ahead(word, at >> ring->order) != 1)
			return false;
		block = evri_block_at(agent, index);
		if (EVR_UNLIKELY(!block))
			return false;
		evri_prefetch_write(block);
		evri_prefetch_read(evri_block_payload(agent, index, block));
	}
	return true;
}

void evri_ring_look_ahead(const struct evr_ring *ring, const struct evr_agent *agent,
			  uint64_t head)
{
	(void)send_for_blocks(ring, agent, head);
}

int evri_ring_view(struct evr_ring_shared *shared, uint64_t bytes, uint32_t order,
		   struct evr_ring *ret)
{
	uint32_t found, flags;

	if (bytes < sizeof(*shared) || shared->magic != EVR_RING_MAGIC)
		return -EUCLEAN;
	found = evr_plain_load_u32(&shared->order);
	flags = evr_plain_load_u32(&shared->flags);
	if (found < EVR_RING_ORDER_MIN || found > EVR_RING_ORDER_MAX ||
	    (order && (found != order || flags)) || flags > KNOWN_FLAGS ||
	    evri_ring_bytes(found) > bytes)
		return -EUCLEAN;

	struct evr_ring ring = {
		.shared = shared,
		.slots = (struct evr_atomic_u64 *)(shared + 1),
		.mask = (UINT64_C(1) << found) - 1,
		.order = found,
		.flags = (uint16_t)flags,
		.push_side = flags & EVR_RING_SINGLE_PUSHER ? EVRI_RING_SIDE_OTHERS :
							      EVRI_RING_SIDE_MANY,
		.pop_side = flags & EVR_RING_SINGLE_POPPER ? EVRI_RING_SIDE_OTHERS :
							     EVRI_RING_SIDE_MANY,
	};
	*ret = ring;
	return 0;
}

int evri_ring_bind(struct evr_ring_shared *shared, uint64_t bytes,
			uint32_t order, struct evr_ring *ret)
{
	struct evr_ring ring;
	int error = evri_ring_view(shared, bytes, order, &ring);

	if (error < 0)
		return error;

	uint64_t first = (uint64_t)EVR_RING_FIRST_LAP << ring.order;
	ring.tail = evri_ring_locate(&ring, evr_load_acquire_u64(&shared->tail_hint),
					  1, first);
	ring.head = evri_ring_locate(&ring, evr_load_acquire_u64(&shared->head_hint),
					  2, first);
	*ret = ring;
	return 0;
}

static int bind_object(struct evr_region *region, const struct evri_object *object,
		       struct evr_ring *ret)
{
	struct evr_ring ring;
	int error = evri_ring_bind(object->address, object->bytes, 0, &ring);

	if (error < 0)
		return error;
	ring.region = region;
	*ret = ring;
	return 0;
}

int evr_ring_create_with(struct evr_region *region,
			 const struct evr_ring_options *options, struct evr_ring *ret)
{
	struct evr_ring_options known = { 0 };
	struct evri_object object;
	int error = evri_options_take(options, offsetof(struct evr_ring_options, flags),
				      &known, sizeof(known), "ring");

	if (error < 0)
		return error;
	if (known.order < EVR_RING_ORDER_MIN || known.order > EVR_RING_ORDER_MAX)
		return evri_fail(-EINVAL, "ring order %u: %d to %d possible", known.order,
				 EVR_RING_ORDER_MIN, EVR_RING_ORDER_MAX);
	if (known.flags > KNOWN_FLAGS || known.reserved32)
		return evri_fail(-EINVAL, "ring flags %#x: %#x are known", known.flags,
				 KNOWN_FLAGS);
	error = evri_directory_reserve(region, known.name, EVRI_OBJECT_RING,
				       evri_ring_bytes(known.order), known.range,
				       &object);
	if (error < 0)
		return error;
	evri_ring_init(object.address, known.order, known.flags);
	error = evri_directory_publish(region, &object);
	if (error < 0)
		return error;
	return bind_object(region, &object, ret);
}

int evr_ring_create_in(struct evr_region *region, uint32_t range, const char *name,
			    uint32_t order, struct evr_ring *ret)
{
	struct evr_ring_options options = {
		.size = sizeof(options),
		.name = name,
		.order = order,
		.range = range,
	};

	return evr_ring_create_with(region, &options, ret);
}

int evr_ring_create(struct evr_region *region, const char *name, uint32_t order,
			 struct evr_ring *ret)
{
	return evr_ring_create_in(region, 0, name, order, ret);
}

int evr_ring_open(struct evr_region *region, const char *name,
		       struct evr_ring *ret)
{
	struct evri_object object;
	int error;

	/* An end is there to push, pop and close. */
	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	error = evri_directory_find(region, name, EVRI_OBJECT_RING, &object);
	if (error < 0)
		return error;
	error = bind_object(region, &object, ret);
	if (error < 0)
		return evri_fail(error, "the header of ring \"%s\" contradicts itself",
				 name);
	return 0;
}

/*
 * CLOSED goes where the next push would: filling is contiguous, so nothing gets past it.
 * The handle's own tail stays at that slot, never behind it.
 */
int evri_ring_close_guarded(struct evr_ring *ring,
				 const struct evr_atomic_u64 *guard, uint64_t expected)
{
	struct evr_atomic_u64 *hint = &ring->shared->tail_hint;
	uint64_t tail = evri_ring_hint(ring, hint, 1, ring->tail);
	uint64_t steps_left = evri_ring_walk_max(ring);

	for (; steps_left; steps_left--) {
		uint64_t lap = tail >> ring->order;
		struct evr_atomic_u64 *slot = &ring->slots[tail & ring->mask];
		uint64_t closed = evri_slot_full(lap, EVR_SLOT_CLOSED);
		uint64_t word = evr_load_acquire_u64(slot);
		int ahead = evri_slot_ahead(word, lap);
		uint64_t newer;

		ring->tail = tail;
		if (ahead == 1 && word == closed)
			return 0;
		if (ahead > 0) {
			tail++;
			continue;
		}
		if (ahead == 0 && word == evri_slot_empty(lap)) {
			/* SYNC home/guard (acquire), pairs with evri_home_release(). The
			 * slot was read before: if the ring is another's by now, it has
			 * been closed here or further on, this slot is no longer what we
			 * read, and the compare-and-swap fails. */
			if (guard && evr_load_acquire_u64(guard) != expected)
				return -ECANCELED;
			if (evr_cas_acq_rel_u64(slot, &word, closed))
				return 0;
			continue;
		}
		newer = evri_ring_hint(ring, hint, 1, tail);
		if (newer == tail)
			return ahead == -1 ? -EAGAIN : -EUCLEAN;
		tail = newer;
	}
	return -EAGAIN;
}

int evr_ring_close(struct evr_ring *ring)
{
	if (ring->flags & EVR_RING_SINGLE_PUSHER)
		return evri_ring_hang_up(ring);
	return evri_ring_close_guarded(ring, NULL, 0);
}

/* The slot at the head, walked to; @ret_ahead: steps ahead of FULL at this position. */
static uint64_t find_head(const struct evr_ring *ring, uint64_t *ret_head,
			  int *ret_ahead)
{
	const struct evr_atomic_u64 *hint = &ring->shared->head_hint;
	uint64_t head = evri_ring_hint(ring, hint, 2, ring->head);
	uint64_t steps_left = evri_ring_walk_max(ring);
	uint64_t word;

	do {
		word = evr_load_acquire_u64(&ring->slots[head & ring->mask]);
		*ret_ahead = evri_slot_ahead(word, head >> ring->order) - 1;
	} while (*ret_ahead > 0 && --steps_left && ++head);
	*ret_head = head;
	return word;
}

int evri_ring_reopen(struct evr_ring *ring)
{
	uint64_t head;
	int ahead;
	uint64_t word = find_head(ring, &head, &ahead);
	uint64_t lap = head >> ring->order;

	if (ahead != 0 || word != evri_slot_full(lap, EVR_SLOT_CLOSED))
		return -EAGAIN;
	/* An ordinary pop of the CLOSED word: its position is used up, the next one is
	 * the first of the new session. */
	if (!evr_cas_acq_rel_u64(&ring->slots[head & ring->mask], &word,
				 evri_slot_empty(lap + 1)))
		return -EAGAIN;
	ring->head = head + 1;
	if (ring->tail <= head)
		ring->tail = head + 1;
	return 0;
}

bool evri_ring_seems_empty(const struct evr_ring *ring)
{
	uint64_t head;
	int ahead;
	uint64_t word = find_head(ring, &head, &ahead);

	return ahead < 0 || (word & EVR_TOKEN_WIRE_MASK) == EVR_SLOT_CLOSED;
}
