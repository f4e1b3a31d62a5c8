/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * ring_role.c - the sides of a ring that are for one: taking a role, leaving it, and how
 * a ring is closed whose pusher stores without comparing.
 *
 * Such a pusher would overwrite a CLOSED that others put before it. So others only set
 * `hangup`, which is never taken back, and the word goes in by whoever is sure that
 * nobody stores plainly any more:
 *
 *	closer	hangup = 1	fence	role free, or its holder dead?	CLOSED, by CAS
 *	taker	role = mine	fence	hangup?			yes: it does not push
 *
 * Of the two, at least one sees what the other has stored. So when a closer finds nobody,
 * whoever takes the role after it finds `hangup`, and the compare-and-swap meets no plain
 * store.
 */

#include <evering/ring_role.h>

#include "pool_internal.h"
#include "ring_internal.h"

/* A role that changes hands so often while one takes it is somebody's who lives. */
#define TAKE_TRIES_MAX 64

static struct evr_atomic_u64 *role_word(const struct evr_ring *ring, uint32_t role)
{
	return role == EVR_RING_PUSHER ? &ring->shared->pusher : &ring->shared->popper;
}

static uint8_t *role_side(struct evr_ring *ring, uint32_t role)
{
	return role == EVR_RING_PUSHER ? &ring->push_side : &ring->pop_side;
}

static bool hung_up(const struct evr_ring *ring)
{
	return evr_load_relaxed_u32(&ring->shared->hangup);
}

/* Is there somebody who may store plainly? One who is dead, or has left the region, does
 * not, and its last stores are seen. SYNC participant/word (acquire), pairs with
 * evri_participant_leave() and with whoever marked it DEAD: evri_participant_alive()
 * loads it. */
static bool is_held(const struct evr_region *region, uint64_t word)
{
	return word != 0 && evri_participant_alive(region, (uint32_t)(word >> 32));
}

/* ---- closing ---- */

/* As a closer that has seen `hangup`, its own or another's. */
static int close_if_abandoned(struct evr_ring *ring)
{
	/* SYNC ring/hangup (fence), pairs with take(): either the taker sees `hangup`, or
	 * we see the taker. Without: it pushes over our CLOSED. */
	evr_fence_seq_cst();
	/* SYNC ring/role (acquire), pairs with give_back() and take(). Relaxed: the last
	 * holder's last push is missed, and CLOSED stands where it looked. */
	if (is_held(ring->region, evr_load_acquire_u64(&ring->shared->pusher)))
		return -EINPROGRESS;
	return evri_ring_close_guarded(ring, NULL, 0);
}

int evri_ring_hang_up(struct evr_ring *ring)
{
	int error;

	evr_store_release_u32(&ring->shared->hangup, 1);
	if (ring->push_side == EVRI_RING_SIDE_MINE)
		return evri_ring_close_guarded(ring, NULL, 0);
	error = close_if_abandoned(ring);
	if (error != -EINPROGRESS)
		return error;
	/* Said to be alive; asked for, it may have ended. */
	error = evr_participant_find_dead(ring->region);
	return error < 0 ? error : close_if_abandoned(ring);
}

void evri_ring_drained(struct evr_ring *ring)
{
	if (ring->flags & EVR_RING_SINGLE_PUSHER && ring->region &&
	    ring->push_side != EVRI_RING_SIDE_MINE)
		(void)close_if_abandoned(ring);
}

int evri_ring_push_refused(struct evr_ring *ring, uint64_t word)
{
	uint64_t lap = ring->tail >> ring->order;
	int ahead = evri_slot_ahead(word, lap);

	/* -EPIPE only when CLOSED is in: who is told so does not come again, and while it
	 * keeps its role nobody else closes. */
	if (hung_up(ring)) {
		int error = evri_ring_close_guarded(ring, NULL, 0);

		return error < 0 ? error : -EPIPE;
	}
	if (word == evri_slot_full(lap, EVR_SLOT_CLOSED))
		return -EPIPE;
	return ahead == -1 ? -EAGAIN : -EUCLEAN;
}

int evri_ring_pop_refused(struct evr_ring *ring, uint64_t word)
{
	uint64_t lap = ring->head >> ring->order;

	if (word == evri_slot_full(lap, EVR_SLOT_CLOSED))
		return -EPIPE;
	return word == evri_slot_empty(lap) ? evri_ring_empty(ring) : -EUCLEAN;
}

/* ---- taking and leaving ---- */

/* Makes the end's position exact, now that nobody moves this side. */
static int find_position(struct evr_ring *ring, uint32_t role)
{
	bool push = role == EVR_RING_PUSHER;
	int due = push ? 0 : 1; /* steps from EMPTY of what it would go on with */
	uint64_t position = push ? evri_ring_hint(ring, &ring->shared->tail_hint, 1,
						  ring->tail) :
				   evri_ring_hint(ring, &ring->shared->head_hint, 2,
						  ring->head);
	uint64_t steps_left = evri_ring_walk_max(ring);

	for (; steps_left; steps_left--, position++) {
		uint64_t lap = position >> ring->order;
		/* SYNC ring/slot (acquire), pairs with evri_ring_put() and
		 * evri_ring_take(), as in evri_ring_push() and evri_ring_pop(). */
		uint64_t word = evr_load_acquire_u64(&ring->slots[position & ring->mask]);
		int ahead = evri_slot_ahead(word, lap) - due;

		if (ahead > 0 && word != evri_slot_full(lap, EVR_SLOT_CLOSED))
			continue;
		/* An EMPTY tells its whole lap: right or wrong, nothing between. */
		if (ahead + due == 0 && word != evri_slot_empty(lap))
			return -EUCLEAN;
		if (ahead < -1)
			return -EUCLEAN;
		*(push ? &ring->tail : &ring->head) = position;
		return 0;
	}
	return -EUCLEAN;
}

