/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * pool_node.c - which blocks are near. See <evering/pool_node.h>.
 *
 * What is known of a block's node is what its range's placement said. It is a hint: who
 * goes by it looks into some bitmap words before others, and takes what the words have.
 */

#include <evering/pool_node.h>

#include <string.h>

#include "pool_internal.h"

/* As in the firmware's tables: one's own node, and another of which they do not tell. */
#define DISTANCE_OWN   10
#define DISTANCE_OTHER 20
/* Behind what is surely near, before what surely is not. */
#define DISTANCE_UNKNOWN 11

static uint32_t distance_between(int from, int to, uint64_t there)
{
	int told = 0;

	if (from == to)
		return DISTANCE_OWN;
	if (there >> from & 1 && there >> to & 1)
		told = evri_os_node_distance(from, to);
	return told > DISTANCE_OWN && told < UINT8_MAX ? (uint32_t)told : DISTANCE_OTHER;
}

/* The nodes of this machine, of those that can be in a mask. */
static uint64_t nodes_there(void)
{
	int limit = evri_os_nodes_limit();
	uint64_t there = 0;

	for (int node = 0; node < limit && node < EVRI_NODES_MAX; node++)
		if (evri_os_node_exists(node))
			there |= UINT64_C(1) << node;
	return there;
}

void evri_span_place(struct evri_span *span, uint64_t nodes)
{
	uint64_t there;

	span->nodes = nodes;
	memset(span->distance, DISTANCE_UNKNOWN, sizeof(span->distance));
	if (nodes == 0)
		return;
	there = nodes_there();
	for (int from = 0; from < EVRI_NODES_MAX; from++) {
		uint32_t sum = 0;

		for (uint64_t rest = nodes; rest; rest &= rest - 1)
			sum += distance_between(from, __builtin_ctzll(rest), there);
		span->distance[from] =
			(uint8_t)(sum / (uint32_t)__builtin_popcountll(nodes));
	}
}

uint32_t evri_agent_node(const struct evr_agent *agent)
{
	int node = agent->node >= 0 ? agent->node : evri_os_current_node();

	return node < EVRI_NODES_MAX ? (uint32_t)node : 0;
}

uint32_t evri_pool_next_distance(const struct evr_pool *pool, uint32_t class_index,
				 uint32_t node, uint32_t distance)
{
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);
	uint32_t next = 0;

	for (uint32_t i = 0; i < spans; i++) {
		const struct evri_span *span = &pool->spans[i];
		uint32_t its = span->distance[node];

		if (span->class_index == class_index && its > distance &&
		    (next == 0 || its < next))
			next = its;
	}
	return next;
}

int evr_agent_set_node(struct evr_agent *agent, int node)
{
	if (node < -1 || node >= EVRI_NODES_MAX)
		return evri_fail(-EINVAL, "node %d: blocks are told apart by nodes 0 "
					  "to %d; -1 is the CPU's own",
				 node, EVRI_NODES_MAX - 1);
	agent->node = node;
	return 0;
}

uint64_t evr_agent_borrowed(const struct evr_agent *agent)
{
	return agent->borrowed;
}

int evr_pool_node_stats(const struct evr_pool *pool, uint32_t class_index, int node,
			struct evr_pool_node_blocks *stats)
{
	uint32_t spans = evr_load_acquire_u32(&pool->spans_count);

	if (!stats || stats->size < sizeof(*stats))
		return evri_fail(-EINVAL, "the size of struct evr_pool_node_blocks is "
					  "not set");
	if (stats->size > sizeof(*stats))
		return evri_fail(-E2BIG, "struct evr_pool_node_blocks of a newer "
					 "release");
	if (class_index >= pool->classes_count)
		return evri_fail(-EINVAL, "the pool has %u classes", pool->classes_count);
	if (node < -1 || node >= EVRI_NODES_MAX)
		return evri_fail(-EINVAL, "node %d is not -1 to %d", node,
				 EVRI_NODES_MAX - 1);
	stats->blocks = 0;
	stats->free = 0;
	for (uint32_t i = 0; i < spans; i++) {
		const struct evri_span *span = &pool->spans[i];
		bool one = span->nodes && (span->nodes & (span->nodes - 1)) == 0;
		int its = one ? __builtin_ctzll(span->nodes) : -1;

		if (span->class_index != class_index || its != node ||
		    evri_pool_chunk_state(pool, span->first_chunk) != EVR_EXTENT_SERVING)
			continue;
		stats->blocks += span->blocks_count;
		for (uint32_t k = 0; k < span->chunks_count; k++)
			stats->free += (uint32_t)__builtin_popcountll(
				evr_load_relaxed_u64(evri_pool_bits(
					pool, span->first_chunk + k)));
	}
	return 0;
}
