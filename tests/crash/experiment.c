/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * experiment.c - one experiment, from a fresh region to the audit.
 *
 *	house     makes region, pool, ring and uring
 *	departed  does what the scenario says, and dies
 *	source    supplies, then sleeps
 *	victim    gets ready and is stepped to the point
 *	          [by mode: the source dies; the victim dies, or stays stopped there]
 *	house     recovers, while
 *	workers   do 1 000 operations each
 *	victim    goes on, if it lives, and checks what it has
 *	all       settle: each request answered once; then they leave, or die idle
 *	house     recovers the rest and audits
 */

#include "experiment.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool_internal.h"

const char *const mode_names[MODES] = {
	"kill",  "quiet", "stop", "sender", "both",   "other",
	"rival", "round", "late", "ends",   "begins",
};

#define PARTICIPANTS 7
#define AGENTS 8

#define WATCHDOG_SECONDS 30

void experiment_say(const struct experiment *x, const char *format, ...)
{
	va_list arguments;

	if (!x->plan->verbose)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static void house_open(struct experiment *x)
{
	const struct geometry *geometry = x->scenario->geometry;
	struct party *house = &x->house;

	if (!geometry)
		geometry = &geometry_usual;
	struct evr_region_options region = {
		.size = sizeof(region),
		.bytes = 128 * 1024,
		.bytes_max = 128 * 1024 + geometry->grow_bytes,
		.participants = PARTICIPANTS,
		.agents = AGENTS,
	};
	struct evr_pool_class classes[] = {
		{64, geometry->blocks, 0},
		{LARGE_BYTES, geometry->large, geometry->alignment},
	};
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = classes,
		.classes_count = geometry->large ? 2 : 1,
		.batch_count = geometry->batch,
		.flags = geometry->pool_flags,
	};
	struct evr_uring_options uring = {
		.size = sizeof(uring),
		.submission_capacity = geometry->submission,
		.completion_capacity = geometry->completion,
		.submitters = geometry->submitters,
	};
	memset(house, 0, sizeof(*house));
	house->who = HOUSE;
	house->board = x->board;
	MUST(house, evr_region_create(&region, &house->region));
	MUST(house, evr_pool_create(house->region, &pool, &house->pool));
	MUST(house, evr_ring_create(house->region, "ring", geometry->ring_order,
					 &house->ring));
	MUST(house, evr_uring_create(house->pool, &uring, &house->uring));
	house->uring = evr_uring_close(house->uring);
	if (x->board->complaint[HOUSE][0]) {
		fprintf(stderr, "crash: cannot set up: %s (%s)\n",
			x->board->complaint[HOUSE], evr_error_detail());
		exit(2);
	}
	party_open_objects(house);
}

/* Dies when everybody else has opened what they need: opening recovers the dead. */
static void depart(struct party *departed, const struct scenario *scenario)
{
	departed->board->departed = evr_region_number(departed->region);
	departed->board->departed_record = departed->region->record;
	departed->board->departed_agent =
		(uint32_t)(departed->agent.shared - departed->region->agents);
	announce(&departed->board->present);
	scenario->depart(departed);
	announce(&departed->board->ready);
	if (!scenario->departs_beside)
		await(departed, &departed->board->die);
}

/* The departed, or by mode one who comes in its place later. */
static void run_departed(const struct experiment *x, struct party *party)
{
	if (x->mode == MODE_LATE && x->board->departed) {
		newcomer_run(party);
		return;
	}
	if (x->mode == MODE_RIVAL)
		x->scenario->rival(party);
	else if (x->mode == MODE_ROUND)
		holder_run(party);
	else
		depart(party, x->scenario);
	kill(getpid(), SIGKILL);
}

