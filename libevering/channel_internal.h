/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_CHANNEL_INTERNAL_H
#define EVERINGI_CHANNEL_INTERNAL_H

/* channel_internal.h - submitters and completers, for channel.c and channel_wait.c. */

#include <evering/channel.h>
#include <evering/recovery.h>

#include "uring_internal.h"

/* How a handle waits, and when it last asked who died. */
struct evri_wait {
	struct evr_wait_options options;
	uint64_t next_check_ns;
	uint32_t deaths_seen; /* of the region's count */
	uint32_t deaths_before; /* the same when the pass under way began */
	uint32_t calls; /* the clock is not read at every one */
	bool slept;     /* in the last call */
	bool recovering; /* in mid-pass: the next step is due */
	struct evr_recoverer *recoverer; /* or NULL: not wanted so far */
};

struct evr_submitter {
	struct evr_uring *uring;
	struct evr_agent *agent;
	struct evr_home_shared *home;
	uint64_t home_word; /* what the home's word says while it is ours */
	uint64_t address;   /* our return address */
	uint32_t slot;
	uint32_t window;
	uint32_t in_flight;
	struct evr_ring submissions;
	struct evr_ring completions;
	struct evr_ring returns;
	struct evri_wait wait;
};

struct evr_completer {
	struct evr_uring *uring;
	struct evr_agent *agent;
	struct evr_ring submissions;
	struct evr_ring *homes; /* each home's completion ring */
	uint32_t likely_slot;        /* the last request's home: a guess at the next */
	struct evri_wait wait;
};

int evri_wait_options_check(const struct evr_wait_options *wait,
			    struct evr_wait_options *ret);

#endif
