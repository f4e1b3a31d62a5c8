/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_ring_inline.c - rings of inline entries, one side at a time and both: order, room,
 * roles, deaths. What a ring full of other bytes does is in test_ring_inline_hostile.c.
 */

#include "inline.h"

/* ---- one by one ---- */

Test(ring_inline, holds_exactly_its_capacity_in_order_whatever_the_size, .timeout = 60)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		for (uint32_t order = 1; order <= 6; order++) {
			uint64_t capacity = UINT64_C(1) << order;
			uint64_t pushed = 0, popped = 0;
			struct pair pair;

			open_pair(&pair, sizes[k], order, 0);
			cr_assert_eq(evr_ring_inline_capacity(&pair.in), capacity);
			/* From another place in a cell each time, over many laps. */
			for (uint64_t round = 0; round < 3 * capacity + 70; round++) {
				while (pushed < popped + capacity)
					MUST(push(&pair.in, sizes[k], pushed++));
				FAILS(-EAGAIN, push(&pair.in, sizes[k], pushed));
				for (uint64_t i = 0; i <= round % capacity; i++)
					MUST(pop(&pair.out, sizes[k], popped++));
			}
			while (popped < pushed)
				MUST(pop(&pair.out, sizes[k], popped++));
			FAILS(-EAGAIN, pop(&pair.out, sizes[k], 0));
			close_pair(&pair);
		}
	}
}

Test(ring_inline, one_popped_makes_room_for_one, .timeout = 30)
{
	struct pair pair;
	uint64_t i;

	open_pair(&pair, 8, 10, 0);
	for (i = 0; i < 1024; i++)
		MUST(push(&pair.in, 8, i));
	for (; i < 20000; i++) {
		FAILS(-EAGAIN, push(&pair.in, 8, i));
		MUST(pop(&pair.out, 8, i - 1024));
		MUST(push(&pair.in, 8, i));
	}
	close_pair(&pair);
}

Test(ring_inline, the_empty_ring_is_empty_at_every_place)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		struct pair pair;

		open_pair(&pair, sizes[k], 2, 0);
		for (uint64_t i = 0; i < 200; i++) {
			FAILS(-EAGAIN, pop(&pair.out, sizes[k], i));
			MUST(push(&pair.in, sizes[k], i));
			MUST(pop(&pair.out, sizes[k], i));
		}
		close_pair(&pair);
	}
}

/* ---- bursts ---- */

Test(ring_inline, bursts_go_as_far_as_there_is_room_and_as_there_are_entries,
     .timeout = 60)
{
	static uint8_t many[100 * ENTRY_MAX];

	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		uint64_t seed = 1, pushed = 0, popped = 0;
		uint32_t bytes = sizes[k];
		struct pair pair;

		open_pair(&pair, bytes, 5, 0);
		for (int round = 0; round < 400; round++) {
			uint32_t count = 1 + (uint32_t)(seed >> 33) % 100;
			uint64_t room = pushed - popped;
			int n;

			seed = seed * UINT64_C(6364136223846793005) + 1;
			for (uint32_t i = 0; i < count; i++)
				fill(many + i * bytes, bytes, pushed + i);
			room = 32 - room;
			n = -EAGAIN;
			for (int i = 0; i <= EVR_RING_INLINE_PATIENCE && n < 0; i++)
				n = evr_ring_inline_push_burst(&pair.in, many, bytes,
							       count);
			/* What was told a moment ago may be less, but is no more. */
			cr_assert(room == 0 ? n == -EAGAIN :
					      n > 0 && n <= (int)count && n <= (int)room,
				  "%d of %u, room for %d", n, count, (int)room);
			pushed += n > 0 ? (uint64_t)n : 0;

			count = 1 + (uint32_t)(seed >> 40) % 50;
			room = pushed - popped;
			n = evr_ring_inline_pop_burst(&pair.out, many, bytes, count);
			cr_assert_eq(n, room < count ? (int)room : (int)count);
			for (int i = 0; i < n; i++)
				cr_assert(is(many + (uint32_t)i * bytes, bytes,
					     popped + (uint64_t)i));
			popped += (uint64_t)n;
		}
		close_pair(&pair);
	}
}

/* ---- in place ---- */