static void run_child(struct experiment *x, enum who who)
{
	static struct party party; /* static: the same addresses in every run */
	const struct scenario *scenario = x->scenario;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	party_open(&party, who, x->board, evr_region_fd(x->house.region));
	switch (who) {
	case SOURCE:
		source_run(&party, scenario);
		break;
	case DEPARTED:
		run_departed(x, &party);
		break;
	case PARTNER:
		scenario = scenario->partner;
		/* fall through */
	case VICTIM:
		if (scenario->enter)
			scenario->enter(&party);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		step_through(scenario, &party);
		if (scenario->leave)
			scenario->leave(&party);
		party_reap_all(&party);
		party_close(&party);
		party_rest(&party);
		break;
	default:
		worker_run(&party, x->mode == MODE_OTHER && who == WORKER_B);
	}
	_exit(0);
}

void experiment_start(struct experiment *x, enum who who)
{
	pid_t pid = fork();

	if (pid < 0) {
		perror("crash: fork");
		exit(2);
	}
	if (pid == 0)
		run_child(x, who);
	x->pid[who] = pid;
}

/* Whatever is still there goes. */
static void end_all(struct experiment *x)
{
	for (int who = 0; who < PARTIES; who++) {
		if (x->pid[who] > 0) {
			kill(x->pid[who], SIGKILL);
			step_await_exit(x->pid[who]);
		}
		x->pid[who] = 0;
	}
}

void experiment_expect_exit(struct experiment *x, enum who who, int wanted)
{
	if (x->pid[who] <= 0)
		return;
	int status = step_await_exit(x->pid[who]);
	x->pid[who] = 0;
	experiment_say(x, "the %s ended with %d", who_names[who], status);
	if (status != wanted && !x->board->complaint[who][0])
		complain(&x->house, "the %s ended with %d, not %d", who_names[who],
			 status, wanted);
}

static void kill_party(struct experiment *x, enum who who)
{
	kill(x->pid[who], SIGKILL);
	experiment_expect_exit(x, who, -SIGKILL);
}

bool experiment_any_complaint(const struct experiment *x)
{
	for (int who = 0; who < PARTIES; who++) {
		if (x->board->complaint[who][0])
			return true;
	}
	return false;
}

static bool start_traced(struct experiment *x, enum who who)
{
	experiment_start(x, who);
	if (step_to_begin(x->pid[who]) == STEP_OK)
		return true;
	x->pid[who] = 0;
	complain(&x->house, "the %s, before its begin mark: %s", who_names[who],
		 step_problem());
	return false;
}

/* What the victim is to recover must not have been recovered before. */
static void expect_unrecovered(struct experiment *x)
{
	const struct evr_region *region = x->house.region;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);

		if ((uint32_t)word == x->board->departed &&
		    word >> 32 != EVR_PARTICIPANT_FREE)
			return;
	}
	complain(&x->house, "the departed was recovered before its time");
}

/* Everything up to the begin marks. */
static bool set_the_scene(struct experiment *x)
{
	const struct scenario *scenario = x->scenario;

	house_open(x);
	if (scenario->prepare)
		scenario->prepare(&x->house);
	if (scenario->supply && (source_dies(x) || !scenario->supplies_to_die))
		experiment_start(x, SOURCE);
	if (scenario->depart)
		experiment_start(x, DEPARTED);
	if (scenario->depart && !scenario->departs_beside)
		await(&x->house, &x->board->ready);
	if (scenario->source_dies_first) {
		await(&x->house, &x->board->supplied);
		kill_party(x, SOURCE);
		while (others_recover(x) > 0)
			;
	}
	if (!start_traced(x, VICTIM) || (is_duet(x->mode) && !start_traced(x, PARTNER)))
		return false;
	if (scenario->depart) {
		announce(&x->board->die);
		experiment_expect_exit(x, DEPARTED, -SIGKILL);
		if (!scenario->departs_beside)
			expect_unrecovered(x);
	}
	if (source_dies(x)) {
		await(&x->house, &x->board->supplied);
		kill_party(x, SOURCE);
	}
	return !experiment_any_complaint(x);
}

