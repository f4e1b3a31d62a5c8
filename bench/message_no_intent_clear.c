/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The price of clearing an intent after each pop: a copy of our header without it. */
#define evri_ring_push_on message_no_clear_push_on
#define evri_ring_pop_on message_no_clear_pop_on
#include "bench/ring_no_intent_clear.h"
#include "libevering/ring_walk.c"

#define BENCH_LIST bench_message_no_intent_clear
#define BENCH_NAME "evering:no-intent-clear"
#include "message.c"
