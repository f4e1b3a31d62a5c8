/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The price of clearing an intent after each pop: a copy of our header without it. */
#include "bench/ring_no_intent_clear.h"

#define BENCH_LIST bench_message_no_intent_clear
#define BENCH_NAME "evering:no-intent-clear"
#include "message.c"
