/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* test_ring_lanes.c - lanes: order, whose turn it is, who has which lane, the end. */
#include "lanes.h"

/* ---- one by one ---- */

Test(ring_lanes, every_entry_comes_once_in_the_order_of_its_pusher, .timeout = 60)
{
	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 }, seed = 7;
		struct stage stage;

		open_stage(&stage, sizes[k], 4, 0);
		cr_assert_eq(evr_ring_lane_capacity(&stage.in[0]), 16);
		for (int round = 0; round < 4000; round++) {
			uint32_t lane;

			seed = seed * UINT64_C(6364136223846793005) + 1;
			lane = (uint32_t)(seed >> 33) % LANES;
			if (seed >> 60 & 1) {
				int error = push_to(&stage.in[lane], sizes[k],
						    pushed[lane]);

				cr_assert_eq(error, pushed[lane] - popped[lane] == 16 ?
							    -EAGAIN :
							    0);
				pushed[lane] += error == 0;
			} else {
				uint64_t there = 0;

				for (int i = 0; i < LANES; i++)
					there += pushed[i] - popped[i];
				cr_assert_eq(pop_next(stage.out, sizes[k], popped),
					     there ? 0 : -EAGAIN);
			}
		}
		while (pop_next(stage.out, sizes[k], popped) == 0)
			;
		cr_assert_arr_eq(pushed, popped, sizeof(pushed));
		close_stage(&stage);
	}
}

Test(ring_lanes, bursts_and_what_is_done_in_place_are_the_same_entries)
{
	static uint8_t many[40 * ENTRY_MAX];

	for (size_t k = 0; k < COUNT_OF(sizes); k++) {
		uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
		uint32_t bytes = sizes[k];
		struct stage stage;

		open_stage(&stage, bytes, 3, 0);
		for (uint32_t round = 0; round < 200; round++) {
			uint32_t at = round % LANES;
			struct evr_ring_lane *lane = &stage.in[at];
			const void *shown = NULL;
			void *place = NULL;
			int n, left = 8;

			for (uint32_t i = 0; i < 5; i++)
				fill(many + i * bytes, bytes, pushed[at] + i);
			n = evr_ring_lane_push_burst(lane, many, bytes, 5);
			cr_assert_eq(n, 5, "%d", n);
			pushed[at] += 5;
			n = evr_ring_lane_reserve(lane, bytes, 3, &place);
			cr_assert(n >= 1 && n <= 3, "%d", n);
			for (int i = 0; i < n; i++)
				fill((uint8_t *)place + (uint32_t)i * bytes, bytes,
				     pushed[at] + (uint64_t)i);
			FAILS(-EINVAL, evr_ring_lane_commit(lane, bytes, 60));
			MUST(evr_ring_lane_commit(lane, bytes, (uint32_t)n));
			pushed[at] += (uint64_t)n;
			left = 5 + n;

			n = evr_ring_lanes_peek(stage.out, bytes, 2, &shown);
			cr_assert(n >= 1 && n <= 2, "%d", n);
			cr_assert_eq(evr_ring_lanes_last(stage.out), at);
			for (int i = 0; i < n; i++)
				cr_assert(is((const uint8_t *)shown + (uint32_t)i * bytes,
					     bytes, popped[at] + (uint64_t)i));
			FAILS(-EINVAL, evr_ring_lanes_release(stage.out, bytes, 0));
			FAILS(-EINVAL, evr_ring_lanes_release(stage.out, bytes, 60));
			MUST(evr_ring_lanes_release(stage.out, bytes, (uint32_t)n));
			popped[at] += (uint64_t)n;
			left -= n;
			n = evr_ring_lanes_pop_burst(stage.out, many, bytes, 40);
			cr_assert_eq(n, left, "%d of %d", n, left);
			for (int i = 0; i < n; i++)
				cr_assert(is(many + (uint32_t)i * bytes, bytes,
					     popped[at] + (uint64_t)i));
			popped[at] += (uint64_t)n;
		}
		FAILS(-EAGAIN, pop_next(stage.out, bytes, popped));
		close_stage(&stage);
	}
}

