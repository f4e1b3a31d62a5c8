/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_URING_H
#define EVERING_URING_H

/**
 * uring.h - one submission ring for all, a completion ring home for each submitter.
 *
 * A uring is an object of the region with a name. Submitters and completers (channel.h)
 * are opened on this process's view of it.
 */

#include <evering/home.h>
#include <evering/recovery.h>

/**
 * struct evr_uring_options - how to create a uring. Zero means the default.
 * @size:                sizeof(struct evr_uring_options).
 * @name:                in the region's directory; default "uring".
 * @submission_capacity: requests that may wait for a completer; a power of two, 2 to
 *                       2^24; default 1024.
 * @completion_capacity: of each submitter's completion ring; a power of two, 2 to 2^23;
 *                       default 256. A submitter has at most one less in flight, so that
 *                       a completion always has room.
 * @submitters:          how many submitters there may be at once; default 16.
 * @request_bytes:       size of the request message, the same for everybody; 0: any.
 * @response_bytes:      size of the response message; 0: any.
 * @range:               the range of the region that all of it lies in, the homes and
 *                       their rings too; 0: the first.
 */
struct evr_uring_options {
	size_t size;
	const char *name;
	uint32_t submission_capacity;
	uint32_t completion_capacity;
	uint32_t submitters;
	uint32_t request_bytes;
	uint32_t response_bytes;
	uint32_t range;
};

/** A process's view of a uring: opaque. Shared by all its threads. */
struct evr_uring;

EVR_BEGIN_DECLS

/**
 * evr_uring_create() - makes a uring.
 * @pool:    this process's view of the region's pool.
 * @options: how; NULL: all defaults.
 * @ret:     this process's view; end it with evr_uring_close().
 *
 * Threads: any. Killed inside: the next creator takes over the place.
 *
 * Return: 0, -EINVAL, -E2BIG, -EEXIST, -EBUSY while another process is making an object
 * of this name, -ENOSPC when the range or the directory is full, -EROFS, -ENOMEM.
 */
EVR_API int evr_uring_create(struct evr_pool *pool,
			     const struct evr_uring_options *options,
			     struct evr_uring **ret) EVR_NODISCARD;

/**
 * evr_uring_open() - this process's view of the uring of this name.
 * @pool:           this process's view of the region's pool.
 * @name:           NULL: "uring".
 * @request_bytes:  what this process takes a request to be; 0: any.
 * @response_bytes: what it takes a response to be; 0: any.
 * @ret:            the view.
 *
 * Return: 0, -ENOENT, -EAGAIN while it is being made, -EPROTO when the sizes differ from
 * the creator's or the name is another kind of object (evr_error_detail() names both),
 * -EUCLEAN when its header contradicts itself, -ENOMEM.
 */
EVR_API int evr_uring_open(struct evr_pool *pool, const char *name,
			   uint32_t request_bytes, uint32_t response_bytes,
			   struct evr_uring **ret) EVR_NODISCARD;

/** evr_uring_close() - ends the view; close its submitters and completers first. NULL
 * does nothing. Return: NULL. */
EVR_API struct evr_uring *evr_uring_close(struct evr_uring *uring);

/**
 * evr_uring_shutdown() - lets no more requests in, for everybody and for ever.
 *
 * submit fails with -EPIPE from here on; completers drain what is queued, then receive
 * fails with -EPIPE; completions go on arriving. All sleepers are woken.
 *
 * Threads: any. Killed inside: open, or shut down.
 *
 * Return: 0, -EAGAIN when the submission ring is full at this moment (try again), -EROFS
 * when the region is attached for reading, -EUCLEAN.
 */
EVR_API int evr_uring_shutdown(struct evr_uring *uring) EVR_NODISCARD;

/** evr_uring_pool() - the pool its requests come from. Threads: any. */
EVR_API struct evr_pool *evr_uring_pool(const struct evr_uring *uring);

/** evr_uring_window() - requests a submitter may have in flight. Threads: any. */
EVR_API uint32_t evr_uring_window(const struct evr_uring *uring);

EVR_END_DECLS
#endif
