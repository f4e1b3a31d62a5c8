/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * inline_chaos.c - a ring of inline entries whose pusher and popper are killed and
 * stopped at random moments, and followed by others who take their roles.
 *
 * Each pusher numbers its entries from 1 and notes, beside the region, how many pushes
 * have returned; each popper notes what it has seen, and then what it has released. So an
 * entry that is lost, doubled, torn or out of order is one that the notes rule out.
 */

#include "process.h"

#include <evering/ring_inline.h>

#define ORDER 4
#define PUSHERS_MAX 8192
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
	uint32_t pushers;              /* the number of the present one */
	uint64_t pushed[PUSHERS_MAX];  /* pushes of each that returned */
	uint64_t seen[PUSHERS_MAX];    /* the last number of each that was seen */
	uint64_t released[PUSHERS_MAX];/* and released */
	uint64_t current;              /* the pusher whose entries are seen now */
	uint64_t poppers;              /* the number of the present one */
	uint64_t looked;               /* the popper who has seen an entry last */
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

static struct entry next_entry(uint64_t pusher, uint64_t number)
{
	struct entry entry = { pusher, number, 0 };

	entry.check = check_of(&entry);
	return entry;
}

static void run_pusher(int fd)
{
	struct evr_ring_inline ring;
	uint64_t me = ++board->pushers, number = 0, seed = me;

	if (me >= PUSHERS_MAX)
		_exit(0);
	MUST(evr_ring_inline_open(join(fd), "ring", EVR_RING_PUSHER, sizeof(struct entry),
				  &ring) == 0);
	while (!__atomic_load_n(&board->stop, __ATOMIC_ACQUIRE)) {
		struct entry entries[BURST];
		uint32_t count = 1 + (uint32_t)(next_random(&seed) % BURST);
		int n;

		for (uint32_t i = 0; i < count; i++)
			entries[i] = next_entry(me, number + 1 + i);
		if (count > 1) {
			n = evr_ring_inline_push_burst(&ring, entries, sizeof(entries[0]),
						       count);
		} else {
			n = evr_ring_inline_try_push(&ring, entries, sizeof(entries[0]));
			n = n == 0 ? 1 : n;
		}
		if (n > 0) {
			number += (uint64_t)n;
			__atomic_store_n(&board->pushed[me], number, __ATOMIC_RELEASE);
			continue;
		}
		if (n != -EAGAIN && n != -EOWNERDEAD)
			complain(evr_strerror(n), me, number, 0);
		sched_yield();
	}
	MUST(evr_ring_inline_close(&ring) == 0);
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
	if (entry.pusher < board->current)
		complain("an entry of one before", entry.pusher, entry.number,
			 board->current);
	if (entry.number <= *seen) {
		if (at_most_once || entry.number <= board->released[entry.pusher])
			complain("seen again", entry.pusher, entry.number, *seen);
		board->again++;
		return;
	}
	if (entry.number > *seen + 1) {
		uint64_t missing = entry.number - *seen - 1;

		/* Those between may all have died over what they were shown. */
		if (!at_most_once ||
		    missing > SHOWN_MAX * (board->poppers - board->looked))
			complain("entries are missing", entry.pusher, entry.number,
				 *seen);
		board->gone += missing;
	}
	__atomic_store_n(&board->looked, board->poppers, __ATOMIC_RELEASE);
	__atomic_store_n(&board->current, entry.pusher, __ATOMIC_RELEASE);
	__atomic_store_n(seen, entry.number, __ATOMIC_RELEASE);
	board->entries++;
}

static int take_some(struct evr_ring_inline *ring, uint64_t turn)
{
	struct entry copies[SHOWN_MAX];
	const void *shown;
	int n;

	if (at_most_once && turn % 3 == 0) {
		n = evr_ring_inline_pop_burst(ring, copies, sizeof(copies[0]), SHOWN_MAX);
		for (int i = 0; i < n; i++)
			look_at(&copies[i]);
		return n;
	}
	n = evr_ring_inline_peek(ring, sizeof(struct entry), SHOWN_MAX, &shown);
	for (int i = 0; i < n; i++)
		look_at((const struct entry *)shown + i);
	/* Now and then long enough to be killed over them. */
	if (turn % 16 == 0)
		sched_yield();
	if (n > 0) {
		struct entry last = ((const struct entry *)shown)[n - 1];

		MUST(evr_ring_inline_release(ring, sizeof(struct entry), (uint32_t)n) ==
		     0);
		__atomic_store_n(&board->released[last.pusher], last.number,
				 __ATOMIC_RELEASE);
	}
	return n;
}

static void run_popper(int fd)
{
	struct evr_ring_inline ring;

	board->poppers++;
	MUST(evr_ring_inline_open(join(fd), "ring", EVR_RING_POPPER, sizeof(struct entry),
				  &ring) == 0);
	for (uint64_t turn = 0;; turn++) {
		int n = take_some(&ring, turn);

		if (n == -EPIPE)
			break;
		if (n < 0 && n != -EAGAIN && n != -EOWNERDEAD)
			complain(evr_strerror(n), 0, 0, 0);
		if (n < 0)
			sched_yield();
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
	pid_t children[2] = { start(run_pusher, fd), start(run_popper, fd) };
	uint32_t kills = 0;

	while (now_ns() < until_ns && !board->wrong && board->pushers + 2 < PUSHERS_MAX) {
		uint64_t dice = next_random(&seed);
		uint32_t side = dice & 1;

		sleep_us(dice >> 8 & 1023);
		if (dice >> 4 & 1)
			kill(children[side], SIGSTOP);
		if (dice >> 5 & 1)
			sleep_us(300);
		if (dice >> 6 & 3) {
			replace(&children[side], side ? run_popper : run_pusher, fd);
			kills++;
		} else {
			kill(children[side], SIGCONT);
		}
	}
	__atomic_store_n(&board->stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		waitpid(children[i], NULL, 0);
	return kills;
}

static void run(const char *name, uint32_t flags, uint64_t milliseconds, uint64_t seed)
{
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = 1 << 20 };
	struct evr_ring_inline_options options = { .size = sizeof(options),
						   .name = "ring",
						   .entry_bytes = sizeof(struct entry),
						   .order = ORDER,
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
	MUST(evr_ring_inline_create(house.region, &options) == 0);
	kills = torment(evr_region_fd(house.region), milliseconds, seed);
	for (uint32_t i = 1; i < PUSHERS_MAX && !at_most_once; i++)
		lost += board->seen[i] < board->pushed[i];
	printf("# %llu entries, %u kills, %llu seen again, %llu gone\n",
	       (unsigned long long)board->entries, kills,
	       (unsigned long long)board->again, (unsigned long long)board->gone);
	if (board->wrong)
		report_not_ok(name, "%s (seed %llu)", board->complaint,
			      (unsigned long long)seed);
	else if (lost || !board->drained || board->entries == 0 || kills < 10)
		report_not_ok(name,
			      "%llu pushers have lost entries, drained %u, %llu entries, "
			      "%u kills (seed %llu)",
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
	run("killed sides of an inline ring lose and double nothing that was released", 0,
	    milliseconds, seed);
	run("at most once nothing is seen again and no more is gone than was shown",
	    EVR_RING_AT_MOST_ONCE, milliseconds, seed);
	return report_end();
}