Test(ring_inline, what_is_reserved_is_seen_when_it_is_committed_and_no_sooner)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		uint32_t bytes = sizes[k];
		uint64_t pushed = 0, popped = 0;
		struct pair pair;

		open_pair(&pair, bytes, 3, 0);
		for (int round = 0; round < 100; round++) {
			void *place = NULL, *again = NULL;
			int n = evr_ring_inline_reserve(&pair.in, bytes, 5, &place);

			cr_assert(n >= 1 && n <= 5, "%d", n);
			cr_assert_eq(evr_ring_inline_reserve(&pair.in, bytes, 5, &again),
				     n);
			cr_assert_eq(place, again);
			for (int i = 0; i < n; i++)
				fill((uint8_t *)place + (uint32_t)i * bytes, bytes,
				     pushed + (uint64_t)i);
			FAILS(-EAGAIN, pop(&pair.out, bytes, 0));
			FAILS(-EINVAL, evr_ring_inline_commit(&pair.in, bytes, 0));
			FAILS(-EINVAL, evr_ring_inline_commit(&pair.in, bytes, 60));
			MUST(evr_ring_inline_commit(&pair.in, bytes, (uint32_t)n));
			pushed += (uint64_t)n;
			while (popped < pushed)
				MUST(pop(&pair.out, bytes, popped++));
		}
		close_pair(&pair);
	}
}

Test(ring_inline, what_is_peeked_stays_until_it_is_released)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		uint32_t bytes = sizes[k];
		uint64_t pushed = 0, popped = 0;
		struct pair pair;

		open_pair(&pair, bytes, 2, 0);
		for (int round = 0; round < 100; round++) {
			const void *entries = NULL, *again = NULL;
			int n;

			while (push(&pair.in, bytes, pushed) == 0)
				pushed++;
			n = evr_ring_inline_peek(&pair.out, bytes, 3, &entries);
			cr_assert(n >= 1 && n <= 3);
			cr_assert_eq(evr_ring_inline_peek(&pair.out, bytes, 3, &again),
				     n);
			cr_assert_eq(entries, again);
			FAILS(-EAGAIN, push(&pair.in, bytes, pushed));
			for (int i = 0; i < n; i++)
				cr_assert(is((const uint8_t *)entries +
						     (uint32_t)i * bytes,
					     bytes, popped + (uint64_t)i));
			FAILS(-EINVAL, evr_ring_inline_release(&pair.out, bytes, 0));
			FAILS(-EINVAL, evr_ring_inline_release(&pair.out, bytes, 60));
			MUST(evr_ring_inline_release(&pair.out, bytes, (uint32_t)n));
			popped += (uint64_t)n;
		}
		close_pair(&pair);
	}
}

/* ---- the end ---- */

Test(ring_inline, a_closed_ring_is_drained_and_then_ended)
{
	struct evr_ring_inline late;
	struct pair pair;

	open_pair(&pair, 16, 3, 0);
	for (uint64_t i = 0; i < 5; i++)
		MUST(push(&pair.in, 16, i));
	FAILS(-EINVAL, evr_ring_inline_close(&pair.out));
	MUST(evr_ring_inline_close(&pair.in));
	FAILS(-EINVAL, push(&pair.in, 16, 5));
	FAILS(-EPIPE, evr_ring_inline_open(pair.region, "ring", EVR_RING_PUSHER, 0,
					   &late));
	for (uint64_t i = 0; i < 5; i++)
		MUST(pop(&pair.out, 16, i));
	FAILS(-EPIPE, pop(&pair.out, 16, 5));
	FAILS(-EPIPE, pop(&pair.out, 16, 5));
	evr_ring_inline_leave(&pair.out);
	MUST(evr_ring_inline_open(pair.region, "ring", EVR_RING_POPPER, 0, &late));
	FAILS(-EPIPE, pop(&late, 16, 5));
	evr_ring_inline_leave(&late);
	evr_region_detach(pair.region);
}

Test(ring_inline, nothing_is_pushed_to_a_popper_who_hung_up)
{
	struct evr_ring_inline late;
	struct pair pair;

	open_pair(&pair, 16, 3, 0);
	MUST(push(&pair.in, 16, 0));
	FAILS(-EINVAL, evr_ring_inline_hang_up(&pair.in));
	MUST(evr_ring_inline_hang_up(&pair.out));
	FAILS(-EPIPE, push(&pair.in, 16, 1));
	FAILS(-EPIPE, push(&pair.in, 16, 1));
	FAILS(-EPIPE, evr_ring_inline_open(pair.region, "ring", EVR_RING_POPPER, 0,
					   &late));
	close_pair(&pair);
}

/* ---- roles ---- */

