/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_ring_kinds.c - one suite for all four kinds of ring: any number or one, on either
 * side. What holds for one kind holds for all; what concerns roles holds where there are
 * some.
 */

#include "fixture.h"

#include <string.h>

#define ORDER 3
#define CAPACITY 8
#define KINDS 4

static const uint32_t kind_flags[KINDS] = {
	0,
	EVR_RING_SINGLE_PUSHER,
	EVR_RING_SINGLE_POPPER,
	EVR_RING_SINGLE_PUSHER | EVR_RING_SINGLE_POPPER,
};

/* A ring of one kind, and an end at each side that may do its work. */
struct scene {
	struct peer peer;
	struct evr_ring push, pop;
	uint32_t flags;
	uint64_t pushed;
	uint64_t popped;
};

static int take_if_single(struct evr_ring *end, struct evr_agent *agent, uint32_t role)
{
	return evr_ring_flags(end) & role ? evr_ring_take_role(end, agent, role) : 0;
}


static void create_kind(struct peer *peer, uint32_t flags, uint32_t order,
			struct evr_ring *ret)
{
	struct evr_ring_options options = {
		.size = sizeof(options), .name = "ring", .order = order, .flags = flags,
	};

	MUST(evr_ring_create_with(peer->region, &options, ret));
}

static void make_scene(struct scene *scene, uint32_t kind, uint32_t order)
{
	*scene = (struct scene){ .flags = kind_flags[kind] };
	peer_create(&scene->peer, NULL);
	create_kind(&scene->peer, scene->flags, order, &scene->push);
	MUST(evr_ring_open(scene->peer.region, "ring", &scene->pop));
	cr_assert_eq(evr_ring_flags(&scene->pop), scene->flags);
	MUST(take_if_single(&scene->push, &scene->peer.agent, EVR_RING_PUSHER));
	MUST(take_if_single(&scene->pop, &scene->peer.agent, EVR_RING_POPPER));
}

static void end_scene(struct scene *scene)
{
	peer_leaves_all_free(&scene->peer);
	peer_close(&scene->peer);
}

static int push_by(struct evr_ring *end, struct evr_agent *agent, uint64_t number)
{
	struct evr_block block = must_alloc(agent, 64);
	int error;

	*(uint64_t *)block.payload = number;
	error = evr_ring_try_push(end, agent, block.token);
	if (error < 0)
		MUST(evr_block_free(agent, block.token));
	return error;
}

static int64_t pop_by(struct evr_ring *end, struct evr_agent *agent)
{
	struct evr_block block;
	int64_t number;
	int error = evr_ring_try_pop(end, agent, &block);

	if (error < 0)
		return error;
	number = *(int64_t *)block.payload;
	MUST(evr_block_free(agent, block.token));
	return number;
}

static int push_next(struct scene *scene)
{
	int error = push_by(&scene->push, &scene->peer.agent, scene->pushed);

	scene->pushed += error == 0;
	return error;
}

static void pop_next(struct scene *scene)
{
	cr_assert_eq(pop_by(&scene->pop, &scene->peer.agent), (int64_t)scene->popped);
	scene->popped++;
}

static void drain(struct scene *scene)
{
	while (scene->popped < scene->pushed)
		pop_next(scene);
}

/* ---- what every kind does ---- */

Test(ring_kinds, blocks_come_out_in_order_over_many_laps, .timeout = 60)
{
	uint32_t kind;

	for (kind = 0; kind < KINDS; kind++) {
		struct scene scene;
		uint64_t seed = 7;

		make_scene(&scene, kind, ORDER);
		while (scene.pushed < 20000) {
			uint64_t burst = next_random(&seed) % (CAPACITY + 1);

			while (burst-- && scene.pushed - scene.popped < CAPACITY)
				MUST(push_next(&scene));
			burst = next_random(&seed) % (CAPACITY + 1);
			while (burst-- && scene.popped < scene.pushed)
				pop_next(&scene);
		}
		drain(&scene);
		end_scene(&scene);
	}
}

Test(ring_kinds, full_and_empty_are_exact_in_every_order, .timeout = 60)
{
	uint32_t kind;
	uint32_t order;

	for (kind = 0; kind < KINDS; kind++) {
		for (order = EVR_RING_ORDER_MIN; order <= 7; order++) {
			struct scene scene;
			uint64_t lap;
			uint64_t i;

			make_scene(&scene, kind, order);
			for (lap = 0; lap < 5; lap++) {
				for (i = 0; i < UINT64_C(1) << order; i++)
					MUST(push_next(&scene));
				FAILS(-EAGAIN, push_next(&scene));
				FAILS(-EAGAIN, push_next(&scene));
				pop_next(&scene);
				MUST(push_next(&scene));
				FAILS(-EAGAIN, push_next(&scene));
				drain(&scene);
				cr_assert_eq(pop_by(&scene.pop, &scene.peer.agent),
					     -EAGAIN);
			}
			end_scene(&scene);
		}
	}
}

/* The 15 bits of a lap in a full slot come round: both ends go past that. */
Test(ring_kinds, the_laps_of_a_full_slot_come_round, .timeout = 120)
{
	uint32_t kind;

	for (kind = 0; kind < KINDS; kind++) {
		struct scene scene;
		uint64_t i;

		make_scene(&scene, kind, 1);
		MUST(push_next(&scene));
		for (i = 0; i < (UINT64_C(2) << EVR_SLOT_LAP_BITS) + 9; i++) {
			MUST(push_next(&scene));
			pop_next(&scene);
		}
		drain(&scene);
		cr_assert_eq(pop_by(&scene.pop, &scene.peer.agent), -EAGAIN);
		end_scene(&scene);
	}
}

