/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_POOL_EXTENT_H
#define EVERING_POOL_EXTENT_H

/**
 * pool_extent.h - blocks that come and go with the load, while everybody works.
 *
 * evr_pool_grow() gives a class of the pool more blocks: an *extent* of them, in a range
 * of the region. Others notice it when they first meet a token from it, or when their
 * class has run out. evr_pool_retire() takes the blocks of a range out of use and gives
 * their pages back; the same blocks serve again when the pool next grows there.
 */

#include <evering/base.h>
#include <evering/pool.h>

/*
 * What becomes of an extent, in its word {state 8 | value 56}. Each step is one
 * compare-and-swap, and who has it may die: one who finds the owner dead goes on.
 */
enum evr_extent_state {
	EVR_EXTENT_SERVING = 1,  /* value 0 */
	EVR_EXTENT_RETIRING = 2, /* all blocks RETIRED; value: which retirement it was */
	EVR_EXTENT_PUNCHING = 3, /* the owner gives pages back; value: attach number */
	EVR_EXTENT_RETIRED = 4,  /* value 0 */
	EVR_EXTENT_REVIVING = 5, /* the owner makes pages; value: attach number */
};

/** An extent's header; its bitmap and its blocks follow. Constant but for its word. */
struct EVR_CACHE_ALIGNED evr_pool_extent_shared {
	uint64_t magic;
	uint32_t class_index;
	uint32_t first_chunk;
	uint32_t chunks_count;
	uint32_t blocks_count;
	uint64_t bitmap_offset; /* from the extent's start, a multiple of 64 */
	uint64_t blocks_offset; /* from the region's start to the first prefix */
	uint64_t payload_bytes; /* of the class */
	struct evr_atomic_u64 word; /* {enum evr_extent_state 8 | value 56} */
	uint64_t payloads_offset; /* from the region's start to the first payload */
};

EVR_STATIC_ASSERT(sizeof(struct evr_pool_extent_shared) == 64, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_pool_extent_shared, magic) == 0 &&
			  offsetof(struct evr_pool_extent_shared, class_index) == 8 &&
			  offsetof(struct evr_pool_extent_shared, first_chunk) == 12 &&
			  offsetof(struct evr_pool_extent_shared, chunks_count) == 16 &&
			  offsetof(struct evr_pool_extent_shared, blocks_count) == 20 &&
			  offsetof(struct evr_pool_extent_shared, bitmap_offset) == 24 &&
			  offsetof(struct evr_pool_extent_shared, blocks_offset) == 32 &&
			  offsetof(struct evr_pool_extent_shared, payload_bytes) == 40 &&
			  offsetof(struct evr_pool_extent_shared, word) == 48 &&
			  offsetof(struct evr_pool_extent_shared, payloads_offset) == 56,
		  "shared layout");

#define EVR_POOL_EXTENT_MAGIC UINT64_C(0x3174786550727645) /* "EvrPext1" as bytes */

/**
 * struct evr_pool_growth - how to give a class more blocks.
 * @size:          sizeof(struct evr_pool_growth).
 * @payload_bytes: of the class: exactly one that the pool has. Required.
 * @blocks_count:  how many more. Required.
 * @range:         where: a range of the region, from evr_region_grow() for example. Every
 *                 block costs its payload and 64 bytes, every 64 blocks 8 bytes, a class
 *                 with an alignment up to that once more. If so
 *                 many blocks of the class, or more, were retired there, these serve
 *                 again.
 */
struct evr_pool_growth {
	size_t size;
	uint64_t payload_bytes;
	uint32_t blocks_count;
	uint32_t range;
};

EVR_BEGIN_DECLS

/**
 * evr_pool_grow() - gives a class more blocks, while everybody works.
 * @pool:   this process's view.
 * @growth: of which class, how many, where.
 *
 * Threads: any. Stopped inside: delays nobody. Killed inside: its place is taken over by
 * whoever grows or creates next; the numbers of its blocks are lost.
 *
 * Return: 0, -EINVAL when no class has this size or the region no such range, -ENOSPC
 * when the range has no room, or the numbers that blocks can have are used up (there are
 * as many as the region's bytes_max could hold of the smallest class), -EROFS, -ENOMEM.
 * Where retired blocks serve again: also -EMFILE when all agents are in use, and the
 * errors of evr_region_grow(); the blocks then stay retired.
 */
EVR_API int evr_pool_grow(struct evr_pool *pool,
			  const struct evr_pool_growth *growth) EVR_NODISCARD;

/**
 * evr_pool_retire() - gives the pages of a range's blocks back to the machine.
 * @agent:     the calling thread's; its magazines are flushed.
 * @range:     of the region: one in which evr_pool_grow() has put blocks.
 * @ret_bytes: how much went back, by this call; may be NULL.
 *
 * All blocks that evr_pool_grow() has put there must be free. They are taken out of use
 * at once. Their pages go when every agent of every living participant has acknowledged
 * that, so that one who goes on using a block that he has given away reads old bytes
 * there, and is not met by a page that is missing. An agent acknowledges on its way: when
 * its magazine runs empty or full, when it finds nothing to receive or to reap, when it
 * sleeps, and in evr_agent_flush(). One that is stopped does not; until it goes on, or
 * dies, the answer is -EAGAIN.
 *
 * What goes is the whole pages that hold nothing but payloads: of payloads larger than a
 * page those inside each; of a class with an alignment, whose prefixes stand beside,
 * those of all payloads together, and that is all of them where the alignment is a
 * multiple of the page.
 * Prefixes and bitmap stay, and are the same blocks' again when evr_pool_grow() makes the
 * range serve anew.
 *
 * Threads: one at a time per agent. Signals: not from handlers. Stopped inside: nobody
 * waits, except for these pages. Killed inside: blocks come back by recovery, or whoever
 * retires next goes on.
 *
 * Return: 0, also when nothing is left to give back; or
 * -EBUSY      blocks of the range are in use, in magazines too (evr_error_detail() says
 *             how many), and nothing has changed; or another is at work here;
 * -EAGAIN     the blocks are out of use; not all agents have acknowledged
 *             (evr_error_detail() names one of the participants). Call again;
 * -ENOENT     evr_pool_grow() has put no blocks there;
 * -EOPNOTSUPP the payloads hold no whole page;
 * -EINVAL     the region has no such range; -EROFS; or an errno of fallocate().
 */
EVR_API int evr_pool_retire(struct evr_agent *agent, uint32_t range,
			    uint64_t *ret_bytes) EVR_NODISCARD;

EVR_END_DECLS
#endif
