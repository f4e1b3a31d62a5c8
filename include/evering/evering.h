/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_EVERING_H
#define EVERING_EVERING_H

/**
 * evering.h - all of it, and a tour.
 *
 *	region     memory that several processes map        region.h
 *	listener   strangers get into it                    meet.h
 *	name       one region for all who know it           named.h
 *	pool       its blocks                               pool.h, block.h
 *	agent      one thread's working set                 pool.h
 *	uring      submission ring, completion rings        uring.h
 *	submitter  sends requests, reaps completions        channel.h
 *	completer  receives requests, completes them        channel.h
 *	recovery   what the dead held comes back            recovery.h
 *	janitor    the same, from an event loop             janitor.h
 *	ring       a bare queue of blocks                   ring.h
 *	           or of small entries, one to one          ring_inline.h
 *	           many to one                              ring_lanes.h
 *
 * One process makes region, pool and uring, and hands the region's descriptor over:
 *
 *	evr_region_create(&region_options, &region);
 *	evr_pool_create(region, &pool_options, &pool);
 *	evr_uring_create(pool, NULL, &uring);
 *	evr_agent_open(pool, &agent);
 *	evr_submitter_open(uring, &agent, NULL, &submitter);
 *
 *	evr_block_alloc(&agent, 64, &request.block);
 *	memcpy(request.block.payload, "ping", 5);
 *	request.length_bytes = 5;
 *	evr_submitter_submit(submitter, &request, EVR_NEVER);
 *	evr_submitter_reap(submitter, &completion, EVR_NEVER);
 *
 * Another attaches to it, and serves:
 *
 *	evr_region_attach(fd, &region);
 *	evr_pool_open(region, &pool);
 *	evr_uring_open(pool, NULL, 0, 0, &uring);
 *	evr_agent_open(pool, &agent);
 *	evr_completer_open(uring, &agent, NULL, &completer);
 *
 *	evr_completer_receive(completer, &request, EVR_NEVER);
 *	memcpy(request.block.payload, "pong", 5);
 *	evr_completer_complete(completer, request.block.token, 0, 5);
 *
 * Every call returns 0 or more on success and a negative errno on failure, and leaves its
 * results untouched then; evr_strerror() says what the errno means here, and
 * evr_error_detail() what went wrong with which values. examples/ has whole programs.
 */

#include <evering/atomic.h>
#include <evering/backoff.h>
#include <evering/base.h>
#include <evering/block.h>
#include <evering/channel.h>
#include <evering/cpu.h>
#include <evering/doorbell.h>
#include <evering/dump.h>
#include <evering/pool_stats.h>
#include <evering/error.h>
#include <evering/home.h>
#include <evering/janitor.h>
#include <evering/meet.h>
#include <evering/named.h>
#include <evering/number_set.h>
#include <evering/participant.h>
#include <evering/pool.h>
#include <evering/pool_bulk.h>
#include <evering/pool_extent.h>
#include <evering/pool_node.h>
#include <evering/recovery.h>
#include <evering/region.h>
#include <evering/report.h>
#include <evering/ring_cell.h>
#include <evering/ring_inline.h>
#include <evering/ring_lanes.h>
#include <evering/ring_slot.h>
#include <evering/ring_end.h>
#include <evering/ring.h>
#include <evering/ring_burst.h>
#include <evering/ring_role.h>
#include <evering/token.h>
#include <evering/uring.h>
#include <evering/version.h>

#endif
