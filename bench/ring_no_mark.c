/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ring alone: a pop does not touch the block that it takes. (What a queue without
 * owners does; the header is a copy of ours with that line changed, see local.mk.) */
#include "bench/ring_no_mark.h"

#define BENCH_NO_MARK
#define BENCH_LIST bench_ring_no_mark
#define BENCH_NAME "evering:no-mark"
#include "ring.c"
