/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * stress_participant.c - what happens when attach numbers run out. They have 32 bits and
 * are never used twice; this is for a library in which they have 4.
 */

#include "fixture.h"

#include <string.h>

#ifndef EVRI_STRESS_ATTACH_BITS
#error "wants ./configure --enable-stress-numbers"
#endif

#define NUMBERS ((1 << EVRI_STRESS_ATTACH_BITS) - 2)

Test(stress_participant, the_last_number_is_given_out_and_then_no_more, .timeout = 20)
{
	struct evr_region *untouched = (struct evr_region *)0x5a5a;
	struct evr_region *region = region_of(UINT64_C(1) << 20);
	struct evr_region *view;
	int before;
	int i;

	cr_assert_eq(evr_region_number(region), 1);
	for (i = 2; i <= NUMBERS; i++) {
		MUST(evr_region_attach(evr_region_fd(region), &view));
		cr_assert_eq(evr_region_number(view), (uint32_t)i);
		evr_region_detach(view);
	}
	before = open_descriptors();
	for (i = 0; i < 40; i++) {
		view = untouched;
		FAILS(-ENOSPC, evr_region_attach(evr_region_fd(region), &view));
		cr_assert_eq(view, untouched, "the result was touched");
	}
	cr_assert_eq(open_descriptors(), before, "a descriptor was left behind");
	cr_assert(strstr(evr_error_detail(), "attach numbers"), "%s", evr_error_detail());
	evr_region_detach(region);
}

Test(stress_participant, those_inside_go_on_when_the_numbers_are_used_up, .timeout = 20)
{
	struct evr_ring ring;
	struct evr_ring end;
	struct evr_region *view;
	struct evr_block block;
	struct peer other;
	struct peer peer;
	int i;

	peer_create(&peer, NULL);
	peer_attach(&other, &peer);
	while (evr_region_attach(evr_region_fd(peer.region), &view) == 0)
		evr_region_detach(view);
	MUST(evr_ring_create(peer.region, "ring", 2, &ring));
	MUST(evr_ring_open(other.region, "ring", &end));
	for (i = 0; i < 1000; i++) {
		block = must_alloc(&peer.agent, 64);
		MUST(evr_ring_try_push(&ring, &peer.agent, block.token));
		MUST(evr_ring_try_pop(&end, &other.agent, &block));
		MUST(evr_block_free(&other.agent, block.token));
	}
	peer_close(&other);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

static void hold_one(struct peer *peer, void *argument)
{
	struct evr_block block;

	(void)argument;
	CHILD_MUST(evr_block_alloc(&peer->agent, 64, &block) == 0);
}

Test(stress_participant, the_dead_are_recovered_when_the_numbers_are_used_up,
     .timeout = 20)
{
	struct peer peer;
	int i;

	peer_create(&peer, NULL);
	for (i = 2; i <= NUMBERS; i++)
		killed_child(&peer, hold_one, NULL);
	cr_assert_eq(evr_recover(&peer.agent, NULL), 0);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}
