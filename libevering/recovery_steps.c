/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * recovery_steps.c - a pass of recovery in steps of bounded length. See
 * <evering/recovery.h>, and recovery.c for what is done.
 *
 * Between two steps stands what a stopped recoverer would have in its registers: how far
 * it has come, and what it knows of the dead. None of that becomes wrong with time; the
 * argument is in docs/RECOVERY.md, "A pass in steps".
 */

#include <stdlib.h>
#include <string.h>

#include "recovery_internal.h"

enum stage {
	STAGE_HOMES,
	STAGE_INTENTS,
	STAGE_RINGS,
	STAGE_TAKERS,
	STAGE_BLOCKS,
	STAGE_INTENDED,
	STAGE_BELLS,
	STAGE_FINISH,
	STAGES,
};

struct evr_recoverer {
	struct evri_pass pass;
	bool under_way;
	int left; /* of the dead, those with something postponed */
	enum stage stage;
	/* Where in the stage: a uring and a home of it, a chunk, or one of the dead. */
	uint32_t at;
	uint32_t slot;
	struct evri_home_release release;
	struct evri_directory_cursor directory;
	bool directory_passed;
	bool ring_open;
	struct evr_ring ring; /* of which @ring_slots were looked at */
	uint64_t ring_slots;
};

/* ---- the stages; each returns 1: not yet through, 0: through, or an error ---- */

static int release_homes(struct evr_recoverer *r)
{
	struct evri_pass *pass = &r->pass;

	for (; r->at < pass->urings_count; r->at++, r->slot = 0) {
		const struct evri_uring *uring = &pass->urings[r->at];

		for (; r->slot < uring->homes_count; r->slot++) {
			int result;

			if (pass->looks_left <= 0)
				return 1;
			result = evri_pass_release_home(pass, uring, r->slot,
							&r->release);
			if (result)
				return result;
			memset(&r->release, 0, sizeof(r->release));
		}
	}
	return 0;
}

static int read_intents(struct evr_recoverer *r)
{
	return evri_pass_read_intents(&r->pass);
}

/* The next ring of all, bare ones first. 1: there is one; 0: no more. */
static int next_ring(struct evr_recoverer *r)
{
	struct evri_pass *pass = &r->pass;
	struct evri_object object;
	int error;

	while (!r->directory_passed) {
		if (!evri_directory_next(pass->region, &r->directory, &object)) {
			r->directory_passed = true;
			if (r->directory.error < 0)
				return r->directory.error;
			break;
		}
		if (object.state != EVRI_ENTRY_READY || object.kind != EVRI_OBJECT_RING)
			continue;
		error = evri_ring_view(object.address, object.bytes, 0, &r->ring);
		if (error < 0)
			return evri_fail(error,
					 "the header of ring \"%s\" contradicts itself",
					 object.name);
		/* Rings inside of urings have none. */
		if (evr_plain_load_u32(&r->ring.shared->flags))
			evri_pass_release_roles(pass, &object);
		return 1;
	}
	for (; r->at < pass->urings_count; r->at++, r->slot = 0) {
		error = evri_uring_view(&pass->urings[r->at], r->slot, &r->ring);
		if (error == -ENOENT)
			continue;
		if (error < 0)
			return evri_fail(error, "a ring of a uring contradicts itself");
		r->slot++;
		return 1;
	}
	return 0;
}

static int look_at_rings(struct evr_recoverer *r)
{
	struct evri_pass *pass = &r->pass;

	for (;;) {
		if (pass->looks_left <= 0)
			return 1;
		if (!r->ring_open) {
			int found = next_ring(r);

			if (found <= 0)
				return found;
			pass->looks_left -= EVRI_LOOKS_PER_RING;
			r->ring_open = true;
			r->ring_slots = 0;
			continue;
		}
		r->ring_slots = evri_pass_look_at_slots(pass, &r->ring, r->ring_slots);
		r->ring_open = r->ring_slots <= r->ring.mask;
	}
}

static int look_at_takers(struct evr_recoverer *r)
{
	struct evri_pass *pass = &r->pass;

	evri_pass_look_at_takers(pass);
	/* What lies in a ring must not be claimed: all of it waits. */
	if (pass->blind) {
		for (uint32_t i = 0; i < pass->all_count; i++)
			pass->all[i].postponed++;
		r->stage = STAGE_INTENDED;
	}
	return 0;
}

static int look_at_blocks(struct evr_recoverer *r)
{
	for (; r->at < r->pass.chunks_count; r->at++) {
		if (r->pass.looks_left <= 0)
			return 1;
		evri_pass_look_at_chunk(&r->pass, r->at);
	}
	return 0;
}

static int look_at_intents(struct evr_recoverer *r)
{
	for (; r->at < r->pass.intents_count; r->at++) {
		if (r->pass.looks_left <= 0)
			return 1;
		evri_pass_look_at_intent(&r->pass, &r->pass.intents[r->at]);
	}
	return 0;
}

/* Whatever the dead had published without ringing for it. */
static int ring_all(struct evr_recoverer *r)
{
	struct evri_pass *pass = &r->pass;

	for (; r->at < pass->urings_count; r->at++, r->slot = 0) {
		const struct evri_uring *uring = &pass->urings[r->at];

		if (r->slot == 0)
			evr_doorbell_ring_all(&uring->shared->bell);
		for (; r->slot < uring->homes_count; r->slot++) {
			if (pass->looks_left <= 0)
				return 1;
			evr_doorbell_ring_all(&evri_home_at(uring, r->slot)->bell);
			pass->looks_left -= EVRI_LOOKS_PER_BELL;
		}
	}
	return 0;
}

