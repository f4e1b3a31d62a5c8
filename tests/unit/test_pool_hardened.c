/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_pool_hardened.c - misuse that EVR_POOL_HARDENED sees. */

#include "fixture.h"

#include <pthread.h>
#include <string.h>

static const struct evr_pool_class classes[] = {
	{ 64, 70, 0 }, { 256, 20, 256 }, { 4096, 8, 4096 },
};

static struct peer hardened_peer(uint32_t flags)
{
	struct evr_pool_options options = {
		.size = sizeof(options),
		.classes = classes,
		.classes_count = COUNT_OF(classes),
		.flags = EVR_POOL_HARDENED | flags,
	};

	return pool_peer_with(&options);
}

static void work_with(uint32_t flags)
{
	struct peer peer = hardened_peer(flags);
	struct peer other;
	struct evr_block blocks[70], inner;
	evr_token tokens[70];

	MUST(evr_agent_open(peer.pool, &peer.agent));
	peer_attach(&other, &peer);
	for (int round = 0; round < 3; round++)
		for (uint32_t k = 0; k < COUNT_OF(classes); k++) {
			struct evr_agent *agent = &(round & 1 ? &other : &peer)->agent;
			int count = evr_block_alloc_bulk(agent, classes[k].payload_bytes,
							 blocks, 70);

			cr_assert_eq(count, classes[k].blocks_count);
			for (int i = 0; i < count; i++) {
				memset(blocks[i].payload, i, blocks[i].payload_bytes);
				tokens[i] = blocks[i].token;
			}
			cr_assert_eq(evr_block_free_bulk(agent, tokens, (uint32_t)count),
				     count);
			evr_agent_flush(agent);
		}
	blocks[0] = must_alloc(&peer.agent, 64);
	inner = must_alloc(&peer.agent, 256);
	memset(inner.payload, 1, 256);
	MUST(evr_block_contain(&peer.agent, blocks[0].token, inner.token));
	MUST(evr_block_free(&peer.agent, blocks[0].token));
	evr_agent_flush(&peer.agent);
	for (int i = 0; i < 20; i++)
		must_alloc(&other.agent, 256);
	peer_close(&other); /* leaves them: they come back armed */
	cr_assert_eq(MUST(evr_recover(&peer.agent, NULL)), 0);
	for (int i = 0; i < 20; i++)
		MUST(evr_block_free(&peer.agent, must_alloc(&peer.agent, 256).token));
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_hardened, correct_use_is_no_misuse)
{
	work_with(0);
	work_with(EVR_POOL_POISONED);
}

Test(pool_hardened, a_byte_behind_the_payload_is_seen_at_free)
{
	struct peer peer = hardened_peer(0);

	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (uint32_t k = 0; k < COUNT_OF(classes); k++)
		for (uint64_t at = 0; at < 64; at += 21) {
			struct evr_block block =
				must_alloc(&peer.agent, classes[k].payload_bytes);
			char *behind = (char *)block.payload + block.payload_bytes + at;

			*behind ^= 1;
			FAILS(-EUCLEAN, evr_block_free(&peer.agent, block.token));
			cr_assert(strstr(evr_error_detail(), "behind"), "%s",
				  evr_error_detail());
			FAILS(-EUCLEAN,
			      evr_block_free_bulk(&peer.agent, &block.token, 1));
			*behind ^= 1;
			MUST(evr_block_free(&peer.agent, block.token));
		}
	peer_leaves_all_free(&peer);
	peer_close(&peer);
}

Test(pool_hardened, a_byte_behind_a_free_block_is_seen_by_the_next_who_takes_it)
{
	struct peer peer = hardened_peer(0);
	struct evr_block block, next;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	block = must_alloc(&peer.agent, 64);
	MUST(evr_block_free(&peer.agent, block.token));
	((char *)block.payload)[64] ^= 1;
	FAILS(-EUCLEAN, evr_block_alloc(&peer.agent, 64, &next));
	next = must_alloc(&peer.agent, 64);
	cr_assert_neq(next.payload, block.payload, "it was given up");
	peer_close(&peer);
}

Test(pool_hardened, a_write_after_free_is_seen_where_payloads_are_poisoned)
{
	struct peer peer = hardened_peer(EVR_POOL_POISONED);

	MUST(evr_agent_open(peer.pool, &peer.agent));
	for (uint64_t at = 0; at < 256; at += 51) {
		struct evr_block block = must_alloc(&peer.agent, 256);
		struct evr_block next;

		MUST(evr_block_free(&peer.agent, block.token));
		cr_assert_eq(((unsigned char *)block.payload)[at], 0xdb);
		((char *)block.payload)[at] = 0;
		FAILS(-EUCLEAN, evr_block_alloc(&peer.agent, 256, &next));
	}
	peer_close(&peer);
}

