/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * participant.c - joining, leaving, and who is dead. See <evering/participant.h>.
 *
 * A record's word goes FREE -> ALIVE -> DEAD -> FREE, each step one compare-and-swap:
 * ALIVE by the joiner, who holds the lock on the record's byte; DEAD by whoever saw,
 * after it had read the word, that the lock was gone; FREE by whoever brought everything
 * back. The number in the word is used once only, so no step can hit a successor.
 */

#include <evering/participant.h>

#include <string.h>

#include "region_internal.h"

static uint32_t word_state(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t word_number(uint64_t word)
{
	return (uint32_t)word;
}

static int take_number(struct evr_region *region, uint32_t *ret)
{
	struct evr_atomic_u64 *next = &region->shared->next_number;
	uint64_t number = evr_load_relaxed_u64(next);

	/* A compare-and-swap, not an addition: a counter that stops at its end can never
	 * come round and give a number out again. */
	do {
		if (number == 0 || number > EVRI_ATTACH_NUMBER_MAX)
			return evri_fail(
				-ENOSPC,
				"all %u attach numbers of the region are used up; "
				"make a new region",
				EVRI_ATTACH_NUMBER_MAX);
	} while (!evr_cas_acq_rel_u64(next, &number, number + 1));
	*ret = (uint32_t)number;
	return 0;
}

/* Takes record @i if it is free. 0; -EBUSY: it is not; or an error of the kernel's. */
static int try_join(struct evr_region *region, uint32_t i)
{
	struct evr_participant_shared *record = &region->participants[i];
	uint64_t word = evr_load_acquire_u64(&record->word);
	uint32_t number;
	int error;

	/* Looked at before the lock is taken: holding the byte of one who died unnoticed
	 * would make him look alive. */
	if (word_state(word) != EVR_PARTICIPANT_FREE)
		return -EBUSY;
	error = evri_os_liveness_lock(&region->hold, EVRI_LIVENESS_BYTE(i));
	if (error < 0)
		return error;

	error = take_number(region, &number);
	if (error == 0) {
		evr_plain_store_u64(&record->pid, (uint64_t)region->pid);
		evr_plain_store_u64(&record->joined_ns, evri_os_now_ns());
		evr_store_relaxed_u32(&record->life, 0);
		/* SYNC participant/word (release), pairs with
		 * evr_participant_find_dead(). The lock was taken first, so whoever
		 * reads ALIVE and then finds no lock knows a death. */
		if (evr_cas_acq_rel_u64(&record->word, &word,
					evr_participant_word(EVR_PARTICIPANT_ALIVE,
							     number))) {
			region->number = number;
			region->record = i;
			return 0;
		}
		error = -EBUSY;
	}
	evri_os_liveness_unlock(&region->hold, EVRI_LIVENESS_BYTE(i));
	return error;
}

int evri_participant_join(struct evr_region *region, int carrier_fd)
{
	uint32_t i;
	int error = evri_os_liveness_prepare(region->fd, carrier_fd, region->page_bytes,
					     &region->hold);

	if (error == -ENOENT)
		return evri_fail(error, "/proc is not mounted: the region's file cannot "
					"be opened for a lock of its own; evr_connect() "
					"works without it");
	if (error < 0)
		return evri_fail(error, "no lock of its own on the region's file: %s",
				 strerror(-error));
	error = -EBUSY;
	for (i = 0; i < region->participants_count && error == -EBUSY; i++)
		error = try_join(region, i);
	evri_os_liveness_finish(&region->hold, error == 0);

	/* Somebody has to look after us as long as we have no thread that is watched. */
	if (error == 0)
		evri_participant_arrive(region);
	if (error == 0 || error == -ENOSPC)
		return error;
	if (error != -EBUSY)
		return evri_fail(error, "no lock on the byte of record %u: %s", i - 1,
				 strerror(-error));
	return evri_fail(-EMFILE,
			 "all %u participant records are taken, %d of them by dead ones "
			 "that a living participant's evr_recover() would free",
			 region->participants_count, evr_participant_find_dead(region));
}

void evri_participant_arrive(struct evr_region *region)
{
	/* SYNC region/arrivals (release), pairs with watch_others(): who sees the count
	 * sees the record. */
	evr_fetch_add_acq_rel_u32(&region->shared->arrivals, 1);
	evri_os_futex_wake((const uint32_t *)&region->shared->arrivals, INT32_MAX);
}

void evri_participant_leave(struct evr_region *region)
{
	struct evr_participant_shared *record = &region->participants[region->record];
	uint64_t word = evr_participant_word(EVR_PARTICIPANT_ALIVE, region->number);
	bool clean = evr_load_relaxed_u32(&region->handles_open) == 0 &&
		     evr_load_relaxed_u32(&region->blocks_left) == 0;

	/* SYNC participant/word (release), pairs with the recoverer's load in
	 * evr_recover(). Relaxed: it could miss our last mark and give that block a
	 * second owner. */
	evr_cas_acq_rel_u64(&record->word, &word,
			    evr_participant_word(clean ? EVR_PARTICIPANT_FREE :
							 EVR_PARTICIPANT_DEAD,
						 region->number));
	evri_os_liveness_drop(&region->hold);
}

bool evri_participant_alive(const struct evr_region *region, uint32_t number)
{
	for (uint32_t i = 0; i < region->participants_count; i++)
		if (evr_load_acquire_u64(&region->participants[i].word) ==
		    evr_participant_word(EVR_PARTICIPANT_ALIVE, number))
			return true;
	return false;
}

/* Is this participant dead, though its record says ALIVE? Then the record says so too,
 * from here on; one who only reads leaves it as it is. */
static int judge(struct evr_region *region, uint32_t record, uint64_t word)
{
	int held = evri_os_liveness_test(region->fd, EVRI_LIVENESS_BYTE(record));
	uint64_t dead = evr_participant_word(EVR_PARTICIPANT_DEAD, word_number(word));

	if (held)
		return held < 0 ? held : 0;
	if (region->read_only)
		return 1;
	/* The number is part of the comparison: if somebody else lives in this record by
	 * now, this fails. */
	if (!evr_cas_acq_rel_u64(&region->participants[record].word, &word, dead))
		return word_state(word) == EVR_PARTICIPANT_DEAD;
	/* SYNC region/deaths (release), pairs with somebody_died(). */
	evr_fetch_add_acq_rel_u32(&region->shared->deaths, 1);
	return 1;
}

int evr_participant_find_dead(struct evr_region *region)
{
	int dead = 0;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		/* SYNC participant/word (acquire), pairs with try_join(). */
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);
		bool ours = i == region->record && region->number != 0;
		int judged = word_state(word) == EVR_PARTICIPANT_DEAD;

		if (word_state(word) == EVR_PARTICIPANT_ALIVE && !ours)
			judged = judge(region, i, word);
		if (judged < 0)
			return judged;
		dead += judged;
	}
	return dead;
}

