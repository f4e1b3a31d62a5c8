/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* conform_others.c - what holds for queues when there are other processes: several at
 * work, stopped ones, dead ones, and who comes after them at a side that is for one. */

#include "conform.h"

#include <sys/prctl.h>

#define ORDER 3
#define BOTH (EVR_RING_PUSHER | EVR_RING_POPPER)

/* ---- several at work ---- */

#define EACH 20000
#define WORKERS_MAX 4
#define BURST 5

/* Shared by all workers. */
struct traffic {
	const struct kind *kind;
	int fd;
	uint32_t pushers;
	uint32_t poppers;
	struct evr_atomic_u64 popped;
	uint64_t address[WORKERS_MAX];
	uint8_t seen[WORKERS_MAX * EACH];
};

struct worker {
	struct traffic *traffic;
	uint32_t id; /* pushers first, then poppers */
};

static bool all_popped(struct traffic *traffic)
{
	return evr_load_acquire_u64(&traffic->popped) == traffic->pushers * EACH;
}

static void push_all(struct end *end, struct traffic *traffic, uint32_t id)
{
	const struct kind *kind = end->kind;
	uint32_t done = 0;

	while (done < EACH) {
		uint32_t some = done % 7 < BURST && kind->push_some ? done % 7 : 0;
		uint64_t number = (uint64_t)id * EACH + done;
		int pushed;

		if (some > EACH - done)
			some = EACH - done;
		pushed = some ? kind->push_some(end, number, some) :
				kind->push(end, number);
		if (pushed >= 0)
			done += some ? (uint32_t)pushed : 1;
		else if (pushed == -EAGAIN)
			sched_yield();
		else
			CHILD_MUST(pushed == -EAGAIN);
	}
	/* What it has sent may be its own to answer for until then. */
	while (!all_popped(traffic))
		sched_yield();
}

static void pop_all(struct end *end, struct traffic *traffic)
{
	const struct kind *kind = end->kind;
	uint64_t due[WORKERS_MAX] = { 0 };
	uint64_t numbers[BURST];
	uint64_t turn = 0;

	while (!all_popped(traffic)) {
		bool some = kind->pop_some && turn++ % 3 == 0;
		int popped = some ? kind->pop_some(end, numbers, BURST) :
				    kind->pop(end, numbers);

		if (popped == -EAGAIN) {
			sched_yield();
			continue;
		}
		CHILD_MUST(popped >= 0);
		popped = some ? popped : 1;
		for (int i = 0; i < popped; i++) {
			uint64_t id = numbers[i] / EACH;

			CHILD_MUST(id < traffic->pushers);
			CHILD_MUST(numbers[i] % EACH >= due[id]);
			due[id] = numbers[i] % EACH + 1;
			CHILD_MUST(__atomic_fetch_add(&traffic->seen[numbers[i]], 1,
						      __ATOMIC_RELAXED) == 0);
		}
		evr_fetch_add_acq_rel_u64(&traffic->popped, (uint64_t)popped);
	}
}

/* Each has the region mapped at other places already, so that it is somewhere else. */
static void run_worker(void *argument)
{
	const struct worker *worker = argument;
	struct traffic *traffic = worker->traffic;
	bool pushes = worker->id < traffic->pushers;
	struct peer peer;
	struct end end;

	for (uint32_t i = 0; i < worker->id; i++) {
		struct evr_region *in_the_way;

		CHILD_MUST(evr_region_attach(traffic->fd, &in_the_way) == 0);
	}
	CHILD_MUST(peer_try_attach(&peer, traffic->fd));
	traffic->address[worker->id] = (uint64_t)(uintptr_t)peer.agent.base;
	CHILD_MUST(join(&end, traffic->kind, &peer, "queue",
			pushes ? EVR_RING_PUSHER : EVR_RING_POPPER) == 0);
	if (pushes)
		push_all(&end, traffic, worker->id);
	else
		pop_all(&end, traffic);
	leave(&end);
	peer_close(&peer);
}

