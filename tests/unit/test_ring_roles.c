/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_ring_roles.c - the sides of a ring that are for one: whose they are, how they are
 * handed on, and how a ring is closed by others than its pusher. What holds for rings of
 * all kinds: conform_rings.c.
 */

#include "fixture.h"

#include <string.h>

#define ORDER 3
#define CAPACITY 8
#define BOTH (EVR_RING_SINGLE_PUSHER | EVR_RING_SINGLE_POPPER)

static const uint32_t roles[] = { EVR_RING_PUSHER, EVR_RING_POPPER };

static void make(struct peer *peer, uint32_t flags, struct evr_ring *ret)
{
	struct evr_ring_options options = {
		.size = sizeof(options), .name = "ring", .order = ORDER, .flags = flags,
	};

	peer_create(peer, NULL);
	MUST(evr_ring_create_with(peer->region, &options, ret));
}

static int push_by(struct evr_ring *end, struct evr_agent *agent, uint64_t number)
{
	struct evr_block block;
	int error = evr_block_alloc(agent, 64, &block);

	if (error < 0)
		return error;
	*(uint64_t *)block.payload = number;
	error = evr_ring_try_push(end, agent, block.token);
	if (error < 0)
		(void)evr_block_free(agent, block.token);
	return error;
}

static int64_t pop_by(struct evr_ring *end, struct evr_agent *agent)
{
	struct evr_block block;
	int64_t number;
	int error = evr_ring_try_pop(end, agent, &block);

	if (error < 0)
		return error;
	number = *(int64_t *)block.payload;
	return evr_block_free(agent, block.token) < 0 ? -EIO : number;
}

Test(ring_roles, who_does_not_hold_the_role_of_a_single_side_is_refused)
{
	uint32_t flags;

	for (flags = 0; flags <= BOTH; flags++) {
		struct evr_ring ring;
		struct peer peer;

		make(&peer, flags, &ring);
		cr_assert_eq(push_by(&ring, &peer.agent, 3),
			     flags & EVR_RING_SINGLE_PUSHER ? -EPERM : 0);
		cr_assert_eq(pop_by(&ring, &peer.agent),
			     flags & EVR_RING_SINGLE_POPPER ? -EPERM :
			     flags ? -EAGAIN : 3);
		/* Refused or not, whoever has the roles finds the ring as it was. */
		if (flags & EVR_RING_SINGLE_PUSHER)
			MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
		if (flags & EVR_RING_SINGLE_POPPER)
			MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_POPPER));
		if (flags == EVR_RING_SINGLE_POPPER)
			cr_assert_eq(pop_by(&ring, &peer.agent), 3);
		MUST(push_by(&ring, &peer.agent, 4));
		cr_assert_eq(pop_by(&ring, &peer.agent), 4);
		peer_leaves_all_free(&peer);
		peer_close(&peer);
	}
}

Test(ring_roles, a_role_is_taken_once_and_the_refusal_names_the_holder)
{
	size_t i;

	for (i = 0; i < COUNT_OF(roles); i++) {
		struct evr_ring ring, other_end, again;
		struct peer peer, other;
		char number[40];

		make(&peer, BOTH, &ring);
		peer_attach(&other, &peer);
		MUST(evr_ring_open(other.region, "ring", &other_end));
		MUST(evr_ring_open(peer.region, "ring", &again));
		MUST(evr_ring_take_role(&ring, &peer.agent, roles[i]));
		FAILS(-EALREADY, evr_ring_take_role(&ring, &peer.agent, roles[i]));
		FAILS(-EBUSY, evr_ring_take_role(&again, &peer.agent, roles[i]));
		FAILS(-EBUSY, evr_ring_take_role(&other_end, &other.agent, roles[i]));
		snprintf(number, sizeof(number), "participant %u, pid %d,",
			 evr_region_number(peer.region), (int)getpid());
		cr_assert(strstr(evr_error_detail(), number), "%s", evr_error_detail());
		FAILS(-EPERM, evr_ring_leave_role(&other_end, &other.agent, roles[i]));
		MUST(evr_ring_leave_role(&ring, &peer.agent, roles[i]));
		FAILS(-EPERM, evr_ring_leave_role(&ring, &peer.agent, roles[i]));
		MUST(evr_ring_take_role(&other_end, &other.agent, roles[i]));
		MUST(evr_ring_leave_role(&other_end, &other.agent, roles[i]));
		peer_close(&other);
		peer_close(&peer);
	}
}

