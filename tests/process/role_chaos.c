/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * role_chaos.c - rings with single sides under random SIGKILLs and SIGSTOPs of those who
 * hold the roles, while others wait to succeed them, and a pusher and a popper live
 * through it all.
 *
 * There is one ring of each kind. Everybody goes from ring to ring: takes the role of its
 * side where there is one, works for a while, leaves it; and goes on to the next where
 * somebody else holds it, or nothing can be done. So one that is stopped with a role in
 * its hands keeps its side of one ring, and nobody waits for it.
 */

#include "chaos.h"

#include <evering/ring_role.h>

#define ORDER 4
#define RINGS 4
#define SENDERS_SEEN 4096
#define STINT_MAX 200
#define IMMORTAL_PUSHER 0
#define IMMORTAL_POPPER 1

enum {
	COUNT_PUSHED,     /* by the immortal */
	COUNT_TAKEN,      /* of the immortal's */
	COUNT_TAKEN_OVER, /* roles, whoever had them before */
	COUNT_REFUSED,    /* roles that somebody held */
};

static const char *const names[RINGS] = { "0", "1", "2", "3" };

static const struct chaos_part parts[] = {
	[IMMORTAL_PUSHER] = { "pusher", false, false },
	[IMMORTAL_POPPER] = { "popper", false, false },
	{ "pusher", true, false },
	{ "pusher", true, false },
	{ "popper", true, false },
	{ "popper", true, false },
	{ "recoverer", true, false },
};

struct message {
	uint64_t sender;
	uint64_t sequence;
	uint64_t taken;
	uint64_t check;
};

static uint64_t check_of(const struct message *message)
{
	return message->sender * 31 + message->sequence * 17 + 5;
}

/* Becomes the one at its side, or one of many; false: somebody else is that. */
static bool begin_stint(struct view *view, struct evr_ring *ring, uint32_t role)
{
	int error;

	if (!(evr_ring_flags(ring) & role))
		return true;
	error = evr_ring_take_role(ring, &view->agent, role);
	if (error == 0)
		count(COUNT_TAKEN_OVER);
	else if (error == -EBUSY)
		count(COUNT_REFUSED);
	else
		chaos_fault("taking a role gave %d", error);
	return error == 0;
}

static void end_stint(struct view *view, struct evr_ring *ring, uint32_t role)
{
	if (evr_ring_flags(ring) & role &&
	    evr_ring_leave_role(ring, &view->agent, role) < 0)
		chaos_fault("a role could not be left");
}

/* False: there is nothing more to be done here. */
static bool push_one(struct view *view, struct evr_ring *ring, bool immortal)
{
	static uint64_t sequence;
	struct evr_block block;
	struct message *message;
	int error;

	if (!chaos_alloc(&view->agent, sizeof(*message), &block)) {
		(void)evr_recover(&view->agent, NULL);
		return false;
	}
	message = block.payload;
	message->sender = my_incarnation;
	message->sequence = ++sequence;
	message->taken = 0;
	message->check = check_of(message);
	let_go(block.token, "push");
	error = evr_ring_try_push(ring, &view->agent, block.token);
	if (error == 0) {
		if (immortal)
			count(COUNT_PUSHED);
		progress();
		return true;
	}
	if (error != -EAGAIN)
		chaos_fault("push gave %d", error);
	hold(block.token, "failed push");
	chaos_free(&view->agent, block.token);
	return false;
}

/* Whose messages this process has seen in each ring, and up to which one. */
static uint64_t seen_sender[RINGS][SENDERS_SEEN];
static uint64_t seen_sequence[RINGS][SENDERS_SEEN];

static void judge(struct message *message, uint32_t which)
{
	uint64_t place = message->sender % SENDERS_SEEN;

	if (message->check != check_of(message))
		chaos_fault("a message of %llu is torn",
			    (unsigned long long)message->sender);
	if (message->taken)
		chaos_fault("message %llu of %llu was popped twice",
			    (unsigned long long)message->sequence,
			    (unsigned long long)message->sender);
	if (seen_sender[which][place] == message->sender &&
	    seen_sequence[which][place] >= message->sequence)
		chaos_fault("message %llu of %llu came after %llu",
			    (unsigned long long)message->sequence,
			    (unsigned long long)message->sender,
			    (unsigned long long)seen_sequence[which][place]);
	seen_sender[which][place] = message->sender;
	seen_sequence[which][place] = message->sequence;
	message->taken = 1;
}