void processes_with_other_addresses_get_each_entry_once_in_order(const struct kind *kind)
{
	struct traffic *traffic = shared_memory(sizeof(*traffic));
	struct worker workers[WORKERS_MAX];
	pid_t children[WORKERS_MAX];
	struct world world;
	uint32_t count;

	make_world_without(&world, kind, ORDER, BOTH);
	traffic->kind = kind;
	traffic->fd = evr_region_fd(world.house.region);
	traffic->pushers = kind->single & EVR_RING_PUSHER ? 1 : 2;
	traffic->poppers = kind->single & EVR_RING_POPPER ? 1 : 2;
	count = traffic->pushers + traffic->poppers;
	for (uint32_t i = 0; i < count; i++) {
		workers[i] = (struct worker){ traffic, i };
		children[i] = start_child(run_worker, &workers[i]);
	}
	for (uint32_t i = 0; i < count; i++)
		child_succeeds(children[i]);
	for (uint32_t i = 0; i < traffic->pushers * EACH; i++)
		cr_assert_eq(traffic->seen[i], 1, "entry %u was popped %u times", i,
			     traffic->seen[i]);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < i; k++)
			cr_assert_neq(traffic->address[i], traffic->address[k]);
	end_world(&world);
}

/* ---- one who ends ---- */

/* What a child does at one side before it is killed, or stopped. */
struct errand {
	const struct kind *kind;
	uint32_t side;
	uint64_t first, count;
	bool holds;
	bool stops;
};

static void run_errand(struct peer *peer, void *argument)
{
	const struct errand *errand = argument;
	const struct kind *kind = errand->kind;
	struct end end;

	/* An alarm does not end one who is stopped. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHILD_MUST(join(&end, kind, peer, "queue", errand->side) == 0);
	for (uint64_t i = 0; i < errand->count; i++) {
		uint64_t number = errand->first + i;
		int error = -EAGAIN;

		while (error == -EAGAIN)
			error = errand->side == EVR_RING_PUSHER ?
					kind->push(&end, number) :
					kind->pop(&end, &number);
		CHILD_MUST(error == 0);
		CHILD_MUST(number == errand->first + i);
	}
	if (errand->holds)
		CHILD_MUST(kind->hold(&end) >= 0);
	if (errand->stops)
		raise(SIGSTOP);
	kill(getpid(), SIGKILL);
}

static void dies(struct world *world, struct errand errand)
{
	pid_t child = peer_child(&world->house, run_errand, &errand);
	int status = 0;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
}

/* @errand is the child's until it is stopped. */
static pid_t begins(struct world *world, struct errand *errand)
{
	errand->stops = true;
	return peer_child(&world->house, run_errand, errand);
}

static void is_stopped(pid_t child)
{
	int status = 0;

	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status), "%#x", status);
}

static void join_side(struct world *world, uint32_t side)
{
	bool pushes = side == EVR_RING_PUSHER;

	MUST(join(pushes ? &world->push[0] : &world->pop[0], world->kind, &world->house,
		  "queue", side));
	*(pushes ? &world->pushers : &world->poppers) = 1;
}

static void leave_side(struct world *world, uint32_t side)
{
	leave(side == EVR_RING_PUSHER ? &world->push[0] : &world->pop[0]);
}

/* Without somebody at this side if it is for one; else with. */
static void make_world_for(struct world *world, const struct kind *kind, uint32_t side)
{
	make_world_without(world, kind, ORDER, kind->single & side);
}

static void join_if_single(struct world *world, uint32_t side)
{
	if (world->kind->single & side)
		join_side(world, side);
}

/* ---- stopped ---- */

void a_stopped_pusher_holds_nobody_up(const struct kind *kind)
{
	struct errand errand = { kind, EVR_RING_PUSHER, 0, 1, false, false };
	struct world world;
	pid_t child;

	make_world_for(&world, kind, EVR_RING_PUSHER);
	child = begins(&world, &errand);
	is_stopped(child);
	world.pushed = 1;
	pop_next(&world);
	for (int i = 0; i < 100; i++)
		is_empty(&world);
	for (int i = 0; i < 9 && world.pushers; i++) {
		fill_up(&world);
		drain(&world);
	}
	MUST(evr_recover(&world.house.agent, NULL));
	is_empty(&world);
	end_child(child);
	MUST(evr_recover(&world.house.agent, NULL));
	join_if_single(&world, EVR_RING_PUSHER);
	fill_up(&world);
	drain(&world);
	end_world(&world);
}

void a_stopped_popper_holds_nobody_up(const struct kind *kind)
{
	struct errand errand = { kind, EVR_RING_POPPER, 0, 1, false, false };
	struct world world;
	pid_t child;

	make_world_for(&world, kind, EVR_RING_POPPER);
	child = begins(&world, &errand);
	/* A completion ring takes nothing before its popper is there. */
	cr_assert(HOLDS_WITHIN(10000, push_next(&world) == 0));
	is_stopped(child);
	world.popped = 1;
	for (int i = 0; i < 9; i++) {
		fill_up(&world);
		if (world.poppers)
			drain(&world);
	}
	MUST(evr_recover(&world.house.agent, NULL));
	fill_up(&world);
	end_child(child);
	MUST(evr_recover(&world.house.agent, NULL));
	if (!kind->lacks[ASPECT_NEXT_POPPER]) {
		join_if_single(&world, EVR_RING_POPPER);
		drain(&world);
		fill_up(&world);
		drain(&world);
	}
	end_world(&world);
}

