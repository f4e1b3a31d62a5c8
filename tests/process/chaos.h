/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_CHAOS_H
#define EVERING_TESTS_CHAOS_H

/*
 * chaos.h - a cast of processes that are killed and stopped at random while they work,
 * and the witnesses of what goes wrong.
 *
 * A supervisor holds the region's descriptor and nothing else. It kills members of the
 * cast with SIGKILL and starts others in their stead, and stops one for a second now and
 * then. What is known to be true is kept on a *board*, shared memory beside the region:
 *
 *	holder[block]   which incarnation of a process has the block in its hands. Whoever
 *	                gets a block writes its own number there and looks at what it
 *	                replaces: nobody, or one who was doomed. Anything else is a block
 *	                with two owners.
 *	doomed[n]       set by the supervisor before it kills incarnation n.
 */

#include "process.h"

#define CHAOS_SLOTS_MAX 12
#define CHAOS_BLOCKS_MAX 4096
#define CHAOS_INCARNATIONS_MAX 65536
#define CHAOS_STOP_NS SECOND_NS

enum chaos_state {
	CHAOS_NOBODY,
	CHAOS_STARTING,
	CHAOS_WORKING,
	CHAOS_RESTING,
};

struct chaos_slot {
	struct evr_atomic_u64 state;
	struct evr_atomic_u64 incarnation;
	struct evr_atomic_u64 pid;
	struct evr_atomic_u64 operations; /* that went well */
	struct evr_atomic_u64 gap_ns;     /* the longest time without one */
	uint64_t pad[3];
};

struct chaos_board {
	struct evr_atomic_u64 next_incarnation;
	struct evr_atomic_u64
		stop; /* 1: who sends finishes; 2: who serves too; 3: leave */
	uint64_t variant; /* of the pool */
	struct evr_atomic_u64 faults;
	char text[224]; /* of the first fault */
	struct evr_atomic_u64 counts[16]; /* of the program's own */
	struct chaos_slot slots[CHAOS_SLOTS_MAX];
	struct evr_atomic_u64 holder[CHAOS_BLOCKS_MAX];
	struct evr_atomic_u32 doomed[CHAOS_INCARNATIONS_MAX];
};

/* ---- a member of the cast ---- */

static struct chaos_board *board;
static struct chaos_slot *my_slot;
static uint64_t my_incarnation;
static uint64_t my_last_ns;

/* What must never happen, did. The first text counts; this process ends. */
UNUSED __attribute__((noreturn, format(printf, 1, 2))) static void
chaos_fault(const char *format, ...)
{
	va_list arguments;

	if (evr_fetch_add_acq_rel_u64(&board->faults, 1) == 0) {
		va_start(arguments, format);
		vsnprintf(board->text, sizeof(board->text), format, arguments);
		va_end(arguments);
	}
	_exit(8);
}

UNUSED static bool is_doomed(uint64_t incarnation)
{
	return evr_load_acquire_u32(&board->doomed[incarnation % CHAOS_INCARNATIONS_MAX]);
}

/* The block has come into our hands. */
UNUSED static void hold(evr_token token, const char *how)
{
	struct evr_atomic_u64 *holder = &board->holder[evr_token_index(token)];
	uint64_t before = evr_load_relaxed_u64(holder);

	while (!evr_cas_acq_rel_u64(holder, &before, my_incarnation))
		;
	if (before != 0 && !is_doomed(before))
		chaos_fault("block %u has two holders: %llu, who lives, and %llu by %s",
			    evr_token_index(token), (unsigned long long)before,
			    (unsigned long long)my_incarnation, how);
}

/* It is about to leave them. */
UNUSED static void let_go(evr_token token, const char *how)
{
	struct evr_atomic_u64 *holder = &board->holder[evr_token_index(token)];
	uint64_t found = my_incarnation;

	if (!evr_cas_acq_rel_u64(holder, &found, 0))
		chaos_fault("block %u was taken from %llu by %llu before its %s",
			    evr_token_index(token), (unsigned long long)my_incarnation,
			    (unsigned long long)found, how);
}

