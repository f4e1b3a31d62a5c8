/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * storm.c - many processes and threads at tiny rings, killed and stopped at random, alone
 * and several at once, joining and leaving all the time, with two recoverers that are
 * killed as well; and a judge.
 *
 * A storm is a row of short rounds. In each a fresh region, whose counters stand just
 * before the places where they come round (laps, generations, sessions, attach numbers),
 * is worked at by seven members, each place of which is filled again when its member was
 * killed or has left. Then it calms down: who lives is answered and leaves, what the dead
 * held comes back, what lies in rings is taken out. Every block must be free once, and
 * what the members wrote down must be the history of queues (history.h), and of requests:
 *
 *	sent = received + in the ring + held by the killed
 *	asked by one who was not killed = answered + come back with -EOWNERDEAD
 *
 * --seed=N repeats the schedule: who is killed or stopped when, what each member does
 * next, and each round's geometry. What the machine does in between it cannot repeat.
 * --round=R makes that round of the storm alone. --kills=1000000 is the full form.
 */

#include "storm.h"

#include <inttypes.h>

#include "home.h"
#include "pool_internal.h"

#define ROUND_KILLS 48
#define PARTICIPANTS 32
#define AGENTS 40
#define BLOCKS 96
#define ORDER_MAX 3
#define CALM_NS (20 * SECOND_NS)

static const enum storm_part parts[STORM_PLACES] = {
	STORM_WORKER,	STORM_WORKER,	 STORM_SLEEPER,	  STORM_THREADED,
	STORM_THREADED, STORM_RECOVERER, STORM_RECOVERER,
};

/* Where the counters begin, by turns. */
struct age {
	const char *name;
	uint64_t lap;
	uint64_t number;
	uint64_t generation;
	uint32_t session;
};

static const struct age ages[] = {
	{ "young", EVR_RING_FIRST_LAP, 1, 1, 0 },
	{ "laps and tokens about to come round", (1 << EVR_SLOT_LAP_BITS) - 20, 1,
	  EVR_TOKEN_GENERATION_MASK - 30, EVR_HOME_SESSION_MASK - 2 },
	{ "attach numbers half through", 3 * (1 << EVR_SLOT_LAP_BITS) - 3,
	  (UINT64_C(1) << 31) - 20, EVR_TOKEN_GENERATION_MASK - 3, 77 },
	{ "attach numbers nearly used up", UINT64_C(1) << 40,
	  (uint64_t)EVRI_ATTACH_NUMBER_MAX - 4 * ROUND_KILLS,
	  EVR_BLOCK_GENERATION_MASK - 30, EVR_HOME_SESSION_MASK - 30 },
};

bool storm_failed(struct storm *s, const char *format, ...)
{
	va_list arguments;
	int used = snprintf(s->text, sizeof(s->text),
			    "round %" PRIu64 " (--seed=%" PRIu64 " --round=%" PRIu64
			    "): ",
			    s->round, s->seed, s->round);

	va_start(arguments, format);
	vsnprintf(s->text + used, sizeof(s->text) - (size_t)used, format, arguments);
	va_end(arguments);
	return false;
}

static uint64_t draw(struct storm *s, uint64_t below)
{
	return next_random(&s->random) % below;
}

/* ---- a region that is not new ---- */

static void age_ring(struct evr_ring *ring, uint64_t lap)
{
	for (uint64_t i = 0; i <= ring->mask; i++)
		evr_store_relaxed_u64(&ring->slots[i], evri_slot_empty(lap));
	evr_store_relaxed_u64(&ring->shared->tail_hint, lap << ring->order);
	evr_store_relaxed_u64(&ring->shared->head_hint, lap << ring->order);
}

static void age_region(struct view *view, const struct age *age, struct evr_ring *rings)
{
	struct evri_uring *urings;
	struct evr_ring submissions;
	uint32_t count;

	for (uint32_t i = 0; i < STORM_RINGS; i++)
		age_ring(&rings[i], age->lap + i);
	MUST(evri_urings_find(view->region, &urings, &count) == 0 && count == 1);
	MUST(evri_uring_submissions(&urings[0], &submissions) == 0);
	age_ring(&submissions, age->lap + 2);
	for (uint32_t slot = 0; slot < urings[0].homes_count; slot++)
		evr_store_relaxed_u64(&evri_home_at(&urings[0], slot)->word,
				      evri_home_word(EVR_HOME_FREE, age->session, 0));
	free(urings);
	for (uint32_t i = 0; i < BLOCKS; i++)
		evr_store_relaxed_u64(&evri_block_at(&view->agent, i)->word,
				      evr_block_word(age->generation - i % 8,
						     EVR_BLOCK_FREE, 0));
	if (age->number > 1)
		evr_store_release_u64(&view->region->shared->next_number, age->number);
}

