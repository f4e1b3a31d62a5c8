/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_POOL_STATS_H
#define EVERING_POOL_STATS_H

/**
 * pool_stats.h - where the blocks of a class are: free, cached, in whose hands.
 *
 * Nobody counts while working: the numbers are read off the blocks' words and the rings'
 * slots when somebody asks, and cost those who work nothing.
 */

#include <evering/base.h>
#include <evering/pool.h>

/** struct evr_pool_held - the blocks of a class that one participant has. */
struct evr_pool_held {
	uint32_t number;    /* attach number */
	uint32_t cached;    /* in the magazines of its agents */
	uint32_t owned;     /* idle in its hands */
	uint32_t requests;  /* that it works on */
	uint32_t responses; /* written and not yet sent */
	uint32_t queued;    /* sent by it, and still in a ring */
};

/**
 * struct evr_pool_class_stats - the blocks of a class.
 * @size:     sizeof(struct evr_pool_class_stats), by the caller.
 * @held_max: by the caller: room in @held.
 * @held:     by the caller: who has how many; or NULL.
 *
 * Each block is counted in at most one of cached, owned, requests, responses, queued,
 * contained, retired and odd; or it is free. One whose word says free while its bit does
 * not is on its way between a magazine and the bitmap, and is counted nowhere.
 */
struct evr_pool_class_stats {
	size_t size;
	struct evr_pool_held *held;
	uint32_t held_max;
	uint32_t held_count;    /* who have any; may be more than @held_max */
	uint64_t payload_bytes; /* of the class */
	uint32_t blocks;        /* that there are, extents and retired ones included */
	uint32_t free;          /* bits of the bitmap */
	uint32_t cached;        /* in the magazines of agents */
	uint32_t owned;         /* idle in somebody's hands */
	uint32_t requests;      /* being worked on */
	uint32_t responses;     /* written and not yet sent */
	uint32_t queued;        /* in a ring, whatever they are */
	uint32_t contained;     /* in another block */
	uint32_t retired;       /* taken out of use by evr_pool_retire() */
	uint32_t odd;           /* whose word is none: somebody has overwritten it */
};

EVR_BEGIN_DECLS

/**
 * evr_pool_stats() - counts the blocks of a class.
 * @pool:        this process's view.
 * @class_index: from 0, by ascending size.
 * @stats:       its first three members are the caller's; the others are filled in.
 *
 * A snapshot without a moment: every word is read once, each at its own time, and rings
 * before blocks; a block that moves meanwhile may be counted where it was, where it is,
 * or (popped between the two looks) as in its sender's hands. Exact when nobody works.
 * In an untracked pool cached blocks are counted as owned.
 *
 * Cost: a look at every word of all classes and at every slot of all rings, some
 * nanoseconds each, and some system calls a participant. Who works is not delayed, but
 * for the cache lines that are read.
 *
 * Threads: any. Signals: not from handlers. Stopped or killed inside: nothing changes.
 *
 * Return: 0, -EINVAL when there is no such class or @stats has no size, -E2BIG when
 * @stats is newer than the library, -ENOMEM.
 */
EVR_API int evr_pool_stats(struct evr_pool *pool, uint32_t class_index,
			   struct evr_pool_class_stats *stats) EVR_NODISCARD;

EVR_END_DECLS
#endif
