/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_RECOVERY_INTERNAL_H
#define EVERINGI_RECOVERY_INTERNAL_H

/*
 * recovery_internal.h - a pass of recovery: what it is about, and the pieces that it is
 * made of. recovery.c has the pieces, each of which judges and claims; recovery_steps.c
 * says in which order, and where a step may end.
 */

#include <evering/recovery.h>

#include "home.h"

/* One whom the pass is for: its record said DEAD before the pass began. */
struct evri_dead {
	uint32_t number;
	uint32_t record;
	uint32_t postponed; /* something of it has to wait for a later pass */
};

/* What an agent of a dead one was in the middle of: an intent, or a bitmap intent. */
struct evri_dead_intent {
	uint64_t value;
	uint32_t agent;
	uint32_t dead; /* index among the dead */
	bool is_bitmap;
	bool in_ring; /* its token was seen in a slot: never taken out by this one */
};

struct evri_pass {
	struct evr_agent *agent;
	struct evr_region *region;
	struct evr_pool *pool;
	struct evri_uring *urings;
	uint32_t urings_count;
	uint32_t chunks_count;

	struct evri_dead *all; /* by number */
	uint32_t all_count;
	uint64_t all_filter[4]; /* bit number % 256 */
	struct evri_dead_intent *intents;
	uint32_t intents_count, intents_capacity;
	uint64_t intents_filter; /* of 64 bits, by hash of the token */
	/* Tokens that anybody's intent named when all slots had been looked at. */
	uint64_t takers_filter[64];

	struct evri_dead *one; /* the dead one that is looked after at this moment */
	uint32_t dead;         /* its attach number */
	uint32_t dead_record;  /* its record */
	/* A token that lies in a ring could not be told from one that does not. */
	bool blind;

	int64_t looks_left; /* of this step */
	struct evr_recovery_stats stats;
};

/* What is more work than a look counts as so many. */
#define EVRI_LOOKS_PER_CLAIM 32
#define EVRI_LOOKS_PER_RING  64
#define EVRI_LOOKS_PER_BELL  16

/* @bits: of the number that comes out. */
static inline uint32_t evri_token_hash(uint64_t wire, uint32_t bits)
{
	return (uint32_t)((wire * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - bits));
}

/* The participant with this number, if the pass is for it. */
static inline struct evri_dead *evri_pass_find(const struct evri_pass *pass,
					       uint32_t number)
{
	uint32_t low = 0, high = pass->all_count;

	/* Nearly all blocks are others'. */
	if (EVR_LIKELY(!(pass->all_filter[number / 64 % 4] >> number % 64 & 1)))
		return NULL;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pass->all[middle].number == number)
			return &pass->all[middle];
		if (pass->all[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static inline void evri_pass_select(struct evri_pass *pass, struct evri_dead *one)
{
	pass->one = one;
	pass->dead = one->number;
	pass->dead_record = one->record;
}

static inline void evri_pass_postpone(struct evri_pass *pass)
{
	pass->one->postponed++;
	pass->stats.postponed++;
}

/* ---- recovery.c ---- */

/* Step 0, of one home: 1: more to do; 0: it is nobody's that the pass is for. */
int evri_pass_release_home(struct evri_pass *pass, const struct evri_uring *uring,
			   uint32_t slot, struct evri_home_release *release);
/* Before step 1: what the dead were in the middle of. */
int evri_pass_read_intents(struct evri_pass *pass);
/* With step 1, of one ring that has roles. */
void evri_pass_release_roles(struct evri_pass *pass, const struct evri_object *object);
/* Step 1: slots of one ring, of which the first @from are done; returns how many are. */
uint64_t evri_pass_look_at_slots(struct evri_pass *pass, const struct evr_ring *ring,
				 uint64_t from);
/* When all slots were looked at. */
void evri_pass_look_at_takers(struct evri_pass *pass);
/* Step 2, of one chunk. */
void evri_pass_look_at_chunk(struct evri_pass *pass, uint32_t chunk);
/* Steps 3 and 4, of one intent. */
void evri_pass_look_at_intent(struct evri_pass *pass,
			      const struct evri_dead_intent *intent);
/* Step 5, for one whose things are all back. */
void evri_pass_finish(struct evri_pass *pass, struct evri_dead *one);

#endif
