/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * ring_chaos.c - a bare ring under random SIGKILLs and SIGSTOPs of those who push to it,
 * pop from it, and move blocks on, while a pusher and a popper live through it all.
 *
 * A block that was popped by one who is then killed is freed by recovery, with what was
 * in it; so of the immortal's messages no more may be missing than poppers were killed.
 *
 * burst_chaos.c is the same with bursts: a killed popper may have had one popped, and
 * another in hand.
 */

#include "chaos.h"

#include <evering/ring_burst.h>

#ifndef BURST_MAX
#define BURST_MAX 1
#define LOST_MAX 1 /* with each killed popper */
#endif

#define RING "ring"
#define ORDER 4
#define SENDERS_SEEN 4096
#define IMMORTAL_PUSHER 0
#define IMMORTAL_POPPER 1

enum {
	COUNT_PUSHED, /* by the immortal */
	COUNT_TAKEN,  /* of the immortal's */
};

static const struct chaos_part parts[] = {
	[IMMORTAL_PUSHER] = { "pusher", false, false },
	[IMMORTAL_POPPER] = { "popper", false, false },
	{ "pusher", true, false },
	{ "popper", true, false },
	{ "mover", true, false },
	{ "recoverer", true, false },
	{ "recoverer", true, false },
};

enum journey {
	SENT = 0x53454e54,
	MOVED = 0x4d4f5645,
	TAKEN = 0x54414b45,
};

struct message {
	uint64_t sender;
	uint64_t sequence;
	uint64_t journey;
	uint64_t check;
};

static uint64_t check_of(const struct message *message)
{
	return message->sender * 31 + message->sequence * 17 + 5;
}

/* Up to @wanted messages; fewer when there are no blocks for them. */
static uint32_t make_messages(struct view *view, uint32_t wanted, uint64_t *sequence,
			      evr_token *ret)
{
	uint32_t made = 0;

	for (; made < wanted; made++) {
		struct evr_block block;
		struct message *message;

		if (!chaos_alloc(&view->agent, sizeof(*message), &block))
			break;
		message = block.payload;
		message->sender = my_incarnation;
		message->sequence = ++*sequence;
		message->journey = SENT;
		message->check = check_of(message);
		ret[made] = block.token;
	}
	return made;
}

static int push(struct evr_ring *ring, struct evr_agent *agent, const evr_token *tokens,
		uint32_t count)
{
	int error;

	if (BURST_MAX > 1)
		return evr_ring_try_push_burst(ring, agent, tokens, count);
	error = evr_ring_try_push(ring, agent, tokens[0]);
	return error < 0 ? error : 1;
}

static int pop(struct evr_ring *ring, struct evr_agent *agent, struct evr_block *ret,
	       uint32_t max)
{
	int error;

	if (BURST_MAX > 1 && max > 1)
		return evr_ring_try_pop_burst(ring, agent, ret, max);
	error = evr_ring_try_pop(ring, agent, ret);
	return error < 0 ? error : 1;
}

static void push_all(struct view *view, struct evr_ring *ring, bool immortal,
		     uint64_t seed)
{
	uint64_t sequence = 0;

	while (!stop_wanted()) {
		uint32_t wanted = 1 + (uint32_t)(next_random(&seed) % BURST_MAX);
		evr_token tokens[BURST_MAX];
		uint32_t made = make_messages(view, wanted, &sequence, tokens);
		uint32_t pushed = 0;
		uint32_t i;

		if (made == 0) {
			(void)evr_recover(&view->agent, NULL);
			continue;
		}
		for (i = 0; i < made; i++)
			let_go(tokens[i], "push");
		while (pushed < made && !stop_wanted()) {
			int result = push(ring, &view->agent, tokens + pushed,
					  made - pushed);

			if (result > 0)
				pushed += (uint32_t)result;
			else if (result == -EAGAIN)
				sched_yield();
			else
				chaos_fault("push gave %d", result);
		}
		for (i = 0; i < pushed; i++) {
			if (immortal)
				count(COUNT_PUSHED);
			progress();
		}
		for (i = pushed; i < made; i++) {
			hold(tokens[i], "failed push");
			chaos_free(&view->agent, tokens[i]);
		}
	}
}

/* Whose messages this process has seen, and up to which one. */
static uint64_t seen_sender[SENDERS_SEEN];
static uint64_t seen_sequence[SENDERS_SEEN];

static void judge(const struct message *message)
{
	uint64_t place = message->sender % SENDERS_SEEN;

	if (message->check != check_of(message))
		chaos_fault("a message of %llu is torn",
			    (unsigned long long)message->sender);
	if (message->journey == TAKEN)
		chaos_fault("message %llu of %llu was popped twice",
			    (unsigned long long)message->sequence,
			    (unsigned long long)message->sender);
	if (message->journey != SENT)
		return; /* moved on: it may have been overtaken */
	if (seen_sender[place] == message->sender &&
	    seen_sequence[place] >= message->sequence)
		chaos_fault("message %llu of %llu came after %llu",
			    (unsigned long long)message->sequence,
			    (unsigned long long)message->sender,
			    (unsigned long long)seen_sequence[place]);
	seen_sender[place] = message->sender;
	seen_sequence[place] = message->sequence;
}

/* One block has come: on it goes, or it is freed. */
static void deal_with(struct view *view, struct evr_ring *ring, struct evr_block *block,
		      bool moves, uint64_t immortal)
{
	struct message *message = block->payload;

	judge(message);
	progress();
	if (moves) {
		message->journey = MOVED;
		let_go(block->token, "push");
		if (evr_ring_try_push(ring, &view->agent, block->token) == 0)
			return;
		hold(block->token, "failed push");
	}
	message->journey = TAKEN;
	if (message->sender == immortal)
		count(COUNT_TAKEN);
	chaos_free(&view->agent, block->token);
}