/* ---- dead ---- */

/* Recovered or not: who comes next finds its place. */
void the_next_pusher_goes_on_behind_what_a_dead_one_pushed(const struct kind *kind)
{
	for (int recovered = 0; recovered < 2; recovered++) {
		struct world world;

		make_world_without(&world, kind, ORDER, EVR_RING_PUSHER);
		for (uint64_t round = 0; round < 24; round++) {
			uint64_t room = world.capacity - (world.pushed - world.popped);
			uint64_t count = round * 5 % (room + 1);

			dies(&world, (struct errand){ kind, EVR_RING_PUSHER, world.pushed,
						      count, false, false });
			world.pushed += count;
			if (recovered)
				MUST(evr_recover(&world.house.agent, NULL));
			join_side(&world, EVR_RING_PUSHER);
			if (count < room)
				MUST(push_next(&world));
			else
				fill_up(&world);
			leave_side(&world, EVR_RING_PUSHER);
			if (round % 3 == 0)
				drain(&world);
			else
				pop_next(&world);
		}
		drain(&world);
		is_empty(&world);
		end_world(&world);
	}
}

void the_next_popper_goes_on_behind_what_a_dead_one_popped(const struct kind *kind)
{
	for (int recovered = 0; recovered < 2; recovered++) {
		struct world world;

		make_world_without(&world, kind, ORDER, EVR_RING_POPPER);
		for (uint64_t round = 0; round < 24; round++) {
			uint64_t count = round * 5 % world.capacity;

			fill_up(&world);
			dies(&world, (struct errand){ kind, EVR_RING_POPPER, world.popped,
						      count, false, false });
			world.popped += count;
			if (recovered)
				MUST(evr_recover(&world.house.agent, NULL));
			join_side(&world, EVR_RING_POPPER);
			pop_next(&world);
			if (round % 3 == 0) {
				drain(&world);
				is_empty(&world);
			}
			leave_side(&world, EVR_RING_POPPER);
		}
		join_side(&world, EVR_RING_POPPER);
		drain(&world);
		end_world(&world);
	}
}

static void all_room_is_there(struct world *world)
{
	for (int i = 0; i < 3; i++) {
		drain(world);
		is_empty(world);
		fill_up(world);
	}
	drain(world);
}

void what_a_dead_pusher_had_in_hand_comes_back(const struct kind *kind)
{
	struct world world;

	make_world_without(&world, kind, ORDER, EVR_RING_PUSHER);
	dies(&world, (struct errand){ kind, EVR_RING_PUSHER, 0, 2, true, false });
	MUST(evr_recover(&world.house.agent, NULL));
	if (!kind->dies_with_pusher)
		world.pushed = 2;
	drain(&world);
	says(&world, kind->pusher_died);
	if (kind == &kind_completion)
		cr_assert_eq(world.pop[0].came_home, 1);
	join_side(&world, EVR_RING_PUSHER);
	all_room_is_there(&world);
	end_world(&world);
}

void what_a_dead_popper_had_in_hand_meets_its_fate(const struct kind *kind)
{
	struct world world;
	uint64_t held = 1;

	make_world_without(&world, kind, ORDER, EVR_RING_POPPER);
	MUST(push_next(&world));
	if (kind->carries) {
		/* Who pops one of a burst has all of it in hand. */
		held = 6;
		cr_assert_eq(MUST(kind->push_some(&world.push[0], world.pushed, 6)), 6);
		world.pushed += held;
	}
	while (world.pushed < 1 + held + 3)
		MUST(push_next(&world));
	dies(&world, (struct errand){ kind, EVR_RING_POPPER, 0, 1, true, false });
	world.popped = 1;
	MUST(evr_recover(&world.house.agent, NULL));
	if (kind->fate != FATE_AGAIN)
		world.popped += held;
	join_side(&world, EVR_RING_POPPER);
	all_room_is_there(&world);
	if (kind->fate == FATE_HOME) {
		uint64_t came_home = 0;

		for (uint32_t i = 0; i < world.pushers; i++)
			came_home += world.push[i].came_home;
		cr_assert_eq(came_home, held);
	}
	end_world(&world);
}

/* ---- a side that is for one ---- */

