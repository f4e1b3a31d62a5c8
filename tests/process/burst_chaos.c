/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* burst_chaos.c - ring_chaos.c with bursts, and single blocks between them. */

#define BURST_MAX 8
#define LOST_MAX (2 * BURST_MAX)

#include "ring_chaos.c"