Test(ring_lanes, a_burst_goes_on_in_the_next_lane)
{
	uint64_t got[2 * LANES], sum = 0;
	struct stage stage;

	open_stage(&stage, 8, 3, 0);
	for (uint64_t i = 0; i < 2 * LANES; i++)
		MUST(evr_ring_lane_try_push(&stage.in[i % LANES], &i, 8));
	cr_assert_eq(evr_ring_lanes_pop_burst(stage.out, got, 8, 2 * LANES), 2 * LANES);
	for (uint64_t i = 0; i < 2 * LANES; i++)
		sum += got[i];
	cr_assert_eq(sum, LANES * (2 * LANES - 1));
	FAILS(-EAGAIN, evr_ring_lanes_pop_burst(stage.out, got, 8, 2 * LANES));
	close_stage(&stage);
}

Test(ring_lanes, what_was_peeked_is_shown_again_whatever_comes_into_other_lanes)
{
	const void *shown = NULL, *again = NULL;
	struct stage stage;
	uint64_t i = 0;

	open_stage(&stage, 64, 6, 0);
	/* Over the end of a turn: entries of 64 bytes are shown one by one. */
	for (; i < 60; i++)
		MUST(push_to(&stage.in[2], 64, i));
	for (i = 0; i < 60; i++) {
		cr_assert_eq(evr_ring_lanes_peek(stage.out, 64, 9, &shown), 1);
		(void)push_to(&stage.in[i % LANES == 2 ? 0 : i % LANES], 64, i);
		cr_assert_eq(evr_ring_lanes_peek(stage.out, 64, 9, &again), 1);
		cr_assert_eq(shown, again);
		MUST(evr_ring_lanes_release(stage.out, 64, 1));
		FAILS(-EINVAL, evr_ring_lanes_release(stage.out, 128, 1));
	}
	close_stage(&stage);
}

/* ---- whose turn it is ---- */

Test(ring_lanes, a_busy_lane_keeps_nobody_waiting_for_longer_than_a_turn)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct stage stage;

	open_stage(&stage, 8, 7, 0);
	while (push_to(&stage.in[1], 8, pushed[1]) == 0)
		pushed[1]++;
	for (uint64_t i = 0; i < 10000; i++) {
		uint64_t before = popped[1];

		if (i % 100 == 0)
			MUST(push_to(&stage.in[3], 8, pushed[3]++));
		for (int k = 0; k <= EVR_RING_LANES_TURN && popped[3] < pushed[3]; k++) {
			MUST(pop_next(stage.out, 8, popped));
			while (push_to(&stage.in[1], 8, pushed[1]) == 0)
				pushed[1]++;
		}
		cr_assert_eq(popped[3], pushed[3], "%llu of the busy lane, and not ours",
			     (unsigned long long)(popped[1] - before));
		MUST(pop_next(stage.out, 8, popped));
		while (push_to(&stage.in[1], 8, pushed[1]) == 0)
			pushed[1]++;
	}
	close_stage(&stage);
}

Test(ring_lanes, lanes_that_all_have_something_get_the_same)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct stage stage;

	open_stage(&stage, 16, 7, 0);
	for (uint64_t i = 0; i < LANES * 20 * EVR_RING_LANES_TURN; i++) {
		for (uint32_t lane = 0; lane < LANES; lane++)
			while (push_to(&stage.in[lane], 16, pushed[lane]) == 0)
				pushed[lane]++;
		MUST(pop_next(stage.out, 16, popped));
	}
	for (uint32_t lane = 0; lane < LANES; lane++)
		cr_assert_eq(popped[lane], 20 * EVR_RING_LANES_TURN, "lane %u got %llu",
			     lane, (unsigned long long)popped[lane]);
	close_stage(&stage);
}

