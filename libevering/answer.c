/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* answer.c - see answer.h. */

#include "answer.h"

#include <stdlib.h>

#include "home.h"

/* What had to be left waits for one that is stopped, or for an agent: not so long that
 * anybody would miss it, and not so short that passes over the whole pool would cost. */
#define RETRY_NS UINT64_C(500000000)

/* ---- telling ---- */

static void ring_uring(const struct evri_uring *uring)
{
	evr_doorbell_ring_all(&uring->shared->bell);
	for (uint32_t slot = 0; slot < uring->homes_count; slot++)
		evr_doorbell_ring_all(&evri_home_at(uring, slot)->bell);
}

static void ring_everybody(struct evr_region *region)
{
	struct evri_uring *urings;
	uint32_t count;

	if (evri_urings_find(region, &urings, &count) < 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		ring_uring(&urings[i]);
	free(urings);
}

/* ---- bringing back ---- */

/* How many of those that the records call dead are new to us? */
static int count_new(struct evri_answer *answer)
{
	const struct evr_region *region = answer->region;
	int count = 0;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);

		if (word >> 32 != EVR_PARTICIPANT_DEAD ||
		    answer->answered[i] == (uint32_t)word)
			continue;
		answer->answered[i] = (uint32_t)word;
		count++;
	}
	return count;
}

/* One pass. How many dead ones are not finished, or an error. */
static int bring_back(struct evr_region *region, struct evr_recovery_stats *stats)
{
	struct evr_pool *pool;
	struct evr_agent agent;
	int result = evr_pool_open(region, &pool);

	if (result < 0)
		return result;
	result = evr_agent_open(pool, &agent);
	if (result == 0) {
		region->recovers = true;
		result = evr_recover(&agent, stats);
		evr_agent_close(&agent);
	}
	evr_pool_close(pool);
	return result;
}

int evri_answer(struct evri_answer *answer, struct evr_recovery_stats *stats)
{
	struct evr_region *region = answer->region;
	struct evr_recovery_stats pass = { 0 };
	int dead = evr_participant_find_dead(region);
	int count = dead > 0 ? count_new(answer) : 0;
	int left = 0;
	uint32_t deaths;

	if (dead == 0)
		answer->retry_ns = EVR_NEVER;
	if (count > 0 || (dead > 0 && answer->retry_ns != EVR_NEVER &&
			  evri_os_now_ns() >= answer->retry_ns)) {
		left = bring_back(region, &pass);
		/* Without a pool there is nothing that anybody could hold. */
		answer->retry_ns = left == 0 || left == -ENOENT ?
					   EVR_NEVER :
					   evri_os_now_ns() + RETRY_NS;
	}
	/* Recovery has rung for what it sent home; this is for those who go by the count,
	 * whoever counted. */
	deaths = evr_load_acquire_u32(&region->shared->deaths);
	if (deaths != answer->deaths_told) {
		answer->deaths_told = deaths;
		ring_everybody(region);
	}
	if (stats)
		*stats = pass;
	if (dead < 0)
		return dead;
	return left < 0 && left != -ENOENT && left != -EAGAIN ? left : count;
}

/* ---- begin, end ---- */

int evri_answer_begin(struct evri_answer *answer, struct evr_region *region)
{
	answer->answered = calloc(region->participants_count, sizeof(*answer->answered));
	if (!answer->answered)
		return -ENOMEM;
	answer->region = region;
	answer->deaths_told = 0;
	answer->retry_ns = EVR_NEVER;
	return 0;
}

void evri_answer_end(struct evri_answer *answer)
{
	free(answer->answered);
	answer->answered = NULL;
}

void evri_answer_leave(struct evr_region *region)
{
	struct evr_pool *pool;

	if (!region->recovers)
		return;
	evr_store_relaxed_u32(&region->blocks_left, 1);
	if (evr_pool_open(region, &pool) == 0)
		evr_pool_close(pool);
}