/* A block and what it contains. */
UNUSED static void hold_all(struct evr_agent *agent, evr_token token, const char *how)
{
	struct evr_block content;
	uint32_t place;

	hold(token, how);
	for (place = 0; place < EVR_BLOCK_CONTENTS_MAX; place++)
		if (evr_block_content(agent, token, place, &content) == 0)
			hold(content.token, how);
}

UNUSED static void let_go_all(struct evr_agent *agent, evr_token token, const char *how)
{
	struct evr_block content;
	uint32_t place;

	for (place = 0; place < EVR_BLOCK_CONTENTS_MAX; place++)
		if (evr_block_content(agent, token, place, &content) == 0)
			let_go(content.token, how);
	let_go(token, how);
}

UNUSED static uint64_t stop_wanted(void)
{
	return evr_load_acquire_u64(&board->stop);
}

UNUSED static void count(uint32_t which)
{
	evr_fetch_add_relaxed_u64(&board->counts[which], 1);
}

/* One more operation went well: how long was it since the last? */
UNUSED static void progress(void)
{
	uint64_t now = now_ns();

	/* When all are asked to finish, there is little to do. */
	if (my_last_ns && !stop_wanted() &&
	    now - my_last_ns > evr_load_relaxed_u64(&my_slot->gap_ns))
		evr_store_relaxed_u64(&my_slot->gap_ns, now - my_last_ns);
	my_last_ns = now;
	evr_store_relaxed_u64(&my_slot->operations,
			      evr_load_relaxed_u64(&my_slot->operations) + 1);
}

/* A block, waiting until somebody frees one; the dead may have them all. */
UNUSED static bool chaos_alloc(struct evr_agent *agent, uint64_t bytes,
			       struct evr_block *ret)
{
	int error = evr_block_alloc(agent, bytes, ret);

	if (error == -ENOSPC)
		return false;
	if (error < 0)
		chaos_fault("alloc gave %d", error);
	hold(ret->token, "alloc");
	return true;
}

UNUSED static void chaos_free(struct evr_agent *agent, evr_token token)
{
	int error;

	let_go_all(agent, token, "free");
	error = evr_block_free(agent, token);
	if (error < 0)
		chaos_fault("free gave %d", error);
}

/* Finds its place on the board; from working() on it may be killed. */
UNUSED static void chaos_enter(const struct role *role)
{
	board = board_map(role->board_fd, sizeof(*board));
	my_slot = &board->slots[role->slot];
	my_incarnation = evr_fetch_add_acq_rel_u64(&board->next_incarnation, 1);
	MUST(my_incarnation < CHAOS_INCARNATIONS_MAX);
	evr_store_relaxed_u64(&my_slot->incarnation, my_incarnation);
	evr_store_release_u64(&my_slot->pid, (uint64_t)getpid());
	evr_store_release_u64(&my_slot->state, CHAOS_STARTING);
	prctl(PR_SET_PDEATHSIG, 0);
}

UNUSED static void chaos_working(void)
{
	evr_store_release_u64(&my_slot->state, CHAOS_WORKING);
}

/*
 * An immortal that has nothing in hand stays attached while the supervisor audits: what
 * it has lost count of must not be excused by its leaving.
 */
UNUSED static void chaos_rest(struct view *view)
{
	evr_agent_flush(&view->agent);
	evr_store_release_u64(&my_slot->state, CHAOS_RESTING);
	while (stop_wanted() < 3)
		sleep_us(1000);
}

UNUSED static void chaos_leave(struct view *view)
{
	view_close(view);
	evr_store_release_u64(&my_slot->state, CHAOS_NOBODY);
}

/* ---- making the region ---- */

/* Four kinds of pool take turns: words that alloc and free leave alone, and magazines
 * that go to the bitmap for every second block. */
#define CHAOS_VARIANTS 4

UNUSED static struct evr_pool_options chaos_pool(const struct evr_pool_class *classes,
						 uint32_t classes_count)
{
	struct evr_pool_options options = { .size = sizeof(options),
					    .classes = classes,
					    .classes_count = classes_count };

	if (board->variant & 1)
		options.flags = EVR_POOL_UNTRACKED;
	if (board->variant & 2)
		options.batch_count = 1;
	return options;
}

