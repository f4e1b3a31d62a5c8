/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_home.c - home.h: return addresses and the slot word of a home. */

#include "fixture.h"

#include <evering/home.h>

Test(home, the_parts_of_a_slot_word_come_out_as_they_went_in)
{
	uint64_t word = evri_home_word(EVR_HOME_OPEN, 0xabcdef, 0x89abcdef);

	cr_assert_eq(evri_home_word_state(word), EVR_HOME_OPEN);
	cr_assert_eq(evri_home_word_session(word), 0xabcdef);
	cr_assert_eq((uint32_t)word, 0x89abcdef);
}

Test(home, a_session_wraps_after_24_bits_and_leaves_the_state_alone)
{
	uint64_t word = evri_home_word(EVR_HOME_FREE, EVR_HOME_SESSION_MASK + 1, 5);

	cr_assert_eq(evri_home_word_session(word), 0);
	cr_assert_eq(evri_home_word_state(word), EVR_HOME_FREE);
}

Test(home, attempts_and_session_share_a_word_and_attempts_stop_at_their_maximum)
{
	uint32_t delivery = evri_delivery(0xabcdef, 7);

	cr_assert_eq(evri_delivery_session(delivery), 0xabcdef);
	cr_assert_eq(evri_delivery_attempts(delivery), 7);
	delivery = evri_delivery(EVR_HOME_SESSION_MASK, EVR_ATTEMPTS_MAX + 1);
	cr_assert_eq(evri_delivery_session(delivery), EVR_HOME_SESSION_MASK);
	cr_assert_eq(evri_delivery_attempts(delivery), EVR_ATTEMPTS_MAX);
}

Test(home, fresh_memory_is_no_home)
{
	cr_assert_neq(evri_home_word_state(0), EVR_HOME_FREE);
	cr_assert_neq(evri_home_word_state(0), EVR_HOME_OPEN);
}

Test(home, different_homes_have_different_addresses)
{
	uint64_t address = evri_home_address(0x89abcdef, 0x1234, 0xfedc);

	cr_assert_eq(address, UINT64_C(0x89abcdef1234fedc));
	cr_assert_neq(address, evri_home_address(0x89abcdef, 0x1234, 0xfedd));
	cr_assert_neq(address, evri_home_address(0x89abcdef, 0x1235, 0xfedc));
	cr_assert_neq(address, evri_home_address(0x89abcdee, 0x1234, 0xfedc));
}

/* ---- the life of a home, seen in its word ---- */

static struct evr_home_shared *first_home(struct evr_region *region)
{
	struct evr_region_shared *base = scribble_map(region);
	struct evr_uring_shared *uring = find_object(base, EVR_URING_MAGIC);

	return (struct evr_home_shared *)((char *)uring + uring->homes_offset);
}

Test(home, each_submitter_at_a_home_is_a_session_of_its_own)
{
	struct evr_submitter *submitter;
	struct evr_home_shared *home;
	struct peer peer;
	uint32_t session[2];
	int i;

	peer_create(&peer, NULL);
	home = first_home(peer.region);
	cr_assert_eq(evri_home_word_state(evr_load_relaxed_u64(&home->word)),
		     EVR_HOME_FREE);
	for (i = 0; i < 2; i++) {
		uint64_t word;

		MUST(evr_submitter_open(peer.uring, &peer.agent, NULL, &submitter));
		cr_assert_eq(evr_submitter_slot(submitter), 0);
		word = evr_load_relaxed_u64(&home->word);
		cr_assert_eq(evri_home_word_state(word), EVR_HOME_OPEN);
		cr_assert_eq((uint32_t)word, evr_region_number(peer.region));
		session[i] = evri_home_word_session(word);
		evr_submitter_close(submitter);
		cr_assert_eq(evri_home_word_state(evr_load_relaxed_u64(&home->word)),
			     EVR_HOME_FREE);
	}
	cr_assert_neq(session[0], session[1]);
	peer_close(&peer);
}