Test(ring_inline, a_role_is_one_participants_until_it_leaves)
{
	struct evr_region *other;
	struct evr_ring_inline second;
	struct pair pair;

	open_pair(&pair, 8, 3, 0);
	MUST(evr_region_attach(evr_region_fd(pair.region), &other));
	FAILS(-EBUSY, evr_ring_inline_open(other, "ring", EVR_RING_PUSHER, 8, &second));
	FAILS(-EBUSY, evr_ring_inline_open(other, "ring", EVR_RING_POPPER, 8, &second));
	for (uint64_t i = 0; i < 6; i++)
		MUST(push(&pair.in, 8, i));
	MUST(pop(&pair.out, 8, 0));
	evr_ring_inline_leave(&pair.in);
	evr_ring_inline_leave(&pair.in);
	FAILS(-EINVAL, push(&pair.in, 8, 6));
	MUST(evr_ring_inline_open(other, "ring", EVR_RING_PUSHER, 8, &second));
	for (uint64_t i = 6; i < 9; i++)
		MUST(push(&second, 8, i));
	FAILS(-EAGAIN, push(&second, 8, 9));
	for (uint64_t i = 1; i < 9; i++)
		MUST(pop(&pair.out, 8, i));
	FAILS(-EAGAIN, pop(&pair.out, 8, 9));
	evr_ring_inline_leave(&second);
	evr_region_detach(other);
	close_pair(&pair);
}

Test(ring_inline, the_wrong_side_and_the_wrong_size_are_refused)
{
	uint8_t entry[64] = { 0 };
	struct pair pair;
	const void *shown;
	void *place;

	open_pair(&pair, 8, 3, 0);
	FAILS(-EINVAL, evr_ring_inline_try_push(&pair.out, entry, 8));
	FAILS(-EINVAL, evr_ring_inline_try_pop(&pair.in, entry, 8));
	FAILS(-EINVAL, evr_ring_inline_try_push(&pair.in, entry, 16));
	FAILS(-EINVAL, evr_ring_inline_try_pop(&pair.out, entry, 16));
	FAILS(-EINVAL, evr_ring_inline_push_burst(&pair.out, entry, 8, 2));
	FAILS(-EINVAL, evr_ring_inline_pop_burst(&pair.in, entry, 8, 2));
	FAILS(-EINVAL, evr_ring_inline_reserve(&pair.out, 8, 1, &place));
	FAILS(-EINVAL, evr_ring_inline_reserve(&pair.in, 8, 0, &place));
	FAILS(-EINVAL, evr_ring_inline_peek(&pair.in, 8, 1, &shown));
	FAILS(-EINVAL, evr_ring_inline_commit(&pair.out, 8, 1));
	FAILS(-EINVAL, evr_ring_inline_release(&pair.in, 8, 1));
	FAILS(-EAGAIN, pop(&pair.out, 8, 0));
	close_pair(&pair);
}

Test(ring_inline, impossible_rings_are_refused)
{
	struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
	struct evr_ring_inline_options good = { .size = sizeof(good), .name = "ring",
						.entry_bytes = 8, .order = 3 };
	struct evr_ring_inline_options bad;
	struct evr_ring_inline end;
	struct evr_ring ring;

	bad = good, bad.entry_bytes = 0;
	FAILS(-EINVAL, evr_ring_inline_create(region, &bad));
	bad = good, bad.entry_bytes = EVR_RING_INLINE_ENTRY_MAX + 1;
	FAILS(-EINVAL, evr_ring_inline_create(region, &bad));
	bad = good, bad.order = 0;
	FAILS(-EINVAL, evr_ring_inline_create(region, &bad));
	bad = good, bad.order = EVR_RING_INLINE_ORDER_MAX + 1;
	FAILS(-EINVAL, evr_ring_inline_create(region, &bad));
	bad = good, bad.order = EVR_RING_INLINE_ORDER_MAX;
	FAILS(-ENOSPC, evr_ring_inline_create(region, &bad));
	bad = good, bad.flags = 2;
	FAILS(-EINVAL, evr_ring_inline_create(region, &bad));
	bad = good, bad.name = NULL;
	FAILS(-EINVAL, evr_ring_inline_create(region, &bad));
	MUST(evr_ring_inline_create(region, &good));
	FAILS(-EEXIST, evr_ring_inline_create(region, &good));
	FAILS(-EPROTO, evr_ring_open(region, "ring", &ring));
	FAILS(-EPROTO, evr_ring_inline_open(region, "ring", EVR_RING_PUSHER, 16, &end));
	FAILS(-ENOENT, evr_ring_inline_open(region, "rang", EVR_RING_PUSHER, 8, &end));
	FAILS(-EINVAL, evr_ring_inline_open(region, "ring", 3,
					    8, &end));
	evr_region_detach(region);
}

