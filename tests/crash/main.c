/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * main.c - the crash harness: what if somebody dies, or is stopped, exactly here?
 *
 * For one operation at a time (scenarios*.c), for *every* machine instruction of it, an
 * experiment is made: fresh shared memory, a process that has executed the operation up
 * to that instruction, and then, by mode,
 *
 *	kill    it is killed. Two others do 1 000 operations each, and recovery runs.
 *	quiet   it is killed, and recovered before anybody does anything else.
 *	stop    it stays stopped. Two others must finish 1 000 operations each: nobody
 *	        may wait for a stopped one. Then it goes on, finishes its operation and
 *	        must find its blocks its own.
 *	sender  it stays stopped, while whoever sent what it is taking, and died, is
 *	        recovered: what it may be taking must be left for it.
 *	both    it is killed and so is whoever sent what it was taking.
 *	other   it stays stopped, and one of the two others is killed at work.
 *	rival   it stays stopped, and one who took what it was about to take has died.
 *	round   it stays stopped, while what it was about to take goes round, again and
 *	        again, and one dies who has all there is: what the stopped one says that
 *	        it is about to take must not keep that back.
 *	late    a recoverer stays stopped, while others finish its work and somebody else
 *	        moves into the dead one's record and is in the middle of things: nothing
 *	        of that may be touched when the recoverer goes on.
 *
 * A duet (beside-*) has two in the middle of something: the partner is stopped behind
 * each of its stores to shared memory, and for each of them the victim at each
 * instruction:
 *
 *	ends    the partner is stopped, then the victim; the partner ends first.
 *	begins  the victim is stopped, then the partner; the victim ends first.
 *
 * Where there are very many points, and in ./check quick, every few are tried, and those
 * right behind a store to shared memory or a system call ("points=N of=M"): between two
 * of them, what one who is killed leaves behind is the same.
 *
 * Creation (create) has the victim alone in a region of its own, that nobody could see:
 * there the harness takes the file from its hands, and others try to attach to it.
 *
 * Afterwards every block must be free exactly once, every message taken once, every
 * request of a living submitter answered once, every ring, home and record at rest
 * (audit.c). Operations named recover-* are recovery itself: there the one that is killed
 * is the recoverer, of somebody who died before.
 *
 * Why instructions: a signal that kills or stops takes effect between two instructions,
 * and on x86 all stores of the instructions before are visible to everybody afterwards.
 * So the states that one dying process can leave behind are exactly those enumerated
 * here, for this compiler's code; a locked instruction is one step.
 *
 * What it cannot see: three parties in the middle of something, or two that take turns
 * more than once (the others run at full speed, but are not stepped); and weaker memory
 * orders than x86 has. Faults that need those are for the stress tests (tests/process)
 * and for model checking.
 *
 * A failure names operation, mode, point and instruction. To look at it again:
 *
 *	tests/crash/crash --only OP:MODE --point K      tells what happens
 *	addr2line -fipe tests/crash/crash ADDRESS       the source line
 */

#define _GNU_SOURCE

#include "crash.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ITEMS_MAX  768
#define LANES_MAX  8
#define TEXTS_MAX  3

/* A mode that fails so often in one lane has shown what it has to show. */
#define FAILURES_MAX 8

/* And how many one looks at that has used up its time; of the stores, which are always
 * looked at otherwise, the quick run looks at each so many-th then. */
#define HURRY_POINTS 30
#define HURRY_STORES 8

/* One operation in one mode: what one lane found out about its share of the points. */
struct share {
	uint32_t finished;
	uint32_t points;
	uint32_t of;
	bool strided;
	uint32_t failed;
	uint32_t outcomes;
	uint32_t hurried;
	uint64_t elapsed_ns;
	uint32_t texts_count;
	char texts[TEXTS_MAX][900];
};

struct item {
	const struct scenario *scenario;
	enum mode mode;
};

static struct item items[ITEMS_MAX];
static uint32_t items_count;
static struct share (*shares)[LANES_MAX];
static uint32_t *stop_all;
static uint64_t begun_ns;