Test(ring_lanes, the_bit_of_a_lane_in_use_stays_and_of_one_out_of_use_goes)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct evr_ring_lanes_shared *shared;
	struct stage stage;

	open_stage(&stage, 8, 4, 0);
	shared = stage.in[0].shared;
	cr_assert_eq(shared->hints[0].raw, 0);
	MUST(push_to(&stage.in[0], 8, pushed[0]++));
	MUST(push_to(&stage.in[4], 8, pushed[4]++));
	cr_assert_eq(shared->hints[0].raw, 0x11);
	MUST(pop_next(stage.out, 8, popped));
	MUST(pop_next(stage.out, 8, popped));
	/* Nothing happens: nothing is written. */
	for (int i = 0; i < 10000; i++)
		FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
	cr_assert_eq(shared->hints[0].raw, 0x11);
	for (int i = 0; i < 300 * EVR_RING_LANES_TURN; i++) {
		MUST(push_to(&stage.in[4], 8, pushed[4]++));
		MUST(pop_next(stage.out, 8, popped));
	}
	cr_assert_eq(shared->hints[0].raw, 0x10);
	MUST(push_to(&stage.in[0], 8, pushed[0]++));
	cr_assert_eq(shared->hints[0].raw, 0x11);
	MUST(pop_next(stage.out, 8, popped));
	close_stage(&stage);
}

/* ---- the hints are hints ---- */

Test(ring_lanes, an_entry_whose_hint_was_lost_comes_before_the_popper_says_empty)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct stage stage;

	open_stage(&stage, 8, 4, 0);
	for (uint32_t i = 0; i < 200; i++) {
		MUST(push_to(&stage.in[i % LANES], 8, pushed[i % LANES]++));
		stage.in[0].shared->hints[0].raw = 0;
		MUST(pop_next(stage.out, 8, popped));
		FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
	}
	close_stage(&stage);
}

Test(ring_lanes, an_entry_whose_hint_was_lost_comes_though_another_lane_never_ends)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct stage stage;
	uint32_t turns = 0;

	open_stage(&stage, 8, 6, 0);
	while (push_to(&stage.in[1], 8, pushed[1]) == 0)
		pushed[1]++;
	MUST(push_to(&stage.in[4], 8, pushed[4]++));
	stage.in[0].shared->hints[0].raw = 2;
	/* A round is a turn of the busy lane and a look at one lane more. */
	for (; popped[4] == 0 && turns < 2 * LANES * EVR_RING_LANES_TURN; turns++) {
		MUST(pop_next(stage.out, 8, popped));
		while (push_to(&stage.in[1], 8, pushed[1]) == 0)
			pushed[1]++;
	}
	cr_assert_eq(popped[4], 1);
	cr_assert(turns <= (LANES + 1) * EVR_RING_LANES_TURN + 1, "after %u", turns);
	close_stage(&stage);
}

Test(ring_lanes, hints_that_stand_for_nothing_do_no_harm)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct stage stage;

	open_stage(&stage, 8, 4, 0);
	for (uint32_t i = 0; i < 2000; i++) {
		for (int word = 0; word < EVR_RING_LANES_MAX / 64; word++)
			stage.in[0].shared->hints[word].raw = UINT64_MAX;
		stage.in[0].shared->used.raw = UINT64_MAX;
		FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
		MUST(push_to(&stage.in[i % LANES], 8, pushed[i % LANES]++));
		MUST(pop_next(stage.out, 8, popped));
	}
	close_stage(&stage);
}

