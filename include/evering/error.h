/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_ERROR_H
#define EVERING_ERROR_H

/**
 * error.h - what a returned error means here, and what to do about it.
 *
 * Functions of this library return 0 or a positive result on success and a negative
 * errno on failure. They never touch `errno`, and they leave their results (the ret_
 * parameters) as they were when they fail. Two questions can then be asked:
 *
 *	evr_strerror(error)   what does it mean here, and what shall I do?
 *	evr_error_detail()    which values made the last create or attach fail?
 */

#include <evering/base.h>

EVR_BEGIN_DECLS

/**
 * evr_strerror() - one sentence on an error: what it means here and what to do.
 * @error:  what a function of this library returned; its sign does not matter.
 *
 * The sentence speaks of rings, blocks and regions, where strerror() would speak of
 * files: -EPIPE is "the other side has closed", not "Broken pipe". Numbers that this
 * library does not return give "unknown error".
 *
 * Threads:  any number at once.
 * Signals:  async-signal-safe. Never blocks, makes no system call.
 *
 * Return: a constant string that is never freed; never NULL.
 */
EVR_API const char *evr_strerror(int error);

/**
 * evr_error_detail() - why this thread's last failing control-plane call failed.
 *
 * A call that creates, attaches, grows or names something explains its failure with the
 * values that it saw, for example "layout version 2 here, 3 in the region". Calls of the
 * data path (push, pop, alloc, free, submit, receive, wait, ...) say all they have to say
 * by their return value and never touch this text; neither does a call that succeeds.
 *
 * Threads:  each has a text of its own.
 * Signals:  a handler may read it; what it reads may be half of a text being written.
 *
 * Return: the text, at most 255 bytes; "" when no call of this thread has failed yet;
 * never NULL. It belongs to the library and stands until the next control-plane call of
 * this thread fails, or the thread ends.
 */
EVR_API const char *evr_error_detail(void);

EVR_END_DECLS

#endif
