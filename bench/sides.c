/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One repetition: sides, each on its CPU, that start together.
 *
 *	a pair	warm-up | bounce | start together: play | bounce
 *	a team	          bounce | start together: play until stopped | bounce
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
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
#define TEAM_BOUNCE_COUNT 2000
#define TEAM_NS UINT64_C(300000000)
#define NS_PER_S UINT64_C(1000000000)
/* What has not ended by then never will. */
#define PAIR_LIMIT_NS (60 * NS_PER_S)
#define TEAM_LIMIT_NS (2 * NS_PER_S)

/* What the sides share besides the subject's own memory. */
struct stage {
	EVR_CACHE_ALIGNED struct evr_atomic_u64 arrived;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 ping;
	EVR_CACHE_ALIGNED struct evr_atomic_u64 pong;
	EVR_CACHE_ALIGNED uint64_t start_ns[BENCH_SIDES_MAX];
	uint64_t end_ns[BENCH_SIDES_MAX];
	double bounce_ns[2];
	pthread_barrier_t barrier; /* of a team */
	struct evr_atomic_u64 started, ended; /* sides of a team */
	struct bench_team team;
};

/* A side, as it is told what it is. */
struct role {
	const struct bench_subject *subject;
	const struct bench_conditions *conditions;
	struct stage *stage;
	void *created;
	uint32_t number; /* senders first */
};

struct bench_team *bench_team;

void bench_fail(const char *file, int line, const char *what)
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
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
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

static uint32_t pairs_of(const struct bench_subject *subject)
{
	return subject->pairs ? subject->pairs : 1;
}

static uint32_t sides_of(const struct bench_subject *subject)
{
	return pairs_of(subject) + (subject->lone_receiver ? 1 : pairs_of(subject));
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

/* Sender, receiver, sender, ... one CPU after the other; when there are more sides than
 * CPUs, every CPU gets some of both. A lone receiver has the first CPU to itself. */
static int cpu_of(const struct role *role)
{
	const struct bench_conditions *conditions = role->conditions;
	uint32_t pairs = pairs_of(role->subject);
	uint32_t seat = role->number < pairs ? 2 * role->number
					     : 2 * (role->number - pairs) + 1;

	if (role->subject->lone_receiver && conditions->cpus_count > 1)
		return conditions->cpus[role->number == pairs ?
						0 :
						1 + role->number %
							    (conditions->cpus_count - 1)];
	return conditions->cpus[(seat + seat / conditions->cpus_count) %
				conditions->cpus_count];
}

/* Two sides meet by spinning, which is exact. */
static void meet(struct stage *stage, uint64_t *meetings)
{
	uint64_t everybody = 2 * ++*meetings;

	evr_fetch_add_acq_rel_u64(&stage->arrived, 1);
	while (evr_load_acquire_u64(&stage->arrived) < everybody)
		evr_pause();
}

static void bounce(struct stage *stage, int side, int which, uint64_t count)
{
	struct evr_atomic_u64 *lines[2] = { &stage->ping, &stage->pong };
	uint64_t base = (uint64_t)which * 2 * count;
	double ns;

	bench_bounce_ns(lines, side, base, count / 4);
	ns = bench_bounce_ns(lines, side, base + count / 4, count);
	if (side == 0)
		stage->bounce_ns[which] = ns;
}

static void act_in_pair(const struct role *role)
{
	const struct bench_subject *subject = role->subject;
	struct stage *stage = role->stage;
	int side = (int)role->number;
	uint64_t count = subject->count / role->conditions->divisor;
	uint64_t warm_up = count / 4;
	uint64_t meetings = 0;
	void *end = subject->open(role->created, side);

	meet(stage, &meetings);
	if (subject->play[side])
		subject->play[side](end, 0, warm_up);
	meet(stage, &meetings);
	bounce(stage, side, 0, BOUNCE_COUNT);
	meet(stage, &meetings);

	stage->start_ns[side] = bench_now_ns();
	if (subject->play[side])
		subject->play[side](end, warm_up, count);
	stage->end_ns[side] = bench_now_ns();

	meet(stage, &meetings);
	bounce(stage, side, 1, BOUNCE_COUNT);
	/* No closing: to the region this is a death like any other, and the parent's
	 * recovery must find every block. */
}

/* The others sleep while the first sender and the first receiver bounce. */
static void act_in_team(const struct role *role)
{
	const struct bench_subject *subject = role->subject;
	struct stage *stage = role->stage;
	uint32_t number = role->number, pairs = subject->pairs;
	int side = number < pairs ? 0 : 1;
	void *end = subject->open(role->created, side);
	bool bouncing = number % pairs == 0;

	pthread_barrier_wait(&stage->barrier);
	if (bouncing)
		bounce(stage, side, 0, TEAM_BOUNCE_COUNT);
	pthread_barrier_wait(&stage->barrier);

	evr_fetch_add_acq_rel_u64(&stage->started, 1);
	stage->start_ns[number] = bench_now_ns();
	subject->play[side](end, number - (side ? pairs : 0), pairs);
	stage->end_ns[number] = bench_now_ns();
	evr_fetch_add_acq_rel_u64(&stage->ended, 1);

	pthread_barrier_wait(&stage->barrier);
	if (bouncing)
		bounce(stage, side, 1, TEAM_BOUNCE_COUNT);
	pthread_barrier_wait(&stage->barrier); /* ending takes CPU time too */
}

static void *act(void *argument)
{
	const struct role *role = argument;

	/* At real-time priority a side that spins would never be preempted for the others
	 * on its CPU, and most of a team's members would not run at all. */
	take_cpu(cpu_of(role), role->conditions->realtime && !role->subject->pairs);
	if (role->subject->pairs)
		act_in_team(role);
	else
		act_in_pair(role);
	return NULL;
}

/* One process for all sides, when the subject cannot leave it. */
static void act_as_threads(struct role *role)
{
	pthread_t threads[BENCH_SIDES_MAX];
	struct role roles[BENCH_SIDES_MAX];
	uint32_t sides = sides_of(role->subject);

	role->created = role->subject->create();
	for (uint32_t i = 0; i < sides; i++) {
		roles[i] = *role;
		roles[i].number = i;
		bench_check(pthread_create(&threads[i], NULL, act, &roles[i]) == 0);
	}
	for (uint32_t i = 0; i < sides; i++)
		pthread_join(threads[i], NULL);
	role->subject->destroy(role->created);
}

static pid_t start(struct role *role)
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
	if (role->subject->threads)
		act_as_threads(role);
	else
		act(role);
	_exit(0);
}

