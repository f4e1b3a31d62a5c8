/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * storm_member.c - one who joins, works at rings and channel, writes down all that it
 * does, and leaves, unless it is killed.
 *
 * What is begun is written down before the operation, and what came of it behind it, into
 * memory that outlives the process. So of whoever is killed all is known but the outcome
 * of the one operation that it was in.
 */

#include "storm.h"

#include <pthread.h>

#include <evering/recovery.h>

/* Nothing takes this long but what has gone wrong. */
#define PATIENCE_NS (10 * SECOND_NS)

/* A waiting call's. */
#define NAP_NS (2 * MILLISECOND_NS)

#define HELD_MAX 3

struct note {
	uint64_t value;
	uint64_t check;
};

struct member {
	const struct storm_life *life;
	struct storm_board *board;
	struct storm_log *log;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
	struct evr_ring rings[STORM_RINGS];
	struct evr_submitter *submitter;
	struct evr_completer *completer;
	uint64_t random;
	uint64_t next_value;
	struct evr_request held[HELD_MAX]; /* received, and not completed yet */
	uint32_t held_count;
	bool waits;
};

__attribute__((noreturn, format(printf, 2, 3))) static void
fault(struct storm_board *board, const char *format, ...)
{
	va_list arguments;

	if (evr_fetch_add_acq_rel_u32(&board->faults_begun, 1) == 0) {
		va_start(arguments, format);
		vsnprintf(board->text, sizeof(board->text), format, arguments);
		va_end(arguments);
		evr_store_release_u32(&board->faults, 1);
	}
	_exit(8);
}

static uint32_t stage(const struct member *m)
{
	return evr_load_acquire_u32(&m->board->stage);
}

/* Room for the operations of one round of work. */
static bool log_has_room(const struct member *m)
{
	return evr_load_relaxed_u32(&m->log->count) + 8 < STORM_LOG_OPS;
}

static struct storm_op *begin(struct member *m, enum storm_kind kind, uint32_t ring,
			      uint64_t value)
{
	uint32_t count = evr_load_relaxed_u32(&m->log->count);
	struct storm_op *op = &m->log->ops[count];

	op->kind = (uint8_t)kind;
	op->ring = (uint8_t)ring;
	op->value = value;
	op->end_ns = 0;
	op->begin_ns = now_ns();
	evr_store_release_u32(&m->log->count, count + 1);
	return op;
}

static void end(struct storm_op *op, int result)
{
	op->result = result;
	__atomic_store_n(&op->end_ns, now_ns(), __ATOMIC_RELEASE);
}

/* It led to nothing that anybody needs to know. */
static void forget(struct member *m)
{
	evr_store_release_u32(&m->log->count, evr_load_relaxed_u32(&m->log->count) - 1);
}

/* ---- notes ---- */