static int finish_all(struct evr_recoverer *r)
{
	for (; r->at < r->pass.all_count; r->at++) {
		struct evri_dead *one = &r->pass.all[r->at];

		if (r->pass.looks_left <= 0)
			return 1;
		evri_pass_finish(&r->pass, one);
		r->left += one->postponed != 0;
	}
	return 0;
}

/* ---- a pass ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t first = ((const struct evri_dead *)a)->number;
	uint32_t second = ((const struct evri_dead *)b)->number;

	return (first > second) - (first < second);
}

/* Writes down who says DEAD at this moment; everything else is looked at after it. */
static int gather_dead(struct evri_pass *pass)
{
	const struct evr_region *region = pass->region;

	if (!pass->all)
		pass->all = calloc(region->participants_count, sizeof(*pass->all));
	if (!pass->all)
		return -ENOMEM;
	pass->all_count = 0;
	memset(pass->all_filter, 0, sizeof(pass->all_filter));
	for (uint32_t i = 0; i < region->participants_count; i++) {
		/* SYNC participant/word (acquire), pairs with evri_participant_leave()
		 * and with whoever marked it DEAD: its last stores are seen. */
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);
		uint32_t number = (uint32_t)word;

		if (word >> 32 != EVR_PARTICIPANT_DEAD)
			continue;
		pass->all[pass->all_count++] =
			(struct evri_dead){ .number = number, .record = i };
		pass->all_filter[number / 64 % 4] |= UINT64_C(1) << number % 64;
	}
	qsort(pass->all, pass->all_count, sizeof(*pass->all), by_number);
	pass->stats.dead += pass->all_count;
	return (int)pass->all_count;
}

/* 1: there is a pass to be made; 0: nobody is dead. */
static int begin(struct evr_recoverer *r)
{
	struct evri_pass *pass = &r->pass;
	int result = evr_participant_find_dead(pass->region);

	pass->looks_left -= pass->region->participants_count;
	if (result > 0)
		result = gather_dead(pass);
	if (result <= 0)
		return result;
	/* Of the extents, too, that only the dead ever used: they were there before the
	 * deaths were. */
	result = evri_pool_learn(pass->pool);
	if (result < 0)
		return result;
	pass->chunks_count = evri_pool_chunks(pass->pool);
	free(pass->urings);
	pass->urings = NULL;
	pass->urings_count = 0;
	result = evri_urings_find(pass->region, &pass->urings, &pass->urings_count);
	if (result < 0)
		return result;
	pass->blind = false;
	pass->stats.passes++;
	memset(&r->release, 0, sizeof(r->release));
	memset(&r->directory, 0, sizeof(r->directory));
	r->directory_passed = false;
	r->ring_open = false;
	r->stage = STAGE_HOMES;
	r->at = 0;
	r->slot = 0;
	r->left = 0;
	r->under_way = true;
	return 1;
}

static int go_on(struct evr_recoverer *r)
{
	static int (*const stages[STAGES])(struct evr_recoverer *) = {
		[STAGE_HOMES] = release_homes,
		[STAGE_INTENTS] = read_intents,
		[STAGE_RINGS] = look_at_rings,
		[STAGE_TAKERS] = look_at_takers,
		[STAGE_BLOCKS] = look_at_blocks,
		[STAGE_INTENDED] = look_at_intents,
		[STAGE_BELLS] = ring_all,
		[STAGE_FINISH] = finish_all,
	};

	while (r->stage < STAGES) {
		int result = stages[r->stage](r);

		if (result)
			return result;
		r->stage++;
		r->at = 0;
		r->slot = 0;
	}
	return 0;
}

int evr_recoverer_step(struct evr_recoverer *r, uint64_t looks,
		       struct evr_recovery_stats *stats)
{
	struct evr_recovery_stats *mine = &r->pass.stats;
	uint64_t begun_ns = evri_os_now_ns();
	uint64_t elapsed_ns;
	int result = 1;

	if (looks == 0)
		return -EINVAL;
	r->pass.looks_left = looks > INT64_MAX ? INT64_MAX : (int64_t)looks;
	if (!r->under_way)
		result = begin(r);
	if (result > 0)
		result = go_on(r);
	if (result <= 0) {
		if (result == 0 && r->under_way && r->left)
			result = -EAGAIN;
		r->under_way = false;
	}
	elapsed_ns = evri_os_now_ns() - begun_ns;
	mine->steps++;
	mine->elapsed_ns += elapsed_ns;
	if (elapsed_ns > mine->longest_step_ns)
		mine->longest_step_ns = elapsed_ns;
	if (stats)
		*stats = *mine;
	return result;
}

/* ---- opening and closing ---- */

static void set_up(struct evr_recoverer *r, struct evr_agent *agent)
{
	r->pass.agent = agent;
	r->pass.pool = agent->pool;
	r->pass.region = agent->pool->region;
}

static void tear_down(struct evr_recoverer *r)
{
	free(r->pass.all);
	free(r->pass.intents);
	free(r->pass.urings);
}

int evr_recoverer_open(struct evr_agent *agent, struct evr_recoverer **ret)
{
	struct evr_recoverer *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	set_up(r, agent);
	*ret = r;
	return 0;
}

struct evr_recoverer *evr_recoverer_close(struct evr_recoverer *r)
{
	if (!r)
		return NULL;
	tear_down(r);
	free(r);
	return NULL;
}

int evr_recover(struct evr_agent *agent, struct evr_recovery_stats *stats)
{
	struct evr_recoverer r = { 0 };
	int result;

	set_up(&r, agent);
	do
		result = evr_recoverer_step(&r, UINT64_MAX, stats);
	while (result == 1);
	tear_down(&r);
	return result == -EAGAIN ? r.left : result;
}
