/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ring alone: a pop does not touch the block that it takes. (What a queue without
 * owners does; the header is a copy of ours with that line changed, see local.mk.) */
#define evri_ring_push_on no_mark_push_on
#define evri_ring_pop_on no_mark_pop_on
#include "bench/ring_no_mark.h"
#include "libevering/ring_walk.c"

#define BENCH_NO_MARK
#define BENCH_LIST bench_ring_no_mark
#define BENCH_NAME "evering:no-mark"
#include "ring.c"
