/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_POOL_BULK_H
#define EVERING_POOL_BULK_H

/**
 * pool_bulk.h - many blocks in one call, at about six tenths of the cost of one by one.
 */

#include <evering/base.h>
#include <evering/pool.h>

EVR_BEGIN_DECLS

/**
 * evr_block_alloc_bulk() - takes up to @count blocks of one class.
 * @agent: the calling thread's.
 * @bytes: payload wanted, of each; the class is that of evr_block_alloc().
 * @ret:   room for @count blocks; as many as the result says are filled in.
 * @count: how many; more than INT_MAX are INT_MAX.
 *
 * Ordering, threads, signals, stopped or killed inside: as evr_block_alloc(), for each
 * block on its own.
 *
 * Return: how many there were, fewer than @count when the class has no more; if there
 * were none, what evr_block_alloc() says.
 */
EVR_API int evr_block_alloc_bulk(struct evr_agent *agent, uint64_t bytes,
				 struct evr_block *ret, uint32_t count) EVR_NODISCARD;

/**
 * evr_block_free_bulk() - gives blocks back, in order, up to the first that is refused.
 * @agent:  the calling thread's.
 * @tokens: of blocks that are OWNED by this participant, of any classes.
 * @count:  how many; more than INT_MAX are INT_MAX.
 *
 * Ordering, threads, signals, stopped or killed inside: as evr_block_free(), for each
 * block on its own.
 *
 * Return: how many were freed. If fewer than @count, this is also the index of the token
 * that was refused, and neither it nor those behind it were touched; calling again with
 * that one in front says why. If the first was refused, what evr_block_free() says of it.
 */
EVR_API int evr_block_free_bulk(struct evr_agent *agent, const evr_token *tokens,
				uint32_t count) EVR_NODISCARD;

EVR_END_DECLS
#endif
