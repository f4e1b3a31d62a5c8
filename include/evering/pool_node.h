/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_POOL_NODE_H
#define EVERING_POOL_NODE_H

/**
 * pool_node.h - blocks near to whoever takes them, on machines with several memory nodes.
 *
 * Each range of a region lies on the nodes that its placement names (region.h), and the
 * blocks that the pool has in it lie there, with bits of their own. To give a class
 * blocks on every node: a range a node (evr_region_grow()), and blocks of the class in
 * each (evr_pool_grow()). From then on an agent whose magazine is empty looks for free
 * blocks in this order:
 *
 *	on its own node, which is that of the CPU that it runs on just then;
 *	where it is not known: in ranges without a placement;
 *	on other nodes, the nearest first: these are borrowed.
 *
 * A range interleaved over several nodes counts with their mean distance. A block that is
 * freed goes back to the bits of the range it lies in, whoever frees it. On its way it
 * may be in a magazine, and be allocated from there: it is then in the caches of the CPU
 * that had it last, which is nearer than any memory.
 *
 * The distances are those that the firmware tells the kernel, and this decides about
 * speed alone. Where all blocks of the pool are on the same node, or none has a
 * placement, nothing of it is looked at.
 */

#include <evering/base.h>
#include <evering/pool.h>

EVR_BEGIN_DECLS

/**
 * evr_agent_set_node() - says which node an agent's blocks are to come from.
 * @agent: the calling thread's.
 * @node:  a memory node, 0 to 63; -1, as when it was opened: that of the CPU that the
 *         agent runs on when its magazine is empty.
 *
 * For one who allocates what another node works on. What its magazines hold is left
 * there: evr_agent_flush() gives it back.
 *
 * Threads: one at a time per agent. Signals: not from handlers.
 *
 * Return: 0, or -EINVAL when there can be no such node.
 */
EVR_API int evr_agent_set_node(struct evr_agent *agent, int node) EVR_NODISCARD;

/**
 * evr_agent_borrowed() - how many blocks an agent has had to take from other nodes.
 * @agent: the calling thread's.
 *
 * Counts blocks that came into its magazines since it was opened, and that are known to
 * lie on none but other nodes than the one that was wanted. One that grows says that the
 * class has too few blocks on this node. Where nothing is looked at (see above), nothing
 * is counted.
 *
 * Threads: one at a time per agent. Signals: any.
 */
EVR_API uint64_t evr_agent_borrowed(const struct evr_agent *agent);

/**
 * struct evr_pool_node_blocks - the blocks of a class on one node.
 * @size:   sizeof(struct evr_pool_node_blocks), by the caller.
 * @blocks: that there are, without retired ones.
 * @free:   bits of the bitmap.
 */
struct evr_pool_node_blocks {
	size_t size;
	uint32_t blocks;
	uint32_t free;
};

/**
 * evr_pool_node_stats() - counts the blocks of a class that lie on a node.
 * @pool:        this process's view.
 * @class_index: from 0, by ascending size.
 * @node:        0 to 63: blocks in ranges that were placed on this node alone; -1: all
 *               others, in ranges without a placement or on several nodes.
 * @stats:       its first member is the caller's; the others are filled in.
 *
 * A snapshot without a moment; exact when nobody works. Cost: a look at each word of the
 * class's bitmap. Threads: any. Signals: any. Stopped or killed inside: nothing changes.
 *
 * Return: 0, -EINVAL when there can be no such class or node or @stats has no size,
 * -E2BIG when @stats is newer than the library.
 */
EVR_API int evr_pool_node_stats(const struct evr_pool *pool, uint32_t class_index,
				int node,
				struct evr_pool_node_blocks *stats) EVR_NODISCARD;

EVR_END_DECLS
#endif