UNUSED static const char *chaos_pool_name(void)
{
	static const char *const names[CHAOS_VARIANTS] = {
		"tracked",
		"untracked",
		"tracked, batches of 1",
		"untracked, batches of 1",
	};

	return names[board->variant];
}

/* ---- the supervisor ---- */

struct chaos_part {
	const char *role;
	bool mortal;
	bool started_by_another; /* at first; the supervisor starts its successors */
};

struct chaos {
	const struct chaos_part *parts;
	uint32_t parts_count;
	int board_fd;
	int region_fd;
	uint64_t seed;
	uint64_t kills[CHAOS_SLOTS_MAX];
	uint64_t kills_wanted;
	uint64_t kills_done;
	uint64_t stops_done;
	int pidfds[CHAOS_SLOTS_MAX];
	int stopped; /* a slot, or -1 */
	uint64_t stopped_until_ns;
	uint64_t operations_before[CHAOS_SLOTS_MAX]; /* when it was stopped */
	uint64_t waited; /* immortals that got nothing done during a stop */
};

UNUSED static void chaos_start(struct chaos *chaos, uint32_t slot)
{
	struct role role = { .name = chaos->parts[slot].role,
			     .board_fd = chaos->board_fd,
			     .region_fd = chaos->region_fd,
			     .slot = slot,
			     .seed = next_random(&chaos->seed) };

	(void)role_start(&role);
}

/* Collects the ended: our own children, and those of a killed parent. */
UNUSED static void chaos_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static bool poll_ended(int pidfd, int milliseconds)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	return poll(&ended, 1, milliseconds) == 1;
}

/* Waits until the process in a slot works, and takes hold of it. */
UNUSED static bool chaos_await(struct chaos *chaos, uint32_t slot)
{
	struct chaos_slot *at = &board->slots[slot];
	uint64_t until_ns = now_ns() + 20 * SECOND_NS;

	while (evr_load_acquire_u64(&at->state) != CHAOS_WORKING) {
		if (now_ns() > until_ns || evr_load_acquire_u64(&board->faults))
			return false;
		sleep_us(100);
	}
	return evri_os_pidfd_open((int64_t)evr_load_acquire_u64(&at->pid),
				  &chaos->pidfds[slot]) == 0;
}

static void signal_slot(const struct chaos *chaos, uint32_t slot, int number)
{
	/* Nobody reaps it before we have seen its end: the PID is its own. */
	if (!poll_ended(chaos->pidfds[slot], 0))
		kill((pid_t)evr_load_acquire_u64(&board->slots[slot].pid), number);
}

/* Kills the process in a slot; true when it is dead and its place empty. */
UNUSED static bool chaos_kill(struct chaos *chaos, uint32_t slot)
{
	struct chaos_slot *at = &board->slots[slot];
	uint64_t incarnation = evr_load_acquire_u64(&at->incarnation);

	evr_store_release_u32(&board->doomed[incarnation], 1);
	signal_slot(chaos, slot, SIGKILL);
	if (!poll_ended(chaos->pidfds[slot], 20000))
		return false;
	close(chaos->pidfds[slot]);
	evr_store_release_u64(&at->state, CHAOS_NOBODY);
	chaos->kills[slot]++;
	chaos->kills_done++;
	chaos_reap();
	return true;
}

static void go_on(struct chaos *chaos)
{
	uint32_t slot;

	if (chaos->stopped < 0)
		return;
	for (slot = 0; slot < chaos->parts_count; slot++)
		if (!chaos->parts[slot].mortal &&
		    evr_load_acquire_u64(&board->slots[slot].operations) ==
			    chaos->operations_before[slot])
			chaos->waited++;
	signal_slot(chaos, (uint32_t)chaos->stopped, SIGCONT);
	chaos->stopped = -1;
}