Test(pool_hardened, flags_that_contradict_each_other_are_refused)
{
	static const uint32_t wrong[] = {
		EVR_POOL_POISONED,
		EVR_POOL_HARDENED | EVR_POOL_UNTRACKED,
	};

	for (uint32_t i = 0; i < COUNT_OF(wrong); i++) {
		struct evr_pool_options options = fixture_pool_options();
		struct evr_region *region = region_of(FIXTURE_REGION_BYTES);
		struct evr_pool *pool;

		options.flags = wrong[i];
		FAILS(-EINVAL, evr_pool_create(region, &options, &pool));
		evr_region_detach(region);
	}
}

Test(pool_hardened, an_extent_is_hardened_as_its_pool_is_and_keeps_it_over_a_retirement)
{
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = 4096,
		.blocks_count = 20,
	};
	struct evr_range_options range = { .size = sizeof(range), .bytes = 1 << 20 };
	struct evr_region_options options = {
		.size = sizeof(options),
		.bytes = 1 << 20,
		.bytes_max = 4 << 20,
	};
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = classes,
		.classes_count = COUNT_OF(classes),
		.flags = EVR_POOL_HARDENED | EVR_POOL_POISONED,
	};
	struct peer peer = { 0 };
	struct evr_block blocks[29];

	MUST(evr_region_create(&options, &peer.region));
	MUST(evr_pool_create(peer.region, &pool, &peer.pool));
	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_region_grow(peer.region, &range, &growth.range));
	for (int round = 0; round < 2; round++) {
		MUST(evr_pool_grow(peer.pool, &growth));
		cr_assert_eq(evr_block_alloc_bulk(&peer.agent, 4096, blocks, 29), 28);
		((char *)blocks[27].payload)[4096] ^= 1;
		FAILS(-EUCLEAN, evr_block_free(&peer.agent, blocks[27].token));
		((char *)blocks[27].payload)[4096] ^= 1;
		for (int i = 0; i < 28; i++)
			MUST(evr_block_free(&peer.agent, blocks[i].token));
		MUST(evr_pool_retire(&peer.agent, growth.range, NULL));
	}
	peer_close(&peer);
}

/* ---- the mark ---- */

struct scribbler {
	struct evr_atomic_u64 *word;
	struct evr_atomic_u32 ends;
};

/* Changes the owner of a block that is not his, as one does who uses a spent token. */
static void *scribble(void *argument)
{
	struct scribbler *scribbler = argument;

	while (!evr_load_relaxed_u32(&scribbler->ends)) {
		uint64_t word = evr_load_relaxed_u64(scribbler->word);

		evr_cas_acq_rel_u64(scribbler->word, &word, word ^ 2);
	}
	return NULL;
}

Test(pool_hardened, a_block_that_changes_while_it_is_marked_is_an_error, .timeout = 60)
{
	struct peer peer = hardened_peer(0);
	struct scribbler scribbler = { 0 };
	struct evr_block block;
	struct evr_ring ring;
	uint64_t failures = 0;
	pthread_t thread;

	MUST(evr_agent_open(peer.pool, &peer.agent));
	MUST(evr_ring_create(peer.region, "ring", 4, &ring));
	block = must_alloc(&peer.agent, 64);
	scribbler.word = &evri_block_at(&peer.agent, evr_token_index(block.token))->word;
	cr_assert_eq(pthread_create(&thread, NULL, scribble, &scribbler), 0);
	for (uint64_t i = 0; i < 20000000 && failures < 3; i++) {
		uint64_t word = evr_load_relaxed_u64(scribbler.word);
		evr_token token = evr_token_make(evr_token_tag(block.token),
						 evr_token_index(block.token),
						 evr_block_word_generation(word));
		uint32_t index;
		int error;

		MUST(evri_ring_push(&ring, evr_token_wire(token)));
		error = evri_ring_pop(&ring, &peer.agent, true, NULL, 0, &index, &word);
		if (error < 0) {
			FAILS(-EUCLEAN, error);
			failures++;
		}
	}
	evr_store_relaxed_u32(&scribbler.ends, 1);
	pthread_join(thread, NULL);
	cr_assert_eq(failures, 3, "the change was never seen");
	peer_close(&peer);
}
