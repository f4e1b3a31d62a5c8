/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_token.c - token.h: a name of 64 bits, put together and taken apart. */

#include "fixture.h"

Test(token, its_parts_come_out_as_they_went_in)
{
	evr_token token = evr_token_make(0xbeef, 0x123456, 0x654321);

	cr_assert_eq(evr_token_tag(token), 0xbeef);
	cr_assert_eq(evr_token_index(token), 0x123456);
	cr_assert_eq(evr_token_generation(token), 0x654321);
	cr_assert_eq(token.raw, UINT64_C(0xbeef123456654321));
}

Test(token, the_wire_form_has_everything_but_the_tag)
{
	evr_token token = evr_token_make(0xffff, 5, 6);

	cr_assert_eq(evr_token_wire(token), UINT64_C(5) << 24 | 6);
	cr_assert_eq(evr_token_wire(evr_token_make(1, 5, 6)), evr_token_wire(token));
}

Test(token, a_generation_is_taken_modulo_2_to_the_24)
{
	cr_assert_eq(evr_token_make(1, 7, UINT64_C(0xabcd123456)).raw,
		     evr_token_make(1, 7, 0x123456).raw);
	cr_assert_eq(evr_token_index(evr_token_make(1, 7, UINT64_C(1) << 24)), 7);
}

Test(token, no_block_can_have_the_name_that_closes_a_ring)
{
	evr_token last =
		evr_token_make(0xffff, EVR_TOKEN_INDEX_MAX, EVR_TOKEN_GENERATION_MASK);

	cr_assert_neq(evr_token_wire(last), EVR_TOKEN_WIRE_MASK);
	cr_assert_lt(evr_token_wire(last), EVR_TOKEN_WIRE_MASK);
}

Test(token, the_widths_add_up_to_a_word)
{
	cr_assert_eq(sizeof(evr_token), 8);
	cr_assert_eq(EVR_TOKEN_INDEX_BITS + EVR_TOKEN_GENERATION_BITS,
		     EVR_TOKEN_WIRE_BITS);
	cr_assert_eq(EVR_TOKEN_WIRE_MASK, UINT64_MAX >> 16);
}

Test(token, a_zero_token_names_nothing_in_any_region)
{
	struct peer peer;

	peer_create(&peer, NULL);
	FAILS(-EXDEV, evr_block_free(&peer.agent, (evr_token){ 0 }));
	peer_close(&peer);
}