/* ---- deaths ---- */

struct dying {
	int fd;
	uint32_t bytes;
	uint64_t first, count;
	void (*act)(struct evr_region *region, const struct dying *how);
};

static void run_dying(void *argument)
{
	const struct dying *how = argument;
	struct evr_region *region;

	CHILD_MUST(evr_region_attach(how->fd, &region) == 0);
	how->act(region, how);
	kill(getpid(), SIGKILL);
}

static void die(const struct dying *how)
{
	pid_t child = start_child(run_dying, (void *)(uintptr_t)how);
	int status = 0;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
}

/* Pushes, and dies with half an entry more in place. */
static void die_pushing(struct evr_region *region, const struct dying *how)
{
	struct evr_ring_inline ring;
	void *place;

	CHILD_MUST(evr_ring_inline_open(region, "ring", EVR_RING_PUSHER, how->bytes,
					&ring) == 0);
	for (uint64_t i = 0; i < how->count; i++)
		CHILD_MUST(push(&ring, how->bytes, how->first + i) == 0);
	if (evr_ring_inline_reserve(&ring, how->bytes, 1, &place) > 0)
		memset(place, 0xee, (how->bytes + 1) / 2);
}

Test(ring_inline, a_new_pusher_goes_on_behind_the_last_that_the_dead_one_pushed,
     .timeout = 120)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		uint64_t pushed = 0, popped = 0;
		struct evr_ring_inline out, in;
		struct evr_region *region = region_of(FIXTURE_REGION_BYTES);

		make(region, "ring", sizes[k], 4, 0);
		MUST(evr_ring_inline_open(region, "ring", EVR_RING_POPPER, 0, &out));
		for (uint64_t round = 0; round < 24; round++) {
			struct dying how = { evr_region_fd(region), sizes[k], pushed,
					     (5 * round) % (17 - (pushed - popped)),
					     die_pushing };

			die(&how);
			pushed += how.count;
			if (round % 3 == 0) {
				while (popped < pushed)
					MUST(pop(&out, sizes[k], popped++));
			}
			MUST(evr_ring_inline_open(region, "ring", EVR_RING_PUSHER, 0,
						  &in));
			if (pushed < popped + 16)
				MUST(push(&in, sizes[k], pushed++));
			else
				FAILS(-EAGAIN, push(&in, sizes[k], pushed));
			evr_ring_inline_leave(&in);
			if (popped < pushed)
				MUST(pop(&out, sizes[k], popped++));
		}
		while (popped < pushed)
			MUST(pop(&out, sizes[k], popped++));
		FAILS(-EAGAIN, pop(&out, sizes[k], popped));
		evr_ring_inline_leave(&out);
		evr_region_detach(region);
	}
}

Test(ring_inline, a_popper_is_told_of_the_pushers_death_when_all_is_drained)
{
	struct evr_ring_inline out, in;
	struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
	struct dying how = { evr_region_fd(region), 8, 0, 3, die_pushing };

	make(region, "ring", 8, 4, 0);
	MUST(evr_ring_inline_open(region, "ring", EVR_RING_POPPER, 0, &out));
	FAILS(-EAGAIN, pop(&out, 8, 0));
	die(&how);
	MUST(evr_participant_find_dead(region));
	for (uint64_t i = 0; i < 3; i++)
		MUST(pop(&out, 8, i));
	FAILS(-EOWNERDEAD, pop(&out, 8, 3));
	FAILS(-EOWNERDEAD, pop(&out, 8, 3));
	MUST(evr_ring_inline_open(region, "ring", EVR_RING_PUSHER, 0, &in));
	FAILS(-EAGAIN, pop(&out, 8, 3));
	MUST(push(&in, 8, 3));
	MUST(pop(&out, 8, 3));
	evr_ring_inline_leave(&in);
	FAILS(-EAGAIN, pop(&out, 8, 4));
	evr_ring_inline_leave(&out);
	evr_region_detach(region);
}

/* Pops @first, peeks at @count more, and dies. */
static void die_peeking(struct evr_region *region, const struct dying *how)
{
	struct evr_ring_inline ring;
	uint8_t entry[ENTRY_MAX];
	const void *entries;

	CHILD_MUST(evr_ring_inline_open(region, "ring", EVR_RING_POPPER, how->bytes,
					&ring) == 0);
	for (uint64_t i = 0; i < how->first; i++)
		CHILD_MUST(evr_ring_inline_try_pop(&ring, entry, how->bytes) == 0);
	CHILD_MUST(evr_ring_inline_peek(&ring, how->bytes, (uint32_t)how->count,
					&entries) == (int)how->count);
}

