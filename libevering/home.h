/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_HOME_H
#define EVERINGI_HOME_H

/* home.h - a uring as recovery and channels see it: checked, and with its rings. */

#include <evering/home.h>
#include <evering/recovery.h>

#include "pool_internal.h"
#include "ring_internal.h"

/* This process's checked copy of what a uring's header says. */
struct evri_uring {
	struct evr_uring_shared *shared;
	uint32_t id; /* index of its directory entry; part of return addresses */
	uint32_t homes_count;
	uint32_t submission_order;
	uint32_t completion_order;
	uint32_t request_bytes;
	uint32_t response_bytes;
	uint64_t submission_offset;
	uint64_t homes_offset;
	uint64_t home_stride_bytes;
	uint64_t bytes;
};

enum evri_home_ring {
	EVRI_HOME_COMPLETIONS,
	EVRI_HOME_RETURNS,
};

/* Where the parts of a uring lie; returns its bytes. */
uint64_t evri_uring_lay_out(uint32_t submission_order, uint32_t completion_order,
			    uint32_t homes_count, struct evri_uring *ret);
/* Writes a uring into zeroed memory: submission ring open, homes FREE and closed. */
void evri_uring_init(const struct evri_uring *uring);
/* -EUCLEAN: the object's header contradicts itself. */
int evri_uring_bind(const struct evri_object *object, struct evri_uring *ret);

struct evr_home_shared *evri_home_at(const struct evri_uring *uring, uint32_t slot);
int evri_uring_submissions(const struct evri_uring *uring, struct evr_ring *ret);
int evri_home_ring(const struct evri_uring *uring, uint32_t slot,
		   enum evri_home_ring which, struct evr_ring *ret);

/* The @nth of all rings of a uring, to look at its slots. -ENOENT: there are no more. */
int evri_uring_view(const struct evri_uring *uring, uint64_t nth, struct evr_ring *ret);

/*
 * Takes a FREE home for @number and opens its rings; returns the slot. -EMFILE: none.
 * @ret_word is what the home's word says from now on.
 */
int evri_home_open(const struct evri_uring *uring, uint32_t number, uint64_t *ret_word);

/* How far the release of a home has come: zeroed at its beginning. */
struct evri_home_release {
	enum evri_home_ring which;
	bool bound;
	bool closed;
	struct evr_ring ring;
	uint64_t tries; /* left for this ring */
};

/*
 * Closes and drains a home while its word says @expected, disposing of what is found as
 * recovery does, and makes it FREE. Repeatable, may be done by several at once: by the
 * submitter that leaves, or by whoever recovers it.
 * @tokens: how many may be taken out by this call; what is left of it afterwards.
 *
 * 1: more to do, call again; 0: done; -EAGAIN: others keep filling it.
 */
int evri_home_release(struct evr_agent *agent, const struct evri_uring *urings,
		      uint32_t urings_count, const struct evri_uring *uring,
		      uint32_t slot, uint64_t expected, struct evri_home_release *release,
		      uint64_t *tokens, struct evr_recovery_stats *stats);

/*
 * Does with a block of the agent's what its word and prefix say: an idle one is freed, a
 * request goes home with -EOWNERDEAD, a response goes home as it is; and what has no home
 * any more, or whose home is @dead, is freed with its contents.
 */
void evri_block_dispose(struct evr_agent *agent, const struct evri_uring *urings,
			uint32_t urings_count, uint32_t dead, uint32_t index,
			struct evr_recovery_stats *stats);

/* All urings of a region, checked. The caller frees *@ret. */
int evri_urings_find(struct evr_region *region, struct evri_uring **ret,
		     uint32_t *ret_count);

#endif
