/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_DUMP_INTERNAL_H
#define EVERINGI_DUMP_INTERNAL_H

/* dump_internal.h - what a dump knows before it says a word. */

#include <evering/dump.h>
#include <evering/pool_stats.h>

#include "home.h"
#include "pool_internal.h"

/* So many of the requests in work are told one by one. */
#define EVRI_DUMP_REQUESTS_MAX 32

enum evri_dump_life {
	EVRI_DUMP_ALIVE,
	EVRI_DUMP_STOPPED, /* alive, but its process does not run */
	EVRI_DUMP_DYING,   /* dead, and nobody has noticed yet */
	EVRI_DUMP_DEAD,	   /* marked dead, recovery is not done with it */
};

struct evri_dump_participant {
	uint32_t number;
	uint32_t agents_count;
	int64_t pid;
	uint64_t joined_ns;
	enum evri_dump_life life;
	uint32_t cached;
	uint32_t owned;	    /* idle ones in its hands, and bursts */
	uint32_t requests;  /* that it works on */
	uint32_t responses; /* written and not yet sent */
	uint32_t queued;    /* sent by it, in a ring */
};

struct evri_dump_class {
	uint32_t blocks;
	uint32_t bits; /* free, and to be found */
	uint32_t states[EVR_BLOCK_BURST + 1]; /* those in a ring apart */
	uint32_t queued; /* in a ring */
	uint32_t odd;	 /* whose word is none */
};

struct evri_dump_request {
	uint32_t index;
	uint32_t holder;
	uint32_t submitter;
	uint32_t attempts;
	uint32_t length_bytes;
	uint64_t operation;
};

struct evri_dump_uring {
	char name[EVR_NAME_BYTES];
	bool broken; /* its header contradicts itself: nothing below counts */
	struct evri_uring uring;
	uint64_t queued;
	bool closed;
};

struct evri_dump {
	struct evr_region *region;
	struct evr_pool *pool; /* NULL: there is none */
	int pool_error;
	struct evri_dump_participant *participants; /* by attach number */
	uint32_t participants_count;
	struct evr_pool_held *held; /* of each class, for each participant */
	struct evri_dump_class classes[EVR_POOL_CLASSES_MAX];
	struct evri_dump_request requests[EVRI_DUMP_REQUESTS_MAX];
	uint32_t requests_count; /* all of them, told or not */
	struct evri_dump_uring *urings;
	uint32_t urings_count;
	uint32_t *in_ring; /* per block: EVRI_DUMP_SEEN | generation of the token */
	uint32_t blocks_max;
};

#define EVRI_DUMP_SEEN (UINT32_C(1) << 31)

/* Looks at everything once. -ENOMEM; what was allocated is freed by evri_dump_free(). */
int evri_dump_gather(struct evr_region *region, struct evri_dump *ret);
void evri_dump_free(struct evri_dump *dump);

/* How many blocks lie in a ring, and whether it is closed. */
uint64_t evri_dump_ring_fill(const struct evr_ring *ring, bool *ret_closed);

/* What the @nth participant has of a class. */
static inline struct evr_pool_held *evri_dump_held(const struct evri_dump *dump,
						   uint32_t class_index, uint32_t nth)
{
	return &dump->held[(uint64_t)class_index * dump->participants_count + nth];
}

/* NULL: nobody has this number now. */
const struct evri_dump_participant *evri_dump_find(const struct evri_dump *dump,
						   uint32_t number);

#endif
