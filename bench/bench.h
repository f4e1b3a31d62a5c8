/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BENCH_H
#define EVERING_BENCH_H

/**
 * bench.h - what a measurement is made of.
 *
 * A *case* is a piece of work, a *subject* somebody who does it: ours, a peer's, or the
 * floor that the hardware sets. A subject is played by two sides on two CPUs, or by a
 * team of several pairs of sides on all of them. A side is a process; for a peer that
 * cannot leave its process, a thread. Sides are made anew for each repetition and share
 * nothing but what the subject shares. Subjects of one case take turns, repetition by
 * repetition, so that a change of the machine's mood hits all of them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <evering/atomic.h>
#include <evering/backoff.h>

#ifdef __cplusplus
#define BENCH_NORETURN [[noreturn]]
extern "C" {
#else
#define BENCH_NORETURN _Noreturn
#endif

/* Something that must hold for the figure to mean anything. A repetition in which it does
 * not hold has no figure, and the program fails. */
#define bench_check(condition)                                                           \
	((condition) ? (void)0 : bench_fail(__FILE__, __LINE__, #condition))

/* A call of the library that must not fail. */
#define bench_try(call) bench_try_(__FILE__, __LINE__, #call, (call))

BENCH_NORETURN void bench_fail(const char *file, int line, const char *what);
int bench_try_(const char *file, int line, const char *call, int result);

#define BENCH_PAIRS_MAX 8
#define BENCH_SIDES_MAX (2 * BENCH_PAIRS_MAX)

/**
 * struct bench_subject - one row of the results.
 * @case_name: the work.
 * @name:      "evering", "evering:VARIANT", "floor:NAME" or a peer's name.
 * @count:     how many items a repetition does, after count / 4 to warm up; not used by
 *             a team.
 * @create:    in the parent: what the sides share. (With @threads, in their process.)
 * @open:      in each side: its end of it, attached anew. @side: 0 sends first, 1
 *             receives.
 * @play:      the work of each side: items @first to @first + @count - 1, each verified.
 *             NULL for the second side: one process works alone.
 *             In a team: side @first of @count, until bench_team says to stop.
 * @destroy:   where it was created, when the sides are gone: checks what is left, and
 *             unmaps.
 * @pairs:     0: one pair, that does @count items. Else a team of so many senders and so
 *             many receivers, that works for a time.
 * @threads:   the sides are threads of one process.
 * @skipped:   why it is not measured here; nothing else is set then.
 * @lone_receiver: of a team: one receiver for all its senders, with a CPU to itself.
 */
struct bench_subject {
	const char *case_name;
	const char *name;
	uint64_t count;
	void *(*create)(void);
	void *(*open)(void *created, int side);
	void (*play[2])(void *end, uint64_t first, uint64_t count);
	void (*destroy)(void *created);
	uint32_t pairs;
	bool threads;
	const char *skipped;
	bool lone_receiver;
};

/**
 * struct bench_sample - one repetition of one subject.
 * @value:    nanoseconds an item; of a team, millions of items a second.
 * @fairness: of a team: items of the slowest sender over those of the fastest.
 * @hung:     it did not end; no other figure holds.
 */
struct bench_sample {
	double value;
	double fairness;
	double bounce_before_ns; /* round trip of a raw cache line, just before */
	double bounce_after_ns;
	bool hung;
};

/** struct bench_tally - what a side of a team did: how many, and a sum over them that
 * tells one set of items from another. */
struct bench_tally {
	EVR_CACHE_ALIGNED uint64_t count;
	uint64_t sum;
};

/**
 * struct bench_team - what the sides of a team share besides the subject's own.
 * @stop:         not 0: senders send no more.
 * @senders_left: receivers end when there is none and nothing more comes.
 * @tallies:      senders' first.
 */
struct bench_team {
	EVR_CACHE_ALIGNED struct evr_atomic_u64 stop;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 senders_left;
	struct bench_tally tallies[BENCH_SIDES_MAX];
};

/** bench_team - of the repetition under way. */
extern struct bench_team *bench_team;

/* The lists that main.c puts together; each ends with a zeroed subject. */
extern const struct bench_subject bench_bounce[];
extern const struct bench_subject bench_floors[];
extern const struct bench_subject bench_alloc[];
extern const struct bench_subject bench_ring[];
extern const struct bench_subject bench_ring_burst[];
extern const struct bench_subject bench_ring_no_mark[];
extern const struct bench_subject bench_ring_no_intent_clear[];
extern const struct bench_subject bench_ring_block[];
extern const struct bench_subject bench_ring_team[];
extern const struct bench_subject bench_message_burst[];
extern const struct bench_subject bench_message[];
extern const struct bench_subject bench_message_no_intent_clear[];
extern const struct bench_subject bench_channel[];
extern const struct bench_subject bench_inline[];
extern const struct bench_subject bench_lanes[];
/* Peers. */
extern const struct bench_subject bench_rte[];
extern const struct bench_subject bench_rte_block[];
extern const struct bench_subject bench_ck[];
extern const struct bench_subject bench_boost[];
extern const struct bench_subject bench_moodycamel[];
extern const struct bench_subject bench_readerwriter[];
extern const struct bench_subject bench_urcu[];
extern const struct bench_subject bench_tbb[];

/**
 * struct bench_conditions - how each repetition is run.
 * @cpus:     that sides are pinned to, one after the other.
 * @divisor:  do 1 / @divisor of the items, or of the time.
 * @realtime: at real-time priority, so that nobody interrupts a side.
 */
struct bench_conditions {
	int cpus[BENCH_SIDES_MAX];
	uint32_t cpus_count;
	uint64_t divisor;
	bool realtime;
};

/** bench_run() - one repetition, by new sides. What does not end is ended. */
void bench_run(const struct bench_subject *subject,
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

/** bench_report() - JSON, or rows of a table: one for each regime that was met. */
void bench_report(const struct bench_series *series, bool json);

/** bench_report_skipped() - that a case or a peer was not measured, and why. */
void bench_report_skipped(const char *case_name, const char *subject, const char *reason,
			  bool json);

#ifdef __cplusplus
}
#endif
#endif