/* Does the list "OP,OP:MODE,..." name this one? No list names all. */
static bool named(const char *list, const char *operation, const char *mode)
{
	size_t length = strlen(operation);

	if (!list)
		return true;
	for (const char *at = list; *at;) {
		size_t word = strcspn(at, ",");

		if (word == length && strncmp(at, operation, length) == 0)
			return true;
		if (word == length + 1 + strlen(mode) && at[length] == ':' &&
		    strncmp(at, operation, length) == 0 &&
		    strncmp(at + length + 1, mode, strlen(mode)) == 0)
			return true;
		at += word;
		at += *at == ',';
	}
	return false;
}

static void choose_items(void)
{
	for (int i = 0; scenarios[i]; i++) {
		if (scenarios[i]->needs_huge_page && !huge_page_free()) {
			if (named(asked.only, scenarios[i]->name, ""))
				printf("skip %s: no huge page of 2 MiB is free; "
				       "./check --reserve\n", scenarios[i]->name);
			continue;
		}
		for (int mode = 0; mode < MODES; mode++) {
			if (!(scenarios[i]->modes & IN(mode)) ||
			    !named(asked.only, scenarios[i]->name, mode_names[mode]))
				continue;
			if (items_count == ITEMS_MAX) {
				fprintf(stderr, "crash: more than %d items\n",
					ITEMS_MAX);
				exit(2);
			}
			items[items_count].scenario = scenarios[i];
			items[items_count++].mode = (enum mode)mode;
		}
	}
}

static void keep_finding(struct share *share, const struct item *item,
			 const struct plan *plan, const struct finding *finding)
{
	char beside[40] = "";

	share->failed++;
	if (is_duet(item->mode))
		snprintf(beside, sizeof(beside), " partner %u", plan->partner_point);
	if (share->texts_count < TEXTS_MAX)
		snprintf(share->texts[share->texts_count++], sizeof(share->texts[0]),
			 "not ok %s %s point %u%s at %s: %s", item->scenario->name,
			 mode_names[item->mode], plan->point, beside,
			 symbol_at(finding->address), finding->text);
	if (asked.first)
		__atomic_store_n(stop_all, 1, __ATOMIC_RELAXED);
}

static bool out_of_time(struct share *share)
{
	if (!asked.seconds ||
	    now_ns() - begun_ns <= asked.seconds * UINT64_C(1000000000))
		return false;
	share->hurried = 1;
	return true;
}

/* Of the points behind a store: all, or each so many-th. */
static uint32_t store_stride(struct share *share)
{
	return asked.quick && out_of_time(share) ? HURRY_STORES : 1;
}

/* Every so many points are tried, and always those behind a store to shared memory. */
static uint32_t stride_of(struct share *share, const struct item *item, uint32_t count)
{
	uint32_t stride = asked.stride;
	uint32_t most = asked.most;

	if (item->scenario->stride > stride)
		stride = item->scenario->stride;
	if (out_of_time(share))
		most = asked.quick ? HURRY_POINTS / HURRY_STORES : HURRY_POINTS;
	if (most && count / stride > most)
		stride = count / most;
	return stride;
}

static void run_point(struct share *share, const struct item *item, struct plan *plan,
		      uint32_t point)
{
	static struct finding finding;

	plan->point = point;
	share->points++;
	if (!experiment_run(plan, &finding))
		keep_finding(share, item, plan, &finding);
	share->outcomes |= finding.outcomes;
}

/* Whose is a point? Each lane walks the path itself, and a path may be some instructions
 * longer in one than in the other (where a number in /proc has one digit more): so it is
 * told by what stays the same. */
static uint32_t lane_of(const struct trace *trace, uint32_t point)
{
	uint64_t key = trace->address[point] + trace->passes[point];

	return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 40) % asked.lanes;
}