Test(ring_lanes, a_thousand_lanes_are_served, .timeout = 60)
{
	struct evr_region *region = region_of(4 << 20);
	struct evr_ring_lane *in = calloc(EVR_RING_LANES_MAX, sizeof(*in));
	struct evr_ring_lane late;
	struct evr_ring_lanes *out;
	uint64_t entry = 0;

	make_lanes(region, 8, 4, EVR_RING_LANES_MAX, 0);
	for (uint32_t i = 0; i < EVR_RING_LANES_MAX; i++)
		MUST(evr_ring_lane_open(region, "lanes", 8, &in[i]));
	FAILS(-EBUSY, evr_ring_lane_open(region, "lanes", 8, &late));
	MUST(evr_ring_lanes_open(region, "lanes", 8, &out));
	for (uint64_t round = 0; round < 20; round++) {
		uint64_t sum = 0;

		for (uint64_t i = 0; i < EVR_RING_LANES_MAX; i++)
			MUST(evr_ring_lane_try_push(&in[i], &i, 8));
		/* Half of the rounds without some of the hints. */
		if (round & 1)
			in[0].shared->hints[round % 16].raw = 0;
		for (uint64_t i = 0; i < EVR_RING_LANES_MAX; i++) {
			MUST(evr_ring_lanes_try_pop(out, &entry, 8));
			cr_assert_eq(entry, evr_ring_lanes_last(out));
			sum += entry;
		}
		cr_assert_eq(sum, EVR_RING_LANES_MAX * (EVR_RING_LANES_MAX - 1) / 2);
		FAILS(-EAGAIN, evr_ring_lanes_try_pop(out, &entry, 8));
	}
	evr_ring_lanes_leave(out);
	evr_region_detach(region);
	free(in);
}

/* ---- who has which lane ---- */

Test(ring_lanes, a_lane_that_was_left_is_the_next_ones_with_what_is_in_it)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct evr_ring_lane late;
	struct stage stage;

	open_stage(&stage, 24, 3, 0);
	FAILS(-EBUSY, evr_ring_lane_open(stage.region, "lanes", 24, &late));
	for (int i = 0; i < 5; i++)
		MUST(push_to(&stage.in[3], 24, pushed[3]++));
	evr_ring_lane_leave(&stage.in[3]);
	evr_ring_lane_leave(&stage.in[3]);
	FAILS(-EINVAL, push_to(&stage.in[3], 24, 5));
	FAILS(-EINVAL, evr_ring_lane_close(&stage.in[3]));
	MUST(evr_ring_lane_open(stage.region, "lanes", 0, &late));
	cr_assert_eq(evr_ring_lane_index(&late), 3);
	for (int i = 0; i < 3; i++)
		MUST(push_to(&late, 24, pushed[3]++));
	FAILS(-EAGAIN, push_to(&late, 24, 8));
	for (int i = 0; i < 8; i++)
		MUST(pop_next(stage.out, 24, popped));
	FAILS(-EAGAIN, pop_next(stage.out, 24, popped));
	evr_ring_lane_leave(&late);
	close_stage(&stage);
}

Test(ring_lanes, the_popper_is_one_and_the_next_goes_on_where_he_left)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct evr_ring_lanes *second;
	struct evr_region *other;
	const void *shown;
	struct stage stage;

	open_stage(&stage, 24, 3, 0);
	MUST(evr_region_attach(evr_region_fd(stage.region), &other));
	FAILS(-EBUSY, evr_ring_lanes_open(other, "lanes", 24, &second));
	for (uint32_t i = 0; i < 3 * LANES; i++)
		MUST(push_to(&stage.in[i % LANES], 24, pushed[i % LANES]++));
	for (uint32_t i = 0; i < LANES + 2; i++)
		MUST(pop_next(stage.out, 24, popped));
	cr_assert_eq(evr_ring_lanes_peek(stage.out, 24, 1, &shown), 1);
	cr_assert_null(evr_ring_lanes_leave(stage.out));
	MUST(evr_ring_lanes_open(other, "lanes", 24, &second));
	for (uint32_t i = LANES + 2; i < 3 * LANES; i++)
		MUST(pop_next(second, 24, popped));
	FAILS(-EAGAIN, pop_next(second, 24, popped));
	cr_assert_null(evr_ring_lanes_leave(second));
	cr_assert_null(evr_ring_lanes_leave(NULL));
	cr_assert_null(evr_ring_lanes_hang_up(NULL));
	evr_region_detach(other);
	MUST(evr_ring_lanes_open(stage.region, "lanes", 24, &stage.out));
	close_stage(&stage);
}

