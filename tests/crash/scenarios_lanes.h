/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_CRASH_SCENARIOS_LANES_H
#define EVERING_CRASH_SCENARIOS_LANES_H

/* scenarios_lanes.h - the lanes that scenarios_lanes.c works on, and the house's side. */

#include "scenarios.h"

#include <errno.h>
#include <string.h>

#include <evering/ring_lanes.h>

/* Three entries in a cell and two cells a lane; one lane is never in use. */
#define ORDER 2
#define CAPACITY 4
#define LANES 3
/* So many that a popper does not meet all of them by chance before it says "empty". */
#define MANY_LANES 24
#define LAPS 3

struct entry {
	uint64_t number;
	uint64_t check;
};

/* The house's view. Its own lane is 0; the victim's, if it is a pusher, is 1. */
static struct {
	struct evr_ring_lane in[2];
	struct evr_ring_lanes *out;
	uint64_t pushed[2]; /* numbers that were pushed, as far as the house knows */
	uint64_t popped[2];
} house_side;

/* The victim's. */
static struct evr_ring_lane lane;
static struct evr_ring_lanes *lanes;
static struct entry entries[CAPACITY];
static uint64_t first[2];

static struct entry entry_of(uint32_t index, uint64_t number)
{
	return (struct entry){ number, ~number * 3 + index };
}

static bool good(const struct entry *entry, uint32_t index, uint64_t number)
{
	return entry->number == number && entry->check == ~number * 3 + index;
}

/* ---- the house ---- */

static int house_push(uint32_t index)
{
	struct entry entry = entry_of(index, house_side.pushed[index]);
	int error = evr_ring_lane_try_push(&house_side.in[index], &entry, sizeof(entry));

	house_side.pushed[index] += error == 0;
	return error;
}

static int house_pop(struct party *house)
{
	struct entry entry;
	int error = evr_ring_lanes_try_pop(house_side.out, &entry, sizeof(entry));
	uint32_t index;

	if (error < 0)
		return error;
	index = evr_ring_lanes_last(house_side.out);
	if (index > 1 || !good(&entry, index, house_side.popped[index]))
		complain(house, "entry %lu of lane %u is %lu with check %lx",
			 house_side.popped[index & 1], index, entry.number, entry.check);
	house_side.popped[index & 1]++;
	return 0;
}

/* All that is there. The error that says so. */
static int house_drain(struct party *house)
{
	int error;

	while ((error = house_pop(house)) == 0)
		;
	return error;
}

static void open_lane(struct party *party, uint32_t index, struct evr_ring_lane *ret)
{
	MUST(party,
	     evr_ring_lane_open(party->region, "lanes", sizeof(struct entry), ret));
	if (evr_ring_lane_index(ret) != index)
		complain(party, "lane %u, not %u", evr_ring_lane_index(ret), index);
}

static void open_popper(struct party *party, struct evr_ring_lanes **ret)
{
	MUST(party,
	     evr_ring_lanes_open(party->region, "lanes", sizeof(struct entry), ret));
}

/* Five have gone through each of two lanes, one lies in each. */
static void make(struct party *house, uint32_t lanes_count)
{
	struct evr_ring_lanes_options options = {
		.size = sizeof(options),
		.name = "lanes",
		.entry_bytes = sizeof(struct entry),
		.order = ORDER,
		.lanes_count = lanes_count,
	};

	memset(&house_side, 0, sizeof(house_side));
	MUST(house, evr_ring_lanes_create(house->region, &options));
	open_popper(house, &house_side.out);
	for (uint32_t index = 0; index < 2; index++) {
		open_lane(house, index, &house_side.in[index]);
		for (int i = 0; i < 5; i++) {
			MUST(house, house_push(index));
			MUST(house, house_pop(house));
		}
	}
	MUST(house, house_push(0));
	MUST(house, house_push(1));
}

#endif
