/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * conform_rings.c - one suite for all queues: which kind is tried with which properties,
 * and what those need. A test's name is KIND/PROPERTY. See conform.h.
 *
 * Random sequences are other ones in each run; EVR_SEED=N repeats those of a failure,
 * which names its N.
 */

#include "conform.h"

/*
 * One row a kind: what it has. Why it has not what it has NOT, its adapter says in
 * lacks[]; the two must agree.
 *
 *        kind         bursts place close hang up pusher popper next-pusher next-popper
 */
#define KINDS(X)                                                                         \
	X(spsc,         HAS, NOT, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(mpsc,         HAS, NOT, HAS, HAS, NOT, HAS, HAS, HAS)                          \
	X(spmc,         HAS, NOT, HAS, HAS, HAS, NOT, HAS, HAS)                          \
	X(mpmc,         HAS, NOT, HAS, HAS, NOT, NOT, HAS, HAS)                          \
	X(spsc_bursts,  HAS, NOT, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(mpsc_bursts,  HAS, NOT, HAS, HAS, NOT, HAS, HAS, HAS)                          \
	X(spmc_bursts,  HAS, NOT, HAS, HAS, HAS, NOT, HAS, HAS)                          \
	X(mpmc_bursts,  HAS, NOT, HAS, HAS, NOT, NOT, HAS, HAS)                          \
	X(inline_8,     HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(inline_24,    HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(inline_64,    HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(inline_256,   HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(once_8,       HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(once_24,      HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(once_64,      HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(once_256,     HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(lane_8,       HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(lane_64,      HAS, HAS, HAS, HAS, HAS, HAS, HAS, HAS)                          \
	X(lanes_8,      HAS, HAS, NOT, HAS, NOT, HAS, NOT, HAS)                          \
	X(lanes_64,     HAS, HAS, NOT, HAS, NOT, HAS, NOT, HAS)                          \
	X(submission,   NOT, NOT, HAS, HAS, NOT, NOT, NOT, HAS)                          \
	X(completion,   NOT, NOT, NOT, NOT, NOT, NOT, HAS, NOT)

/* ---- the tests ---- */

#define HAS(properties, kind) properties(TEST, kind)
#define NOT(properties, kind)

#define TEST(kind, property)                                                             \
	Test(kind, property, .timeout = 60) { property(&kind_##kind); }

#define ROW(kind, bursts, place, close, hang_up, pusher, popper, next_pusher,            \
	    next_popper)                                                                 \
	EVERY_KIND(TEST, kind)                                                           \
	bursts(WITH_BURSTS, kind)                                                        \
	place(WITH_IN_PLACE, kind)                                                       \
	close(WITH_CLOSE, kind)                                                          \
	hang_up(WITH_HANG_UP, kind)                                                      \
	pusher(WITH_PUSHER, kind)                                                        \
	popper(WITH_POPPER, kind)                                                        \
	next_pusher(WITH_NEXT_PUSHER, kind)                                              \
	next_popper(WITH_NEXT_POPPER, kind)

KINDS(ROW)

#undef HAS
#undef NOT
#define HAS true
#define NOT false
#define COLUMNS(kind, ...) { &kind_##kind, { __VA_ARGS__ } },

static const struct {
	const struct kind *kind;
	bool has[ASPECTS];
} table[] = { KINDS(COLUMNS) };

/* NOT without a reason would be a property that nobody looks at. */
Test(conform, what_a_kind_is_not_tried_with_it_lacks_for_a_reason)
{
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const struct kind *kind = table[i].kind;
		const bool can[ASPECTS] = {
			[ASPECT_BURSTS] = kind->push_some && kind->pop_some,
			[ASPECT_IN_PLACE] = kind->reserve && kind->commit &&
					    kind->peek && kind->release,
			[ASPECT_CLOSE] = kind->close,
			[ASPECT_HANG_UP] = kind->hang_up,
			[ASPECT_PUSHER] = kind->single & EVR_RING_PUSHER,
			[ASPECT_POPPER] = kind->single & EVR_RING_POPPER &&
					  kind->stranger,
			[ASPECT_NEXT_PUSHER] = !kind->lacks[ASPECT_NEXT_PUSHER],
			[ASPECT_NEXT_POPPER] = !kind->lacks[ASPECT_NEXT_POPPER],
		};

		for (int aspect = 0; aspect < ASPECTS; aspect++) {
			cr_assert_eq(table[i].has[aspect], can[aspect],
				     "%s, column %d: it can %d", kind->name, aspect,
				     can[aspect]);
			cr_assert_eq(table[i].has[aspect], !kind->lacks[aspect],
				     "%s, column %d: a reason why not: %s", kind->name,
				     aspect, kind->lacks[aspect] ?: "none");
		}
	}
}

const struct kind *kind_of(size_t number)
{
	return number < COUNT_OF(table) ? table[number].kind : NULL;
}

/* ---- ends ---- */

int join(struct end *end, const struct kind *kind, struct peer *peer, const char *name,
	 uint32_t side)
{
	int error;

	memset(end, 0, sizeof(*end));
	end->kind = kind;
	end->peer = peer;
	end->name = name;
	end->side = side;
	error = kind->take(end);
	end->taken = error == 0;
	return error;
}

void leave(struct end *end)
{
	if (end->taken)
		end->kind->leave(end);
	end->taken = false;
}

/* ---- worlds ---- */

/* Blocks to carry 32 others too; and a ring as large as that. */
static const struct evr_pool_class classes[] = {
	{ .payload_bytes = 64, .blocks_count = 1500 },
	{ .payload_bytes = 256, .blocks_count = 500 },
};

/* Bytes that any of these queues takes at most, with its homes. */
static uint64_t room_for(const struct kind *kind, uint32_t order)
{
	uint64_t entry = 32;

	if (kind->entry_bytes)
		entry = evri_cell_bytes(kind->entry_bytes) /
				evri_cell_entries(kind->entry_bytes) + 1;
	if (kind->own_lane)
		entry *= 4;

	return (entry << order) + (UINT64_C(3) << 20);
}

struct peer conform_peer(const struct kind *kind, uint32_t order)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = room_for(kind, order) };
	struct evr_pool_options pool = { .size = sizeof(pool), .classes = classes,
					 .classes_count = COUNT_OF(classes) };
	struct peer peer = { 0 };

	if (evr_region_create(&options, &peer.region) < 0)
		cr_skip_test("no memory for a ring of order %u: %s; run on a machine "
			     "with %u MB free", order, evr_error_detail(),
			     (unsigned int)(options.bytes >> 20));
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	return peer;
}

static void join_all(struct world *world, struct end *ends, uint32_t count, uint32_t side)
{
	for (uint32_t i = 0; i < count; i++) {
		bool at_house = i % 2 == (side == EVR_RING_PUSHER ? 0 : 1);

		MUST(join(&ends[i], world->kind, at_house ? &world->house : &world->guest,
			  "queue", side));
	}
}

void make_world_without(struct world *world, const struct kind *kind, uint32_t order,
			uint32_t sides)
{
	bool in_hand = kind->carries; /* what one popper has is another's later */

	memset(world, 0, sizeof(*world));
	world->kind = kind;
	world->house = conform_peer(kind, order);
	MUST(evr_agent_open(world->house.pool, &world->house.agent));
	peer_attach(&world->guest, &world->house);
	MUST(kind->create(kind, &world->house, "queue", order));
	world->capacity = (UINT64_C(1) << order) - kind->spare;
	if (!(sides & EVR_RING_PUSHER)) {
		world->pushers = kind->single & EVR_RING_PUSHER || kind->own_lane ?
					 1 :
					 ENDS_MAX;
		join_all(world, world->push, world->pushers, EVR_RING_PUSHER);
	}
	if (!(sides & EVR_RING_POPPER)) {
		world->poppers = kind->single & EVR_RING_POPPER || in_hand ? 1 : ENDS_MAX;
		join_all(world, world->pop, world->poppers, EVR_RING_POPPER);
	}
}

void make_world(struct world *world, const struct kind *kind, uint32_t order)
{
	make_world_without(world, kind, order, 0);
}

void end_world(struct world *world)
{
	for (uint32_t i = 0; i < ENDS_MAX; i++) {
		leave(&world->push[i]);
		leave(&world->pop[i]);
	}
	peer_close(&world->guest);
	/* What was sent by one who has left is freed by whoever meets it. */
	if (world->kind->family == FAMILY_URING) {
		struct end end;
		uint64_t number;

		MUST(join(&end, &kind_submission, &world->house, "queue",
			  EVR_RING_POPPER));
		while (kind_submission.pop(&end, &number) >= 0)
			;
		leave(&end);
	}
	MUST(evr_recover(&world->house.agent, NULL));
	peer_leaves_all_free(&world->house);
	peer_close(&world->house);
}

/* ---- entries ---- */

int push_next(struct world *world)
{
	struct end *end = &world->push[world->pushed % world->pushers];
	int error = world->kind->push(end, world->pushed);

	world->pushed += error == 0;
	return error;
}

void pop_next(struct world *world)
{
	struct end *end = &world->pop[world->popped % world->poppers];
	uint64_t number = 0;

	MUST(world->kind->pop(end, &number));
	cr_assert_eq(number, world->popped, "%s: entry %llu came instead of %llu",
		     world->kind->name, (unsigned long long)number,
		     (unsigned long long)world->popped);
	world->popped++;
}

void drain(struct world *world)
{
	while (world->popped < world->pushed)
		pop_next(world);
}

void says(struct world *world, int expected)
{
	uint64_t number;

	for (uint32_t i = 0; i < world->poppers; i++)
		FAILS(expected, world->kind->pop(&world->pop[i], &number));
}

void is_empty(struct world *world)
{
	says(world, -EAGAIN);
}

void fill_up(struct world *world)
{
	while (world->pushed - world->popped < world->capacity)
		MUST(push_next(world));
	for (uint32_t i = 0; i < world->pushers; i++)
		FAILS(-EAGAIN, world->kind->push(&world->push[i], world->pushed));
}
