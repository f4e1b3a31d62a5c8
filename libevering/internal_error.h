/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_INTERNAL_ERROR_H
#define EVERINGI_INTERNAL_ERROR_H

/* internal_error.h - how a control-plane call says why it failed; <evering/error.h>. */

#include <errno.h>

#include <evering/base.h>

/*
 * Stores the text for evr_error_detail() and returns @error as it came, so that a call
 * ends with
 *
 *	return evri_fail(-EPROTO, "layout version %u here, %u in the region", ours, its);
 *
 * For control-plane calls only (create, attach, ...): it formats a string. Longer texts
 * are cut. Leaves errno as it was.
 */
#define evri_fail(error, ...) \
	(__extension__({ evri_fail_detail(__VA_ARGS__); (error); }))

/* The text alone. evri_fail() is a macro around it so that the compiler sees which value
 * is returned, and that a result is filled in whenever it is not negative. */
void evri_fail_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