static void pop_all(struct view *view, struct evr_ring *ring, bool moves,
		    uint64_t seed)
{
	uint64_t immortal =
		evr_load_acquire_u64(&board->slots[IMMORTAL_PUSHER].incarnation);
	uint64_t idle_since_ns = 0;

	/* Movers leave with the pushers; poppers when nothing came for a while. */
	while (moves ? !stop_wanted() || evr_ring_in_hand(ring) : true) {
		struct evr_block blocks[BURST_MAX];
		int popped = pop(ring, &view->agent, blocks,
				 1 + (uint32_t)(next_random(&seed) % BURST_MAX));
		int i;

		if (popped == -EAGAIN) {
			if (stop_wanted() >= 2 && idle_since_ns == 0)
				idle_since_ns = now_ns();
			if (idle_since_ns &&
			    now_ns() - idle_since_ns > 50 * MILLISECOND_NS)
				return;
			if (next_random(&seed) % 4096 == 0)
				(void)evr_recover(&view->agent, NULL);
			sched_yield();
			continue;
		}
		if (popped < 0)
			chaos_fault("pop gave %d", popped);
		idle_since_ns = 0;
		for (i = 0; i < popped; i++)
			hold(blocks[i].token, "pop");
		if (next_random(&seed) % 512 == 0)
			sleep_us(next_random(&seed) % 1000); /* the ring fills up */
		for (i = 0; i < popped; i++)
			deal_with(view, ring, &blocks[i],
				  moves && !stop_wanted() && next_random(&seed) % 2,
				  immortal);
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

static int play(const struct role *role)
{
	struct evr_ring ring;
	struct view view;

	chaos_enter(role);
	view_attach(&view, role->region_fd, role->seed);
	MUST(evr_ring_open(view.region, RING, &ring) == 0);
	chaos_working();
	if (strcmp(role->name, "pusher") == 0)
		push_all(&view, &ring, role->slot == IMMORTAL_PUSHER, role->seed);
	else if (strcmp(role->name, "recoverer") == 0)
		recover_all_the_time(&view, role->seed);
	else
		pop_all(&view, &ring, strcmp(role->name, "mover") == 0, role->seed);
	if (!parts[role->slot].mortal)
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
	static const struct evr_pool_class class = { 64, 192 * (1 + BURST_MAX / 4), 0 };
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(1) << 20,
						     .participants = 32 };
	struct evr_pool_options pool_options = chaos_pool(&class, 1);
	struct evr_ring ring;
	struct view view = { 0 };
	int fd;

	MUST(evr_region_create(&region_options, &view.region) == 0);
	MUST(evr_pool_create(view.region, &pool_options, &view.pool) == 0);
	MUST(evr_ring_create(view.region, RING, ORDER, &ring) == 0);
	fd = inheritable(evr_region_fd(view.region));
	view_close(&view);
	return fd;
}

/* What is in the ring still: of the dead, or pushed at the last moment. */
static uint64_t clean_up(struct chaos *chaos, bool *ret_recovered)
{
	uint64_t immortal =
		evr_load_acquire_u64(&board->slots[IMMORTAL_PUSHER].incarnation);
	struct evr_ring ring;
	struct evr_block block;
	struct view view;
	uint64_t left = 0;

	view_attach(&view, chaos->region_fd, chaos->seed);
	*ret_recovered = recover_all(&view.agent, 10);
	MUST(evr_ring_open(view.region, RING, &ring) == 0);
	while (evr_ring_try_pop(&ring, &view.agent, &block) == 0) {
		left += ((struct message *)block.payload)->sender == immortal;
		MUST(evr_block_free(&view.agent, block.token) == 0);
	}
	view_close(&view);
	return left;
}

static void report_messages(const struct chaos *chaos, uint64_t left)
{
	static const char name[] =
		"no more messages are missing than killed poppers had in hand";
	uint64_t pushed = evr_load_relaxed_u64(&board->counts[COUNT_PUSHED]);
	uint64_t taken = evr_load_relaxed_u64(&board->counts[COUNT_TAKEN]) + left;

	if (taken <= pushed && pushed - taken <= LOST_MAX * chaos->kills_done &&
	    pushed > 0)
		report_ok(name);
	else
		report_not_ok(name, "%llu pushed, %llu popped, %llu kills",
			      (unsigned long long)pushed, (unsigned long long)taken,
			      (unsigned long long)chaos->kills_done);
}

int main(int argc, char **argv)
{
	static const char name[] =
		"whoever is killed, the ring gives each block to one, in order";
	struct chaos chaos = { .parts = parts, .parts_count = COUNT_OF(parts) };
	struct role role;
	uint64_t kills, pause_us, gap_ns, left;
	bool well, recovered;
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
	       "%llu, pool: %s\n",
	       (unsigned long long)chaos.kills_done, (unsigned long long)chaos.stops_done,
	       (unsigned long long)evr_load_relaxed_u64(&board->counts[COUNT_PUSHED]),
	       (unsigned long long)evr_load_relaxed_u64(
		       &board->slots[IMMORTAL_POPPER].operations),
	       chaos_pool_name());
	if (well && !board->faults.raw)
		report_ok(name);
	else
		report_not_ok(name, "%s",
			      board->text[0] ? board->text
					     : "a process did not start or end");
	chaos_report_stops(&chaos, gap_ns);
	if (well) {
		left = clean_up(&chaos, &recovered);
		report_messages(&chaos, left);
		if (!recovered)
			report_not_ok("what the dead held comes back", "not within 10 s");
		report_all_free("after all kills every block is free exactly once",
				chaos.region_fd);
	}
	evr_store_release_u64(&board->stop, 3);
	chaos_end(&chaos);
	return report_end();
}
