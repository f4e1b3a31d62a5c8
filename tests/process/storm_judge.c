/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* storm_judge.c - holds what the members of a storm wrote down against what a queue and a
 * channel may do. */

#include "storm.h"

#include <inttypes.h>

static struct history_op *history;

/* What one thread did at one ring. */
static size_t gather_log(const struct storm_log *log, uint32_t ring,
			 struct history_op *into)
{
	size_t count = 0;
	bool vanishes = ring == STORM_SUBMISSIONS &&
			(log->killed || log->settled.raw != STORM_SETTLED);

	for (uint32_t i = 0; i < log->count.raw; i++) {
		const struct storm_op *op = &log->ops[i];
		bool push = op->kind == STORM_PUSH || op->kind == STORM_SUBMIT;
		bool pop = op->kind == STORM_POP || op->kind == STORM_RECEIVE;

		if ((!push && !pop) || op->ring != ring)
			continue;
		/* Its own window may have been full, not the ring. */
		if (op->kind == STORM_SUBMIT && op->end_ns && op->result)
			continue;
		into[count++] = (struct history_op){
			.begin_ns = op->begin_ns,
			.end_ns = op->end_ns ? op->end_ns : log->ended_ns,
			.value = op->value,
			.kind = push ? HISTORY_PUSH : HISTORY_POP,
			.result = op->end_ns == 0    ? HISTORY_CUT :
				  op->result == 0    ? HISTORY_DONE :
						       HISTORY_REFUSED,
			.may_vanish = vanishes,
		};
	}
	return count;
}

static bool judge_ring(struct storm *s, uint32_t ring)
{
	struct history_verdict verdict;
	uint64_t capacity = UINT64_C(1) << s->order;
	size_t count = 0;

	/* How many may lie in a submission ring is not looked at here. */
	if (ring == STORM_SUBMISSIONS)
		capacity = UINT32_MAX;
	for (uint32_t i = 0; i < s->logs_count; i++)
		count += gather_log(&s->board->logs[i], ring, history + count);
	s->operations += count;
	if (!history_check(history, count, capacity, &verdict))
		return storm_failed(s, "ring %u: %s", ring, verdict.text);
	if (verdict.pushed + verdict.half_pushed !=
	    verdict.popped + verdict.lost + verdict.vanished)
		return storm_failed(s,
			      "ring %u: %" PRIu64 " sent and %" PRIu64
			      " half sent are not %" PRIu64 " received, %" PRIu64
			      " held by the killed and %" PRIu64 " thrown away",
			      ring, verdict.pushed, verdict.half_pushed, verdict.popped,
			      verdict.lost, verdict.vanished);
	s->sent += verdict.pushed;
	s->half_sent += verdict.half_pushed;
	s->received += verdict.popped;
	s->held += verdict.lost;
	s->unheard += verdict.vanished;
	return true;
}

/* Of one thread that asked: each of its requests has one answer, or it was killed. */
static bool judge_asker(struct storm *s, const struct storm_log *log)
{
	static uint8_t heard[STORM_LOG_OPS + 1];
	uint64_t self = (uint64_t)(log - s->board->logs);
	uint64_t asked = 0, answered = 0, returned = 0;

	memset(heard, 0, sizeof(heard));
	for (uint32_t i = 0; i < log->count.raw; i++) {
		const struct storm_op *op = &log->ops[i];
		uint32_t number = (uint32_t)op->value;

		if (op->end_ns && op->result)
			continue;
		if (op->kind == STORM_SUBMIT) {
			heard[number] = 1;
			asked += op->end_ns != 0;
		} else if (op->kind == STORM_REAP && op->end_ns) {
			if (op->value >> 32 != self || number > STORM_LOG_OPS)
				return storm_failed(s,
						    "another got the answer to %" PRIx64,
						    op->value);
			if (heard[number] != 1)
				return storm_failed(s, "%" PRIx64 " was %s", op->value,
					      heard[number] ? "answered twice" :
							      "answered, and not asked");
			heard[number] = 2;
			answered += op->status == 1;
			returned += op->status == -EOWNERDEAD;
			if (op->status != 1 && op->status != -EOWNERDEAD)
				return storm_failed(s, "%" PRIx64 " has status %d",
						    op->value, op->status);
		}
	}
	s->asked += asked;
	s->answered += answered;
	s->returned += returned;
	if (!log->killed && log->settled.raw == STORM_SETTLED &&
	    asked != answered + returned)
		return storm_failed(s,
			      "one who lived asked %" PRIu64 ", and %" PRIu64
			      " were answered, %" PRIu64 " came back",
			      asked, answered, returned);
	return true;
}

bool storm_judge(struct storm *s)
{
	if (!history)
		history = calloc((size_t)STORM_LOGS * STORM_LOG_OPS, sizeof(*history));
	MUST(history);
	for (uint32_t ring = 0; ring <= STORM_SUBMISSIONS; ring++)
		if (!judge_ring(s, ring))
			return false;
	for (uint32_t i = 0; i < s->logs_count; i++)
		if (!judge_asker(s, &s->board->logs[i]))
			return false;
	return true;
}
