/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_EXPERIMENT_H
#define EVERING_TESTS_EXPERIMENT_H

/* experiment.h - one experiment in progress: what experiment.c and others.c share. */

#include "crash.h"

struct experiment {
	const struct plan *plan;
	const struct scenario *scenario;
	enum mode mode;
	struct board *board;
	struct party house;
	pid_t pid[PARTIES];
	struct finding *finding;
};

/* Tells what happens, to one who looks at a single point. */
void experiment_say(const struct experiment *x, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void experiment_start(struct experiment *x, enum who who);
/* Its end must be the expected one. */
void experiment_expect_exit(struct experiment *x, enum who who, int wanted);
bool experiment_any_complaint(const struct experiment *x);

static inline bool victim_dies(const struct experiment *x)
{
	return x->mode == MODE_KILL || x->mode == MODE_QUIET || x->mode == MODE_BOTH;
}

static inline bool source_dies(const struct experiment *x)
{
	return x->mode == MODE_SENDER || x->mode == MODE_BOTH;
}

/* ---- others.c ---- */

/* One pass by the house; how many dead ones it did not finish. */
int others_recover(struct experiment *x);
/* The victim is dead or stopped: the others must get on, and recovery with them. */
void others_work(struct experiment *x);

#endif
