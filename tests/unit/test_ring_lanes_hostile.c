/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* test_ring_lanes_hostile.c - lanes: refusals, scribblers, deaths, other processes. */
#include "lanes.h"

/* ---- refusals ---- */

Test(ring_lanes, wrong_sizes_and_impossible_bundles_are_refused)
{
	struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
	struct evr_ring_lanes_options good = { .size = sizeof(good), .name = "good",
					       .entry_bytes = 8, .order = 3,
					       .lanes_count = 2 };
	struct evr_ring_lanes_options bad;
	struct evr_ring_inline single;
	struct evr_ring_lanes *out;
	struct evr_ring_lane in;
	uint8_t entry[64] = { 0 };
	const void *shown;

	bad = good, bad.entry_bytes = 0;
	FAILS(-EINVAL, evr_ring_lanes_create(region, &bad));
	bad = good, bad.order = 25;
	FAILS(-EINVAL, evr_ring_lanes_create(region, &bad));
	bad = good, bad.lanes_count = 0;
	FAILS(-EINVAL, evr_ring_lanes_create(region, &bad));
	bad = good, bad.lanes_count = EVR_RING_LANES_MAX + 1;
	FAILS(-EINVAL, evr_ring_lanes_create(region, &bad));
	bad = good, bad.flags = 2;
	FAILS(-EINVAL, evr_ring_lanes_create(region, &bad));
	bad = good, bad.order = 24;
	FAILS(-ENOSPC, evr_ring_lanes_create(region, &bad));
	MUST(evr_ring_lanes_create(region, &good));
	FAILS(-EEXIST, evr_ring_lanes_create(region, &good));
	FAILS(-ENOENT, evr_ring_lane_open(region, "bad", 8, &in));
	FAILS(-EPROTO, evr_ring_lane_open(region, "good", 16, &in));
	FAILS(-EPROTO, evr_ring_lanes_open(region, "good", 16, &out));
	FAILS(-EPROTO, evr_ring_inline_open(region, "good", EVR_RING_PUSHER, 8,
					    &single));
	MUST(evr_ring_lane_open(region, "good", 8, &in));
	MUST(evr_ring_lanes_open(region, "good", 8, &out));
	FAILS(-EINVAL, evr_ring_lane_try_push(&in, entry, 16));
	FAILS(-EINVAL, evr_ring_lane_push_burst(&in, entry, 16, 1));
	FAILS(-EINVAL, evr_ring_lanes_try_pop(out, entry, 16));
	FAILS(-EINVAL, evr_ring_lanes_pop_burst(out, entry, 16, 1));
	FAILS(-EINVAL, evr_ring_lanes_peek(out, 16, 1, &shown));
	evr_ring_lane_leave(&in);
	evr_ring_lanes_leave(out);
	evr_region_detach(region);
}

Test(ring_lanes, a_lane_that_was_scribbled_on_is_told_of_once_and_the_others_go_on)
{
	uint64_t pushed[LANES] = { 0 }, popped[LANES] = { 0 };
	struct stage stage;

	open_stage(&stage, 8, 3, 0);
	for (uint32_t i = 0; i < LANES; i++)
		MUST(push_to(&stage.in[i], 8, pushed[i]++));
	*(uint64_t *)(void *)stage.in[1].ring.cells = UINT64_C(0x123456789abcdef);
	for (uint32_t told = 0, i = 0; i < LANES; i++) {
		int error = pop_next(stage.out, 8, popped);

		told += error == -EUCLEAN;
		cr_assert(error == 0 || (error == -EUCLEAN && told == 1), "%d", error);
	}
	FAILS(-EAGAIN, pop_next(stage.out, 8, popped));
	for (uint32_t i = 0; i < 100; i++) {
		MUST(push_to(&stage.in[0], 8, pushed[0]++));
		MUST(pop_next(stage.out, 8, popped));
	}
	close_stage(&stage);
}