Test(ring_roles, roles_that_do_not_exist_are_the_callers_mistake)
{
	struct evr_ring ring, foreign_ring;
	struct peer peer, foreign;

	make(&peer, EVR_RING_SINGLE_POPPER, &ring);
	make(&foreign, EVR_RING_SINGLE_POPPER, &foreign_ring);
	FAILS(-EINVAL, evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
	FAILS(-EINVAL, evr_ring_take_role(&ring, &peer.agent, 0));
	FAILS(-EINVAL, evr_ring_take_role(&ring, &peer.agent, BOTH));
	FAILS(-EINVAL, evr_ring_take_role(&ring, &peer.agent, 4));
	FAILS(-EXDEV, evr_ring_take_role(&ring, &foreign.agent, EVR_RING_POPPER));
	FAILS(-EPERM, evr_ring_leave_role(&ring, &peer.agent, EVR_RING_POPPER));
	MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_POPPER));
	cr_assert_eq(pop_by(&ring, &peer.agent), -EAGAIN);
	peer_close(&foreign);
	peer_close(&peer);
}

/* ---- after a death ---- */

struct work {
	uint64_t first;
	uint64_t count;
	bool pops;
};

static void take_and_work(struct peer *peer, void *argument)
{
	const struct work *work = argument;
	struct evr_ring end;
	uint64_t i;

	CHILD_MUST(evr_ring_open(peer->region, "ring", &end) == 0);
	CHILD_MUST(evr_ring_take_role(&end, &peer->agent,
				      work->pops ? EVR_RING_POPPER :
						   EVR_RING_PUSHER) == 0);
	for (i = 0; i < work->count; i++) {
		if (work->pops)
			CHILD_MUST(pop_by(&end, &peer->agent) ==
				   (int64_t)(work->first + i));
		else
			CHILD_MUST(push_by(&end, &peer->agent, work->first + i) == 0);
	}
}

Test(ring_roles, the_role_of_a_dead_one_is_succeeded_to_recovered_or_not, .timeout = 60)
{
	int recovered;

	for (recovered = 0; recovered < 2; recovered++) {
		uint64_t number = 0;
		int turn;
		struct evr_ring push, pop;
		struct peer peer;

		make(&peer, BOTH, &push);
		MUST(evr_ring_open(peer.region, "ring", &pop));
		for (turn = 0; turn < 20; turn++) {
			struct work work = { number, 1 + (uint64_t)turn % 3, false };

			killed_child(&peer, take_and_work, &work);
			work.pops = true;
			killed_child(&peer, take_and_work, &work);
			number += work.count;
			if (recovered) {
				MUST(evr_recover(&peer.agent, NULL));
				cr_assert_eq(evr_load_relaxed_u64(
						     &push.shared->pusher), 0);
				cr_assert_eq(evr_load_relaxed_u64(
						     &push.shared->popper), 0);
			}
			MUST(evr_ring_take_role(&push, &peer.agent, EVR_RING_PUSHER));
			MUST(evr_ring_take_role(&pop, &peer.agent, EVR_RING_POPPER));
			MUST(push_by(&push, &peer.agent, number));
			cr_assert_eq(pop_by(&pop, &peer.agent), (int64_t)number++);
			MUST(evr_ring_leave_role(&push, &peer.agent, EVR_RING_PUSHER));
			MUST(evr_ring_leave_role(&pop, &peer.agent, EVR_RING_POPPER));
			while (!recovered && turn % 4 == 3 &&
			       evr_recover(&peer.agent, NULL) > 0)
				;
		}
		MUST(evr_recover(&peer.agent, NULL));
		peer_leaves_all_free(&peer);
		peer_close(&peer);
	}
}