/* From exactly the word that says "mine". */
static bool give_back(struct evr_ring *ring, uint32_t role, uint64_t mine)
{
	/* SYNC ring/role (release), pairs with take() and close_if_abandoned(): whoever
	 * sees the role free sees all that its holder did. */
	return evr_cas_acq_rel_u64(role_word(ring, role), &mine, 0);
}

static int busy(const struct evr_ring *ring, uint32_t role, uint64_t word)
{
	struct evr_participant_info info = { 0 };
	uint32_t number = (uint32_t)(word >> 32);

	for (uint32_t i = 0; i < evr_participant_records(ring->region); i++) {
		if (evr_participant_get(ring->region, i, &info) == 0 &&
		    info.number == number)
			break;
	}
	return evri_fail(-EBUSY, "the ring's %s is participant %u, pid %ld, its agent %u",
			 role == EVR_RING_PUSHER ? "pusher" : "popper", number,
			 info.number == number ? (long)info.pid : 0L, (uint32_t)word);
}

/* The word becomes @mine, from free or from one who is certainly dead. */
static int take(struct evr_ring *ring, uint32_t role, uint64_t mine)
{
	struct evr_atomic_u64 *word = role_word(ring, role);
	/* SYNC ring/role (acquire), pairs with give_back(). Relaxed: our position could
	 * be found behind the last holder's last push or pop. */
	uint64_t seen = evr_load_acquire_u64(word);

	for (int tries = 0; tries < TAKE_TRIES_MAX; tries++) {
		if (is_held(ring->region, seen)) {
			int error = evr_participant_find_dead(ring->region);

			if (error < 0)
				return error;
			if (is_held(ring->region, seen))
				break;
		}
		if (!evr_cas_acq_rel_u64(word, &seen, mine))
			continue;
		/* SYNC ring/hangup (fence), pairs with close_if_abandoned(): either it
		 * sees us, or we see its `hangup`. */
		evr_fence_seq_cst();
		return 0;
	}
	return busy(ring, role, seen);
}

int evr_ring_take_role(struct evr_ring *ring, const struct evr_agent *agent,
		       uint32_t role)
{
	uint8_t *side = role_side(ring, role);
	uint64_t mine;
	int error;

	if ((role != EVR_RING_PUSHER && role != EVR_RING_POPPER) || !ring->region ||
	    !(ring->flags & role))
		return evri_fail(-EINVAL, "role %u of a ring with flags %#x", role,
				 ring->flags);
	if (agent->pool->region != ring->region)
		return evri_fail(-EXDEV, "the ring and the agent are of two attachments");
	if (*side == EVRI_RING_SIDE_MINE)
		return -EALREADY;
	mine = evr_ring_role_word(agent->number,
				  (uint32_t)(agent->shared - ring->region->agents));
	error = take(ring, role, mine);
	if (error < 0)
		return error;
	if (role == EVR_RING_PUSHER && hung_up(ring)) {
		/* The role is ours and we do not push: as good as nobody's. */
		error = evri_ring_close_guarded(ring, NULL, 0);
		if (error != -EUCLEAN)
			error = -EPIPE;
	} else {
		error = find_position(ring, role);
	}
	if (error < 0) {
		(void)give_back(ring, role, mine);
		return error;
	}
	*side = EVRI_RING_SIDE_MINE;
	return 0;
}

int evr_ring_leave_role(struct evr_ring *ring, const struct evr_agent *agent,
			uint32_t role)
{
	uint8_t *side = role_side(ring, role);
	uint64_t mine;
	bool was_mine;

	if ((role != EVR_RING_PUSHER && role != EVR_RING_POPPER) ||
	    *side != EVRI_RING_SIDE_MINE || agent->pool->region != ring->region)
		return -EPERM;
	mine = evr_ring_role_word(agent->number,
				  (uint32_t)(agent->shared - ring->region->agents));
	/* SYNC ring/hint (release), pairs with evri_ring_hint(): the next one walks no
	 * further than it must. */
	if (role == EVR_RING_PUSHER)
		evr_store_release_u64(&ring->shared->tail_hint, ring->tail);
	else
		evr_store_release_u64(&ring->shared->head_hint, ring->head);
	*side = EVRI_RING_SIDE_OTHERS;
	was_mine = give_back(ring, role, mine);
	/* One who hung up while we were still here left the closing to us. */
	evr_fence_seq_cst();
	if (role == EVR_RING_PUSHER && hung_up(ring))
		(void)close_if_abandoned(ring);
	return was_mine ? 0 : -EUCLEAN;
}

void evri_ring_release_roles(struct evr_region *region, struct evr_ring *ring,
			     uint32_t dead)
{
	ring->region = region;
	for (uint32_t role = EVR_RING_PUSHER; role <= EVR_RING_POPPER; role <<= 1) {
		struct evr_atomic_u64 *word = role_word(ring, role);
		uint64_t seen = evr_load_acquire_u64(word);

		if (!(ring->flags & role) || seen == 0 || (uint32_t)(seen >> 32) != dead)
			continue;
		/* Attach numbers do not come again: this word cannot mean another. */
		if (evr_cas_acq_rel_u64(word, &seen, 0) && role == EVR_RING_PUSHER &&
		    hung_up(ring))
			(void)close_if_abandoned(ring);
	}
}