Test(ring_lanes, a_header_that_contradicts_itself_is_refused)
{
	static const struct {
		size_t offset;
		uint32_t value;
		int error;
	} scribbles[] = {
		{ offsetof(struct evr_ring_lanes_shared, magic), 1, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, entry_bytes), 0, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, entry_bytes), 99999, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, order), 0, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, order), 20, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, lanes_count), 0, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, lanes_count), 1000, -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, lanes_count), UINT32_MAX,
		  -EUCLEAN },
		{ offsetof(struct evr_ring_lanes_shared, flags), 8, -EPROTO },
	};
	struct evr_ring_lanes *out;
	struct evr_ring_lane in;
	struct stage stage;

	open_stage(&stage, 8, 3, 0);
	evr_ring_lanes_leave(stage.out);
	stage.out = NULL;
	evr_ring_lane_leave(&stage.in[0]);
	for (size_t i = 0; i < COUNT_OF(scribbles); i++) {
		uint32_t *word = (uint32_t *)(void *)((char *)stage.in[1].shared +
						      scribbles[i].offset);
		uint32_t was = *word;

		*word = scribbles[i].value;
		FAILS(scribbles[i].error,
		      evr_ring_lane_open(stage.region, "lanes", 0, &in));
		FAILS(scribbles[i].error,
		      evr_ring_lanes_open(stage.region, "lanes", 0, &out));
		*word = was;
	}
	/* One lane apart from the others: pushers go past it, the popper cannot. */
	stage.in[0].ring.shared->entry_bytes = 16;
	evr_ring_lane_leave(&stage.in[1]);
	MUST(evr_ring_lane_open(stage.region, "lanes", 8, &stage.in[1]));
	cr_assert_eq(evr_ring_lane_index(&stage.in[1]), 1);
	FAILS(-EUCLEAN, evr_ring_lanes_open(stage.region, "lanes", 8, &out));
	stage.in[0].ring.shared->entry_bytes = 8;
	MUST(evr_ring_lanes_open(stage.region, "lanes", 8, &stage.out));
	close_stage(&stage);
}

/* ---- deaths ---- */

struct dying {
	int fd;
	uint64_t first, count;
	bool pops;
};

static void run_dying(void *argument)
{
	const struct dying *how = argument;
	struct evr_region *region;
	struct evr_ring_lanes *out;
	struct evr_ring_lane in;
	const void *shown;
	void *place;
	uint8_t entry[24];

	CHILD_MUST(evr_region_attach(how->fd, &region) == 0);
	if (how->pops) {
		CHILD_MUST(evr_ring_lanes_open(region, "lanes", 24, &out) == 0);
		for (uint64_t i = 0; i < how->count; i++)
			CHILD_MUST(evr_ring_lanes_try_pop(out, entry, 24) == 0);
		CHILD_MUST(evr_ring_lanes_peek(out, 24, 1, &shown) == 1);
	} else {
		CHILD_MUST(evr_ring_lane_open(region, "lanes", 24, &in) == 0);
		for (uint64_t i = 0; i < how->count; i++)
			CHILD_MUST(push_to(&in, 24, how->first + i) == 0);
		if (evr_ring_lane_reserve(&in, 24, 1, &place) > 0)
			memset(place, 0xee, 13);
	}
	kill(getpid(), SIGKILL);
}

static void die(struct evr_region *region, uint64_t first, uint64_t count, bool pops)
{
	struct dying how = { evr_region_fd(region), first, count, pops };
	pid_t child = start_child(run_dying, &how);
	int status = 0;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
}

Test(ring_lanes, a_dead_pushers_lane_is_had_again_and_its_entries_come_all_the_same)
{
	uint64_t popped[LANES] = { 0 }, pushed = 0;
	struct evr_ring_lane in;
	struct stage stage;

	open_stage(&stage, 24, 3, 0);
	evr_ring_lane_leave(&stage.in[3]);
	for (uint64_t round = 0; round < 20; round++) {
		uint64_t count = round % 7;

		die(stage.region, pushed, count, false);
		pushed += count;
		MUST(evr_ring_lane_open(stage.region, "lanes", 24, &in));
		cr_assert_eq(evr_ring_lane_index(&in), 3);
		MUST(push_to(&in, 24, pushed++));
		evr_ring_lane_leave(&in);
		while (popped[3] < pushed)
			MUST(pop_next(stage.out, 24, popped));
		FAILS(-EAGAIN, pop_next(stage.out, 24, popped));
	}
	/* And at the end, a dead one's lane keeps nobody from it. */
	die(stage.region, pushed, 2, false);
	evr_ring_lanes_close(stage.out);
	for (uint32_t i = 0; i < LANES; i++)
		evr_ring_lane_leave(&stage.in[i]);
	MUST(evr_participant_find_dead(stage.region));
	MUST(pop_next(stage.out, 24, popped));
	MUST(pop_next(stage.out, 24, popped));
	FAILS(-EPIPE, pop_next(stage.out, 24, popped));
	close_stage(&stage);
}