static const struct age *age_of(const struct storm *s)
{
	return &ages[s->round % COUNT_OF(ages)];
}

static void make_region(struct storm *s)
{
	const struct evr_pool_class class = { sizeof(uint64_t) * 8, BLOCKS, 0 };
	struct evr_region_options region = { .size = sizeof(region),
					     .bytes = UINT64_C(1) << 18,
					     .participants = PARTICIPANTS,
					     .agents = AGENTS };
	struct evr_pool_options pool = { .size = sizeof(pool),
					 .classes = &class,
					 .classes_count = 1,
					 .batch_count = 1 + (uint32_t)draw(s, 4),
					 .flags = draw(s, 2) ? EVR_POOL_UNTRACKED : 0 };
	struct evr_uring_options uring = { .size = sizeof(uring),
					   .submission_capacity = 1U << (1 + draw(s, 3)),
					   .completion_capacity = 1U << (1 + draw(s, 2)),
					   .submitters = 14 };
	struct evr_ring rings[STORM_RINGS];
	struct view view = { 0 };

	s->order = EVR_RING_ORDER_MIN + (uint32_t)draw(s, ORDER_MAX);
	MUST(evr_region_create(&region, &view.region) == 0);
	MUST(evr_pool_create(view.region, &pool, &view.pool) == 0);
	MUST(evr_ring_create(view.region, "ring0", s->order, &rings[0]) == 0);
	MUST(evr_ring_create(view.region, "ring1", s->order, &rings[1]) == 0);
	MUST(evr_uring_create(view.pool, &uring, &view.uring) == 0);
	MUST(evr_agent_open(view.pool, &view.agent) == 0);
	age_region(&view, age_of(s), rings);
	s->region_fd = dup(evr_region_fd(view.region));
	MUST(s->region_fd >= 0);
	s->lives_left = STORM_LOGS;
	if (age_of(s)->number > UINT32_MAX / 2 + UINT32_C(1000))
		s->lives_left = 3 * ROUND_KILLS;
	view_close(&view);
}

/* ---- who lives ---- */

static void start(struct storm *s, uint32_t which)
{
	struct storm_life life = { .board = s->board,
				   .region_fd = s->region_fd,
				   .part = parts[which],
				   .seed = next_random(&s->random),
				   .log = s->logs_count };
	struct storm_place *place = &s->places[which];

	if (s->logs_count + STORM_THREADS_MAX > STORM_LOGS || s->lives_left == 0)
		return;
	for (uint32_t i = 0; i < STORM_THREADS_MAX; i++) {
		struct storm_log *log = &s->board->logs[s->logs_count + i];

		log->count.raw = 0;
		log->settled.raw = 0;
		log->killed = 0;
		log->ended_ns = 0;
	}
	s->logs_count += STORM_THREADS_MAX;
	s->lives_left--;
	s->lives++;
	place->log = life.log;
	place->stopped = false;
	place->pid = fork();
	MUST(place->pid >= 0);
	if (place->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		storm_live(&life);
	}
}

static void bury(struct storm *s, struct storm_place *place, bool killed)
{
	for (uint32_t i = 0; i < STORM_THREADS_MAX; i++) {
		struct storm_log *log = &s->board->logs[place->log + i];

		log->killed = killed;
		log->ended_ns = now_ns();
	}
	place->pid = 0;
}

/* Those who have left by themselves; others take their places. */
static bool look_who_left(struct storm *s, bool refill)
{
	for (uint32_t i = 0; i < STORM_PLACES; i++) {
		struct storm_place *place = &s->places[i];
		int status;

		if (place->pid == 0 || waitpid(place->pid, &status, WNOHANG) <= 0)
			continue;
		bury(s, place, false);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			return storm_failed(s, "a member ended with status %x: %s",
					    status, s->board->text);
		if (refill)
			start(s, i);
	}
	return true;
}

/* One, two or three at once. */
static void kill_some(struct storm *s)
{
	uint32_t count = (uint32_t[]){ 1, 1, 1, 1, 2, 2, 3, 1 }[draw(s, 8)];
	uint32_t first = (uint32_t)draw(s, STORM_PLACES), killed = 0;
	uint32_t which[STORM_PLACES];

	for (uint32_t i = 0; i < STORM_PLACES && killed < count; i++) {
		uint32_t at = (first + i * 3) % STORM_PLACES;

		if (s->places[at].pid == 0)
			continue;
		kill(s->places[at].pid, SIGKILL);
		which[killed++] = at;
	}
	s->several += killed > 1;
	for (uint32_t i = 0; i < killed; i++) {
		int status;
		struct storm_place *place = &s->places[which[i]];

		MUST(waitpid(place->pid, &status, 0) == place->pid);
		/* It may have been quicker. */
		bury(s, place, WIFSIGNALED(status));
		s->kills += WIFSIGNALED(status);
	}
	for (uint32_t i = 0; i < killed; i++)
		start(s, which[i]);
}