static bool pop_one(struct view *view, struct evr_ring *ring, uint32_t which)
{
	uint64_t immortal =
		evr_load_acquire_u64(&board->slots[IMMORTAL_PUSHER].incarnation);
	struct evr_block block;
	int error = evr_ring_try_pop(ring, &view->agent, &block);

	if (error == -EAGAIN)
		return false;
	if (error < 0)
		chaos_fault("pop gave %d", error);
	hold(block.token, "pop");
	judge(block.payload, which);
	if (((struct message *)block.payload)->sender == immortal)
		count(COUNT_TAKEN);
	progress();
	chaos_free(&view->agent, block.token);
	return true;
}

/* From ring to ring. Poppers go on until nothing came for a while. */
static void roam(struct view *view, struct evr_ring *rings, uint32_t role,
		 const struct role *me)
{
	uint64_t seed = me->seed;
	uint64_t idle_since_ns = 0;

	while (role == EVR_RING_POPPER || !stop_wanted()) {
		uint32_t which = (uint32_t)(next_random(&seed) % RINGS);
		uint64_t stint = 1 + next_random(&seed) % STINT_MAX;
		uint64_t done = 0;

		if (begin_stint(view, &rings[which], role)) {
			while (done < stint &&
			       (role == EVR_RING_PUSHER ?
					push_one(view, &rings[which],
						 me->slot == IMMORTAL_PUSHER) :
					pop_one(view, &rings[which], which)))
				done++;
			end_stint(view, &rings[which], role);
		}
		if (done > 0) {
			idle_since_ns = 0;
			continue;
		}
		if (stop_wanted() >= 2 && idle_since_ns == 0)
			idle_since_ns = now_ns();
		if (idle_since_ns && now_ns() - idle_since_ns > 50 * MILLISECOND_NS)
			return;
		if (next_random(&seed) % 1024 == 0)
			(void)evr_recover(&view->agent, NULL);
		sched_yield();
	}
}

static void recover_all_the_time(struct view *view, uint64_t seed)
{
	while (!stop_wanted()) {
		if (evr_recover(&view->agent, NULL) < 0)
			chaos_fault("recovery failed: %s", evr_error_detail());
		sleep_us(next_random(&seed) % 500);
	}
}

static int play(const struct role *me)
{
	struct evr_ring rings[RINGS];
	struct view view;

	chaos_enter(me);
	view_attach(&view, me->region_fd, me->seed);
	for (int i = 0; i < RINGS; i++)
		MUST(evr_ring_open(view.region, names[i], &rings[i]) == 0);
	chaos_working();
	if (strcmp(me->name, "recoverer") == 0)
		recover_all_the_time(&view, me->seed);
	else
		roam(&view, rings,
		     strcmp(me->name, "pusher") == 0 ? EVR_RING_PUSHER : EVR_RING_POPPER,
		     me);
	if (!parts[me->slot].mortal)
		chaos_rest(&view);
	chaos_leave(&view);
	return 0;
}

static bool ends(const char *role, uint64_t stage)
{
	return (strcmp(role, "popper") == 0) == (stage == 2);
}

/* The supervisor makes the region and leaves it; it keeps the descriptor. */
static int make_region(void)
{
	static const struct evr_pool_class class = { 64, 256, 0 };
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(1) << 20,
						     .participants = 32 };
	struct evr_pool_options pool_options = chaos_pool(&class, 1);
	struct view view = { 0 };
	struct evr_ring ring;
	int fd;

	MUST(evr_region_create(&region_options, &view.region) == 0);
	MUST(evr_pool_create(view.region, &pool_options, &view.pool) == 0);
	for (uint32_t i = 0; i < RINGS; i++) {
		struct evr_ring_options options = { .size = sizeof(options),
						    .name = names[i],
						    .order = ORDER,
						    .flags = i };

		MUST(evr_ring_create_with(view.region, &options, &ring) == 0);
	}
	fd = inheritable(evr_region_fd(view.region));
	view_close(&view);
	return fd;
}

