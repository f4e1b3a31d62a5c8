/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A peer: wfcqueue of liburcu, an unbounded list of nodes that are the user's. Linked by
 * addresses: its sides are threads.
 *
 * Used as its documentation says is best: a receiver takes all that is there by one
 * splice (under the queue's lock, when there are other receivers) and goes through it on
 * its own. The static forms of its functions are compiled in. Nodes are not allocated:
 * each sender has PEER_SLOTS, in a circle, and waits for the receiver to be done with the
 * oldest, which bounds what is under way as it is for the others.
 */
#include "peer.h"

#ifndef EVR_BENCH_URCU
const struct bench_subject bench_urcu[] = {
	PEER_SKIPPED("urcu_wfcqueue", "not found; apt-get install liburcu-dev"),
	PEER_LIST_END,
};
#else

#define _LGPL_SOURCE
#include <urcu/compiler.h>
#include <urcu/wfcqueue.h>

struct node {
	struct cds_wfcq_node node;
	uint64_t value;
	struct evr_atomic_u64 busy;
};

struct queue {
	EVR_CACHE_ALIGNED struct cds_wfcq_head head;
	EVR_CACHE_ALIGNED struct cds_wfcq_tail tail;
};

/* A side's end of a queue: nodes to send, or what was spliced off. */
struct handle {
	struct queue *queue;
	uint64_t sent;
	struct node *nodes;
	struct cds_wfcq_head taken_head;
	struct cds_wfcq_tail taken_tail;
};

static void *create(void)
{
	struct queue *queues = bench_shared_map(2 * sizeof(*queues));

	cds_wfcq_init(&queues[0].head, &queues[0].tail);
	cds_wfcq_init(&queues[1].head, &queues[1].tail);
	return queues;
}

static struct handle *handle_new(struct queue *queue)
{
	struct handle *handle = aligned_alloc(EVR_CACHE_LINE_BYTES, 4096);

	bench_check(handle);
	handle->queue = queue;
	handle->sent = 0;
	handle->nodes = calloc(PEER_SLOTS, sizeof(*handle->nodes));
	bench_check(handle->nodes);
	cds_wfcq_init(&handle->taken_head, &handle->taken_tail);
	return handle;
}

static void *open_two(void *created, int side)
{
	struct queue *queues = created;

	return peer_end_new(handle_new(&queues[side]), handle_new(&queues[1 - side]),
			    side);
}

static void *open_one(void *created, int side)
{
	struct handle *handle = handle_new(created);

	return peer_end_new(handle, handle, side);
}

static void destroy(void *created)
{
	struct queue *queues = created;

	for (int i = 0; i < 2; i++)
		bench_check(cds_wfcq_empty(&queues[i].head, &queues[i].tail));
	bench_shared_unmap(created, 2 * sizeof(*queues));
}

PEER_INLINE uint32_t put(void *opened, uint64_t *values, uint32_t n)
{
	struct handle *handle = opened;
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct node *node = &handle->nodes[handle->sent % PEER_SLOTS];

		if (evr_load_acquire_u64(&node->busy))
			break;
		cds_wfcq_node_init(&node->node);
		node->value = values[i];
		evr_store_relaxed_u64(&node->busy, 1);
		cds_wfcq_enqueue(&handle->queue->head, &handle->queue->tail, &node->node);
		handle->sent++;
	}
	return i;
}

PEER_INLINE bool splice(struct handle *handle, bool alone)
{
	struct queue *queue = handle->queue;
	enum cds_wfcq_ret ret =
		alone ? __cds_wfcq_splice_blocking(&handle->taken_head,
						   &handle->taken_tail, &queue->head,
						   &queue->tail)
		      : cds_wfcq_splice_blocking(&handle->taken_head, &handle->taken_tail,
						 &queue->head, &queue->tail);

	return ret != CDS_WFCQ_RET_SRC_EMPTY;
}

PEER_INLINE uint32_t take_from(struct handle *handle, uint64_t *values, uint32_t n,
			       bool alone)
{
	uint32_t i = 0;

	while (i < n) {
		struct cds_wfcq_node *found = __cds_wfcq_dequeue_blocking(
			&handle->taken_head, &handle->taken_tail);

		if (found) {
			struct node *node = caa_container_of(found, struct node, node);

			values[i++] = node->value;
			evr_store_release_u64(&node->busy, 0);
		} else if (i > 0 || !splice(handle, alone)) {
			break;
		}
	}
	return i;
}

PEER_INLINE uint32_t take_alone(void *opened, uint64_t *values, uint32_t n)
{
	return take_from(opened, values, n, true);
}

PEER_INLINE uint32_t take_among_others(void *opened, uint64_t *values, uint32_t n)
{
	return take_from(opened, values, n, false);
}

PEER_ROUNDS(ones, 1, put, take_among_others)
PEER_ROUNDS(bursts_8, 8, put, take_among_others)
PEER_ROUNDS(bursts_32, 32, put, take_among_others)
PEER_STREAM(mpsc, 1, 1, put, take_alone)
PEER_TEAM(many, put, take_among_others)

#define ROUNDS(case_name, name)                                                          \
	PEER_ROUNDS_ROW(case_name, "urcu_wfcqueue", name, create, open_two, destroy, true)

const struct bench_subject bench_urcu[] = {
	PEER_STREAM_ROW("spsc_8", "urcu_wfcqueue:alone", mpsc, create, open_one, destroy,
			true),
	ROUNDS("mpmc_1p1c", ones),
	ROUNDS("mpmc_burst_8", bursts_8),
	ROUNDS("mpmc_burst_32", bursts_32),
	PEER_TEAM_ROWS("urcu_wfcqueue", many, create, open_one, destroy, true),
	PEER_LIST_END,
};
#endif