static void next_popper_begins_with(uint32_t flags, uint64_t gone)
{
	uint64_t popped[LANES] = { 0 }, left = 3 * LANES - gone, total = 0;
	struct stage stage;

	open_stage(&stage, 24, 2, flags);
	evr_ring_lanes_leave(stage.out);
	for (uint32_t i = 0; i < 3 * LANES; i++)
		MUST(push_to(&stage.in[i % LANES], 24, i / LANES));
	die(stage.region, 0, 4, true);
	MUST(evr_participant_find_dead(stage.region));
	/* Lanes are served in order: the first three and one of the next. */
	popped[0] = 3;
	popped[1] = gone - 3;
	for (uint32_t i = 0; i < 2; i++)
		MUST(push_to(&stage.in[0], 24, 3 + i));
	for (uint32_t i = 2; i < 4; i++)
		MUST(push_to(&stage.in[0], 24, 3 + i));
	FAILS(-EOWNERDEAD, push_to(&stage.in[0], 24, 7));
	MUST(evr_ring_lanes_open(stage.region, "lanes", 24, &stage.out));
	while (pop_next(stage.out, 24, popped) == 0)
		total++;
	cr_assert_eq(total, left + 4);
	close_stage(&stage);
}

Test(ring_lanes, what_a_dead_popper_had_peeked_is_the_next_ones)
{
	next_popper_begins_with(0, 4);
}

Test(ring_lanes, at_most_once_what_a_dead_popper_had_peeked_is_gone)
{
	next_popper_begins_with(EVR_RING_AT_MOST_ONCE, 5);
}

/* ---- several processes ---- */

#define STREAM_COUNT UINT64_C(60000)

struct stream {
	int fd;
	uint32_t bytes;
};

static void run_pusher(void *argument)
{
	const struct stream *stream = argument;
	struct evr_region *region;
	struct evr_ring_lane in;
	uint8_t entry[ENTRY_MAX];

	CHILD_MUST(evr_region_attach(stream->fd, &region) == 0);
	CHILD_MUST(evr_ring_lane_open(region, "lanes", stream->bytes, &in) == 0);
	for (uint64_t i = 0; i < STREAM_COUNT; i++) {
		int error;

		fill(entry, stream->bytes, i);
		while ((error = evr_ring_lane_try_push(&in, entry, stream->bytes)) ==
		       -EAGAIN)
			sched_yield();
		CHILD_MUST(error == 0);
	}
	CHILD_MUST(evr_ring_lane_close(&in) == 0);
}

Test(ring_lanes, other_processes_entries_come_once_in_order_and_whole, .timeout = 60)
{
	static const uint32_t some[] = { 8, 24, 64 };

	for (size_t k = 0; k < COUNT_OF(some); k++) {
		struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
		struct stream stream = { evr_region_fd(region), some[k] };
		uint64_t popped[LANES] = { 0 };
		struct evr_ring_lanes *out;
		pid_t children[LANES];
		int error;

		make_lanes(region, some[k], 5, LANES, 0);
		MUST(evr_ring_lanes_open(region, "lanes", 0, &out));
		for (int i = 0; i < LANES; i++)
			children[i] = start_child(run_pusher, &stream);
		while ((error = pop_next(out, some[k], popped)) != -EPIPE) {
			cr_assert(error == 0 || error == -EAGAIN, "%d", error);
			if (error)
				sched_yield();
		}
		for (int i = 0; i < LANES; i++) {
			child_succeeds(children[i]);
			cr_assert_eq(popped[i], STREAM_COUNT);
		}
		evr_ring_lanes_leave(out);
		evr_region_detach(region);
	}
}
