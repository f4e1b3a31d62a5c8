/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BENCH_PEER_H
#define EVERING_BENCH_PEER_H

/**
 * peer.h - the cases' work for whoever moves values of a fixed size: floors and peers.
 *
 * One writes a function that puts values into a queue and one that takes them out; what
 * is sent, checked and counted is the same for all. Both functions are inlined into the
 * loops here, with the number of values known, so a peer pays for no call that it would
 * not pay for in a program of its own. C and C++.
 */

#include <sched.h>
#include <stdlib.h>

#include "bench.h"

#define PEER_INLINE static inline __attribute__((always_inline))

#define PEER_SLOTS 1024
#define PEER_BURST_MAX 32
#define PEER_WORDS_MAX 15
/* Rounds of ring.c: one way through one queue, then back through the other. */
#define PEER_ROUND 4096

/* Moves up to @n values of so many words; how many it did. */
typedef uint32_t peer_move(void *queue, uint64_t *values, uint32_t n);

/** struct peer_end - a side's view. One way: both are the same queue. */
struct peer_end {
	void *out, *in;
	int side;
};

/* An end that is the side's own, be it a process or a thread. */
static inline void *peer_end_new(void *out, void *in, int side)
{
	struct peer_end *end = (struct peer_end *)calloc(1, sizeof(*end));

	bench_check(end);
	end->out = out;
	end->in = in;
	end->side = side;
	return end;
}

PEER_INLINE void peer_fill(uint64_t *values, uint32_t words, uint32_t n, uint64_t number)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < words; k++)
			values[i * words + k] = number + i + k;
}

PEER_INLINE void peer_verify(const uint64_t *values, uint32_t words, uint32_t n,
			     uint64_t number)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < words; k++)
			bench_check(values[i * words + k] == number + i + k);
}

/* A side that cannot go on waits as evr_backoff_wait() does; in a round trip it tries
 * again at once. */
PEER_INLINE void peer_put_all(peer_move *put, void *queue, uint64_t *values,
			      uint32_t words, uint32_t n, bool pause)
{
	struct evr_backoff backoff = { 0 };
	uint32_t done = put(queue, values, n);

	while (EVR_UNLIKELY(done < n)) {
		if (pause)
			evr_backoff_wait(&backoff);
		done += put(queue, values + done * words, n == 1 ? 1 : n - done);
	}
}

PEER_INLINE uint32_t peer_take_some(peer_move *take, void *queue, uint64_t *values,
				    uint32_t n, bool pause)
{
	struct evr_backoff backoff = { 0 };
	uint32_t taken;

	while ((taken = take(queue, values, n)) == 0)
		if (pause)
			evr_backoff_wait(&backoff);
	return taken;
}

PEER_INLINE void peer_send(peer_move *put, void *queue, uint32_t words, uint32_t burst,
			   uint64_t first, uint64_t count)
{
	uint64_t values[PEER_BURST_MAX * 8];

	for (uint64_t i = first; i < first + count; i += burst) {
		peer_fill(values, words, burst, i);
		peer_put_all(put, queue, values, words, burst, true);
	}
}

PEER_INLINE void peer_receive(peer_move *take, void *queue, uint32_t words,
			      uint32_t burst, uint64_t first, uint64_t count)
{
	uint64_t values[PEER_BURST_MAX * 8];

	for (uint64_t i = first; i < first + count;) {
		uint32_t taken = peer_take_some(take, queue, values, burst, true);

		peer_verify(values, words, taken, i);
		i += taken;
	}
}

PEER_INLINE void peer_rounds(peer_move *put, peer_move *take, struct peer_end *end,
			     uint32_t burst, uint64_t first, uint64_t count)
{
	bench_check(count % (2 * PEER_ROUND) == 0);
	for (uint64_t round = 0; round < count / PEER_ROUND; round++) {
		uint64_t base = first + round * PEER_ROUND;

		if ((round & 1) == (uint64_t)end->side)
			peer_send(put, end->out, 1, burst, base, PEER_ROUND);
		else
			peer_receive(take, end->in, 1, burst, base, PEER_ROUND);
	}
}

PEER_INLINE void peer_there_and_back(peer_move *put, peer_move *take,
				     struct peer_end *end, uint32_t words, uint64_t first,
				     uint64_t count)
{
	uint64_t values[PEER_WORDS_MAX];

	for (uint64_t i = first; i < first + count; i++) {
		if (end->side == 0) {
			peer_fill(values, words, 1, i);
			peer_put_all(put, end->out, values, words, 1, false);
		}
		peer_take_some(take, end->in, values, 1, false);
		peer_verify(values, words, 1, i);
		if (end->side == 1)
			peer_put_all(put, end->out, values, words, 1, false);
	}
}

/*
 * Teams. An item is {sender, number}. There may be more sides than CPUs, so who cannot
 * go on gives its CPU away after a while.
 */
#define TEAM_SENDER_SHIFT 48
#define TEAM_PATIENCE 16

PEER_INLINE void team_wait(uint32_t *failures)
{
	struct evr_backoff backoff = { 1U << (*failures < 4 ? *failures : 4) };

	if (++*failures % TEAM_PATIENCE == 0)
		sched_yield();
	else
		evr_backoff_wait(&backoff);
}

PEER_INLINE uint64_t team_item(uint64_t sender, uint64_t number)
{
	return sender << TEAM_SENDER_SHIFT | number;
}