/* The points of one path, as far as they are this lane's. */
static void run_points(struct share *share, const struct item *item, struct plan *plan,
		       uint32_t lane)
{
	const struct trace *trace = plan->trace;
	uint32_t stores = 0;

	plan->record = false;
	plan->verbose = asked.verbose;
	if (!trace->passes) /* the path was lost on the way, and that is reported */
		return;
	if (asked.point != POINT_NONE) {
		if (asked.point < trace->count)
			run_point(share, item, plan, asked.point);
		return;
	}
	for (uint32_t point = 0; point < trace->count; point++) {
		uint32_t stride = stride_of(share, item, trace->count);
		bool store =
			stores < trace->stores_count && trace->stores[stores] == point;

		stores += store;
		store = store && stores % store_stride(share) == 0;
		share->strided |= stride > 1;
		if (point % stride != 0 && !store)
			continue;
		if (lane_of(trace, point) != lane)
			continue;
		if (__atomic_load_n(stop_all, __ATOMIC_RELAXED) ||
		    share->failed >= FAILURES_MAX)
			return;
		run_point(share, item, plan, point);
	}
}

/* Writes down the victim's path, by a run to the end of the operation, which is itself
 * the last point; then tries the others. */
static void run_path(struct share *share, const struct item *item, struct plan *plan,
		     uint32_t lane)
{
	static struct finding finding;
	struct trace trace = {0};

	plan->trace = &trace;
	plan->record = true;
	plan->verbose = false;
	bool good = experiment_run(plan, &finding);
	const char *missed =
		good ? coverage_missed(item->scenario->name, &trace) : NULL;
	if (missed) {
		good = false;
		finding.address = 0;
		snprintf(finding.text, sizeof(finding.text),
			 "coverage.c says that it goes through %s(), and it does not",
			 missed);
	}
	share->outcomes |= finding.outcomes;
	plan->point = trace.count;
	share->points += lane == 0;
	share->of += trace.count + 1;
	if (!good)
		keep_finding(share, item, plan, &finding);
	run_points(share, item, plan, lane);
	trace_free(&trace);
}

/* A lane's share of an item: every lanes-th of the chosen points. */
static void run_share(struct share *share, const struct item *item, uint32_t lane)
{
	static struct finding finding;
	struct trace partner = {0};
	uint64_t share_begun_ns = now_ns();
	struct plan plan = {.scenario = item->scenario,
			    .mode = item->mode,
			    .verbose = asked.verbose,
			    .partner_trace = &partner};

	if (is_duet(item->mode)) {
		struct trace unused = {0};

		plan.trace = &unused;
		plan.record_partner = true;
		plan.record = true;
		if (!experiment_run(&plan, &finding))
			keep_finding(share, item, &plan, &finding);
		trace_free(&unused);
		plan.record_partner = false;
		for (uint32_t i = 0; i < partner.stores_count; i += store_stride(share)) {
			plan.partner_point = partner.stores[i];
			if (asked.partner == POINT_NONE ||
			    asked.partner == plan.partner_point)
				run_path(share, item, &plan, lane);
		}
	} else {
		run_path(share, item, &plan, lane);
	}
	trace_free(&partner);
	share->elapsed_ns = now_ns() - share_begun_ns;
	__atomic_store_n(&share->finished, 1, __ATOMIC_RELEASE);
}

static void pin(uint32_t lane)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	lane %= (uint32_t)CPU_COUNT(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || lane-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static pid_t start_lane(uint32_t lane)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("crash: fork");
		exit(2);
	}
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Tracer and victim on one CPU: four times as many steps a second. */
	pin(lane);
	for (uint32_t i = 0; i < items_count; i++) {
		if (!__atomic_load_n(stop_all, __ATOMIC_RELAXED))
			run_share(&shares[i][lane], &items[i], lane);
	}
	_exit(0);
}

