/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_CHANNEL_H
#define EVERING_CHANNEL_H

/**
 * channel.h - submit and complete, as with io_uring, between processes.
 *
 *	submitter                                completer
 *	  evr_block_alloc(), fill in place
 *	  evr_submitter_submit()  ------------>  evr_completer_receive()
 *	                                           work in place
 *	  evr_submitter_reap()    <------------  evr_completer_complete()
 *	  evr_block_free(), or use it again
 *
 * The same block goes there and back; nothing is copied. Any number of submitters and
 * completers, in any processes, share one uring. Requests are received in the order in
 * which they were submitted; a completion goes to the submitter that sent the request.
 *
 * Calls named try_ never wait and make no system call, unless somebody sleeps and must be
 * woken (bare). The others spin for a while, then sleep, until a deadline (sync); while
 * they wait they also look whether a participant died, and recover what it held.
 *
 * Death, seen from here:
 *  - a completer dies with a request in hand: it comes home, reaped with the status
 *    -EOWNERDEAD, its content and contained blocks as the dead one left them. Submit it
 *    again (attempts + 1), or give up: a request that kills its server should not kill
 *    all of them. So a request is executed at least once if resubmitted, and is completed
 *    exactly once.
 *  - a submitter dies: completers free its requests when they meet them.
 *  - one is stopped: the others go on; what it has in hand waits for it.
 */

#include <evering/uring.h>

/** How long the waiting calls spin before they sleep, unless told otherwise. */
#define EVR_SPIN_DEFAULT_NS 20000

/** How often waiting calls ask the kernel whether somebody died. */
#define EVR_DEATH_CHECK_NS 50000000

/**
 * struct evr_wait_options - how a handle waits.
 * @size:    sizeof(struct evr_wait_options).
 * @spin_ns: spin so long before sleeping. 0: sleep at once.
 */
struct evr_wait_options {
	size_t size;
	uint64_t spin_ns;
};

/**
 * struct evr_request - what is submitted and received.
 * @block:        the request's block; for submit only its token counts.
 * @operation:    the submitter's number for it, returned with the completion.
 * @length_bytes: of the payload that counts.
 * @attempts:     how often it was handed out before: 0 at first; on resubmission after
 *                -EOWNERDEAD the completion's attempts + 1. Counts to
 *                EVR_ATTEMPTS_MAX and stays there.
 */
struct evr_request {
	struct evr_block block;
	uint64_t operation;
	uint32_t length_bytes;
	uint32_t attempts;
};

/**
 * struct evr_completion - what is reaped.
 * @block:        the request's block, OWNED by the submitter's participant again.
 * @operation:    as submitted.
 * @status:       as completed; or -EOWNERDEAD: the completer died over it.
 * @length_bytes: of the response; with -EOWNERDEAD as submitted.
 * @attempts:     as submitted.
 */
struct evr_completion {
	struct evr_block block;
	uint64_t operation;
	int32_t status;
	uint32_t length_bytes;
	uint32_t attempts;
};

/** The sending side: opaque. One thread at a time. */
struct evr_submitter;

/** The serving side: opaque. One thread at a time. */
struct evr_completer;

EVR_BEGIN_DECLS

/**
 * evr_submitter_open() - takes one of the uring's homes.
 * @uring: this process's view.
 * @agent: of the thread that will use the submitter; must outlive it.
 * @wait:  how to wait; NULL: defaults.
 * @ret:   the submitter; end it with evr_submitter_close().
 *
 * Killed inside: the home is recovered.
 *
 * Return: 0, -EMFILE when all homes are taken, -E2BIG, -ENOMEM, -EUCLEAN.
 */
EVR_API int evr_submitter_open(struct evr_uring *uring, struct evr_agent *agent,
			       const struct evr_wait_options *wait,
			       struct evr_submitter **ret) EVR_NODISCARD;

/**
 * evr_submitter_close() - leaves the home. NULL does nothing.
 *
 * Completions that were not reaped are freed; requests still on their way are freed by
 * whoever meets them. Killed inside: as a submitter that died.
 *
 * Return: NULL.
 */
EVR_API struct evr_submitter *evr_submitter_close(struct evr_submitter *submitter);

/**
 * evr_submitter_try_submit() - sends a request.
 * @submitter: the calling thread's.
 * @request:   block, operation, length and attempts. The block's token is spent on
 *             success, those of its contents with it.
 *
 * Ordering: all that this thread wrote before is visible to whoever receives it.
 * Threads:  one at a time per submitter. Signals: not from handlers.
 * Stopped inside: delays nobody. Killed inside: it was sent, or its block is free.
 *
 * Return: 0, or, the block staying the caller's,
 * -EAGAIN  the submission ring is full, or as many as the window are in flight: reap;
 * -EPIPE   the uring was shut down;
 * -EINVAL  length_bytes is larger than the block;
 * -EUCLEAN the ring's slots contradict themselves;
 * or the errors of evr_block_free().
 */
EVR_API int evr_submitter_try_submit(struct evr_submitter *submitter,
				     const struct evr_request *request) EVR_NODISCARD;

