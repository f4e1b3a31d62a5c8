/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_atomic.c - base.h and atomic.h: sizes, what each function does, and the one order
 * that x86 does not give for nothing (a store before a load).
 */

#define _GNU_SOURCE

#include <evering/atomic.h>
#include <evering/base.h>

#include "common.h"

#include <pthread.h>

#define BIG UINT64_C(0x123456789abcdef0)

Test(atomic, a_shared_integer_is_exactly_as_wide_as_its_name_says)
{
	cr_assert_eq(sizeof(struct evr_atomic_u32), 4);
	cr_assert_eq(sizeof(struct evr_atomic_u64), 8);
	cr_assert_eq(_Alignof(struct evr_atomic_u32), 4);
	cr_assert_eq(_Alignof(struct evr_atomic_u64), 8);
}

Test(atomic, the_cache_line_and_never_are_the_numbers_of_the_protocol)
{
	struct line {
		char byte;
	} EVR_CACHE_ALIGNED;

	cr_assert_eq(EVR_CACHE_LINE_BYTES, 64);
	cr_assert_eq(sizeof(struct line), 64);
	cr_assert_eq(_Alignof(struct line), 64);
	cr_assert_eq(EVR_NEVER, UINT64_MAX);
}

Test(atomic, a_load_returns_what_was_stored_in_every_order_and_width)
{
	struct evr_atomic_u32 narrow = { 1 };
	struct evr_atomic_u64 wide = { 1 };
	uint32_t plain_narrow = 1;
	uint64_t plain_wide = 1;

	evr_store_relaxed_u32(&narrow, UINT32_C(0x89abcdef));
	cr_assert_eq(evr_load_relaxed_u32(&narrow), UINT32_C(0x89abcdef));
	evr_store_release_u32(&narrow, UINT32_C(0x76543210));
	cr_assert_eq(evr_load_acquire_u32(&narrow), UINT32_C(0x76543210));

	evr_store_relaxed_u64(&wide, BIG);
	cr_assert_eq(evr_load_relaxed_u64(&wide), BIG);
	evr_store_release_u64(&wide, ~BIG);
	cr_assert_eq(evr_load_acquire_u64(&wide), ~BIG);
	cr_assert_eq(evr_load_seq_cst_u64(&wide), ~BIG);

	evr_plain_store_u32(&plain_narrow, UINT32_C(0x89abcdef));
	cr_assert_eq(evr_plain_load_u32(&plain_narrow), UINT32_C(0x89abcdef));
	evr_plain_store_u64(&plain_wide, BIG);
	cr_assert_eq(evr_plain_load_u64(&plain_wide), BIG);
}