/* Summed up, these tell a lost, doubled or changed item. */
PEER_INLINE uint64_t team_fingerprint(uint64_t item)
{
	item = (item + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return item ^ item >> 29;
}

PEER_INLINE bool team_stopped(void)
{
	return evr_load_relaxed_u64(&bench_team->stop) != 0;
}

static inline void team_sender_ends(uint64_t sender, uint64_t count, uint64_t sum)
{
	bench_team->tallies[sender].count = count;
	bench_team->tallies[sender].sum = sum;
	evr_fetch_add_acq_rel_u64(&bench_team->senders_left, UINT64_MAX);
}

static inline void team_receiver_ends(uint64_t receiver, uint64_t pairs, uint64_t count,
				      uint64_t sum)
{
	bench_team->tallies[pairs + receiver].count = count;
	bench_team->tallies[pairs + receiver].sum = sum;
}

/* Items of one sender come to one receiver in their order. @last: of this sender, and 1
 * more. */
PEER_INLINE void team_verify(uint64_t item, uint64_t pairs, uint64_t last[])
{
	uint64_t sender = item >> TEAM_SENDER_SHIFT;
	uint64_t number = item & ((UINT64_C(1) << TEAM_SENDER_SHIFT) - 1);

	bench_check(sender < pairs);
	bench_check(number >= last[sender]);
	last[sender] = number + 1;
}

PEER_INLINE void peer_team_send(peer_move *put, struct peer_end *end, uint64_t sender)
{
	uint64_t sum = 0, number = 0;

	while (!team_stopped()) {
		uint64_t item = team_item(sender, number);
		uint32_t failures = 0;

		while (put(end->out, &item, 1) == 0) {
			if (EVR_UNLIKELY(team_stopped()))
				goto done;
			team_wait(&failures);
		}
		sum += team_fingerprint(item);
		number++;
	}
done:
	team_sender_ends(sender, number, sum);
}

PEER_INLINE void peer_team_receive(peer_move *take, struct peer_end *end,
				   uint64_t receiver, uint64_t pairs)
{
	uint64_t last[BENCH_PAIRS_MAX] = { 0 };
	uint64_t sum = 0, count = 0, item;
	uint32_t failures = 0;

	for (;;) {
		/* Looked at first: what is not there afterwards does not come. */
		bool ending = evr_load_acquire_u64(&bench_team->senders_left) == 0;

		if (take(end->in, &item, 1) == 0) {
			if (ending)
				break;
			team_wait(&failures);
			continue;
		}
		failures = 0;
		team_verify(item, pairs, last);
		sum += team_fingerprint(item);
		count++;
	}
	team_receiver_ends(receiver, pairs, count, sum);
}

/* What a subject's .play wants: NAME_send() and so on, of these functions. */
#define PEER_STREAM(name, words, burst, put, take)                                       \
	static void name##_send(void *end, uint64_t first, uint64_t count)               \
	{                                                                                \
		peer_send(put, ((struct peer_end *)end)->out, words, burst, first,       \
			  count);                                                        \
	}                                                                                \
	static void name##_receive(void *end, uint64_t first, uint64_t count)            \
	{                                                                                \
		peer_receive(take, ((struct peer_end *)end)->in, words, burst, first,    \
			     count);                                                     \
	}

#define PEER_ROUNDS(name, burst, put, take)                                              \
	static void name##_rounds(void *end, uint64_t first, uint64_t count)             \
	{                                                                                \
		peer_rounds(put, take, (struct peer_end *)end, burst, first, count);     \
	}

#define PEER_ROUNDTRIP(name, words, put, take)                                           \
	static void name##_trips(void *end, uint64_t first, uint64_t count)              \
	{                                                                                \
		peer_there_and_back(put, take, (struct peer_end *)end, words, first,     \
				    count);                                              \
	}

#define PEER_TEAM(name, put, take)                                                       \
	static void name##_team_send(void *end, uint64_t first, uint64_t count)          \
	{                                                                                \
		(void)count;                                                             \
		peer_team_send(put, (struct peer_end *)end, first);                      \
	}                                                                                \
	static void name##_team_receive(void *end, uint64_t first, uint64_t count)       \
	{                                                                                \
		peer_team_receive(take, (struct peer_end *)end, first, count);           \
	}

/* And rows of them. @how: false for processes, true for threads. */
#define PEER_STREAM_ROW(case_name, subject, name, create, open, destroy, how)            \
	{ case_name, subject, 1 << 20, create, open, { name##_send, name##_receive },    \
	  destroy, 0, how, NULL }
#define PEER_ROUNDS_ROW(case_name, subject, name, create, open, destroy, how)            \
	{ case_name, subject, 1 << 20, create, open, { name##_rounds, name##_rounds },   \
	  destroy, 0, how, NULL }
#define PEER_ROUNDTRIP_ROW(case_name, subject, name, create, open, destroy, how)         \
	{ case_name, subject, 1 << 17, create, open, { name##_trips, name##_trips },     \
	  destroy, 0, how, NULL }
#define PEER_TEAM_ROWS(subject, name, create, open, destroy, how)                        \
	{ "mpmc_4p4c", subject, 0, create, open,                                         \
	  { name##_team_send, name##_team_receive }, destroy, 4, how, NULL },            \
	{ "mpmc_8p8c", subject, 0, create, open,                                         \
	  { name##_team_send, name##_team_receive }, destroy, 8, how, NULL },            \
	{ "lanes_4p", subject, 0, create, open,                                          \
	  { name##_team_send, name##_team_receive }, destroy, 4, how, NULL, true }

/* Instead of a peer that is not there. */
#define PEER_SKIPPED(peer, reason)                                                       \
	{ "*", peer, 0, NULL, NULL, { NULL, NULL }, NULL, 0, false, reason }
#define PEER_LIST_END                                                                    \
	{ NULL, NULL, 0, NULL, NULL, { NULL, NULL }, NULL, 0, false, NULL }

#endif
