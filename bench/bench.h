/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BENCH_H
#define EVERING_BENCH_H

/**
 * bench.h - what a measurement is made of.
 *
 * A *case* is a piece of work, a *subject* somebody who does it: ours, a peer's, or the
 * floor that the hardware sets. A subject is played by two processes on two CPUs, which
 * are forked for each repetition and share nothing but what the subject maps. Subjects of
 * one case take turns, repetition by repetition, so that a change of the machine's mood
 * hits all of them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <evering/atomic.h>

/* Something that must hold for the figure to mean anything. A repetition in which it does
 * not hold has no figure, and the program fails. */
#define bench_check(condition)                                                           \
	((condition) ? (void)0 : bench_fail(__FILE__, __LINE__, #condition))

/* A call of the library that must not fail. */
#define bench_try(call) bench_try_(__FILE__, __LINE__, #call, (call))

_Noreturn void bench_fail(const char *file, int line, const char *what);
int bench_try_(const char *file, int line, const char *call, int result);

/**
 * struct bench_subject - one row of the results.
 * @case_name: the work.
 * @name:      "evering", "evering:VARIANT", "floor:NAME" or a peer's name.
 * @count:     how many items a repetition does, after count / 4 to warm up.
 * @create:    in the parent: what both sides share.
 * @open:      in each process: its end of it, attached anew.
 * @play:      the work of each side: items @first to @first + @count - 1, each verified.
 *             NULL for the second side: one process works alone.
 * @destroy:   in the parent, when both are gone: checks what is left, and unmaps.
 */
struct bench_subject {
	const char *case_name;
	const char *name;
	uint64_t count;
	void *(*create)(void);
	void *(*open)(void *created, int side);
	void (*play[2])(void *end, uint64_t first, uint64_t count);
	void (*destroy)(void *created);
};

/** struct bench_sample - one repetition of one subject. */
struct bench_sample {
	double item_ns;
	double bounce_before_ns; /* round trip of a raw cache line, just before */
	double bounce_after_ns;
};

/* The lists that main.c puts together; each ends with a zeroed subject. */
extern const struct bench_subject bench_bounce[];
extern const struct bench_subject bench_rte[];
extern const struct bench_subject bench_alloc[];
extern const struct bench_subject bench_ring[];
extern const struct bench_subject bench_ring_no_mark[];
extern const struct bench_subject bench_ring_no_intent_clear[];
extern const struct bench_subject bench_message[];
extern const struct bench_subject bench_message_no_intent_clear[];
extern const struct bench_subject bench_channel[];

/**
 * struct bench_conditions - how each repetition is run.
 * @cpus:     one for each side.
 * @divisor:  do 1 / @divisor of the items.
 * @realtime: at real-time priority, so that nobody interrupts a side.
 */
struct bench_conditions {
	int cpus[2];
	uint64_t divisor;
	bool realtime;
};

/** bench_pair_run() - one repetition, by two new processes. */
void bench_pair_run(const struct bench_subject *subject,
		    const struct bench_conditions *conditions, struct bench_sample *ret);

/** bench_bounce_ns() - a raw cache line goes to the other side and back, @count times.
 * @lines: two lines that the sides share, zeroed before the first call. Both sides call
 * it. */
double bench_bounce_ns(struct evr_atomic_u64 *lines[2], int side, uint64_t first,
		       uint64_t count);

/** bench_shared_map() - zeroed memory that children share with the parent. */
void *bench_shared_map(size_t bytes);
void bench_shared_unmap(void *memory, size_t bytes);

uint64_t bench_now_ns(void);

/** struct bench_series - the samples of one subject. */
struct bench_series {
	const struct bench_subject *subject;
	struct bench_sample *samples;
	uint32_t count;
};

/** bench_report() - one line: JSON, or a row of a table. */
void bench_report(const struct bench_series *series, bool json);

#endif