static void end_all(pid_t *pids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	for (uint32_t i = 0; i < count; i++)
		if (pids[i] > 0)
			waitpid(pids[i], NULL, 0);
}

/* Sleeps until a child ends or the time is up; wakes nobody up meanwhile. */
static void nap(uint64_t until_ns)
{
	uint64_t now_ns = bench_now_ns();
	uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec left = { (time_t)(left_ns / NS_PER_S),
				 (long)(left_ns % NS_PER_S) };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &left);
}

/* Whether all ended by themselves. The first to fail takes the others with it, which
 * would wait for ever, and the program. */
static bool await(pid_t *pids, uint32_t count, uint64_t until_ns)
{
	uint32_t left = count;

	while (left > 0) {
		for (uint32_t i = 0; i < count; i++) {
			int status;

			if (pids[i] <= 0 || waitpid(pids[i], &status, WNOHANG) == 0)
				continue;
			pids[i] = 0;
			left--;
			if (status == 0)
				continue;
			if (WIFSIGNALED(status))
				fprintf(stderr, "a side was ended by signal %d\n",
					WTERMSIG(status));
			end_all(pids, count);
			exit(1);
		}
		if (left == 0)
			return true;
		if (bench_now_ns() >= until_ns) {
			end_all(pids, count);
			return false;
		}
		nap(until_ns);
	}
	return true;
}

static void stage_open(struct stage *stage, const struct bench_subject *subject)
{
	uint32_t sides = sides_of(subject);
	pthread_barrierattr_t shared;

	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&stage->barrier, &shared, sides);
	stage->team.senders_left.raw = pairs_of(subject);
	bench_team = &stage->team;
}

