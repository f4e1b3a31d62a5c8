/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_STORM_H
#define EVERING_TESTS_STORM_H

/* storm.h - what the supervisor (storm.c) and the members (storm_member.c) share. */

#include "process.h"

#include "history.h"

#define STORM_LOGS 512
#define STORM_LOG_OPS 2048
#define STORM_THREADS_MAX 2

#define STORM_RINGS 2
#define STORM_SUBMISSIONS STORM_RINGS /* the submission ring, as a ring */

/* What a member is. */
enum storm_part {
	STORM_WORKER,    /* one thread, which polls */
	STORM_SLEEPER,   /* one thread, which waits, with the library's own beside it */
	STORM_THREADED,  /* two threads, with an agent each */
	STORM_RECOVERER, /* recovers, in one go or in steps */
};

enum storm_kind {
	STORM_PUSH,
	STORM_POP,
	STORM_SUBMIT,
	STORM_RECEIVE,
	STORM_COMPLETE,
	STORM_REAP,
};

struct storm_op {
	uint64_t begin_ns;
	uint64_t end_ns; /* 0: not ended */
	uint64_t value;
	int32_t result;
	int32_t status; /* of an answer */
	uint8_t kind;
	uint8_t ring;
	uint8_t pad[6];
};

/* Is everything answered that it asked for? */
enum storm_settled {
	STORM_SETTLED = 1,
	STORM_GAVE_UP = 2, /* its log is full; what comes now comes too late */
};

/* What one thread of one member did, from its joining to its end. */
struct storm_log {
	struct evr_atomic_u32 count; /* operations begun */
	struct evr_atomic_u32 settled; /* enum storm_settled */
	uint32_t killed;   /* the supervisor's, as is the next one */
	uint64_t ended_ns; /* its process was seen dead */
	struct storm_op ops[STORM_LOG_OPS];
};

enum storm_stage { STORM_BLOWING, STORM_SETTLING, STORM_OVER };

struct storm_board {
	struct evr_atomic_u32 stage;
	struct evr_atomic_u32 faults_begun;
	struct evr_atomic_u32 faults; /* the text is written */
	char text[240];               /* of the first one */
	struct evr_atomic_u64 recovered;
	struct evr_atomic_u64 passes;
	struct storm_log logs[STORM_LOGS];
};

/* One life. */
struct storm_life {
	struct storm_board *board;
	int region_fd;
	enum storm_part part;
	uint64_t seed;
	uint32_t log; /* the first of its threads' */
};

/* ---- the supervisor ---- */

#define STORM_PLACES 7

struct storm_place {
	pid_t pid; /* 0: nobody */
	uint32_t log;
	bool stopped;
};

struct storm {
	uint64_t seed, round;
	uint64_t random; /* of this round */
	uint32_t order;
	struct storm_place places[STORM_PLACES];
	struct storm_board *board;
	uint32_t logs_count;
	uint32_t lives_left; /* what is left of the attach numbers */
	int region_fd;
	/* Of all rounds. */
	uint64_t kills, stops, lives, several, operations;
	uint64_t sent, received, left, held, half_sent;
	uint64_t asked, answered, returned, unheard;
	char strange[100];
	char text[400];
};

/* Says what is wrong, and how to see it again; false. */
bool storm_failed(struct storm *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- storm_judge.c ---- */

/* Is what the members of this round wrote down the history of queues and of requests? */
bool storm_judge(struct storm *s);

/* ---- storm_member.c ---- */

/* Joins, works until it is told to stop or has done enough, leaves, and exits. */
void storm_live(const struct storm_life *life) __attribute__((noreturn));

#endif