/**
 * evr_submitter_submit() - as try_submit, but waits while the submission ring is full.
 * @deadline_ns: CLOCK_MONOTONIC, or EVR_NEVER.
 *
 * Does not wait for the window, which only this thread's reaping can open: -EAGAIN then.
 *
 * Return: as evr_submitter_try_submit(), or -ETIMEDOUT.
 */
EVR_API int evr_submitter_submit(struct evr_submitter *submitter,
				 const struct evr_request *request,
				 uint64_t deadline_ns) EVR_NODISCARD;

/**
 * evr_submitter_try_reap() - takes a completion.
 * @submitter: the calling thread's.
 * @ret:       the completion. Its block is the caller's: free it, or use it again.
 *
 * Stopped inside: delays nobody. Killed inside: the block is recovered.
 *
 * Return: 0, -EAGAIN when there is none, -EUCLEAN.
 */
EVR_API int evr_submitter_try_reap(struct evr_submitter *submitter,
				   struct evr_completion *ret) EVR_NODISCARD;

/**
 * evr_submitter_reap() - takes a completion, waiting for it.
 * @deadline_ns: CLOCK_MONOTONIC, or EVR_NEVER.
 *
 * While it waits, and every EVR_DEATH_CHECK_NS under load, it looks for dead participants
 * and recovers what they held; so requests that died with their completer arrive here.
 * The first sleep of a process in a region starts a thread that sleeps too, until the
 * region is detached: when a peer dies, it recovers and wakes the others. No signal
 * handler runs in it. Whoever wants none opens a janitor first: janitor.h.
 *
 * Return: 0, -ETIMEDOUT, -ENOENT when nothing is in flight (waiting would be for ever),
 * -EUCLEAN.
 */
EVR_API int evr_submitter_reap(struct evr_submitter *submitter,
			       struct evr_completion *ret,
			       uint64_t deadline_ns) EVR_NODISCARD;

/** evr_submitter_in_flight() - submitted and not yet reaped. Threads: the caller's. */
EVR_API uint32_t evr_submitter_in_flight(const struct evr_submitter *submitter);

/** evr_submitter_slot() - the number of its home in the uring, for people to read. */
EVR_API uint32_t evr_submitter_slot(const struct evr_submitter *submitter);

/**
 * evr_completer_open() - a completer on this uring.
 * @agent: of the thread that will use the completer; must outlive it.
 * @wait:  how to wait; NULL: defaults.
 *
 * Return: 0, -E2BIG, -ENOMEM.
 */
EVR_API int evr_completer_open(struct evr_uring *uring, struct evr_agent *agent,
			       const struct evr_wait_options *wait,
			       struct evr_completer **ret) EVR_NODISCARD;

/** evr_completer_close() - ends it. NULL does nothing. Requests in hand stay the
 * participant's: complete them through another completer, or they come home when it
 * leaves. Return: NULL. */
EVR_API struct evr_completer *evr_completer_close(struct evr_completer *completer);

/**
 * evr_completer_try_receive() - takes the oldest request.
 * @completer: the calling thread's.
 * @ret:       the request. Its block and contents may be read and written in place until
 *             it is completed; they cannot be freed or taken out.
 *
 * Requests of submitters that are gone are freed on the way.
 *
 * Stopped inside: delays nobody. Killed inside: the request is in the ring, or goes home
 * with -EOWNERDEAD.
 *
 * Return: 0, -EAGAIN when there is none, -EPIPE when the uring was shut down and is
 * drained, -EUCLEAN.
 */
EVR_API int evr_completer_try_receive(struct evr_completer *completer,
				      struct evr_request *ret) EVR_NODISCARD;

/**
 * evr_completer_receive() - takes the oldest request, waiting for one.
 * @deadline_ns: CLOCK_MONOTONIC, or EVR_NEVER.
 *
 * Looks for dead participants meanwhile, like evr_submitter_reap().
 *
 * Return: as evr_completer_try_receive(), or -ETIMEDOUT.
 */
EVR_API int evr_completer_receive(struct evr_completer *completer,
				  struct evr_request *ret,
				  uint64_t deadline_ns) EVR_NODISCARD;

/**
 * evr_completer_complete() - sends the answer home.
 * @completer:    any completer of the participant that received the request.
 * @token:        of the request's block. Spent, but for the errors below.
 * @status:       for the submitter: >= 0, or a negative errno of the caller's choice.
 * @length_bytes: of the response in the block's payload.
 *
 * Never waits: the submitter's window leaves room. Ordering: all that this thread wrote
 * before is visible to whoever reaps it.
 * Stopped inside: delays nobody. Killed inside: it was sent, or is sent by recovery, with
 * this status if the response was complete, with -EOWNERDEAD else.
 *
 * Return: 0, or
 * -EPIPE   the submitter is gone; the block and its contents were freed;
 * -EAGAIN  no room (a peer scribbled, or a former submitter's late answers are in the
 *          way): the request is still the caller's, try again;
 * -EINVAL  @length_bytes is larger than the block, or it is no block;
 * -ESTALE, -EPERM, -EXDEV, -EBUSY  it is no request in this participant's hands.
 */
EVR_API int evr_completer_complete(struct evr_completer *completer, evr_token token,
				   int32_t status, uint32_t length_bytes) EVR_NODISCARD;

EVR_END_DECLS
#endif