/* What is in the rings still: of the dead, or pushed at the last moment. */
static uint64_t clean_up(struct chaos *chaos, bool *ret_recovered, bool *ret_free)
{
	uint64_t immortal =
		evr_load_acquire_u64(&board->slots[IMMORTAL_PUSHER].incarnation);
	struct evr_ring ring;
	struct evr_block block;
	struct view view;
	uint64_t left = 0;

	view_attach(&view, chaos->region_fd, chaos->seed);
	*ret_recovered = recover_all(&view.agent, 10);
	*ret_free = true;
	for (int i = 0; i < RINGS; i++) {
		MUST(evr_ring_open(view.region, names[i], &ring) == 0);
		*ret_free &= evr_load_acquire_u64(&ring.shared->pusher) == 0 &&
			     evr_load_acquire_u64(&ring.shared->popper) == 0;
		if (!begin_stint(&view, &ring, EVR_RING_POPPER))
			continue;
		while (evr_ring_try_pop(&ring, &view.agent, &block) == 0) {
			left += ((struct message *)block.payload)->sender == immortal;
			MUST(evr_block_free(&view.agent, block.token) == 0);
		}
		end_stint(&view, &ring, EVR_RING_POPPER);
	}
	view_close(&view);
	return left;
}

static void report_messages(const struct chaos *chaos, uint64_t left)
{
	static const char name[] =
		"no more messages are missing than poppers were killed";
	uint64_t pushed = evr_load_relaxed_u64(&board->counts[COUNT_PUSHED]);
	uint64_t taken = evr_load_relaxed_u64(&board->counts[COUNT_TAKEN]) + left;

	if (taken <= pushed && pushed - taken <= chaos->kills_done && pushed > 0)
		report_ok(name);
	else
		report_not_ok(name, "%llu pushed, %llu popped, %llu kills",
			      (unsigned long long)pushed, (unsigned long long)taken,
			      (unsigned long long)chaos->kills_done);
}

static void report_end_state(struct chaos *chaos)
{
	static const char name[] = "the roles of the dead are free again";
	bool recovered, all_free;
	uint64_t left = clean_up(chaos, &recovered, &all_free);

	report_messages(chaos, left);
	if (!recovered)
		report_not_ok("what the dead held comes back", "not within 10 s");
	if (all_free)
		report_ok(name);
	else
		report_not_ok(name, "a role word is not 0");
	report_all_free("after all kills every block is free exactly once",
			chaos->region_fd);
}

int main(int argc, char **argv)
{
	static const char name[] =
		"whoever is killed, a role has one holder, and each block one, in order";
	struct chaos chaos = { .parts = parts, .parts_count = COUNT_OF(parts) };
	struct role role;
	uint64_t kills, pause_us, gap_ns;
	bool well;
	uint32_t slot;

	if (role_of(argc, argv, &role))
		return play(&role);
	chaos.seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	kills = option(argc, argv, "kills", "EVR_KILLS", report_quick() ? 150 : 2000);
	pause_us = option(argc, argv, "pause-us", "EVR_PAUSE_US", 5000);
	printf("seed: %llu (--seed=N or EVR_SEED=N; also --kills --pause-us)\n",
	       (unsigned long long)chaos.seed);
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	chaos.board_fd = board_create(sizeof(*board));
	board = board_map(chaos.board_fd, sizeof(*board));
	evr_store_relaxed_u64(&board->next_incarnation, 1);
	board->variant = chaos.seed % CHAOS_VARIANTS;
	chaos.region_fd = make_region();

	for (slot = 0; slot < chaos.parts_count; slot++) {
		chaos_start(&chaos, slot);
		if (!chaos_await(&chaos, slot))
			break;
	}
	well = slot == chaos.parts_count &&
	       chaos_run(&chaos, kills, pause_us ? pause_us : 1) &&
	       chaos_stop(&chaos, 1, ends) && chaos_stop(&chaos, 2, ends);
	gap_ns = evr_load_relaxed_u64(&board->slots[IMMORTAL_POPPER].gap_ns);
	printf("kills: %llu, stops: %llu, pushed by the immortal: %llu, popped by it: "
	       "%llu, roles taken: %llu, refused: %llu, pool: %s\n",
	       (unsigned long long)chaos.kills_done, (unsigned long long)chaos.stops_done,
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_PUSHED]),
	       (unsigned long long)evr_load_relaxed_u64(
		       &board->slots[IMMORTAL_POPPER].operations),
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_TAKEN_OVER]),
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_REFUSED]),
	       chaos_pool_name());
	if (well && !board->faults.raw)
		report_ok(name);
	else
		report_not_ok(name, "%s",
			      board->text[0] ? board->text
					     : "a process did not start or end");
	chaos_report_stops(&chaos, gap_ns);
	if (well)
		report_end_state(&chaos);
	evr_store_release_u64(&board->stop, 3);
	chaos_end(&chaos);
	return report_end();
}