/* One macro for four functions that may differ in their order only. */
#define CHECK_CAS(cas, type, integer)                                                 \
	do {                                                                          \
		struct type word = { 7 };                                             \
		integer expected = 7;                                                 \
		cr_assert(cas(&word, &expected, 9), #cas " with the right value");    \
		cr_assert_eq(word.raw, 9);                                            \
		cr_assert_eq(expected, 7);                                            \
		cr_assert_not(cas(&word, &expected, 11), #cas " with the wrong one"); \
		cr_assert_eq(word.raw, 9);                                            \
		cr_assert_eq(expected, 9);                                            \
	} while (0)

Test(atomic, a_compare_and_swap_that_fails_changes_nothing_and_tells_what_it_found)
{
	CHECK_CAS(evr_cas_acq_rel_u32, evr_atomic_u32, uint32_t);
	CHECK_CAS(evr_cas_acq_rel_u64, evr_atomic_u64, uint64_t);
	CHECK_CAS(evr_cas_release_u64, evr_atomic_u64, uint64_t);
	CHECK_CAS(evr_cas_seq_cst_u64, evr_atomic_u64, uint64_t);
}

Test(atomic, a_compare_and_swap_compares_all_64_bits)
{
	struct evr_atomic_u64 word = { BIG };
	uint64_t expected = BIG ^ (UINT64_C(1) << 63);

	cr_assert_not(evr_cas_acq_rel_u64(&word, &expected, 0));
	expected = BIG ^ 1;
	cr_assert_not(evr_cas_acq_rel_u64(&word, &expected, 0));
	cr_assert_eq(word.raw, BIG);
}

Test(atomic, a_fetch_returns_the_value_before_and_carries_through_64_bits)
{
	struct evr_atomic_u32 narrow = { UINT32_MAX };
	struct evr_atomic_u64 wide = { UINT32_MAX };

	cr_assert_eq(evr_fetch_add_relaxed_u32(&narrow, 2), UINT32_MAX);
	cr_assert_eq(narrow.raw, 1);
	cr_assert_eq(evr_fetch_add_relaxed_u64(&wide, 1), UINT32_MAX);
	cr_assert_eq(wide.raw, UINT64_C(1) << 32);
	cr_assert_eq(evr_fetch_add_acq_rel_u64(&wide, 5), UINT64_C(1) << 32);
	cr_assert_eq(evr_fetch_or_acq_rel_u64(&wide, 10), (UINT64_C(1) << 32) + 5);
	cr_assert_eq(wide.raw, (UINT64_C(1) << 32) + 15);
}

#define ADDITIONS 500000

/* Apart, so that each addition has the line taken away in its middle now and then. */
struct sums {
	struct evr_atomic_u64 ready;
	struct {
		struct evr_atomic_u64 word;
	} EVR_CACHE_ALIGNED by_add;
	struct {
		struct evr_atomic_u64 word;
	} EVR_CACHE_ALIGNED by_cas;
};

static void add_many(struct sums *sums)
{
	uint64_t seen;
	int i;

	evr_fetch_add_acq_rel_u64(&sums->ready, 1);
	while (evr_load_acquire_u64(&sums->ready) < 2)
		sched_yield();
	for (i = 0; i < ADDITIONS; i++)
		evr_fetch_add_relaxed_u64(&sums->by_add.word, 1);
	for (i = 0; i < ADDITIONS; i++) {
		seen = evr_load_relaxed_u64(&sums->by_cas.word);
		while (!evr_cas_acq_rel_u64(&sums->by_cas.word, &seen, seen + 1))
			;
	}
}

static void add_many_elsewhere(void *sums)
{
	keep_to_cpu(1);
	add_many(sums);
}

Test(atomic, two_processes_that_count_in_one_word_lose_no_count, .timeout = 60)
{
	struct sums *sums = shared_memory(4096);
	pid_t child;

	want_two_cpus();
	child = start_child(add_many_elsewhere, sums);
	keep_to_cpu(0);
	add_many(sums);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	cr_assert_eq(evr_load_relaxed_u64(&sums->by_add.word), 2 * ADDITIONS);
	cr_assert_eq(evr_load_relaxed_u64(&sums->by_cas.word), 2 * ADDITIONS);
}

/*
 * Store buffering: two threads each store to their own word, then load the other's. With
 * a full fence in between, at least one sees the other's store. Without one, x86 shows
 * "neither" many times in so many rounds.
 */
#define LITMUS_ROUNDS 200000

enum litmus_fence {
	LITMUS_STORE_THEN_FENCE,
	LITMUS_CAS_THEN_FENCE,
};

static struct litmus {
	struct {
		struct evr_atomic_u64 word;
	} EVR_CACHE_ALIGNED side[2];
	struct {
		struct evr_atomic_u64 round;
	} EVR_CACHE_ALIGNED arrived;
	uint64_t seen[2][LITMUS_ROUNDS];
	enum litmus_fence fence;
} litmus;

/* Both are here in this round. Spinning is what makes them run at the same instant; with
 * one CPU for two, the other needs a chance to come. */
static void litmus_meet(uint64_t count)
{
	unsigned int turns = 0;

	evr_fetch_add_acq_rel_u64(&litmus.arrived.round, 1);
	while (evr_load_acquire_u64(&litmus.arrived.round) < count) {
		if (++turns % 4096 == 0)
			sched_yield();
	}
}

static void *litmus_run(void *argument)
{
	int me = *(const int *)argument;
	uint64_t round;

	keep_to_cpu(me);
	for (round = 0; round < LITMUS_ROUNDS; round++) {
		uint64_t before = round;

		litmus_meet(2 * (round + 1));
		if (litmus.fence == LITMUS_STORE_THEN_FENCE) {
			evr_store_relaxed_u64(&litmus.side[me].word, round + 1);
			evr_fence_seq_cst();
		} else {
			evr_cas_acq_rel_u64(&litmus.side[me].word, &before, round + 1);
			evr_fence_after_cas();
		}
		litmus.seen[me][round] = evr_load_relaxed_u64(&litmus.side[!me].word);
	}
	return NULL;
}

static void litmus_expect_no_miss(enum litmus_fence fence)
{
	static const int sides[2] = { 0, 1 };
	uint64_t missed = 0;
	pthread_t thread;
	int i;

	want_two_cpus();
	litmus.fence = fence;
	cr_assert_eq(
		pthread_create(&thread, NULL, litmus_run, (void *)(uintptr_t)&sides[1]),
		0);
	litmus_run((void *)(uintptr_t)&sides[0]);
	pthread_join(thread, NULL);
	for (i = 0; i < LITMUS_ROUNDS; i++) {
		if (litmus.seen[0][i] <= (uint64_t)i && litmus.seen[1][i] <= (uint64_t)i)
			missed++;
	}
	cr_assert_eq(missed, 0, "in %lu of %d rounds neither side saw the other",
		     (unsigned long)missed, LITMUS_ROUNDS);
}

Test(atomic, the_full_fence_keeps_a_store_before_a_later_load, .timeout = 60)
{
	litmus_expect_no_miss(LITMUS_STORE_THEN_FENCE);
}

Test(atomic, the_fence_after_a_compare_and_swap_keeps_it_before_a_later_load,
     .timeout = 60)
{
	litmus_expect_no_miss(LITMUS_CAS_THEN_FENCE);
}

Test(atomic, prefetching_and_pausing_change_nothing)
{
	uint64_t word = BIG;

	evri_prefetch_write(&word);
	evri_prefetch_read(&word);
	/* A prefetch of an address that is not mapped is no fault. */
	evri_prefetch_write((const void *)(uintptr_t)64);
	evr_pause();
	cr_assert_eq(word, BIG);
}