static void take_and_wait(struct peer *peer, void *argument)
{
	struct evr_ring end;
	uint32_t *ready = argument;

	CHILD_MUST(evr_ring_open(peer->region, "ring", &end) == 0);
	CHILD_MUST(evr_ring_take_role(&end, &peer->agent, EVR_RING_PUSHER) == 0);
	CHILD_MUST(push_by(&end, &peer->agent, 1) == 0);
	__atomic_store_n(ready, 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

Test(ring_roles, the_role_of_one_who_left_the_region_is_free)
{
	struct evr_ring ring, end;
	struct peer peer, other;

	make(&peer, BOTH, &ring);
	peer_attach(&other, &peer);
	MUST(evr_ring_open(other.region, "ring", &end));
	MUST(evr_ring_take_role(&end, &other.agent, EVR_RING_PUSHER));
	MUST(push_by(&end, &other.agent, 1));
	peer_close(&other);
	MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
	MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_POPPER));
	MUST(push_by(&ring, &peer.agent, 2));
	cr_assert_eq(pop_by(&ring, &peer.agent), 1);
	cr_assert_eq(pop_by(&ring, &peer.agent), 2);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

/* ---- hanging up ---- */

Test(ring_roles, a_pusher_that_was_hung_up_on_closes_at_its_next_push)
{
	struct evr_ring ring, end;
	struct peer peer;

	make(&peer, EVR_RING_SINGLE_PUSHER, &ring);
	MUST(evr_ring_open(peer.region, "ring", &end));
	MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
	MUST(push_by(&ring, &peer.agent, 1));
	FAILS(-EINPROGRESS, evr_ring_close(&end));
	cr_assert_eq(pop_by(&end, &peer.agent), 1);
	cr_assert_eq(pop_by(&end, &peer.agent), -EAGAIN, "its pusher lives");
	FAILS(-EPIPE, push_by(&ring, &peer.agent, 2));
	cr_assert_eq(pop_by(&end, &peer.agent), -EPIPE);
	MUST(evr_ring_close(&ring));
	FAILS(-EPIPE, push_by(&ring, &peer.agent, 2));
	MUST(evr_ring_leave_role(&ring, &peer.agent, EVR_RING_PUSHER));
	FAILS(-EPIPE, evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
	FAILS(-EPIPE, evr_ring_take_role(&end, &peer.agent, EVR_RING_PUSHER));
	MUST(evr_ring_close(&end));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(ring_roles, a_pusher_that_leaves_after_a_hang_up_closes_the_ring)
{
	struct evr_ring ring, end;
	struct peer peer;

	make(&peer, EVR_RING_SINGLE_PUSHER, &ring);
	MUST(evr_ring_open(peer.region, "ring", &end));
	MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
	MUST(push_by(&ring, &peer.agent, 1));
	FAILS(-EINPROGRESS, evr_ring_close(&end));
	MUST(evr_ring_leave_role(&ring, &peer.agent, EVR_RING_PUSHER));
	cr_assert_eq(pop_by(&end, &peer.agent), 1);
	cr_assert_eq(pop_by(&end, &peer.agent), -EPIPE);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(ring_roles, a_pusher_that_was_hung_up_on_is_told_so_when_it_has_closed_the_ring)
{
	struct evr_ring ring, end;
	struct peer peer;
	int i;

	make(&peer, EVR_RING_SINGLE_PUSHER, &ring);
	MUST(evr_ring_open(peer.region, "ring", &end));
	MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
	for (i = 0; i < CAPACITY; i++)
		MUST(push_by(&ring, &peer.agent, (uint64_t)i));
	FAILS(-EINPROGRESS, evr_ring_close(&end));
	/* There is no room for CLOSED. Told -EPIPE it would not come again, and the
	 * popper would wait for ever: it keeps its role. */
	FAILS(-EAGAIN, push_by(&ring, &peer.agent, 99));
	cr_assert_eq(pop_by(&end, &peer.agent), 0);
	FAILS(-EPIPE, push_by(&ring, &peer.agent, 99));
	for (i = 1; i < CAPACITY; i++)
		cr_assert_eq(pop_by(&end, &peer.agent), i);
	cr_assert_eq(pop_by(&end, &peer.agent), -EPIPE);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(ring_roles, whoever_drains_a_full_ring_that_was_hung_up_on_closes_it)
{
	uint32_t flags;

	for (flags = EVR_RING_SINGLE_PUSHER; flags <= BOTH; flags += 2) {
		struct evr_ring ring, end;
		struct peer peer;
		int i;

		make(&peer, flags, &ring);
		MUST(evr_ring_open(peer.region, "ring", &end));
		if (flags & EVR_RING_SINGLE_POPPER)
			MUST(evr_ring_take_role(&end, &peer.agent, EVR_RING_POPPER));
		MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
		for (i = 0; i < CAPACITY; i++)
			MUST(push_by(&ring, &peer.agent, (uint64_t)i));
		FAILS(-EINPROGRESS, evr_ring_close(&end));
		FAILS(-EAGAIN, push_by(&ring, &peer.agent, 99));
		MUST(evr_ring_leave_role(&ring, &peer.agent, EVR_RING_PUSHER));
		FAILS(-EPIPE, evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
		for (i = 0; i < CAPACITY; i++)
			cr_assert_eq(pop_by(&end, &peer.agent), i);
		cr_assert_eq(pop_by(&end, &peer.agent), -EAGAIN);
		cr_assert_eq(pop_by(&end, &peer.agent), -EPIPE);
		peer_leaves_all_free(&peer);
		peer_close(&peer);
	}
}

Test(ring_roles, a_ring_whose_pusher_is_dead_is_closed_by_anybody, .timeout = 30)
{
	int recovered;

	for (recovered = 0; recovered < 2; recovered++) {
		struct work work = { 0, 3, false };
		struct evr_ring ring;
		struct peer peer;
		int64_t i;

		make(&peer, EVR_RING_SINGLE_PUSHER, &ring);
		killed_child(&peer, take_and_work, &work);
		if (recovered)
			MUST(evr_recover(&peer.agent, NULL));
		MUST(evr_ring_close(&ring));
		FAILS(-EPIPE, evr_ring_take_role(&ring, &peer.agent, EVR_RING_PUSHER));
		for (i = 0; i < 3; i++)
			cr_assert_eq(pop_by(&ring, &peer.agent), i);
		cr_assert_eq(pop_by(&ring, &peer.agent), -EPIPE);
		MUST(evr_recover(&peer.agent, NULL));
		peer_leaves_all_free(&peer);
		peer_close(&peer);
	}
}

Test(ring_roles, recovery_closes_the_ring_that_a_dead_pusher_was_hung_up_on,
     .timeout = 30)
{
	uint32_t *ready = shared_memory(sizeof(*ready));
	struct evr_ring ring;
	struct peer peer;
	uint64_t closed;
	pid_t child;

	make(&peer, EVR_RING_SINGLE_PUSHER, &ring);
	child = peer_child(&peer, take_and_wait, ready);
	cr_assert(HOLDS_WITHIN(10000, __atomic_load_n(ready, __ATOMIC_ACQUIRE)));
	FAILS(-EINPROGRESS, evr_ring_close(&ring));
	end_child(child);
	MUST(evr_recover(&peer.agent, NULL));
	closed = evr_load_relaxed_u64(&ring.slots[1]);
	cr_assert_eq(closed, evri_slot_full(EVR_RING_FIRST_LAP, EVR_SLOT_CLOSED));
	cr_assert_eq(pop_by(&ring, &peer.agent), 1);
	cr_assert_eq(pop_by(&ring, &peer.agent), -EPIPE);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

/* ---- words that lie ---- */

static const uint64_t lies[] = {
	1, 2, 0xffffffff, UINT64_C(1) << 32, UINT64_C(99) << 32, UINT64_C(1) << 63,
	UINT64_MAX - 1, UINT64_MAX,
};

Test(ring_roles, no_value_of_a_role_word_or_of_hangup_does_more_than_refuse,
     .timeout = 30)
{
	size_t i, k;

	for (i = 0; i < COUNT_OF(lies); i++) {
		for (k = 0; k < COUNT_OF(roles); k++) {
			struct evr_atomic_u64 *word;
			struct evr_ring ring;
			struct peer peer;
			bool lives;
			int error;

			make(&peer, BOTH, &ring);
			word = k ? &ring.shared->popper : &ring.shared->pusher;
			evr_store_relaxed_u64(word, lies[i]);
			lives = lies[i] >> 32 == evr_region_number(peer.region);
			error = evr_ring_take_role(&ring, &peer.agent, roles[k]);
			cr_assert_eq(error, lives ? -EBUSY : 0, "%d: %s", error,
				     evr_error_detail());
			MUST(evr_recover(&peer.agent, NULL));
			evr_store_relaxed_u64(word, lies[i]);
			error = evr_ring_leave_role(&ring, &peer.agent, roles[k]);
			cr_assert_eq(error, lives ? -EPERM : -EUCLEAN);
			evr_store_relaxed_u64(word, 0);
			MUST(evr_ring_take_role(&ring, &peer.agent, roles[k]));
			peer_close(&peer);
		}
	}
	/* In a ring for many, hanging up means nothing. */
	for (i = 0; i < 2; i++) {
		struct evr_ring ring;
		struct peer peer;

		make(&peer, i ? EVR_RING_SINGLE_POPPER : 0, &ring);
		if (i)
			MUST(evr_ring_take_role(&ring, &peer.agent, EVR_RING_POPPER));
		evr_store_relaxed_u32(&ring.shared->hangup, 1);
		evr_store_relaxed_u64(&ring.shared->pusher, UINT64_MAX);
		MUST(push_by(&ring, &peer.agent, 1));
		cr_assert_eq(pop_by(&ring, &peer.agent), 1);
		cr_assert_eq(pop_by(&ring, &peer.agent), -EAGAIN);
		cr_assert_eq(pop_by(&ring, &peer.agent), -EAGAIN);
		MUST(push_by(&ring, &peer.agent, 2));
		cr_assert_eq(pop_by(&ring, &peer.agent), 2);
		peer_close(&peer);
	}
}

Test(ring_roles, a_ring_with_unknown_flags_is_not_opened)
{
	struct evr_ring ring, end;
	struct peer peer;

	make(&peer, BOTH, &ring);
	ring.shared->flags = 4;
	FAILS(-EUCLEAN, evr_ring_open(peer.region, "ring", &end));
	ring.shared->flags = UINT32_MAX;
	FAILS(-EUCLEAN, evr_ring_open(peer.region, "ring", &end));
	ring.shared->flags = 0;
	MUST(evr_ring_open(peer.region, "ring", &end));
	cr_assert_eq(evr_ring_flags(&end), 0);
	peer_close(&peer);
}

Test(ring_roles, garbage_in_slots_and_hints_is_an_error_at_worst, .timeout = 60)
{
	uint64_t seed = 23;
	int round;

	for (round = 0; round < 300; round++) {
		struct evr_ring ring;
		struct peer peer;
		uint64_t i;
		int k;

		make(&peer, BOTH, &ring);
		for (i = 0; i <= ring.mask; i++)
			evr_store_relaxed_u64(&ring.slots[i],
					      next_random(&seed) >> (round % 3 ? 0 : 14));
		evr_store_relaxed_u64(&ring.shared->tail_hint,
				      next_random(&seed) >> next_random(&seed) % 64);
		evr_store_relaxed_u64(&ring.shared->head_hint,
				      next_random(&seed) >> next_random(&seed) % 64);
		for (k = 0; k < 2; k++) {
			int error = evr_ring_take_role(&ring, &peer.agent, roles[k]);

			cr_assert(error == 0 || error == -EUCLEAN, "take: %d", error);
		}
		for (k = 0; k < 20; k++) {
			int error = push_by(&ring, &peer.agent, 1);
			int64_t number = pop_by(&ring, &peer.agent);

			cr_assert(error == 0 || error == -EAGAIN || error == -EUCLEAN ||
					  error == -EPIPE || error == -EPERM,
				  "push: %d", error);
			cr_assert(number >= 0 || number == -EAGAIN ||
					  number == -EUCLEAN || number == -EPIPE ||
					  number == -EPERM,
				  "pop: %lld", (long long)number);
		}
		(void)!evr_ring_close(&ring);
		peer_close(&peer);
	}
}