static void write_note(const struct evr_block *block, uint64_t value)
{
	struct note *note = block->payload;

	note->value = value;
	note->check = value * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t read_note(struct member *m, const struct evr_block *block,
			  const char *where)
{
	const struct note *note = block->payload;

	if (note->check != note->value * UINT64_C(0x9e3779b97f4a7c15))
		fault(m->board, "what came by %s was written over: block %u says %llx",
		      where, evr_token_index(block->token),
		      (unsigned long long)note->value);
	return note->value;
}

static uint64_t new_value(struct member *m)
{
	return (uint64_t)(m->log - m->board->logs) << 32 | ++m->next_value;
}

static bool take_block(struct member *m, struct evr_block *ret)
{
	int error = evr_block_alloc(&m->agent, sizeof(struct note), ret);

	if (error < 0 && error != -ENOSPC)
		fault(m->board, "alloc gave %d", error);
	return error == 0;
}

static void give_block(struct member *m, evr_token token, const char *whose)
{
	int error = evr_block_free(&m->agent, token);

	if (error < 0)
		fault(m->board, "freeing %s gave %d", whose, error);
}

/* ---- rings ---- */

static void push(struct member *m, uint32_t ring)
{
	struct evr_block block;
	struct storm_op *op;
	uint64_t value;
	int error;

	if (!take_block(m, &block))
		return;
	value = new_value(m);
	write_note(&block, value);
	op = begin(m, STORM_PUSH, ring, value);
	error = evr_ring_try_push(&m->rings[ring], &m->agent, block.token);
	end(op, error);
	if (error == 0)
		return;
	if (error != -EAGAIN)
		fault(m->board, "push gave %d", error);
	give_block(m, block.token, "what was not pushed");
}

static void pop(struct member *m, uint32_t ring)
{
	struct storm_op *op = begin(m, STORM_POP, ring, 0);
	struct evr_block block;
	int error = evr_ring_try_pop(&m->rings[ring], &m->agent, &block);

	if (error == 0)
		op->value = read_note(m, &block, "a ring");
	end(op, error);
	if (error == 0)
		give_block(m, block.token, "what was popped");
	else if (error != -EAGAIN)
		fault(m->board, "pop gave %d", error);
}

/* ---- the channel ---- */

/* A request, now and then with a block in it that says the same. */
static bool make_request(struct member *m, struct evr_request *ret)
{
	struct evr_block content;
	uint64_t value;

	if (!take_block(m, &ret->block))
		return false;
	value = new_value(m);
	write_note(&ret->block, value);
	if (value % 3 == 0 && take_block(m, &content)) {
		write_note(&content, value);
		if (evr_block_contain(&m->agent, ret->block.token, content.token) != 0)
			fault(m->board, "contain failed");
	}
	ret->operation = value;
	ret->length_bytes = sizeof(struct note);
	ret->attempts = 0;
	return true;
}

static void submit(struct member *m)
{
	struct evr_request request;
	struct storm_op *op;
	int error;

	if (!make_request(m, &request))
		return;
	op = begin(m, STORM_SUBMIT, STORM_SUBMISSIONS, request.operation);
	error = evr_submitter_try_submit(m->submitter, &request);
	end(op, error);
	if (error == 0)
		return;
	if (error != -EAGAIN)
		fault(m->board, "submit gave %d", error);
	/* Its own window may be what was full: nothing about the ring. */
	forget(m);
	give_block(m, request.block.token, "a request");
}

static void check_content(struct member *m, evr_token token, uint64_t value)
{
	struct evr_block content;

	if (evr_block_content(&m->agent, token, 0, &content) == 0 &&
	    read_note(m, &content, "a request") != value)
		fault(m->board, "request %llx contains a block of another",
		      (unsigned long long)value);
}

static void complete(struct member *m, const struct evr_request *request)
{
	struct storm_op *op = begin(m, STORM_COMPLETE, 0, request->operation);
	int error = evr_completer_complete(m->completer, request->block.token, 1,
					   sizeof(struct note));

	end(op, error);
	if (error != 0 && error != -EPIPE && error != -EAGAIN)
		fault(m->board, "complete gave %d", error);
	if (error == -EAGAIN)
		fault(m->board, "both rings of a home are full of late answers");
}

static bool serve(struct member *m)
{
	struct storm_op *op = begin(m, STORM_RECEIVE, STORM_SUBMISSIONS, 0);
	struct evr_request request;
	int error = m->waits ? evr_completer_receive(m->completer, &request,
						     now_ns() + NAP_NS) :
			       evr_completer_try_receive(m->completer, &request);

	if (error == 0)
		op->value = request.operation;
	end(op, error == -ETIMEDOUT ? -EAGAIN : error);
	if (error == -EAGAIN || error == -ETIMEDOUT)
		return false;
	if (error < 0)
		fault(m->board, "receive gave %d", error);
	if (read_note(m, &request.block, "a request") != request.operation)
		fault(m->board, "request %llx came with another's content",
		      (unsigned long long)request.operation);
	check_content(m, request.block.token, request.operation);
	m->held[m->held_count++] = request;
	return true;
}

/* Completes some of what it holds, the last one first; or all. */
static void answer(struct member *m, uint32_t keep)
{
	while (m->held_count > keep)
		complete(m, &m->held[--m->held_count]);
}

/* For one who has nothing else to do. False: there was nothing. */
static bool serve_at_once(struct member *m)
{
	bool served = serve(m);

	if (!served)
		forget(m);
	answer(m, 0);
	return served;
}

static bool reap(struct member *m)
{
	struct evr_completion completion;
	struct storm_op *op;
	int error;

	if (evr_submitter_in_flight(m->submitter) == 0)
		return false;
	op = begin(m, STORM_REAP, 0, 0);
	error = m->waits ? evr_submitter_reap(m->submitter, &completion,
					      now_ns() + NAP_NS) :
			   evr_submitter_try_reap(m->submitter, &completion);
	if (error == 0) {
		op->value = completion.operation;
		op->status = completion.status;
	}
	end(op, error);
	if (error == -EAGAIN || error == -ETIMEDOUT) {
		forget(m);
		return false;
	}
	if (error < 0)
		fault(m->board, "reap gave %d", error);
	if (read_note(m, &completion.block, "an answer") != completion.operation)
		fault(m->board, "the answer to %llx is another's",
		      (unsigned long long)completion.operation);
	check_content(m, completion.block.token, completion.operation);
	give_block(m, completion.block.token, "an answer");
	return true;
}

/* ---- a life ---- */

static void recover(struct member *m)
{
	struct evr_recovery_stats stats = { 0 };
	int left = evr_recover(&m->agent, &stats);

	if (left < 0)
		fault(m->board, "recover gave %d: %s", left, evr_error_detail());
	evr_fetch_add_relaxed_u64(&m->board->recovered, stats.finished);
	evr_fetch_add_relaxed_u64(&m->board->passes, stats.passes);
}

static void work(struct member *m)
{
	uint64_t random = next_random(&m->random);

	switch (random % 8) {
	case 0:
	case 1:
		push(m, random >> 8 & 1);
		break;
	case 2:
	case 3:
		pop(m, random >> 8 & 1);
		break;
	case 4:
		submit(m);
		break;
	case 5:
		reap(m);
		break;
	default:
		serve(m);
		answer(m, (uint32_t)(random >> 8) % HELD_MAX);
	}
	if (random >> 16 % 64 == 0)
		recover(m);
	if ((random >> 24) % 256 == 0)
		evr_agent_flush(&m->agent);
	if ((random >> 32) % 16 == 0)
		sched_yield();
}

/* Until everything it asked for is answered; others may be doing the same. */
static void settle(struct member *m)
{
	uint64_t until_ns = now_ns() + PATIENCE_NS;

	answer(m, 0);
	while (evr_submitter_in_flight(m->submitter) > 0 && log_has_room(m)) {
		bool busy = serve_at_once(m);

		if (!reap(m) && !busy) {
			recover(m);
			sleep_us(50);
		}
		if (now_ns() > until_ns)
			fault(m->board, "%u requests of one who lives got no answer",
			      evr_submitter_in_flight(m->submitter));
	}
	evr_store_release_u32(&m->log->settled,
			      evr_submitter_in_flight(m->submitter) == 0 ?
				      STORM_SETTLED :
				      STORM_GAVE_UP);
}

/* Those who are left serve until nobody wants anything any more. */
static void see_the_others_off(struct member *m)
{
	while (stage(m) == STORM_SETTLING && log_has_room(m)) {
		if (serve_at_once(m))
			continue;
		recover(m);
		sleep_us(50);
	}
}

static void open_all(struct member *m, struct evr_region *region)
{
	struct evr_wait_options wait = { .size = sizeof(wait), .spin_ns = 2000 };
	int error = evr_agent_open(m->pool, &m->agent);

	if (error < 0)
		fault(m->board, "no agent: %s", evr_error_detail());
	MUST(evr_ring_open(region, "ring0", &m->rings[0]) == 0);
	MUST(evr_ring_open(region, "ring1", &m->rings[1]) == 0);
	MUST(evr_uring_open(m->pool, NULL, 0, 0, &m->uring) == 0);
	error = evr_submitter_open(m->uring, &m->agent, &wait, &m->submitter);
	if (error < 0)
		fault(m->board, "no home: %d, %s", error, evr_error_detail());
	error = evr_completer_open(m->uring, &m->agent, &wait, &m->completer);
	if (error < 0)
		fault(m->board, "no completer: %d, %s", error, evr_error_detail());
}

static void close_all(struct member *m)
{
	evr_completer_close(m->completer);
	evr_submitter_close(m->submitter);
	evr_agent_close(&m->agent);
	evr_uring_close(m->uring);
}

static void *work_all(void *argument)
{
	struct member *m = argument;
	/* Some lives are short. */
	uint32_t rounds = (uint32_t)(next_random(&m->random) % (2 * STORM_LOG_OPS));

	while (stage(m) == STORM_BLOWING && rounds-- > 0 &&
	       evr_load_relaxed_u32(&m->log->count) < STORM_LOG_OPS * 3 / 4)
		work(m);
	settle(m);
	/* Who has enough before the end leaves; its place is another's. */
	if (stage(m) != STORM_BLOWING)
		see_the_others_off(m);
	close_all(m);
	return NULL;
}

static void recover_all_the_time(struct member *m, struct evr_pool *pool)
{
	struct evr_recoverer *recoverer;

	MUST(evr_agent_open(pool, &m->agent) == 0);
	MUST(evr_recoverer_open(&m->agent, &recoverer) == 0);
	while (stage(m) != STORM_OVER) {
		if (next_random(&m->random) % 2) {
			recover(m);
		} else {
			uint64_t looks = 1 + next_random(&m->random) % 200;
			int result = evr_recoverer_step(recoverer, looks, NULL);

			if (result < 0 && result != -EAGAIN)
				fault(m->board, "a step of recovery gave %d", result);
		}
		if (next_random(&m->random) % 16 == 0)
			sleep_us(next_random(&m->random) % 100);
	}
	evr_recoverer_close(recoverer);
	evr_agent_close(&m->agent);
}

/* All records may be dead ones', until somebody has recovered them. */
static void attach(struct storm_board *board, int fd, struct evr_region **ret)
{
	uint64_t until_ns = now_ns() + PATIENCE_NS;
	int error;

	while ((error = evr_region_attach(fd, ret)) == -EMFILE) {
		if (now_ns() > until_ns)
			fault(board, "nobody recovers: %s", evr_error_detail());
		sleep_us(200);
	}
	if (error < 0)
		fault(board, "attach gave %d: %s", error, evr_error_detail());
}

void storm_live(const struct storm_life *life)
{
	static struct member members[STORM_THREADS_MAX];
	uint32_t count = life->part == STORM_THREADED ? 2 : 1;
	struct evr_region *region;
	struct evr_pool *pool;
	pthread_t thread;

	attach(life->board, life->region_fd, &region);
	MUST(evr_pool_open(region, &pool) == 0);
	for (uint32_t i = 0; i < count; i++) {
		members[i] = (struct member){
			.life = life,
			.board = life->board,
			.log = &life->board->logs[life->log + i],
			.pool = pool,
			.random = life->seed + i,
			.waits = life->part == STORM_SLEEPER,
		};
		if (life->part != STORM_RECOVERER)
			open_all(&members[i], region);
	}
	if (life->part == STORM_RECOVERER) {
		recover_all_the_time(&members[0], pool);
	} else {
		bool second = count == 2 && pthread_create(&thread, NULL, work_all,
							   &members[1]) == 0;

		work_all(&members[0]);
		if (second)
			pthread_join(thread, NULL);
	}
	evr_pool_close(pool);
	evr_region_detach(region);
	_exit(0);
}