/* Until it holds nothing any more, or has ended for some reason. */
static void wait_for_rest(struct experiment *x, enum who who)
{
	struct timespec moment = {.tv_nsec = 20000};
	int status;

	while (x->pid[who] > 0 &&
	       !__atomic_load_n(&x->board->resting[who], __ATOMIC_ACQUIRE)) {
		if (waitpid(x->pid[who], &status, WNOHANG) > 0) {
			x->pid[who] = 0;
			if (!x->board->complaint[who][0])
				complain(&x->house, "the %s ended with status %x",
					 who_names[who], status);
		} else if (took_longer_than(DEADLINE_SECONDS + 2)) {
			complain(&x->house, "the %s does not come to an end",
				 who_names[who]);
			return;
		}
		nanosleep(&moment, NULL);
	}
}

/* To its end mark. */
static void finish_operation(struct experiment *x, enum who who)
{
	if (step_finish(x->pid[who]) != STEP_ENDED)
		complain(&x->house, "the %s, going on: %s", who_names[who],
			 step_problem());
}

/* From its end mark until it holds nothing any more. */
static void let_go(struct experiment *x, enum who who)
{
	ptrace(PTRACE_DETACH, x->pid[who], 0, 0);
	wait_for_rest(x, who);
}

static void settle(struct experiment *x)
{
	uint32_t expected = 0;

	for (int who = 0; who < PARTIES; who++)
		expected |= x->pid[who] > 0 && !x->board->resting[who] ? 1U << who : 0;
	__atomic_store_n(&x->board->expected, expected, __ATOMIC_RELEASE);
	announce(&x->board->finish);
	wait_for_rest(x, SOURCE);
	wait_for_rest(x, DEPARTED);
	wait_for_rest(x, WORKER_A);
	experiment_expect_exit(x, WORKER_B, -SIGKILL);
}

static void audit(struct experiment *x)
{
	if (x->scenario->conclude)
		x->scenario->conclude(&x->house);
	uint32_t lost = x->scenario->messages_lost + victim_dies(x) +
			(x->mode == MODE_OTHER ? 2 : x->mode == MODE_RIVAL);

	if (lost > x->scenario->messages_lost)
		lost += x->scenario->burst_lost;
	audit_blocks(&x->house, lost);
	announce(&x->board->audited);
	if (!experiment_any_complaint(x)) {
		experiment_expect_exit(x, SOURCE, 0);
		experiment_expect_exit(x, DEPARTED, 0);
		experiment_expect_exit(x, WORKER_A, 0);
		experiment_expect_exit(x, VICTIM, 0);
		experiment_expect_exit(x, PARTNER, 0);
	}
	end_all(x);
	audit_records(&x->house);
}

static void gather(struct experiment *x)
{
	size_t used = 0;

	x->finding->text[0] = 0;
	for (int who = PARTIES - 1; who >= 0 && used < sizeof(x->finding->text); who--) {
		if (x->board->complaint[who][0])
			used += (size_t)snprintf(
				x->finding->text + used, sizeof(x->finding->text) - used,
				"%s%s", used ? "; " : "", x->board->complaint[who]);
	}
}

static void prepare_board(struct board *board, const struct scenario *scenario,
			  enum mode mode)
{
	memset(board, 0, sizeof(*board));
	board->wanted = OPERATIONS_WANTED;
	board->deaths = (mode != MODE_STOP && !is_duet(mode)) || scenario->depart ||
			scenario->source_dies_first || scenario->gone_is_no_surprise;
	board->no_ring = scenario->closes_ring;
	board->no_uring = scenario->shuts_uring;
}

static const void *look_at_region(struct party *house, pid_t victim, size_t *ret_bytes)
{
	(void)victim;
	*ret_bytes = house->region->mapped[0].bytes;
	return house->region->base;
}

/* Steps one party to its point; false: it cannot, or it took another path. */
static bool step_to_point(struct experiment *x, enum who who, bool record,
			  struct trace *trace, uint32_t point, bool leap, bool *strayed)
{
	struct watched watched = { .look = x->scenario->look, .house = &x->house };
	pid_t pid = x->pid[who];
	enum step_result result;

