/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_URING_INTERNAL_H
#define EVERINGI_URING_INTERNAL_H

/* uring_internal.h - a process's view of a uring, for channel.c. */

#include <evering/uring.h>

#include "home.h"

struct evr_uring {
	struct evr_pool *pool;
	struct evri_uring layout;
	struct evr_ring submissions; /* to be copied: a handle is one thread's */
};

#endif