static void stop_or_continue(struct storm *s)
{
	struct storm_place *place = &s->places[draw(s, STORM_PLACES)];

	if (place->pid == 0)
		return;
	kill(place->pid, place->stopped ? SIGCONT : SIGSTOP);
	s->stops += !place->stopped;
	place->stopped = !place->stopped;
}

static bool blow(struct storm *s, uint64_t kills, uint64_t pause_us)
{
	uint64_t until = s->kills + kills;

	for (uint32_t i = 0; i < STORM_PLACES; i++)
		start(s, i);
	while (s->kills < until && s->logs_count + STORM_THREADS_MAX <= STORM_LOGS &&
	       s->lives_left > 0) {
		if (evr_load_acquire_u32(&s->board->faults))
			return storm_failed(s, "%s", s->board->text);
		sleep_us(draw(s, pause_us));
		if (!look_who_left(s, true))
			return false;
		if (draw(s, 4) == 0)
			stop_or_continue(s);
		else
			kill_some(s);
	}
	return true;
}

/* ---- it calms down ---- */

static bool all_settled(const struct storm *s)
{
	for (uint32_t i = 0; i < STORM_PLACES; i++) {
		uint32_t threads = parts[i] == STORM_THREADED ? 2 : 1;

		for (uint32_t k = 0; k < threads; k++)
			if (s->places[i].pid && parts[i] != STORM_RECOVERER &&
			    !evr_load_acquire_u32(
				    &s->board->logs[s->places[i].log + k].settled))
				return false;
	}
	return true;
}

static bool anybody_there(const struct storm *s)
{
	for (uint32_t i = 0; i < STORM_PLACES; i++)
		if (s->places[i].pid)
			return true;
	return false;
}

static bool wait_until(struct storm *s, bool over)
{
	uint64_t until_ns = now_ns() + CALM_NS;

	while (over ? anybody_there(s) : !all_settled(s)) {
		if (!look_who_left(s, false))
			return false;
		if (evr_load_acquire_u32(&s->board->faults))
			return storm_failed(s, "%s", s->board->text);
		if (now_ns() > until_ns)
			return storm_failed(s, "a member does not come to an end");
		sleep_us(20);
	}
	return true;
}

static bool calm_down(struct storm *s)
{
	for (uint32_t i = 0; i < STORM_PLACES; i++)
		if (s->places[i].pid)
			kill(s->places[i].pid, SIGCONT);
	evr_store_release_u32(&s->board->stage, STORM_SETTLING);
	if (!wait_until(s, false))
		return false;
	evr_store_release_u32(&s->board->stage, STORM_OVER);
	return wait_until(s, true);
}

static void end_all(struct storm *s)
{
	for (uint32_t i = 0; i < STORM_PLACES; i++) {
		if (s->places[i].pid == 0)
			continue;
		kill(s->places[i].pid, SIGKILL);
		waitpid(s->places[i].pid, NULL, 0);
		s->places[i].pid = 0;
	}
}

/* ---- what is left in the region ---- */

/* As one more log: whatever comes out now. */
static struct storm_log *drain(struct storm *s, struct view *view)
{
	struct storm_log *log = &s->board->logs[s->logs_count++];
	uint32_t count = 0;

	log->killed = 0;
	for (uint32_t i = 0; i < STORM_RINGS; i++) {
		char name[8];
		struct evr_ring ring;
		struct evr_block block;

		snprintf(name, sizeof(name), "ring%u", i);
		MUST(evr_ring_open(view->region, name, &ring) == 0);
		while (evr_ring_try_pop(&ring, &view->agent, &block) == 0) {
			log->ops[count++] = (struct storm_op){
				.begin_ns = now_ns(),
				.end_ns = now_ns(),
				.value = *(const uint64_t *)block.payload,
				.kind = STORM_POP,
				.ring = (uint8_t)i,
			};
			MUST(evr_block_free(&view->agent, block.token) == 0);
			s->left++;
		}
	}
	log->count.raw = count;
	return log;
}