/* Waits until so many sides have got so far, for so long. */
static bool reached(const struct evr_atomic_u64 *sides, uint64_t wanted, uint64_t ns)
{
	struct timespec moment = { 0, 2000000 };
	uint64_t until_ns = bench_now_ns() + ns;

	while (evr_load_acquire_u64(sides) < wanted) {
		if (bench_now_ns() > until_ns)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

/* A team is told when to stop, a while after it began. (The time that it really took is
 * measured by its members.) Whether all heard it; the bounces are not counted: on a busy
 * machine they take long. */
static bool conduct(struct stage *stage, uint32_t sides, uint64_t divisor)
{
	struct timespec length = { 0, (long)(TEAM_NS / (divisor > 4 ? 4 : divisor)) };

	if (!reached(&stage->started, sides, PAIR_LIMIT_NS))
		return false;
	while (nanosleep(&length, &length) < 0 && errno == EINTR)
		;
	evr_store_release_u64(&stage->team.stop, 1);
	return reached(&stage->ended, sides, TEAM_LIMIT_NS);
}

static void window(const struct stage *stage, uint32_t sides, uint64_t *ret_ns)
{
	uint64_t start_ns = stage->start_ns[0], end_ns = stage->end_ns[0];

	for (uint32_t i = 1; i < sides; i++) {
		if (stage->start_ns[i] < start_ns)
			start_ns = stage->start_ns[i];
		if (stage->end_ns[i] > end_ns)
			end_ns = stage->end_ns[i];
	}
	*ret_ns = end_ns - start_ns;
}

/* Nothing lost, nothing twice, nothing changed. */
static void count_team(const struct stage *stage, uint32_t pairs, uint32_t sides,
		       struct bench_sample *ret)
{
	const struct bench_tally *tallies = stage->team.tallies;
	uint64_t least = UINT64_MAX, most = 0, sent = 0, received = 0;
	uint64_t sent_sum = 0, received_sum = 0, ns;

	for (uint32_t i = 0; i < pairs; i++) {
		uint64_t count = tallies[i].count;

		least = count < least ? count : least;
		most = count > most ? count : most;
		sent += count;
		sent_sum += tallies[i].sum;
	}
	for (uint32_t i = pairs; i < sides; i++) {
		received += tallies[i].count;
		received_sum += tallies[i].sum;
	}
	bench_check(sent == received);
	bench_check(sent_sum == received_sum);
	window(stage, sides, &ns);
	ret->value = (double)received * 1e3 / (double)ns;
	ret->fairness = most ? (double)least / (double)most : 0;
}

void bench_run(const struct bench_subject *subject,
	       const struct bench_conditions *conditions, struct bench_sample *ret)
{
	struct stage *stage = bench_shared_map(sizeof(*stage));
	struct role role = {
		.subject = subject,
		.conditions = conditions,
		.stage = stage,
	};
	uint32_t processes = subject->threads ? 1 : sides_of(subject);
	uint64_t limit_ns = PAIR_LIMIT_NS;
	pid_t pids[BENCH_SIDES_MAX] = { 0 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	memset(ret, 0, sizeof(*ret));
	stage_open(stage, subject);
	if (!subject->threads)
		role.created = subject->create();
	for (uint32_t i = 0; i < processes; i++) {
		role.number = i;
		pids[i] = start(&role);
	}
	if (subject->pairs && !conduct(stage, sides_of(subject), conditions->divisor))
		limit_ns = 0; /* unless one has failed */
	ret->hung = !await(pids, processes, bench_now_ns() + limit_ns);
	if (ret->hung)
		return; /* what it left behind is of no use to anybody */

	if (!subject->threads)
		subject->destroy(role.created);
	if (subject->pairs) {
		count_team(stage, subject->pairs, sides_of(subject), ret);
	} else {
		uint64_t ns = stage->end_ns[0] - stage->start_ns[0];

		if (subject->play[1])
			window(stage, 2, &ns);
		ret->value = (double)ns /
			     (double)(subject->count / conditions->divisor);
	}
	ret->bounce_before_ns = stage->bounce_ns[0];
	ret->bounce_after_ns = stage->bounce_ns[1];
	bench_shared_unmap(stage, sizeof(*stage));
}