uint32_t evr_participant_records(const struct evr_region *region)
{
	return region->participants_count;
}

int evr_participant_get(const struct evr_region *region, uint32_t record,
			struct evr_participant_info *ret)
{
	if (record >= region->participants_count)
		return -EINVAL;

	const struct evr_participant_shared *shared = &region->participants[record];
	uint64_t word = evr_load_acquire_u64(&shared->word);
	struct evr_participant_info info = {
		.record = record,
		.number = word_number(word),
		.state = word_state(word),
		.pid = (int64_t)evr_plain_load_u64(&shared->pid),
		.joined_ns = evr_plain_load_u64(&shared->joined_ns),
	};
	uint64_t agent = evr_agent_word(EVR_AGENT_USED, record, info.number);

	for (uint32_t i = 0; i < region->agents_count; i++)
		if (evr_load_relaxed_u64(&region->agents[i].word) == agent)
			info.agents_count++;
	*ret = info;
	return 0;
}

/* ---- agents ---- */

/* May this agent be taken? One that is free; or, when @dead_too, one of a dead
 * participant that was in the middle of nothing, so that recovery has nothing to read in
 * it. */
static bool may_take(const struct evr_region *region,
		     const struct evr_agent_shared *agent, uint64_t word, bool dead_too)
{
	uint32_t record = (uint32_t)(word >> 32) & 0xffffffU;

	if (word >> 56 == EVR_AGENT_FREE)
		return true;
	if (!dead_too || word >> 56 != EVR_AGENT_USED ||
	    record >= region->participants_count ||
	    evr_load_acquire_u64(&region->participants[record].word) !=
		    evr_participant_word(EVR_PARTICIPANT_DEAD, word_number(word)) ||
	    evr_load_acquire_u64(&agent->bitmap_intent) != 0)
		return false;
	for (int k = 0; k < EVR_AGENT_INTENTS; k++)
		if (evr_load_acquire_u64(&agent->intent[k]) != 0)
			return false;
	return true;
}

static struct evr_agent_shared *take_agent(struct evr_region *region, bool dead_too)
{
	uint64_t claimed =
		evr_agent_word(EVR_AGENT_CLAIMED, region->record, region->number);
	uint64_t used = evr_agent_word(EVR_AGENT_USED, region->record, region->number);

	for (uint32_t i = 0; i < region->agents_count; i++) {
		struct evr_agent_shared *agent = &region->agents[i];
		uint64_t word = evr_load_acquire_u64(&agent->word);

		if (!may_take(region, agent, word, dead_too) ||
		    !evr_cas_acq_rel_u64(&agent->word, &word, claimed))
			continue;
		/* What a dead predecessor was about to take is not ours. While the word
		 * says CLAIMED, nobody believes these. */
		evr_store_relaxed_u64(&agent->bitmap_intent, 0);
		for (int k = 0; k < EVR_AGENT_INTENTS; k++)
			evr_store_relaxed_u64(&agent->intent[k], 0);
		evr_store_relaxed_u64(&agent->acknowledged,
				      evr_load_acquire_u64(&region->shared->retirements));
		/* SYNC agent/word (release), pairs with evri_recovery_agent_is().
		 * Relaxed: a recoverer could take the predecessor's intents for ours. */
		evr_store_release_u64(&agent->word, used);
		return agent;
	}
	return NULL;
}

int evri_agent_claim(struct evr_region *region, struct evr_agent_shared **ret)
{
	struct evr_agent_shared *agent = take_agent(region, false);

	/* The dead may have them all, and recovering them takes an agent. */
	if (!agent && evr_participant_find_dead(region) > 0)
		agent = take_agent(region, true);
	if (!agent)
		return evri_fail(-EMFILE, "all %u agents of the region are in use",
				 region->agents_count);
	*ret = agent;
	return 0;
}

void evri_agent_release(struct evr_region *region, struct evr_agent_shared *agent)
{
	/* SYNC agent/word (release), pairs with evri_recovery_agent_is(): our last mark
	 * is seen by whoever sees the agent gone. */
	evr_store_release_u64(&agent->word, evr_agent_word(EVR_AGENT_FREE, region->record,
							   region->number));
}