static void next_popper_begins_at(uint32_t flags, uint64_t expected)
{
	struct evr_ring_inline out, in;
	struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
	struct dying how = { evr_region_fd(region), 8, 3, 2, die_peeking };
	uint64_t i;

	make(region, "ring", 8, 4, flags);
	MUST(evr_ring_inline_open(region, "ring", EVR_RING_PUSHER, 0, &in));
	for (i = 0; i < 16; i++)
		MUST(push(&in, 8, i));
	die(&how);
	/* 3 were freed: so much room there is, and then a death to tell of. */
	MUST(evr_participant_find_dead(region));
	for (; i < 19; i++)
		MUST(push(&in, 8, i));
	FAILS(-EOWNERDEAD, push(&in, 8, i));
	MUST(evr_ring_inline_open(region, "ring", EVR_RING_POPPER, 0, &out));
	for (i = expected; i < 19; i++)
		MUST(pop(&out, 8, i));
	FAILS(-EAGAIN, pop(&out, 8, i));
	for (i = 0; i < 16; i++)
		MUST(push(&in, 8, i));
	FAILS(-EAGAIN, push(&in, 8, i));
	evr_ring_inline_leave(&in);
	evr_ring_inline_leave(&out);
	evr_region_detach(region);
}

Test(ring_inline, what_a_dead_popper_had_peeked_is_the_next_ones)
{
	next_popper_begins_at(0, 3);
}

Test(ring_inline, at_most_once_what_a_dead_popper_had_peeked_is_gone)
{
	next_popper_begins_at(EVR_RING_AT_MOST_ONCE, 5);
}

/* ---- two processes ---- */

struct stream {
	int fd;
	uint32_t bytes;
	uint64_t count;
};

static void run_pusher(void *argument)
{
	const struct stream *stream = argument;
	struct evr_region *region;
	struct evr_ring_inline ring;
	uint8_t entry[ENTRY_MAX];

	CHILD_MUST(evr_region_attach(stream->fd, &region) == 0);
	CHILD_MUST(evr_ring_inline_open(region, "ring", EVR_RING_PUSHER, stream->bytes,
					&ring) == 0);
	for (uint64_t i = 0; i < stream->count; i++) {
		int error;

		fill(entry, stream->bytes, i);
		while ((error = evr_ring_inline_try_push(&ring, entry, stream->bytes)) ==
		       -EAGAIN)
			sched_yield();
		CHILD_MUST(error == 0);
	}
	CHILD_MUST(evr_ring_inline_close(&ring) == 0);
}

Test(ring_inline, another_process_gets_every_entry_once_in_order_and_whole, .timeout = 60)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
		struct stream stream = { evr_region_fd(region), sizes[k],
					 sizes[k] > 256 ? 3000 : 50000 };
		struct evr_ring_inline out;
		uint64_t popped = 0;
		pid_t child;
		int error;

		make(region, "ring", sizes[k], 5, 0);
		MUST(evr_ring_inline_open(region, "ring", EVR_RING_POPPER, 0, &out));
		child = start_child(run_pusher, &stream);
		while ((error = pop(&out, sizes[k], popped)) != -EPIPE) {
			cr_assert(error == 0 || error == -EAGAIN, "%d", error);
			popped += error == 0;
			if (error)
				sched_yield();
		}
		child_succeeds(child);
		cr_assert_eq(popped, stream.count);
		evr_ring_inline_leave(&out);
		evr_region_detach(region);
	}
}

/* The pusher has asked who is there, nobody; while it goes on, the popper comes. */
Test(ring_inline, a_popper_who_comes_while_the_pusher_looks_is_not_one_who_died)
{
	struct pair pair;
	int error;

	open_pair(&pair, 8, 2, 0);
	evr_ring_inline_leave(&pair.out);
	while ((error = push(&pair.in, 8, 0)) == 0)
		;
	cr_assert_eq(error, -EAGAIN, "%d", error);
	MUST(evr_ring_inline_open(pair.region, "ring", EVR_RING_POPPER, 0, &pair.out));
	pair.in.other = evr_load_acquire_u64(&pair.in.shared->popper);
	error = push(&pair.in, 8, 0);
	cr_assert_eq(error, -EAGAIN, "%d", error);
	close_pair(&pair);
}
