/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_ANSWER_H
#define EVERINGI_ANSWER_H

/*
 * answer.h - one look for the dead, and what follows from it: what they held comes back,
 * and everybody who sleeps is rung. The watching thread (watch.c) and the janitor
 * (janitor.c) call this, and differ only in what they wait for between two looks.
 */

#include <evering/recovery.h>

#include "region_internal.h"

struct evri_answer {
	struct evr_region *region;
	uint32_t *answered; /* by record: the dead one that was seen there last */
	uint32_t deaths_told; /* of the header's count, those that bells were rung for */
	uint64_t retry_ns; /* when what was left is looked at again; EVR_NEVER: nothing */
};

int evri_answer_begin(struct evri_answer *answer, struct evr_region *region);
void evri_answer_end(struct evri_answer *answer);

/*
 * Looks; if somebody died since the last look, or the time has come to try again, makes
 * one pass of recovery, and rings. Waits for nobody. An agent and a view of the pool are
 * opened for the pass and closed behind it: between two looks nothing is held. @stats: of
 * the pass, or zero; may be NULL.
 *
 * Returns how many dead ones it saw that it had not seen before. Or an error: -EMFILE, no
 * agent is free; or one of the probe's or of evr_recover(). The bells were rung all the
 * same, and what is left is tried again.
 */
int evri_answer(struct evri_answer *answer, struct evr_recovery_stats *stats);

/* For a view that is about to leave: does this participant still hold blocks? Asked anew
 * if it ever recovered anything, because the pool may have been closed, and asked, in the
 * middle of that. */
void evri_answer_leave(struct evr_region *region);

#endif