/* One second of being stopped, begun or ended; the others are killed meanwhile. */
static void stop_and_go(struct chaos *chaos, uint32_t slot)
{
	uint32_t i;

	if (chaos->stopped >= 0) {
		if (now_ns() >= chaos->stopped_until_ns)
			go_on(chaos);
		return;
	}
	/* One in 64 by chance; one in each run. */
	if (next_random(&chaos->seed) % 64 != 0 &&
	    (chaos->stops_done > 0 || 2 * chaos->kills_done < chaos->kills_wanted))
		return;
	signal_slot(chaos, slot, SIGSTOP);
	for (i = 0; i < chaos->parts_count; i++)
		chaos->operations_before[i] =
			evr_load_acquire_u64(&board->slots[i].operations);
	chaos->stopped = (int)slot;
	chaos->stopped_until_ns = now_ns() + CHAOS_STOP_NS;
	chaos->stops_done++;
}

/* The whole cast at work; kills until @kills are done. False: somebody did not start or
 * end, or there was a fault. */
UNUSED static bool chaos_run(struct chaos *chaos, uint64_t kills, uint64_t pause_us_max)
{
	uint32_t slot;

	chaos->stopped = -1;
	chaos->kills_wanted = kills;
	for (slot = 0; slot < chaos->parts_count; slot++)
		if (!chaos_await(chaos, slot))
			return false;
	while (chaos->kills_done < kills || chaos->stopped >= 0) {
		do {
			slot = (uint32_t)(next_random(&chaos->seed) % chaos->parts_count);
		} while (!chaos->parts[slot].mortal);

		sleep_us(next_random(&chaos->seed) % pause_us_max);
		if (evr_load_acquire_u64(&board->faults))
			break;
		stop_and_go(chaos, slot);
		if ((int)slot == chaos->stopped)
			continue;
		if (!chaos_kill(chaos, slot))
			break;
		chaos_start(chaos, slot);
		if (!chaos_await(chaos, slot))
			break;
	}
	go_on(chaos);
	return chaos->kills_done >= kills && !evr_load_acquire_u64(&board->faults);
}

/* While one was stopped for a second, did each immortal get something done? */
UNUSED static void chaos_report_stops(const struct chaos *chaos, uint64_t gap_ns)
{
	static const char name[] = "nobody waits for one that is stopped for a second";

	printf("longest gap: %.1f ms\n", (double)gap_ns / (double)MILLISECOND_NS);
	if (chaos->stops_done == 0)
		report_skip(name, "too few kills for a stop",
			    "ask for more of them (--kills=N)");
	else if (chaos->waited == 0)
		report_ok(name);
	else
		report_not_ok(name, "in %llu of %llu stops an immortal got nothing done",
			      (unsigned long long)chaos->waited,
			      (unsigned long long)chaos->stops_done);
}

static bool rests_or_left(struct chaos *chaos, uint32_t slot)
{
	struct chaos_slot *at = &board->slots[slot];
	uint64_t until_ns = now_ns() + 30 * SECOND_NS;
	uint64_t state;

	do {
		state = evr_load_acquire_u64(&at->state);
		if (state == CHAOS_RESTING)
			return true;
		if (poll_ended(chaos->pidfds[slot], 1)) /* by leaving, or else */
			return evr_load_acquire_u64(&at->state) == CHAOS_NOBODY;
	} while (now_ns() < until_ns);
	return false;
}

/* Tells everybody which stage it is, and waits for those for whom it is the last. */
UNUSED static bool chaos_stop(struct chaos *chaos, uint64_t stage,
			      bool (*ends)(const char *role, uint64_t stage))
{
	bool all = true;
	uint32_t slot;

	evr_store_release_u64(&board->stop, stage);
	for (slot = 0; slot < chaos->parts_count; slot++)
		if (ends(chaos->parts[slot].role, stage) && !rests_or_left(chaos, slot))
			all = false;
	chaos_reap();
	return all;
}

/* Whatever became of the test: nobody is left. */
UNUSED static void chaos_end(struct chaos *chaos)
{
	uint32_t slot;

	for (slot = 0; slot < chaos->parts_count; slot++) {
		pid_t pid = (pid_t)evr_load_acquire_u64(&board->slots[slot].pid);

		if (evr_load_acquire_u64(&board->slots[slot].state) != CHAOS_NOBODY &&
		    pid > 0)
			kill(pid, SIGKILL);
	}
	sleep_us(20000);
	chaos_reap();
}

#endif