/* Prints an item when all lanes have done their share of it. */
static bool report(uint32_t number, uint64_t *points, uint64_t *failed, bool all_gone)
{
	const struct item *item = &items[number];
	uint32_t missing = item->scenario->outcomes_wanted;
	uint32_t sum = 0, bad = 0, of = 0, hurried = 0;
	uint64_t elapsed_ns = 0;
	bool strided = false;

	if (item->mode == MODE_LATE)
		missing |= OUTCOME_MOVED_IN;
	if (item->mode == MODE_ROUND)
		missing |= OUTCOME_OLD_INTENT;
	for (uint32_t lane = 0; lane < asked.lanes; lane++) {
		const struct share *share = &shares[number][lane];

		if (!__atomic_load_n(&share->finished, __ATOMIC_ACQUIRE) && !all_gone)
			return false;
		sum += share->points;
		bad += share->failed;
		missing &= ~share->outcomes;
		hurried |= share->hurried;
		strided |= share->strided;
		if (share->of > of)
			of = share->of;
		if (share->elapsed_ns > elapsed_ns)
			elapsed_ns = share->elapsed_ns;
	}
	if (sum == 0 && bad == 0)
		return true;
	/* Not of so few points. */
	if (asked.point != POINT_NONE || (hurried && asked.quick))
		missing = 0;
	bad += missing != 0;
	printf("crash %s %s points=%u", item->scenario->name, mode_names[item->mode],
	       sum);
	if (strided)
		printf(" of=%u", of);
	printf(" failed=%u\n", bad);
	if (missing)
		printf("not ok %s %s: outcomes %x were never seen\n",
		       item->scenario->name, mode_names[item->mode], missing);
	for (uint32_t lane = 0; lane < asked.lanes; lane++) {
		for (uint32_t i = 0; i < shares[number][lane].texts_count; i++)
			printf("%s\n", shares[number][lane].texts[i]);
	}
	if (asked.verbose)
		printf("  %.2f s\n", (double)elapsed_ns / 1e9);
	fflush(stdout);
	*points += sum;
	*failed += bad;
	return true;
}

static int run_all(void)
{
	pid_t lanes[LANES_MAX];
	uint32_t gone = 0, reported = 0, broken = 0, hurried = 0;
	uint64_t points = 0, failed = 0, distinct = 0;
	struct timespec moment = {.tv_nsec = 20000000};

	for (uint32_t lane = 0; lane < asked.lanes; lane++)
		lanes[lane] = start_lane(lane);
	while (reported < items_count) {
		for (uint32_t lane = 0; lane < asked.lanes; lane++) {
			int status;

			if (lanes[lane] && waitpid(lanes[lane], &status, WNOHANG) > 0) {
				lanes[lane] = 0;
				gone++;
				broken += status != 0;
			}
		}
		if (report(reported, &points, &failed, gone == asked.lanes))
			reported++;
		else
			nanosleep(&moment, NULL);
	}
	const char *left = create_leftovers();
	if (left)
		printf("not ok what was killed leaves nothing behind: %s\n", left);
	if (broken)
		printf("not ok the harness itself: %u of its %u lanes broke off\n",
		       broken, asked.lanes);
	/* Each instruction of an operation counts once, however many modes tried it. */
	for (uint32_t i = 0; i < items_count; i++) {
		uint64_t here = 0;
		bool any = false;

		for (uint32_t lane = 0; lane < asked.lanes; lane++)
			any |= shares[i][lane].hurried;
		hurried += any;
		if (i > 0 && items[i].scenario == items[i - 1].scenario)
			continue;
		for (uint32_t lane = 0; lane < asked.lanes; lane++)
			here += shares[i][lane].points;
		distinct += here;
	}
	if (hurried)
		printf("thinned: after %u s, %u of %u operations and modes were tried at "
		       "fewer points\n", asked.seconds, hurried, items_count);
	printf("crash points: %lu, experiments: %lu, failed: %lu, seconds: %.0f\n",
	       distinct, points, failed, (double)(now_ns() - begun_ns) / 1e9);
	return failed || broken || left || points == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	uint32_t cpus_count = 1;

	begun_ns = now_ns();
	options_read(argc, argv);
	choose_items();
	if (items_count == 0) {
		fprintf(stderr, "crash: no such operation; see --list\n");
		return 2;
	}
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		cpus_count = (uint32_t)CPU_COUNT(&cpus);
	if (asked.lanes == 0)
		asked.lanes = cpus_count;
	if (asked.lanes > LANES_MAX)
		asked.lanes = LANES_MAX;

	size_t bytes = sizeof(*shares) * items_count + sizeof(*stop_all);
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("crash: mmap");
		return 2;
	}
	shares = (void *)memory;
	stop_all = (void *)(memory + sizeof(*shares) * items_count);
	return run_all();
}