/* ---- the end ---- */

Test(ring_lanes, when_every_lane_was_closed_and_drained_it_is_the_end)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct evr_ring_lane late;
	struct stage stage;

	open_stage(&stage, 8, 3, 0);
	for (uint32_t i = 0; i < LANES; i++) {
		FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
		MUST(push_to(&stage.in[i], 8, pushed[i]++));
		MUST(evr_ring_lane_close(&stage.in[i]));
		FAILS(-EINVAL, push_to(&stage.in[i], 8, 1));
		if (i < LANES - 1)
			MUST(pop_next(stage.out, 8, popped));
	}
	FAILS(-EPIPE, evr_ring_lane_open(stage.region, "lanes", 8, &late));
	MUST(pop_next(stage.out, 8, popped));
	FAILS(-EPIPE, pop_next(stage.out, 8, popped));
	FAILS(-EPIPE, pop_next(stage.out, 8, popped));
	evr_ring_lanes_leave(stage.out);
	MUST(evr_ring_lanes_open(stage.region, "lanes", 8, &stage.out));
	FAILS(-EPIPE, pop_next(stage.out, 8, popped));
	close_stage(&stage);
}

Test(ring_lanes, what_a_popper_closes_ends_when_the_last_pusher_has_heard_of_it)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct evr_ring_lane late;
	struct stage stage;
	void *place = NULL;

	open_stage(&stage, 8, 3, 0);
	for (uint32_t i = 0; i < LANES; i++)
		MUST(push_to(&stage.in[i], 8, pushed[i]++));
	cr_assert(evr_ring_lane_reserve(&stage.in[2], 8, 1, &place) > 0);
	evr_ring_lane_leave(&stage.in[4]);
	evr_ring_lanes_close(stage.out);
	FAILS(-EPIPE, evr_ring_lane_open(stage.region, "lanes", 8, &late));
	for (uint32_t i = 0; i < 2; i++) {
		FAILS(-EPIPE, push_to(&stage.in[i], 8, 1));
		FAILS(-EPIPE, push_to(&stage.in[i], 8, 1));
	}
	/* This one was under way. */
	fill(place, 8, pushed[2]++);
	MUST(evr_ring_lane_commit(&stage.in[2], 8, 1));
	for (uint32_t i = 0; i < LANES + 1; i++)
		MUST(pop_next(stage.out, 8, popped));
	cr_assert_arr_eq(pushed, popped, sizeof(pushed));
	FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
	FAILS(-EPIPE, evr_ring_lane_push_burst(&stage.in[2], place, 8, 1));
	FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
	evr_ring_lane_leave(&stage.in[3]);
	FAILS(-EPIPE, pop_next(stage.out, 8, popped));
	close_stage(&stage);
}

Test(ring_lanes, nothing_goes_to_a_popper_who_hung_up)
{
	struct evr_ring_lanes *next;
	struct evr_ring_lane late;
	struct stage stage;

	open_stage(&stage, 8, 3, 0);
	evr_ring_lane_leave(&stage.in[0]);
	cr_assert_null(evr_ring_lanes_hang_up(stage.out));
	stage.out = NULL;
	FAILS(-EPIPE, push_to(&stage.in[1], 8, 0));
	FAILS(-EPIPE, evr_ring_lane_open(stage.region, "lanes", 8, &late));
	FAILS(-EPIPE, evr_ring_lanes_open(stage.region, "lanes", 8, &next));
	close_stage(&stage);
}