/* The first block that is not free, for whoever looks for the reason. */
static void describe_block(struct storm *s, const struct view *view)
{
	s->strange[0] = '\0';
	for (uint32_t i = 0; i < BLOCKS && !s->strange[0]; i++) {
		uint64_t word =
			evr_load_acquire_u64(&evri_block_at(&view->agent, i)->word);

		if (evr_block_word_state(word) != EVR_BLOCK_FREE &&
		    evr_block_word_owner(word) != view->agent.number)
			snprintf(s->strange, sizeof(s->strange),
				 "; block %u, generation %" PRIu64 ", state %u of %u", i,
				 evr_block_word_generation(word),
				 evr_block_word_state(word), evr_block_word_owner(word));
	}
}

static bool look_at_region(struct storm *s)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct audit audit;
	struct view view;
	uint64_t bytes;
	void *base;
	bool good;

	memset(&view, 0, sizeof(view));
	MUST(evr_region_attach(s->region_fd, &view.region) == 0);
	view_open(&view);
	if (!recover_all(&view.agent, 10))
		return storm_failed(s, "what the dead held does not come back");
	drain(s, &view);
	/* Requests of the dead are freed on the way. */
	MUST(evr_completer_open(view.uring, &view.agent, NULL, &completer) == 0);
	if (evr_completer_try_receive(completer, &request) == 0)
		return storm_failed(s,
				    "request %" PRIx64 " is there, and nobody waits",
				    request.operation);
	evr_completer_close(completer);
	if (!recover_all(&view.agent, 10))
		return storm_failed(s, "what the dead held does not come back");
	describe_block(s, &view);
	view_close(&view);
	base = audit_map(s->region_fd, &bytes);
	MUST(base);
	good = audit_all_free(base, bytes, &audit);
	munmap(base, bytes);
	return good || storm_failed(s, "%s%s", audit.text, s->strange);
}

/* ---- rounds ---- */

static bool run_round(struct storm *s, uint64_t kills, uint64_t pause_us)
{
	bool good;

	s->random = s->seed ^ (s->round * UINT64_C(0x9e3779b97f4a7c15));
	s->logs_count = 0;
	evr_store_release_u32(&s->board->stage, STORM_BLOWING);
	make_region(s);
	good = blow(s, kills, pause_us) && calm_down(s);
	end_all(s);
	good = good && look_at_region(s) && storm_judge(s);
	close(s->region_fd);
	return good;
}

static void print_sums(const struct storm *s, uint64_t rounds, uint64_t elapsed_ns)
{
	printf("rounds: %" PRIu64 ", lives: %" PRIu64 ", kills: %" PRIu64
	       " (%.0f a second), %" PRIu64 " times several at once, stops: %" PRIu64
	       ", finished by recovery: %" PRIu64 " in %" PRIu64 " passes\n",
	       rounds, s->lives, s->kills,
	       (double)s->kills * 1e9 / (double)(elapsed_ns + 1), s->several, s->stops,
	       s->board->recovered.raw, s->board->passes.raw);
	printf("sent: %" PRIu64 " + %" PRIu64 " half sent = received: %" PRIu64
	       " (%" PRIu64 " at the end) + held by the killed: %" PRIu64
	       " + thrown away, of the killed: %" PRIu64 "; operations judged: %" PRIu64
	       "\n",
	       s->sent, s->half_sent, s->received, s->left, s->held, s->unheard,
	       s->operations);
	printf("asked: %" PRIu64 ", answered: %" PRIu64 ", came back: %" PRIu64 "\n",
	       s->asked, s->answered, s->returned);
}

int main(int argc, char **argv)
{
	static const char name[] = "what is left of a storm is the history of queues, "
				   "and every block once";
	static struct storm s;
	uint64_t kills = option(argc, argv, "kills", "EVR_KILLS",
				report_quick() ? 2000 : 20000);
	uint64_t pause_us = option(argc, argv, "pause-us", "EVR_PAUSE_US", 400);
	uint64_t only = option(argc, argv, "round", "EVR_ROUND", UINT64_MAX);
	uint64_t seconds = option(argc, argv, "seconds", "EVR_SECONDS", 25);
	uint64_t begun_ns = now_ns(), rounds = 0;
	bool good = true;

	s.seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	printf("seed: %" PRIu64 " (--seed=N; --kills --seconds --round --pause-us)\n",
	       s.seed);
	fflush(stdout);
	s.board = mmap(NULL, sizeof(*s.board), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(s.board != MAP_FAILED);
	s.round = only == UINT64_MAX ? 0 : only;
	while (good && s.kills < kills &&
	       (seconds == 0 || now_ns() - begun_ns < seconds * SECOND_NS)) {
		good = run_round(&s, ROUND_KILLS, pause_us ? pause_us : 1);
		rounds++;
		if (only != UINT64_MAX)
			break;
		s.round++;
	}
	print_sums(&s, rounds, now_ns() - begun_ns);
	if (good)
		report_ok(name);
	else
		report_not_ok(name, "%s", s.text);
	return report_end();
}
