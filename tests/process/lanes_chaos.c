/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * lanes_chaos.c - lanes whose pushers and popper are killed and stopped at random
 * moments, and followed by others who take their lanes and the role.
 *
 * Each pusher numbers its entries from 1 and notes, beside the region, how many pushes
 * have returned; each popper notes what it has seen, and then what it has released. So an
 * entry that is lost, doubled, torn or out of its pusher's order is one that the notes
 * rule out. At the end the popper closes the lanes, and must come to their end.
 */

#include "process.h"

#include <evering/ring_lanes.h>

#define ORDER 3
#define LANES 5
#define PUSHERS_AT_A_TIME 4
#define PUSHERS_MAX 16384
#define BURST 5
/* What one peek or burst of a popper may take with it: a cell of entries of 24 bytes. */
#define SHOWN_MAX 2

struct entry {
	uint64_t pusher;
	uint64_t number;
	uint64_t check;
};

struct board {
	uint32_t stop;
	uint32_t wrong;
	uint32_t drained;
	uint64_t pushers;               /* numbers given out */
	uint64_t pushed[PUSHERS_MAX];   /* pushes of each that returned */
	uint64_t seen[PUSHERS_MAX];     /* the last number of each that was seen */
	uint64_t released[PUSHERS_MAX]; /* and released */
	uint64_t poppers;
	uint64_t entries, again, gone;
	char complaint[200];
};

static struct board *board;
static struct view house; /* the parent's: it recovers the records of the dead */
static bool at_most_once;

static uint64_t check_of(const struct entry *entry)
{
	return entry->pusher * 1000003 ^ entry->number * 31;
}

static void complain(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	if (!__atomic_exchange_n(&board->wrong, 1, __ATOMIC_ACQ_REL))
		snprintf(board->complaint, sizeof(board->complaint),
			 "%s: pusher %llu, entry %llu, after %llu", what,
			 (unsigned long long)a, (unsigned long long)b,
			 (unsigned long long)c);
	_exit(1);
}

static struct evr_region *join(int fd)
{
	struct evr_region *region;

	alarm(PROCESS_SECONDS_MAX);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	MUST(evr_region_attach(fd, &region) == 0);
	return region;
}

/* Until the popper closes the lanes. */
static void run_pusher(int fd)
{
	uint64_t me = __atomic_add_fetch(&board->pushers, 1, __ATOMIC_ACQ_REL);
	uint64_t number = 0, seed = me;
	struct evr_ring_lane lane;

	if (me >= PUSHERS_MAX)
		_exit(0);
	MUST(evr_ring_lane_open(join(fd), "lanes", sizeof(struct entry), &lane) == 0);
	for (;;) {
		struct entry entries[BURST];
		uint32_t count = 1 + (uint32_t)(next_random(&seed) % BURST);
		int n;

		for (uint32_t i = 0; i < count; i++) {
			entries[i] = (struct entry){ me, number + 1 + i, 0 };
			entries[i].check = check_of(&entries[i]);
		}
		if (count > 1) {
			n = evr_ring_lane_push_burst(&lane, entries, sizeof(entries[0]),
						     count);
		} else {
			n = evr_ring_lane_try_push(&lane, entries, sizeof(entries[0]));
			n = n == 0 ? 1 : n;
		}
		if (n > 0) {
			number += (uint64_t)n;
			__atomic_store_n(&board->pushed[me], number, __ATOMIC_RELEASE);
			continue;
		}
		if (n == -EPIPE)
			break;
		if (n != -EAGAIN && n != -EOWNERDEAD)
			complain(evr_strerror(n), me, number, 0);
		sched_yield();
	}
	_exit(0);
}

static void look_at(const struct entry *shown)
{
	struct entry entry = *shown;
	uint64_t *seen;

	if (entry.check != check_of(&entry) || entry.pusher == 0 ||
	    entry.pusher >= PUSHERS_MAX)
		complain("a torn entry", entry.pusher, entry.number, entry.check);
	seen = &board->seen[entry.pusher];
	if (entry.number <= *seen) {
		if (at_most_once || entry.number <= board->released[entry.pusher])
			complain("seen again", entry.pusher, entry.number, *seen);
		board->again++;
		return;
	}
	if (entry.number > *seen + 1) {
		/* Those between may all have died over what they were shown. */
		if (!at_most_once)
			complain("entries are missing", entry.pusher, entry.number,
				 *seen);
		board->gone += entry.number - *seen - 1;
	}
	__atomic_store_n(seen, entry.number, __ATOMIC_RELEASE);
	board->entries++;
}

static int take_some(struct evr_ring_lanes *lanes, uint64_t turn)
{
	struct entry copies[SHOWN_MAX];
	const void *shown;
	int n;

	if (at_most_once && turn % 3 == 0) {
		n = evr_ring_lanes_pop_burst(lanes, copies, sizeof(copies[0]), SHOWN_MAX);
		for (int i = 0; i < n; i++)
			look_at(&copies[i]);
		return n;
	}
	n = evr_ring_lanes_peek(lanes, sizeof(struct entry), SHOWN_MAX, &shown);
	for (int i = 0; i < n; i++)
		look_at((const struct entry *)shown + i);
	/* Now and then long enough to be killed over them. */
	if (turn % 16 == 0)
		sched_yield();
	if (n > 0) {
		struct entry last = ((const struct entry *)shown)[n - 1];

		MUST(evr_ring_lanes_release(lanes, sizeof(struct entry), (uint32_t)n) ==
		     0);
		__atomic_store_n(&board->released[last.pusher], last.number,
				 __ATOMIC_RELEASE);
	}
	return n;
}