static int use(struct end *end, uint32_t side)
{
	uint64_t number;

	return side == EVR_RING_PUSHER ? end->kind->push(end, 77) :
					 end->kind->pop(end, &number);
}

static void others_are_refused(const struct kind *kind, uint32_t side)
{
	struct end second;
	struct world world;
	struct end *end;

	make_world(&world, kind, ORDER);
	end = side == EVR_RING_PUSHER ? &world.push[0] : &world.pop[0];
	MUST(push_next(&world));
	FAILS(kind->stranger,
	      use(side == EVR_RING_PUSHER ? &world.pop[0] : &world.push[0], side));
	FAILS(-EBUSY, join(&second, kind, &world.house, "queue", side));
	FAILS(-EBUSY, join(&second, kind, &world.guest, "queue", side));
	leave(end);
	FAILS(kind->stranger, use(end, side));
	MUST(join(&second, kind, &world.guest, "queue", side));
	FAILS(-EBUSY, kind->take(end));
	FAILS(kind->stranger, use(end, side));
	leave(&second);
	MUST(kind->take(end));
	end->taken = true;
	/* Refused or not, all is as it was. */
	fill_up(&world);
	drain(&world);
	is_empty(&world);
	end_world(&world);
}

void there_is_one_pusher_and_others_are_refused(const struct kind *kind)
{
	others_are_refused(kind, EVR_RING_PUSHER);
}

void there_is_one_popper_and_others_are_refused(const struct kind *kind)
{
	others_are_refused(kind, EVR_RING_POPPER);
}

/* One step of who has the side; the other side makes way when there is no other. */
static void step_at(struct world *world, struct end *end, uint64_t chance)
{
	uint64_t held = world->pushed - world->popped;
	uint64_t number = 0;
	int expected = -EAGAIN;

	if (end->side == EVR_RING_PUSHER) {
		expected = held < world->capacity ? 0 : -EAGAIN;
		FAILS(expected, world->kind->push(end, world->pushed));
		world->pushed += expected == 0;
		if (expected < 0 && chance % 2)
			pop_next(world);
		return;
	}
	expected = held ? 0 : -EAGAIN;
	FAILS(expected, world->kind->pop(end, &number));
	if (expected == 0)
		cr_assert_eq(number, world->popped++);
	else if (chance % 2)
		MUST(push_next(world));
}

/* From hand to hand; each was there at the beginning, and perhaps not for many laps. */
static void handed_on(const struct kind *kind, uint32_t side)
{
	struct end ends[2];
	struct world world;
	uint64_t seed = 3;

	make_world_without(&world, kind, ORDER, side);
	for (int i = 0; i < 2; i++) {
		MUST(join(&ends[i], kind, i ? &world.guest : &world.house, "queue",
			  side));
		kind->leave(&ends[i]);
	}
	for (int turn = 0; turn < 3000; turn++) {
		struct end *end = &ends[next_random(&seed) % 2];
		uint64_t steps = next_random(&seed) % (turn % 16 ? 12 : 300);

		MUST(kind->take(end));
		while (steps--)
			step_at(&world, end, next_random(&seed));
		kind->leave(end);
	}
	join_side(&world, side);
	drain(&world);
	is_empty(&world);
	end_world(&world);
}

void a_pusher_who_leaves_is_followed_by_one_who_goes_on(const struct kind *kind)
{
	handed_on(kind, EVR_RING_PUSHER);
}

void a_popper_who_leaves_is_followed_by_one_who_goes_on(const struct kind *kind)
{
	handed_on(kind, EVR_RING_POPPER);
}

static void keeps_until_killed(const struct kind *kind, uint32_t side)
{
	struct errand errand = { kind, side, 0, 1, false, false };
	struct end second;
	struct world world;
	pid_t child;

	make_world_without(&world, kind, ORDER, side);
	if (side == EVR_RING_POPPER)
		MUST(push_next(&world));
	child = begins(&world, &errand);
	is_stopped(child);
	world.pushed = 1;
	world.popped = side == EVR_RING_POPPER;
	for (int i = 0; i < 20; i++) {
		FAILS(-EBUSY, join(&second, kind, &world.guest, "queue", side));
		MUST(evr_recover(&world.house.agent, NULL));
	}
	end_child(child);
	join_side(&world, side);
	all_room_is_there(&world);
	end_world(&world);
}

void a_stopped_pusher_keeps_its_role_until_it_is_killed(const struct kind *kind)
{
	keeps_until_killed(kind, EVR_RING_PUSHER);
}

void a_stopped_popper_keeps_its_role_until_it_is_killed(const struct kind *kind)
{
	keeps_until_killed(kind, EVR_RING_POPPER);
}
