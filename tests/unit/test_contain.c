/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_contain.c - pool.h: blocks that travel in other blocks. */

#include "fixture.h"

struct family {
	struct peer peer;
	struct evr_block container;
	struct evr_block content;
};

/* A container with one content at place 0. */
static void make_family(struct family *family)
{
	peer_create(&family->peer, NULL);
	family->container = must_alloc(&family->peer.agent, 64);
	family->content = must_alloc(&family->peer.agent, 1024);
	cr_assert_eq(evr_block_contain(&family->peer.agent, family->container.token,
				       family->content.token),
		     0);
}

static void end_family(struct family *family)
{
	peer_leaves_all_free(&family->peer);
	peer_close(&family->peer);
}

Test(contain, a_content_is_seen_in_its_container_and_its_memory_stays_where_it_was)
{
	struct family family;
	struct evr_block seen;

	make_family(&family);
	MUST(evr_block_content(&family.peer.agent, family.container.token, 0, &seen));
	cr_assert_eq(seen.payload, family.content.payload);
	cr_assert_eq(seen.payload_bytes, 1024);
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	end_family(&family);
}

Test(contain, a_content_is_freed_with_its_container)
{
	struct family family;

	make_family(&family);
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	end_family(&family);
}

/* Block 0 in generation 0: what names it must not look like nothing. */
Test(contain, a_content_whose_generation_has_come_round_is_freed_with_its_container)
{
	struct evr_block content, container, seen;
	struct evr_block others[64];
	uint32_t count = 0;
	struct peer peer;

	peer_create(&peer, NULL);
	evr_store_relaxed_u64(&evri_block_at(&peer.agent, 0)->word,
			      evr_block_word(EVR_BLOCK_GENERATION_MASK, EVR_BLOCK_FREE,
					     0));
	container = must_alloc(&peer.agent, 64);
	content = must_alloc(&peer.agent, 64);
	while (evr_token_index(content.token) != 0 && count < 64) {
		others[count++] = content;
		content = must_alloc(&peer.agent, 64);
	}
	cr_assert_eq(evr_token_wire(content.token), 0);
	cr_assert_eq(evr_block_contain(&peer.agent, container.token, content.token), 0);
	MUST(evr_block_content(&peer.agent, container.token, 0, &seen));
	cr_assert_eq(seen.payload, content.payload);
	MUST(evr_block_free(&peer.agent, container.token));
	while (count > 0)
		MUST(evr_block_free(&peer.agent, others[--count].token));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(contain, a_content_cannot_be_freed_contained_or_opened_alone)
{
	struct evr_block second;
	struct evr_block seen;
	struct family family;

	make_family(&family);
	second = must_alloc(&family.peer.agent, 64);
	FAILS(-EBUSY, evr_block_free(&family.peer.agent, family.content.token));
	FAILS(-EBUSY, evr_block_contain(&family.peer.agent, second.token,
					family.content.token));
	FAILS(-EBUSY, evr_block_contain(&family.peer.agent, family.content.token,
					second.token));
	MUST(evr_block_content(&family.peer.agent, family.container.token, 0, &seen));
	FAILS(-EBUSY, evr_block_free(&family.peer.agent, seen.token));
	MUST(evr_block_free(&family.peer.agent, second.token));
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	end_family(&family);
}

Test(contain, what_is_taken_out_is_a_block_of_its_own_with_a_new_token)
{
	struct family family;
	struct evr_block out;
	struct evr_block none = { .payload_bytes = 5 };

	make_family(&family);
	MUST(evr_block_take_out(&family.peer.agent, family.container.token, 0, &out));
	cr_assert_eq(out.payload, family.content.payload);
	cr_assert_neq(out.token.raw, family.content.token.raw);
	FAILS(-ESTALE, evr_block_free(&family.peer.agent, family.content.token));
	FAILS(-ENOENT, evr_block_take_out(&family.peer.agent, family.container.token, 0,
					  &none));
	cr_assert_eq(none.payload_bytes, 5, "the result was touched");
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	MUST(evr_block_free(&family.peer.agent, out.token));
	end_family(&family);
}

Test(contain, a_place_that_is_empty_or_none_has_no_content)
{
	struct family family;
	struct evr_block seen;

	make_family(&family);
	FAILS(-ENOENT,
	      evr_block_content(&family.peer.agent, family.container.token, 1, &seen));
	FAILS(-ENOENT,
	      evr_block_content(&family.peer.agent, family.container.token, 3, &seen));
	FAILS(-ENOENT, evr_block_take_out(&family.peer.agent, family.container.token,
					  UINT32_MAX, &seen));
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	end_family(&family);
}

Test(contain, a_block_has_room_for_three_and_a_place_that_was_emptied_is_used_again)
{
	struct evr_block contents[4];
	struct evr_block out;
	struct evr_block box;
	struct peer peer;
	int i;

	peer_create(&peer, NULL);
	box = must_alloc(&peer.agent, 64);
	for (i = 0; i < 4; i++)
		contents[i] = must_alloc(&peer.agent, 64);
	for (i = 0; i < EVR_BLOCK_CONTENTS_MAX; i++)
		cr_assert_eq(evr_block_contain(&peer.agent, box.token, contents[i].token),
			     i);
	FAILS(-ENOSPC, evr_block_contain(&peer.agent, box.token, contents[3].token));
	MUST(evr_block_take_out(&peer.agent, box.token, 1, &out));
	cr_assert_eq(evr_block_contain(&peer.agent, box.token, contents[3].token), 1);
	MUST(evr_block_free(&peer.agent, box.token));
	MUST(evr_block_free(&peer.agent, out.token));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(contain, no_block_contains_itself)
{
	struct evr_block box;
	struct peer peer;

	peer_create(&peer, NULL);
	box = must_alloc(&peer.agent, 64);
	FAILS(-EINVAL, evr_block_contain(&peer.agent, box.token, box.token));
	MUST(evr_block_free(&peer.agent, box.token));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(contain, a_container_does_not_go_into_another)
{
	struct family family;
	struct evr_block outer;

	make_family(&family);
	outer = must_alloc(&family.peer.agent, 64);
	FAILS(-EINVAL, evr_block_contain(&family.peer.agent, outer.token,
					 family.container.token));
	MUST(evr_block_free(&family.peer.agent, outer.token));
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	end_family(&family);
}

Test(contain, only_blocks_of_this_participant_are_contained)
{
	struct evr_block mine;
	struct evr_block its;
	struct evr_block stale;
	struct peer other;
	struct peer peer;

	peer_create(&peer, NULL);
	peer_attach(&other, &peer);
	mine = must_alloc(&peer.agent, 64);
	its = must_alloc(&other.agent, 64);
	stale = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&peer.agent, stale.token));
	FAILS(-EPERM, evr_block_contain(&peer.agent, mine.token, its.token));
	FAILS(-EPERM, evr_block_contain(&peer.agent, its.token, mine.token));
	FAILS(-ESTALE, evr_block_contain(&peer.agent, mine.token, stale.token));
	FAILS(-ESTALE, evr_block_contain(&peer.agent, stale.token, mine.token));
	FAILS(-EXDEV, evr_block_contain(&peer.agent, mine.token, (evr_token){ 0 }));
	MUST(evr_block_free(&other.agent, its.token));
	MUST(evr_block_free(&peer.agent, mine.token));
	peer_close(&other);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(contain, another_participant_sees_no_content_of_a_block_that_it_does_not_hold)
{
	struct family family;
	struct evr_block seen;
	struct peer other;

	make_family(&family);
	peer_attach(&other, &family.peer);
	FAILS(-EPERM, evr_block_content(&other.agent, family.container.token, 0, &seen));
	FAILS(-EPERM, evr_block_take_out(&other.agent, family.container.token, 0, &seen));
	peer_close(&other);
	MUST(evr_block_free(&family.peer.agent, family.container.token));
	end_family(&family);
}

Test(contain, contents_move_with_their_container_through_a_ring)
{
	struct family family;
	struct evr_ring ring;
	struct evr_ring end;
	struct evr_block moved;
	struct evr_block out;
	struct peer other;

	make_family(&family);
	peer_attach(&other, &family.peer);
	MUST(evr_ring_create(family.peer.region, "ring", 2, &ring));
	MUST(evr_ring_open(other.region, "ring", &end));
	*(uint64_t *)family.content.payload = 4711;
	MUST(evr_ring_try_push(&ring, &family.peer.agent, family.container.token));
	MUST(evr_ring_try_pop(&end, &other.agent, &moved));
	MUST(evr_block_take_out(&other.agent, moved.token, 0, &out));
	cr_assert_eq(*(uint64_t *)out.payload, 4711);
	MUST(evr_block_free(&other.agent, out.token));
	MUST(evr_block_free(&other.agent, moved.token));
	peer_close(&other);
	end_family(&family);
}

static void die_with_a_family(struct peer *peer, void *argument)
{
	struct evr_block box;
	struct evr_block content;
	int i;

	(void)argument;
	CHILD_MUST(evr_block_alloc(&peer->agent, 64, &box) == 0);
	for (i = 0; i < EVR_BLOCK_CONTENTS_MAX; i++) {
		CHILD_MUST(evr_block_alloc(&peer->agent, 1024, &content) == 0);
		CHILD_MUST(evr_block_contain(&peer->agent, box.token, content.token) ==
			   i);
	}
}

Test(contain, contents_of_a_dead_holders_block_are_freed_with_it, .timeout = 20)
{
	struct peer peer;

	peer_create(&peer, NULL);
	killed_child(&peer, die_with_a_family, NULL);
	cr_assert_eq(evr_recover(&peer.agent, NULL), 0);
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}