static void run_popper(int fd)
{
	struct evr_ring_lanes *lanes;

	board->poppers++;
	MUST(evr_ring_lanes_open(join(fd), "lanes", sizeof(struct entry), &lanes) == 0);
	for (uint64_t turn = 0;; turn++) {
		int n = take_some(lanes, turn);

		if (n == -EPIPE)
			break;
		if (n < 0 && n != -EAGAIN)
			complain(evr_strerror(n), 0, 0, 0);
		if (n < 0)
			sched_yield();
		if (__atomic_load_n(&board->stop, __ATOMIC_ACQUIRE))
			evr_ring_lanes_close(lanes);
	}
	__atomic_store_n(&board->drained, 1, __ATOMIC_RELEASE);
	_exit(0);
}

static pid_t start(void (*run)(int), int fd)
{
	pid_t child = fork();

	MUST(child >= 0);
	if (child == 0)
		run(fd);
	return child;
}

/* Ends one, and puts another in its place. */
static void replace(pid_t *child, void (*run)(int), int fd)
{
	kill(*child, SIGKILL);
	MUST(waitpid(*child, NULL, 0) == *child);
	MUST(evr_recover(&house.agent, NULL) >= 0);
	*child = start(run, fd);
}

static uint32_t torment(int fd, uint64_t milliseconds, uint64_t seed)
{
	uint64_t until_ns = now_ns() + milliseconds * MILLISECOND_NS;
	pid_t children[1 + PUSHERS_AT_A_TIME] = { start(run_popper, fd) };
	uint32_t kills = 0;

	for (uint32_t i = 1; i < COUNT_OF(children); i++)
		children[i] = start(run_pusher, fd);
	while (now_ns() < until_ns && !board->wrong && board->pushers + 8 < PUSHERS_MAX) {
		uint64_t dice = next_random(&seed);
		uint32_t who = (uint32_t)(dice >> 32) % COUNT_OF(children);

		sleep_us(dice >> 8 & 1023);
		if (dice >> 4 & 1)
			kill(children[who], SIGSTOP);
		if (dice >> 5 & 1)
			sleep_us(300);
		if (dice >> 6 & 3) {
			replace(&children[who], who ? run_pusher : run_popper, fd);
			kills++;
		} else {
			kill(children[who], SIGCONT);
		}
	}
	__atomic_store_n(&board->stop, 1, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < COUNT_OF(children); i++)
		waitpid(children[i], NULL, 0);
	return kills;
}

static void run(const char *name, uint32_t flags, uint64_t milliseconds, uint64_t seed)
{
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = 1 << 20 };
	struct evr_ring_lanes_options options = { .size = sizeof(options),
						  .name = "lanes",
						  .entry_bytes = sizeof(struct entry),
						  .order = ORDER,
						  .lanes_count = LANES,
						  .flags = flags };
	struct evr_pool_class class = { .payload_bytes = 64, .blocks_count = 64 };
	struct evr_pool_options pool_options = { .size = sizeof(pool_options),
						 .classes = &class,
						 .classes_count = 1 };
	uint64_t lost = 0;
	uint32_t kills;

	at_most_once = flags & EVR_RING_AT_MOST_ONCE;
	memset(board, 0, sizeof(*board));
	MUST(evr_region_create(&region_options, &house.region) == 0);
	MUST(evr_pool_create(house.region, &pool_options, &house.pool) == 0);
	MUST(evr_agent_open(house.pool, &house.agent) == 0);
	MUST(evr_ring_lanes_create(house.region, &options) == 0);
	kills = torment(evr_region_fd(house.region), milliseconds, seed);
	for (uint32_t i = 1; i < PUSHERS_MAX; i++)
		if (board->seen[i] < board->pushed[i])
			lost += board->pushed[i] - board->seen[i];
	if (at_most_once && lost + board->gone <= SHOWN_MAX * board->poppers)
		lost = 0; /* shown to those who died over them */
	printf("# %llu entries of %llu pushers, %u kills, %llu seen again, %llu gone\n",
	       (unsigned long long)board->entries, (unsigned long long)board->pushers,
	       kills, (unsigned long long)board->again,
	       (unsigned long long)board->gone);
	if (board->wrong)
		report_not_ok(name, "%s (seed %llu)", board->complaint,
			      (unsigned long long)seed);
	else if (lost || !board->drained || board->entries == 0 || kills < 10)
		report_not_ok(name,
			      "%llu entries lost, drained %u, %llu entries, %u kills "
			      "(seed %llu)",
			      (unsigned long long)lost, board->drained,
			      (unsigned long long)board->entries, kills,
			      (unsigned long long)seed);
	else
		report_ok(name);
	view_close(&house);
}

int main(int argc, char **argv)
{
	uint64_t milliseconds = option(argc, argv, "milliseconds", "EVR_CHAOS_MS",
				       report_quick() ? 1000 : 4000);
	uint64_t seed = option(argc, argv, "seed", "EVR_SEED", now_ns());

	board = board_map(board_create(sizeof(*board)), sizeof(*board));
	run("killed sides of lanes lose and double nothing that was released", 0,
	    milliseconds, seed);
	run("at most once nothing is seen again and no more is gone than was shown",
	    EVR_RING_AT_MOST_ONCE, milliseconds, seed);
	return report_end();
}
