/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool_hardened.c - what EVR_POOL_HARDENED looks at. See struct evr_pool_options.
 *
 * Behind each payload lies a canary: 64 bytes that depend on the block's index and on
 * their place, so that neither zeros nor a neighbour's canary will do. In a class of
 * alignment 64 they stand before the next block's prefix, which they protect; in others
 * at the beginning of the alignment bytes that each payload is then longer.
 */

#include <evering/pool.h>

#include <string.h>

#include "pool_internal.h"

#define CANARY_WORDS (EVR_CACHE_LINE_BYTES / 8)
#define CANARY       UINT64_C(0x9e3779b97f4a7c15) /* odd, and of no pattern */
#define POISON       0xdb

static uint64_t canary_word(uint32_t index, uint32_t place)
{
	return (index + UINT64_C(1)) * CANARY + place;
}

static uint64_t *canary_of(char *payload, uint64_t payload_bytes)
{
	return (uint64_t *)(void *)(payload + payload_bytes);
}

void evri_payload_arm(uint32_t flags, uint32_t index, void *payload, uint64_t bytes)
{
	uint64_t *canary = canary_of(payload, bytes);

	for (uint32_t i = 0; i < CANARY_WORDS; i++)
		evr_plain_store_u64(&canary[i], canary_word(index, i));
	if (flags & EVR_POOL_POISONED)
		memset(payload, POISON, bytes);
}

void evri_block_arm(const struct evr_agent *agent, uint32_t index)
{
	struct evr_block_shared *block = evri_block_known(agent, index);

	if (agent->flags & EVR_POOL_HARDENED)
		evri_payload_arm(agent->flags, index,
				 evri_block_payload(agent, index, block),
				 evri_block_payload_bytes(agent, index));
}

static bool canary_is_whole(uint32_t index, void *payload, uint64_t bytes)
{
	const uint64_t *canary = canary_of(payload, bytes);
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < CANARY_WORDS; i++)
		wrong |= evr_plain_load_u64(&canary[i]) ^ canary_word(index, i);
	return wrong == 0;
}

static bool poison_is_whole(const unsigned char *payload, uint64_t bytes)
{
	return payload[0] == POISON && memcmp(payload, payload + 1, bytes - 1) == 0;
}

int evri_block_leaves(const struct evr_agent *agent, uint32_t index)
{
	struct evr_block_shared *block = evri_block_known(agent, index);
	void *payload = evri_block_payload(agent, index, block);
	uint64_t bytes = evri_block_payload_bytes(agent, index);

	if (!canary_is_whole(index, payload, bytes))
		return evri_fail(-EUCLEAN, "block %u was written to behind its payload",
				 index);
	if (agent->flags & EVR_POOL_POISONED)
		memset(payload, POISON, bytes);
	return 0;
}

int evri_block_enters(const struct evr_agent *agent, uint32_t index)
{
	struct evr_block_shared *block = evri_block_known(agent, index);
	void *payload = evri_block_payload(agent, index, block);
	uint64_t bytes = evri_block_payload_bytes(agent, index);

	if (!canary_is_whole(index, payload, bytes))
		return evri_fail(-EUCLEAN,
				 "somebody wrote behind the payload of block %u "
				 "while it was free",
				 index);
	if (agent->flags & EVR_POOL_POISONED && !poison_is_whole(payload, bytes))
		return evri_fail(-EUCLEAN, "block %u was written to while it was free",
				 index);
	return 0;
}