Test(ring_kinds, a_closed_ring_lets_nothing_in_and_everything_out, .timeout = 60)
{
	uint32_t kind;
	uint64_t held;

	for (kind = 0; kind < KINDS; kind++) {
		for (held = 0; held < CAPACITY; held++) {
			struct scene scene;
			uint64_t i;

			make_scene(&scene, kind, ORDER);
			for (i = 0; i < held; i++)
				MUST(push_next(&scene));
			MUST(evr_ring_close(&scene.push));
			MUST(evr_ring_close(&scene.push));
			FAILS(-EPIPE, push_next(&scene));
			FAILS(-EPIPE, push_next(&scene));
			drain(&scene);
			cr_assert_eq(pop_by(&scene.pop, &scene.peer.agent), -EPIPE);
			cr_assert_eq(pop_by(&scene.pop, &scene.peer.agent), -EPIPE);
			FAILS(-EPIPE, push_next(&scene));
			end_scene(&scene);
		}
	}
}

Test(ring_kinds, a_full_ring_is_closed_when_one_was_popped)
{
	uint32_t kind;

	for (kind = 0; kind < KINDS; kind++) {
		struct scene scene;

		make_scene(&scene, kind, ORDER);
		while (push_next(&scene) == 0)
			;
		cr_assert_eq(scene.pushed, CAPACITY);
		FAILS(-EAGAIN, evr_ring_close(&scene.push));
		pop_next(&scene);
		MUST(evr_ring_close(&scene.push));
		drain(&scene);
		cr_assert_eq(pop_by(&scene.pop, &scene.peer.agent), -EPIPE);
		end_scene(&scene);
	}
}

Test(ring_kinds, a_block_that_was_popped_is_the_poppers_under_a_new_token)
{
	uint32_t kind;

	for (kind = 0; kind < KINDS; kind++) {
		struct evr_block sent, got;
		struct scene scene;

		make_scene(&scene, kind, ORDER);
		sent = must_alloc(&scene.peer.agent, 64);
		MUST(evr_ring_try_push(&scene.push, &scene.peer.agent, sent.token));
		MUST(evr_ring_try_pop(&scene.pop, &scene.peer.agent, &got));
		cr_assert_neq(got.token.raw, sent.token.raw);
		cr_assert_eq(got.payload, sent.payload);
		FAILS(-ESTALE, evr_block_free(&scene.peer.agent, sent.token));
		MUST(evr_block_free(&scene.peer.agent, got.token));
		end_scene(&scene);
	}
}

/* Of all orders, as far as this machine has memory to fault in for the largest. */
Test(ring_kinds, every_order_up_to_2_to_the_24_is_made_and_used, .timeout = 120)
{
	uint32_t order;

	for (order = EVR_RING_ORDER_MIN; order <= EVR_RING_ORDER_MAX; order++) {
		uint32_t flags = kind_flags[order % KINDS];
		struct evr_region_options options = {
			.size = sizeof(options),
			.bytes = (UINT64_C(8) << order) + (UINT64_C(1) << 20),
		};
		struct evr_pool_options pool = fixture_pool_options();
		struct peer peer = { 0 };
		struct evr_ring ring;
		uint64_t i;

		if (evr_region_create(&options, &peer.region) < 0) {
			cr_assert_gt(order, 20, "%s", evr_error_detail());
			cr_skip_test("no memory for a ring of order %u: %s; run on a "
				     "machine with 150 MB free", order,
				     evr_error_detail());
		}
		MUST(evr_pool_create(peer.region, &pool, &peer.pool));
		MUST(evr_agent_open(peer.pool, &peer.agent));
		create_kind(&peer, flags, order, &ring);
		cr_assert_eq(evr_ring_capacity(&ring), UINT64_C(1) << order);
		MUST(take_if_single(&ring, &peer.agent, EVR_RING_PUSHER));
		MUST(take_if_single(&ring, &peer.agent, EVR_RING_POPPER));
		for (i = 0; i < 300; i++) {
			MUST(push_by(&ring, &peer.agent, i));
			cr_assert_eq(pop_by(&ring, &peer.agent), (int64_t)i);
		}
		cr_assert_eq(pop_by(&ring, &peer.agent), -EAGAIN);
		peer_close(&peer);
	}
}

Test(ring_kinds, flags_and_sizes_out_of_range_are_the_callers_mistake)
{
	struct evr_ring_options options = { .size = sizeof(options), .name = "r",
					    .order = ORDER };
	struct evr_ring ring;
	struct peer peer;

	peer_create(&peer, NULL);
	FAILS(-EINVAL, evr_ring_create_with(peer.region, NULL, &ring));
	options.flags = 4;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	options.flags = UINT32_MAX;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	options.flags = 0;
	options.size = 1;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	options.size = sizeof(options);
	options.range = 99;
	FAILS(-EINVAL, evr_ring_create_with(peer.region, &options, &ring));
	FAILS(-ENOENT, evr_ring_open(peer.region, "r", &ring));
	/* One who knows no flags gets a ring for many. */
	options.range = 0;
	options.size = offsetof(struct evr_ring_options, flags);
	MUST(evr_ring_create_with(peer.region, &options, &ring));
	cr_assert_eq(evr_ring_flags(&ring), 0);
	peer_close(&peer);
}
