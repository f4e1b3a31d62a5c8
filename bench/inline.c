/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Entries that lie in the ring: a stream one way, one a call or in bursts of 32, and one
 * entry there and back over two rings. Each entry carries its number, and each is
 * checked.
 */
#include "region.h"

#include <string.h>

#include <evering/ring_inline.h>

#define RING_ORDER 10
#define BURST 32

struct end {
	struct bench_region home;
	struct evr_ring_inline out, in;
	int side;
};

static void make(const char *name, struct bench_region *created, uint32_t entry_bytes)
{
	struct evr_ring_inline_options options = {
		.size = sizeof(options),
		.name = name,
		.entry_bytes = entry_bytes,
		.order = RING_ORDER,
	};

	bench_try(evr_ring_inline_create(created->region, &options));
}

static void *create(uint32_t entry_bytes)
{
	static struct bench_region created;

	bench_region_create(64, 64, 0, &created);
	make("there", &created, entry_bytes);
	make("back", &created, entry_bytes);
	return &created;
}

static void *open_side(void *created, int side)
{
	static struct end end;
	struct evr_region *region;

	bench_region_open(created, &end.home);
	region = end.home.region;
	end.side = side;
	bench_try(evr_ring_inline_open(region, side == 0 ? "there" : "back",
				       EVR_RING_PUSHER, 0, &end.out));
	bench_try(evr_ring_inline_open(region, side == 0 ? "back" : "there",
				       EVR_RING_POPPER, 0, &end.in));
	return &end;
}

static void destroy(void *created)
{
	bench_region_destroy(created);
}

#define INLINE static inline __attribute__((always_inline))

/* An entry is its number over and over. */
INLINE void fill(uint64_t *entry, uint32_t entry_bytes, uint64_t number)
{
#pragma GCC unroll 16
	for (uint32_t i = 0; i < entry_bytes / 8; i++)
		entry[i] = number;
}

/* Its first and last word, which is what a late store would leave wrong. */
INLINE void check(const uint64_t *entry, uint32_t entry_bytes, uint64_t number)
{
	bench_check(entry[0] == number && entry[entry_bytes / 8 - 1] == number);
}

INLINE void push(struct end *end, uint32_t entry_bytes, uint64_t number, bool pause)
{
	struct evr_backoff backoff = { 0 };
	uint64_t entry[16];

	fill(entry, entry_bytes, number);
	for (;;) {
		int error = evr_ring_inline_try_push(&end->out, entry, entry_bytes);

		if (EVR_LIKELY(error == 0))
			return;
		bench_check(error == -EAGAIN);
		if (pause)
			evr_backoff_wait(&backoff);
	}
}

INLINE void pop(struct end *end, uint32_t entry_bytes, uint64_t number, bool pause)
{
	struct evr_backoff backoff = { 0 };
	uint64_t entry[16];

	for (;;) {
		int error = evr_ring_inline_try_pop(&end->in, entry, entry_bytes);

		if (EVR_LIKELY(error == 0))
			break;
		bench_check(error == -EAGAIN);
		if (pause)
			evr_backoff_wait(&backoff);
	}
	check(entry, entry_bytes, number);
}

INLINE void push_burst(struct end *end, uint32_t entry_bytes, uint64_t number)
{
	struct evr_backoff backoff = { 0 };
	uint64_t entries[BURST * 16];
	uint32_t done = 0;

	for (uint32_t i = 0; i < BURST; i++)
		fill(&entries[i * entry_bytes / 8], entry_bytes, number + i);
	while (done < BURST) {
		int n = evr_ring_inline_push_burst(&end->out,
						   &entries[done * entry_bytes / 8],
						   entry_bytes, BURST - done);

		if (EVR_LIKELY(n > 0)) {
			done += (uint32_t)n;
			continue;
		}
		bench_check(n == -EAGAIN);
		evr_backoff_wait(&backoff);
	}
}

INLINE uint64_t pop_burst(struct end *end, uint32_t entry_bytes, uint64_t number)
{
	struct evr_backoff backoff = { 0 };
	uint64_t entries[BURST * 16];
	int n;

	while ((n = evr_ring_inline_pop_burst(&end->in, entries, entry_bytes, BURST)) <
	       0) {
		bench_check(n == -EAGAIN);
		evr_backoff_wait(&backoff);
	}
	for (int i = 0; i < n; i++)
		check(&entries[(uint32_t)i * entry_bytes / 8], entry_bytes,
		      number + (uint64_t)i);
	return (uint64_t)n;
}

/* For each size a set of functions in which the size is a constant. */
/* Not every size is streamed. */
#define UNUSED __attribute__((unused))

#define SIZE(BYTES) \
	static void *create_##BYTES(void) \
	{ \
		return create(BYTES); \
	} \
	UNUSED static void send_##BYTES(void *end, uint64_t first, uint64_t count) \
	{ \
		for (uint64_t i = first; i < first + count; i++) \
			push(end, BYTES, i, true); \
	} \
	UNUSED static void take_##BYTES(void *end, uint64_t first, uint64_t count) \
	{ \
		for (uint64_t i = first; i < first + count; i++) \
			pop(end, BYTES, i, true); \
	} \
	UNUSED static void send_bursts_##BYTES(void *end, uint64_t first, \
					       uint64_t count) \
	{ \
		bench_check(count % BURST == 0); \
		for (uint64_t i = first; i < first + count; i += BURST) \
			push_burst(end, BYTES, i); \
	} \
	UNUSED static void take_bursts_##BYTES(void *end, uint64_t first, \
					       uint64_t count) \
	{ \
		for (uint64_t i = first; i < first + count;) \
			i += pop_burst(end, BYTES, i); \
	} \
	static void there_and_back_##BYTES(void *opened, uint64_t first, uint64_t count) \
	{ \
		struct end *end = opened; \
		for (uint64_t i = first; i < first + count; i++) { \
			if (end->side == 0) \
				push(end, BYTES, i, false); \
			pop(end, BYTES, i, false); \
			if (end->side == 1) \
				push(end, BYTES, i, false); \
		} \
	}

SIZE(8)
SIZE(64)
SIZE(120)

#define STREAM(BYTES, COUNT) \
	{ "spsc_" #BYTES, \
	  "evering:inline", \
	  COUNT, \
	  create_##BYTES, \
	  open_side, \
	  { send_##BYTES, take_##BYTES }, \
	  destroy }, \
	{ \
		"spsc_" #BYTES "_burst_32", "evering:inline", COUNT, create_##BYTES, \
			open_side, { send_bursts_##BYTES, take_bursts_##BYTES }, destroy \
	}
#define ROUND_TRIP(BYTES) \
	{ \
		"roundtrip_inline_" #BYTES, "evering:inline", 1 << 17, create_##BYTES, \
			open_side, { there_and_back_##BYTES, there_and_back_##BYTES }, \
			destroy \
	}

const struct bench_subject bench_inline[] = {
	STREAM(8, 1 << 22), STREAM(64, 1 << 21), ROUND_TRIP(8), ROUND_TRIP(64),
	ROUND_TRIP(120),    { 0 },
};