	if (!watched.look)
		watched.look = look_at_region;
	if (record)
		result = step_record(pid, trace, &watched);
	else
		result = step_reach(pid, trace, point, leap);
	if (result == STEP_LOST) {
		complain(&x->house, "stepping the %s: %s", who_names[who],
			 step_problem());
		return false;
	}
	uint64_t address = step_address(pid);
	experiment_say(x, "the %s is at %s", who_names[who], symbol_at(address));
	if (who == VICTIM)
		x->finding->address = address;
	if (leap && !record && point < trace->count && address != trace->address[point]) {
		*strayed = true;
		return false;
	}
	return true;
}

static bool step_victim(struct experiment *x, bool leap, bool *strayed)
{
	return step_to_point(x, VICTIM, x->plan->record, x->plan->trace, x->plan->point,
			     leap, strayed);
}

static bool step_partner(struct experiment *x, bool leap, bool *strayed)
{
	bool other_path = false;
	bool reached =
		step_to_point(x, PARTNER, x->plan->record_partner, x->plan->partner_trace,
			      x->plan->partner_point, leap, &other_path);

	/* Behind a victim in the middle of things the partner's path is not the recorded
	 * one: then the point is somewhere else on it, which is as good. */
	if (other_path && x->mode == MODE_BEGINS)
		return true;
	*strayed |= other_path;
	return reached;
}

static void run_solo(struct experiment *x, bool leap, bool *strayed)
{
	if (!step_victim(x, leap, strayed))
		return;
	if (x->scenario->reached)
		x->scenario->reached(&x->house, x->pid[VICTIM]);
	if (victim_dies(x)) {
		kill_party(x, VICTIM);
		x->board->cut_short = 1;
	}
	others_work(x);
	if (!experiment_any_complaint(x) && !victim_dies(x)) {
		finish_operation(x, VICTIM);
		announce(&x->board->go_on);
		if (!experiment_any_complaint(x))
			let_go(x, VICTIM);
	}
}

static void run_duet(struct experiment *x, bool leap, bool *strayed)
{
	bool ends = x->mode == MODE_ENDS || x->plan->record_partner;

	if ((ends && !step_partner(x, leap, strayed)) || !step_victim(x, leap, strayed) ||
	    (!ends && !step_partner(x, leap, strayed)))
		return;
	finish_operation(x, ends ? PARTNER : VICTIM);
	if (!experiment_any_complaint(x))
		finish_operation(x, ends ? VICTIM : PARTNER);
	if (!experiment_any_complaint(x)) {
		while (others_recover(x) > 0)
			;
		audit_bits(&x->house);
	}
	if (experiment_any_complaint(x))
		return;
	let_go(x, PARTNER);
	let_go(x, VICTIM);
	if (!experiment_any_complaint(x))
		others_work(x);
}

static void run(struct experiment *x, bool leap, bool *strayed)
{
	if (!set_the_scene(x))
		return;
	if (is_duet(x->mode))
		run_duet(x, leap, strayed);
	else
		run_solo(x, leap, strayed);
	if (*strayed)
		return;
	if (!experiment_any_complaint(x))
		settle(x);
	if (experiment_any_complaint(x))
		end_all(x);
	audit(x);
}

bool experiment_run(const struct plan *plan, struct finding *ret)
{
	static struct board *board;
	bool leap = true, strayed;

	if (!board)
		board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	do {
		static struct experiment x;

		memset(&x, 0, sizeof(x));
		x.plan = plan;
		x.scenario = plan->scenario;
		x.mode = plan->mode;
		x.board = board;
		x.finding = ret;
		strayed = false;
		prepare_board(board, plan->scenario, plan->mode);
		take_time();
		step_watchdog(WATCHDOG_SECONDS);
		run(&x, leap, &strayed);
		leap = false;
		end_all(&x);
		step_watchdog(0);
		gather(&x);
		ret->outcomes = board->outcomes;
		if (x.house.region) /* given up half-way */
			evr_region_detach(x.house.region);
	} while (strayed);
	return ret->text[0] == 0;
}
