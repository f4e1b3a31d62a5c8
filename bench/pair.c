/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One repetition: two processes, each on its CPU, that start together.
 *
 *	warm-up | bounce | start together: play | bounce
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#include <evering/error.h>

#define BOUNCE_COUNT 10000
#define REPETITION_SECONDS 60

/* What the two sides share besides the subject's own memory. */
struct stage {
	EVR_CACHE_ALIGNED struct evr_atomic_u64 arrived;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 ping;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 pong;
	EVR_CACHE_ALIGNED uint64_t start_ns[2];
	uint64_t end_ns[2];
	double bounce_ns[2];
};

_Noreturn void bench_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	exit(1);
}

int bench_try_(const char *file, int line, const char *call, int result)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "%s:%d: %s: %s (%s)\n", file, line, call, evr_strerror(result),
		evr_error_detail());
	exit(1);
}

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void *bench_shared_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	bench_check(memory != MAP_FAILED);
	return memory;
}

void bench_shared_unmap(void *memory, size_t bytes)
{
	munmap(memory, bytes);
}

double bench_bounce_ns(struct evr_atomic_u64 *lines[2], int side, uint64_t first,
		       uint64_t count)
{
	uint64_t start_ns = bench_now_ns();

	for (uint64_t turn = first + 1; turn <= first + count; turn++) {
		if (side == 0)
			evr_store_release_u64(lines[0], turn);
		while (evr_load_acquire_u64(lines[1 - side]) != turn)
			;
		if (side == 1)
			evr_store_release_u64(lines[1], turn);
	}
	return (double)(bench_now_ns() - start_ns) / (double)count;
}

static void meet(struct stage *stage, uint64_t *meetings)
{
	uint64_t everybody = 2 * ++*meetings;

	evr_fetch_add_acq_rel_u64(&stage->arrived, 1);
	while (evr_load_acquire_u64(&stage->arrived) < everybody)
		evr_pause();
}

static void take_cpu(int cpu, bool realtime)
{
	struct sched_param priority = { .sched_priority = 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	bench_check(sched_setaffinity(0, sizeof(set), &set) == 0);
	if (realtime)
		bench_check(sched_setscheduler(0, SCHED_FIFO, &priority) == 0);
}

static void play(const struct bench_subject *subject, void *end, int side, uint64_t first,
		 uint64_t count)
{
	if (subject->play[side])
		subject->play[side](end, first, count);
}

static void act(const struct bench_subject *subject, void *created, struct stage *stage,
		int side, uint64_t divisor)
{
	struct evr_atomic_u64 *lines[2] = { &stage->ping, &stage->pong };
	uint64_t count = subject->count / divisor;
	uint64_t warm_up = count / 4;
	uint64_t meetings = 0;
	void *end = subject->open(created, side);
	double bounce_ns;

	meet(stage, &meetings);
	play(subject, end, side, 0, warm_up);
	meet(stage, &meetings);
	bench_bounce_ns(lines, side, 0, BOUNCE_COUNT / 4);
	bounce_ns = bench_bounce_ns(lines, side, BOUNCE_COUNT / 4, BOUNCE_COUNT);
	if (side == 0)
		stage->bounce_ns[0] = bounce_ns;
	meet(stage, &meetings);

	stage->start_ns[side] = bench_now_ns();
	play(subject, end, side, warm_up, count);
	stage->end_ns[side] = bench_now_ns();

	meet(stage, &meetings);
	bounce_ns = bench_bounce_ns(lines, side, 2 * BOUNCE_COUNT, BOUNCE_COUNT);
	if (side == 0)
		stage->bounce_ns[1] = bounce_ns;
	/* No closing: to the region this is a death like any other, and the parent's
	 * recovery must find every block. */
}

static pid_t start(const struct bench_subject *subject, void *created,
		   struct stage *stage, int side,
		   const struct bench_conditions *conditions)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	bench_check(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_check(getppid() == parent);
	alarm(REPETITION_SECONDS);
	take_cpu(conditions->cpus[side], conditions->realtime);
	act(subject, created, stage, side, conditions->divisor);
	_exit(0);
}

/* The first to fail takes the other with it, which would wait for ever. */
static void await(const pid_t pids[2])
{
	bool failed = false;

	for (int left = 2; left > 0; left--) {
		int status;
		pid_t pid = wait(&status);

		bench_check(pid == pids[0] || pid == pids[1]);
		if (status == 0)
			continue;
		if (!failed && WIFSIGNALED(status))
			fprintf(stderr, "a side was ended by signal %d%s\n",
				WTERMSIG(status),
				WTERMSIG(status) == SIGALRM ? " (out of time)" : "");
		failed = true;
		kill(pid == pids[0] ? pids[1] : pids[0], SIGKILL);
	}
	if (failed)
		exit(1);
}

void bench_pair_run(const struct bench_subject *subject,
		    const struct bench_conditions *conditions, struct bench_sample *ret)
{
	struct stage *stage = bench_shared_map(sizeof(*stage));
	void *created = subject->create();
	pid_t pids[2];
	uint64_t start_ns, end_ns;

	for (int side = 0; side < 2; side++)
		pids[side] = start(subject, created, stage, side, conditions);
	await(pids);
	subject->destroy(created);

	start_ns = stage->start_ns[0];
	end_ns = stage->end_ns[0];
	if (subject->play[1]) {
		if (stage->start_ns[1] < start_ns)
			start_ns = stage->start_ns[1];
		if (stage->end_ns[1] > end_ns)
			end_ns = stage->end_ns[1];
	}
	ret->item_ns = (double)(end_ns - start_ns) /
		       (double)(subject->count / conditions->divisor);
	ret->bounce_before_ns = stage->bounce_ns[0];
	ret->bounce_after_ns = stage->bounce_ns[1];
	bench_shared_unmap(stage, sizeof(*stage));
}
